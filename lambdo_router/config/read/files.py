"""
Finds and reads the files that a routes file or a test file names.

Their author decides what is opened, and messages about a file quote it. So that checking a
stranger's routes file neither reveals secrets nor hangs, globs and paths stay below the folder they
are relative to, links may not lead out of it, only regular files are read, and nothing of the
kernel's (`/proc/self/environ`).
"""

import fnmatch
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")


def read_regular(path: Path, limit: int) -> bytes:
    """Read at most `limit` bytes of a file. OSError or ValueError if it may not be read."""
    with open(path, "rb", opener=_open_without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise OSError(0, "this is not a regular file")
        # The kernel's own files pretend to be regular, and empty.
        return file.read(min(limit, found.st_size))


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a pipe without waiting for a writer."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def link_out(folder: Path, file: Path, *others: Path) -> str | None:
    """
    Return the link that leads `file`, a path from `folder`, to where it may not; None if none does.

    It may lead anywhere in the folder, in the one that the path itself names (`../x`), and in the
    `others`. The links through which these themselves are reached do not count.
    """
    base = os.path.realpath(folder)
    text = str(file.relative_to(folder) if file.is_relative_to(folder) else file)
    named = os.path.dirname(os.path.normpath(_join(base, text)))  # noqa: PTH120 - no `..` is left
    allowed = [base, named, *map(os.path.realpath, others)]
    if _is_within(_join(base, text), allowed):
        return None
    steps = Path(text).parts
    ways = ["/".join(steps[:count]) for count in range(1, len(steps) + 1)]
    links = [way for way in ways if os.path.islink(_join(base, way))]  # noqa: PTH114
    return next((way for way in links if not _is_within(_join(base, way), allowed)), text)


def _is_within(path: str, folders: list[str]) -> bool:
    real = os.path.realpath(path)
    return any(os.path.commonpath((real, folder)) == folder for folder in folders)


def _join(folder: str, text: str) -> str:
    return os.path.join(folder, text)  # noqa: PTH118 - `..` must stay for realpath


@dataclass(frozen=True, slots=True)
class Mirror:
    """
    A folder with a copy of files from elsewhere, given to `load_routes` with a path inside it.

    Diagnostics name the files by where they came from, and nothing outside the folder is read.
    """

    folder: Path
    place: str
    """What the folder is a copy of, fit to be shown, without a slash at its end."""
    can_list: bool
    """Whether the files there can be listed; without that there are no globs."""

    def holds(self, path: Path) -> bool:
        """Return whether the path is in the folder."""
        return self.inside(path) is not None

    def name_of(self, path: Path) -> str:
        """Return what diagnostics call the file."""
        inside = self.inside(path)
        return str(path) if inside is None else f"{self.place}/{inside}"

    def inside(self, path: Path) -> str | None:
        """Return the path from the folder, with `/`; None if it is not below it."""
        # Not realpath: what is fetched are plain files, and the folder itself may be behind a link.
        relative = os.path.relpath(os.path.normpath(path), os.path.normpath(self.folder))
        outside = relative == "." or relative.split(os.sep, 1)[0] == os.pardir
        return None if outside else Path(relative).as_posix()


@dataclass(frozen=True, slots=True)
class GlobMatches:
    """The files that a glob matches at present."""

    files: tuple[Path, ...]
    """In order. A path without a `*` is included whether the file exists or not."""
    watched: tuple[Path, ...]
    """Folders and files, existing or not: while these stay the same, so do `files`."""


def is_glob(text: str) -> bool:
    """Return whether the text may match several files."""
    return _MAGIC.search(text) is not None


def refusal(text: str) -> str | None:
    """Return what to write instead of a glob of `include` that is not allowed, else None."""
    parts = text.split("/")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:|.*\\", text):
        return "write a path relative to this file, with `/`"
    if ".." in parts:
        return "included files must be in the folder of this file or below"
    if "**" in text:
        return "write each level of folders by itself, like teams/*/*.yaml"
    if parts[-1] in ("", "."):
        return "name files, like routes.d/*.yaml"
    return None


def expand(folder: Path, text: str) -> GlobMatches:
    """
    Return the files below `folder` that an allowed glob matches, sorted by name.

    `*`, `?` and `[...]` match parts of one name, and as in a shell never a leading period.
    """
    if not is_glob(text):
        path = folder / text
        return GlobMatches((path,), (path,))
    watched: list[Path] = []
    found = [folder]
    for part in text.split("/"):
        if part not in ("", "."):
            found = [path for base in found for path in _step(base, part, watched)]
    return GlobMatches(tuple(path for path in found if path.is_file()), (*watched, *found))


def _step(base: Path, part: str, watched: list[Path]) -> Iterator[Path]:
    if not is_glob(part):
        yield base / part
        return
    watched.append(base)
    try:
        names = sorted(os.listdir(base))  # noqa: PTH208 - names are wanted, also undecodable ones
    except OSError:
        return
    for name in names:
        if fnmatch.fnmatchcase(name, part) and not (name.startswith(".") and part[0] != "."):
            yield base / name
