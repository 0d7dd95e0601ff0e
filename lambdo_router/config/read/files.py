"""
Reads the files that a routes file, or one of tests, names.

Whoever wrote it decides what is opened, and messages about a file quote from it. So that nobody
who checks a stranger's routes file is shown his own secrets, or waits for ever: links are followed
only where they stay in the folders that the text itself names, only regular files are read, and of
the kernel's (`/proc/self/environ`) nothing.
"""

import os
import stat
from pathlib import Path


def read_regular(path: Path, most: int) -> bytes:
    """The first `most` bytes of the file. OSError, or ValueError, if it is not to be read."""
    with open(path, "rb", opener=_open_at_once) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "this is no regular file")
        # The kernel's own files pretend to be regular, and to be empty.
        return file.read(min(most, found.st_size))


def _open_at_once(path: str, flags: int) -> int:
    """A pipe is opened without waiting for somebody who writes to it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def link_out(folder: Path, file: Path, *others: Path) -> str | None:
    """
    The link that leads `file`, a path from `folder`, to where it must not; None if none does.

    It may lead to anywhere in the folder, in the one that the path names in so many words (`../x`),
    or in one of the `others`. The links through which these themselves are reached do not count.
    """
    base = os.path.realpath(folder)
    text = str(file.relative_to(folder) if file.is_relative_to(folder) else file)
    named = os.path.dirname(os.path.normpath(_join(base, text)))  # noqa: PTH120 - no `..` is left
    allowed = [base, named, *map(os.path.realpath, others)]
    steps = Path(text).parts
    ways = ["/".join(steps[:count]) for count in range(1, len(steps) + 1)]
    if _is_within(_join(base, text), allowed):
        return None
    links = [way for way in ways if os.path.islink(_join(base, way))]  # noqa: PTH114
    return next((way for way in links if not _is_within(_join(base, way), allowed)), text)


def _is_within(path: str, folders: list[str]) -> bool:
    real = os.path.realpath(path)
    return any(os.path.commonpath((real, folder)) == folder for folder in folders)


def _join(folder: str, text: str) -> str:
    return os.path.join(folder, text)  # noqa: PTH118 - of `..` nothing may be made up
