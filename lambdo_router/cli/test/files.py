"""
Which tests a command line means: routes files, files with tests, and folders of them.

A routes file brings the tests that stand in it, and those of every *.test.yaml beside it that is
for it. A file with tests brings its own. What is named twice runs once.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

import click

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.document import Document
from lambdo_router.config.read.files import link_out
from lambdo_router.config.read.globs import is_glob
from lambdo_router.config.read.include import Unreadable, read_bytes
from lambdo_router.config.read.yaml_loader import parse_document, source_lines
from lambdo_router.config.route_tests import ENDINGS, ROUTES, TestsFile, no_routes, routes_of

_DEFAULT = Path(ROUTES)


@dataclass(slots=True)
class Tested:
    """One routes file, and where its tests are."""

    routes: Path
    inside: bool = False
    """Whether the tests that stand in the routes file itself are meant."""
    files: list[TestsFile] = field(default_factory=list)


@dataclass(slots=True)
class Found:
    """All that a command line means."""

    tested: list[Tested] = field(default_factory=list)
    problems: dict[Path, list[Diagnostic]] = field(default_factory=dict)
    """What is wrong with files with tests, as YAML, or because their routes file is not found."""
    sources: dict[str, Sequence[str]] = field(default_factory=dict)
    """The lines of each file with tests, by its name in diagnostics."""


def find_tests(arguments: Sequence[str]) -> Found:
    """What these arguments mean. Raises UsageError for those that mean nothing."""
    finder = _Finder()
    for path in [path for text in arguments for path in _meant(text)] or [Path()]:
        finder.take(path)
    if not finder.found.tested and not finder.found.problems:
        where = f"in {', '.join(arguments)}" if arguments else "here"
        raise click.UsageError(
            f"there is no {_DEFAULT} and no *.test.yaml {where}; name a routes file, a file with "
            "tests or a folder: lambdo-router test FILE ..."
        )
    return finder.found


def _meant(text: str) -> Iterable[Path]:
    if not is_glob(text) or Path(text).exists():
        return [Path(text)]
    paths = [Path(name) for name in sorted(glob(text, recursive=True))]  # noqa: PTH207 - Path.glob takes hidden files too
    if not paths:
        raise click.UsageError(f"no file matches {text!r}")
    return paths


class _Finder:
    def __init__(self) -> None:
        self.found = Found()
        self._tested: dict[str, Tested] = {}
        self._read: dict[str, tuple[TestsFile | None, list[Diagnostic]]] = {}

    def take(self, path: Path) -> None:
        """Add what this path brings."""
        if path.is_dir():
            if (path / _DEFAULT).exists():
                self._of(path / _DEFAULT).inside = True
            for file in _beside(path):
                self._take_file(file)
        elif path.name.endswith(ENDINGS):
            self._take_file(path)
        else:
            self._of(path).inside = True
            for file in _beside(path.parent):
                if self._may_be_for(file, path):
                    self._take_file(file)

    def _may_be_for(self, file: Path, routes: Path) -> bool:
        """Whether the tests in that file are for these routes; so it is said if it is no YAML."""
        part, _ = self._part(file)
        named = None if part is None else routes_of(part)
        return part is None or (named is not None and _same(named, routes))

    def _take_file(self, path: Path) -> None:
        part, problems = self._part(path)
        if problems:
            self.found.problems[path] = problems
        if part is None:
            return
        routes = routes_of(part)
        if routes is None:
            self.found.problems[path] = [*problems, no_routes(part)]
        elif not any(file is part for file in self._of(routes).files):
            self._of(routes).files.append(part)

    def _of(self, routes: Path) -> Tested:
        key = os.path.realpath(routes)
        if key not in self._tested:
            self._tested[key] = Tested(routes)
            self.found.tested.append(self._tested[key])
        return self._tested[key]

    def _part(self, path: Path) -> tuple[TestsFile | None, list[Diagnostic]]:
        """The file, read once, and what is wrong with it; None if it cannot be read as YAML."""
        key = os.path.realpath(path)
        if key not in self._read:
            document, problems = _document(path, self.found.sources)
            part = None if document is None else TestsFile(path, document, document)
            self._read[key] = part, problems
        return self._read[key]


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _beside(folder: Path) -> Iterator[Path]:
    """The files with tests in a folder, by name; none if it cannot be looked into."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except OSError:
        return
    for name in names:
        if name.endswith(ENDINGS) and not name.startswith("."):
            yield folder / name


def _document(
    path: Path, sources: dict[str, Sequence[str]]
) -> tuple[Document | None, list[Diagnostic]]:
    sources[str(path)] = ()
    if (link := link_out(path.parent, path)) is not None:
        what = f"the link {link} leads out of its folder"
        return None, [Diagnostic(str(path), 1, 1, "file-not-readable", what)]
    try:
        content = read_bytes(path)
    except Unreadable as error:
        return None, [Diagnostic(str(path), 1, 1, error.code, str(error))]
    sources[str(path)] = source_lines(content)
    return parse_document(content, str(path))
