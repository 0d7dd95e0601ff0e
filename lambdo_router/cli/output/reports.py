"""
What a command found in files, in every form that machines read.

There is one result, `Report`, and one module for each form: json.py, github.py, sarif.py, junit.py.
People read the same result through printing.py.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambdo_router.config.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was found in one of the files that the command checked."""

    file: str
    """As in diagnostics."""
    diagnostics: tuple[Diagnostic, ...]
    """By position, including those of included files."""
    summary: str
    """One line for people on what is in the file and what was checked, without its name."""
    checked: tuple[str, ...] = ()
    """The checks that were made: yaml, variables, shape, ..."""
    exit_code: int = 0

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "warning")


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in all files that a command checked."""

    files: tuple[FileReport, ...]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of each file by its name in the diagnostics."""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Diagnostics by file and position; one of a file that two others include is there once."""
        return tuple(sorted({one for file in self.files for one in file.diagnostics}))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "warning")

    @property
    def exit_code(self) -> int:
        """The highest of the files: 0, 1 for errors, 2 for a missing file, 3 if unreadable."""
        return max((file.exit_code for file in self.files), default=0)


def message_and_hint(diagnostic: Diagnostic) -> str:
    """Return the message and what to do about it as one sentence."""
    return f"{diagnostic.message}; {diagnostic.hint}" if diagnostic.hint else diagnostic.message


def repository_path(file: str) -> str:
    """
    Return the file's name as CI has it: from the root of the repository, with `/`.

    GitHub and GitLab set a variable to that root; elsewhere it is the current folder. A file
    outside of it keeps its name.
    """
    root = next((Path(os.environ[name]) for name in _ROOTS if os.environ.get(name)), Path.cwd())
    try:
        return Path(os.path.abspath(file)).relative_to(root).as_posix()  # noqa: PTH100 - no symlinks
    except ValueError:
        return Path(file).as_posix()


_ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
