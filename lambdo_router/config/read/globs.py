"""
Which files a glob of `include` means, and what must be watched to notice that they have changed.

Globs are written with `/`, relative to the folder of the file that they stand in, and stay below
it: a routes file must not be able to show, in the source line of a diagnostic, what else is on the
disk (nor by a link: files.py). `*`, `?` and `[...]` stand for parts of one name, and never for a
leading period, as in a shell. Names are sorted, so that the order of the files does not depend on
the disk.
"""

import fnmatch
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Matches:
    """What a glob means at present."""

    files: tuple[Path, ...]
    """In order. A path without a `*` is here whether there is such a file or not."""
    watched: tuple[Path, ...]
    """Folders and files, be they there or not: while these stay the same, so do `files`."""


def is_glob(text: str) -> bool:
    """Whether the text may stand for several files."""
    return _MAGIC.search(text) is not None


def refusal(text: str) -> str | None:
    """What to write instead of a glob that is not allowed; None if it is."""
    parts = text.split("/")
    if text.startswith(("/", "~")) or re.match(r"[A-Za-z]:|.*\\", text):
        return "write a path relative to this file, with `/`"
    if ".." in parts:
        return "what is included lies in the folder of this file, or below"
    if "**" in text:
        return "write each level of folders by itself, like teams/*/*.yaml"
    if parts[-1] in ("", "."):
        return "name files, like routes.d/*.yaml"
    return None


def expand(folder: Path, text: str) -> Matches:
    """The files below `folder` that a glob, which is not refused, means."""
    if not is_glob(text):
        path = folder / text
        return Matches((path,), (path,))
    watched: list[Path] = []
    found = [folder]
    for part in text.split("/"):
        if part in ("", "."):
            continue
        found = [path for base in found for path in _step(base, part, watched)]
    return Matches(tuple(path for path in found if path.is_file()), (*watched, *found))


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
