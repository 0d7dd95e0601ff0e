"""
A folder that stands for a place elsewhere, from which its files were fetched.

Diagnostics name the files by their place, and nothing outside of the folder is read: what is on
this machine's disk is no business of a routes file that comes from elsewhere.
"""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mirror:
    """Handed to `load_routes` with a path in `folder`."""

    folder: Path
    place: str
    """What the folder stands for, fit to be shown, without a slash at its end."""
    can_list: bool
    """Whether it is known which files are there: else there can be no globs."""

    def holds(self, path: Path) -> bool:
        """Whether the path leads to somewhere in the folder."""
        return self.inside(path) is not None

    def name_of(self, path: Path) -> str:
        """What the file is called in diagnostics."""
        inside = self.inside(path)
        return str(path) if inside is None else f"{self.place}/{inside}"

    def inside(self, path: Path) -> str | None:
        """The path from the folder, with `/`; None if it leads out of it, or is the folder."""
        # Not realpath: what is fetched are plain files, and the folder itself may be behind a link.
        relative = os.path.relpath(os.path.normpath(path), os.path.normpath(self.folder))
        outside = relative == "." or relative.split(os.sep, 1)[0] == os.pardir
        return None if outside else Path(relative).as_posix()
