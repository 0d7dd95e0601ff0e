"""
What a look at files has found, and the forms in which machines read it.

One result, `Report`, and one function for each form that makes a text of it: json_report,
github_report, sarif_report, junit_report. People read the same result by way of printing.py.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lambdo_router.config.diagnostics import Diagnostic


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was found in one of the files that the command was asked to look at."""

    file: str
    """As its name stands in diagnostics."""
    diagnostics: tuple[Diagnostic, ...]
    """By position. Included files have theirs here too."""
    summary: str
    """What is in it, and how it was checked, for people; without the name."""
    checked: tuple[str, ...] = ()
    """The layers that were gone through: yaml, variables, shape, ..."""
    exit_code: int = 0

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "warning")


@dataclass(frozen=True, slots=True)
class Report:
    """What was found in all the files that a command was asked to look at."""

    files: tuple[FileReport, ...]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    """The lines of each file by its name in the diagnostics."""

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """By file and position; what two files share by including it is there once."""
        return tuple(sorted({one for file in self.files for one in file.diagnostics}))

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "error")

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        return tuple(one for one in self.diagnostics if one.severity == "warning")

    @property
    def exit_code(self) -> int:
        """That of the worst file: 0, 1 for errors, 2 for one that is missing, 3 if unreadable."""
        return max((file.exit_code for file in self.files), default=0)

    @property
    def complete(self) -> bool:
        """Whether every file could be looked at."""
        return self.exit_code <= 1


def told(diagnostic: Diagnostic) -> str:
    """The message and what to do about it, as one sentence."""
    return f"{diagnostic.message}; {diagnostic.hint}" if diagnostic.hint else diagnostic.message


def repository_path(file: str) -> str:
    """
    The file as CI names it: from the root of the repository, with `/`.

    GitHub and GitLab say where that root is; elsewhere it is the current folder. A file outside of
    it keeps its name.
    """
    root = next((Path(os.environ[name]) for name in _ROOTS if os.environ.get(name)), Path.cwd())
    try:
        return Path(os.path.abspath(file)).relative_to(root).as_posix()  # noqa: PTH100 - no symlinks
    except ValueError:
        return Path(file).as_posix()


_ROOTS = ("GITHUB_WORKSPACE", "CI_PROJECT_DIR")
