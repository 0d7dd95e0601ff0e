"""
Finds the tests that a command line names: routes files, test files, and folders of them.

A routes file brings its own tests and those of every `*.test.yaml` beside it that refers to it. A
test file brings its own. What is named twice runs once.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

import click

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.document import Document
from lambdo_router.config.read.files import is_glob, link_out
from lambdo_router.config.read.include import Unreadable, read_bytes
from lambdo_router.config.read.text import source_lines
from lambdo_router.config.read.yaml_loader import parse_document
from lambdo_router.config.route_tests import ENDINGS, NOUN, ROUTES, no_routes, routes_of


@dataclass(slots=True)
class SuiteFiles:
    """One routes file, and the files with its tests."""

    routes: Path
    inside: bool = False
    """Whether to run the tests in the routes file itself."""
    files: list[Document] = field(default_factory=list)


def find_tests(arguments: Sequence[str]) -> "FoundTests":
    """Find the tests that these arguments name. Raises UsageError if there are none."""
    found = FoundTests()
    for path in [path for text in arguments for path in _named(text)] or [Path()]:
        found.take(path)
    if not found.suites and not found.problems:
        where = f"in {', '.join(arguments)}" if arguments else "here"
        raise click.UsageError(
            f"there is no {ROUTES} and no *.test.yaml {where}; name a routes file, a test file or "
            "a folder: lambdo-router test FILE ..."
        )
    return found


def _named(text: str) -> Iterable[Path]:
    if not is_glob(text) or Path(text).exists():
        return [Path(text)]
    paths = [Path(name) for name in sorted(glob(text, recursive=True))]  # noqa: PTH207 - Path.glob takes hidden files too
    if not paths:
        raise click.UsageError(f"no file matches {text!r}")
    return paths


class FoundTests:
    """The test files of a command line, by the routes file they test."""

    def __init__(self) -> None:
        self.problems: dict[Path, list[Diagnostic]] = {}
        """Problems of test files as YAML, or because their routes file does not exist."""
        self.sources: dict[str, Sequence[str]] = {}
        """The lines of each test file, by its name in diagnostics."""
        self._suites: dict[str, SuiteFiles] = {}
        self._read: dict[str, tuple[Document | None, list[Diagnostic]]] = {}

    @property
    def suites(self) -> list[SuiteFiles]:
        """Routes files with their tests, in the order named."""
        return list(self._suites.values())

    def take(self, path: Path) -> None:
        """Add the tests that this path names."""
        if path.is_dir():
            if (path / ROUTES).exists():
                self._suite(path / ROUTES).inside = True
            for file in _beside(path):
                self._take_file(file)
        elif path.name.endswith(ENDINGS):
            self._take_file(path)
        else:
            self._suite(path).inside = True
            for file in _beside(path.parent):
                if self._may_test(file, path):
                    self._take_file(file)

    def _may_test(self, file: Path, routes: Path) -> bool:
        """Return whether that file tests these routes; a file that is not YAML may, so it does."""
        part, _ = self._parsed(file)
        if part is None:
            return True
        named = routes_of(part)
        return named is not None and os.path.realpath(named) == os.path.realpath(routes)

    def _take_file(self, path: Path) -> None:
        part, problems = self._parsed(path)
        if problems:
            self.problems[path] = problems
        if part is None:
            return
        routes = routes_of(part)
        if routes is None:
            self.problems[path] = [*problems, no_routes(part)]
        elif not any(file is part for file in self._suite(routes).files):
            self._suite(routes).files.append(part)

    def _suite(self, routes: Path) -> SuiteFiles:
        return self._suites.setdefault(os.path.realpath(routes), SuiteFiles(routes))

    def _parsed(self, path: Path) -> tuple[Document | None, list[Diagnostic]]:
        """Read a file, once; return it (None if it is not YAML) and its problems."""
        key = os.path.realpath(path)
        if key not in self._read:
            self._read[key] = self._parse(path)
        return self._read[key]

    def _parse(self, path: Path) -> tuple[Document | None, list[Diagnostic]]:
        name = str(path)
        self.sources[name] = ()
        if (link := link_out(path.parent, path)) is not None:
            what = f"the link {link} leads out of its folder"
            return None, [Diagnostic(name, 1, 1, "file-not-readable", what)]
        try:
            content = read_bytes(path)
        except Unreadable as error:
            return None, [Diagnostic(name, 1, 1, error.code, str(error))]
        self.sources[name] = source_lines(content)
        return parse_document(content, name, path, NOUN)


def _beside(folder: Path) -> Iterator[Path]:
    """Yield the test files in a folder, by name; none if it cannot be listed."""
    try:
        names = sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted
    except OSError:
        return
    for name in names:
        if name.endswith(ENDINGS) and not name.startswith("."):
            yield folder / name
