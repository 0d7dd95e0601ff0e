"""
Reads a routes file and the files that it includes.

`include` is a list of globs. The included files come after the including one, in the order of the
globs, and those of one glob sorted by name. A file is read once, however many globs match it, and
included files include none: the including file shows all that belongs to it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.document import Document
from lambdo_router.config.read.document import Path as DocumentPath
from lambdo_router.config.read.files import (
    GlobMatches,
    Mirror,
    expand,
    is_glob,
    link_out,
    read_regular,
    refusal,
)
from lambdo_router.config.read.text import source_lines
from lambdo_router.config.read.variables import substitute
from lambdo_router.config.read.yaml_loader import parse_document

MOST_INCLUDED = 1000
_MOST_READ = 16 * 1024 * 1024
"""Bytes. Routes files are far smaller, and a larger one is refused."""


class Unreadable(Exception):
    """Why a file cannot be read, with the code of the diagnostic."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_bytes(path: Path) -> bytes:
    """Read a file; of one that is far too large, enough to see that. Raises Unreadable."""
    try:
        return read_regular(path, _MOST_READ)
    except FileNotFoundError:
        raise Unreadable("file-not-found", "there is no such file") from None
    except IsADirectoryError:
        raise Unreadable("file-is-a-folder", "this is a folder, not a file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Unreadable("file-not-readable", f"the file cannot be read: {reason}") from None


@dataclass(slots=True)
class RoutesFiles:
    """Reads a routes file with its includes, and collects what is wrong with them as YAML."""

    env: Mapping[str, str]
    missing: Literal["error", "warning"]
    """The severity of a variable that is not set."""
    mirror: Mirror | None
    """The folder that files from elsewhere were copied to."""
    documents: list[Document] = field(default_factory=list)
    """The including file first. Empty if that one could not be read."""
    problems: list[Diagnostic] = field(default_factory=list)
    refused: set[tuple[str, int, int]] = field(default_factory=set)
    """Places of YAML errors: whatever else is wrong there is a consequence."""
    inputs: list[Path] = field(default_factory=list)
    """Every file that was read or looked for, and the folders that globs looked into."""
    contents: list[bytes] = field(default_factory=list)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)
    """The lines of each file, by its name in diagnostics."""
    readable: bool = True
    """False if the including file does not exist or cannot be read."""
    complete: bool = True
    """False if an included file is missing or not YAML."""

    def read(self, path: Path, content: bytes | None) -> None:
        """Read the file at `path`, or take its `content`, and read all that it includes."""
        self.inputs.append(path)
        try:
            content = read_bytes(path) if content is None else content
        except Unreadable as error:
            name = self._name_of(path)
            self.readable, self.sources[name] = False, ()
            self.problems.append(Diagnostic(name, 1, 1, error.code, str(error)))
            return
        self._take(path, content)
        if self.documents:
            self._include(self.documents[0])

    def _name_of(self, path: Path) -> str:
        return str(path) if self.mirror is None else self.mirror.name_of(path)

    def _take(self, path: Path, content: bytes) -> None:
        """Add the file, as far as it is YAML."""
        name = self._name_of(path)
        self.contents.append(content)
        written, refused = parse_document(content, name, path)
        self.problems += refused
        self.refused |= {(problem.file, problem.line, problem.column) for problem in refused}
        if written is None:
            self.sources[name] = source_lines(content)
            self.complete = False
            return
        self.sources[name] = written.lines
        document, problems = substitute(written, self.env, missing=self.missing)
        self.problems += problems
        self.documents.append(document)

    def _include(self, root: Document) -> None:
        taken = {os.path.realpath(root.path)}
        for at, text in include_entries(root):
            matches = self._matches(root, at, text)
            for path in () if matches is None else matches.files:
                if (real := os.path.realpath(path)) in taken:
                    continue
                taken.add(real)
                if len(taken) > MOST_INCLUDED:
                    what = f"over {MOST_INCLUDED} files are included"
                    self._note(root, at, "include-too-many", what, "join some of them")
                    return
                self._read_included(root, at, path)
        listed = root.value.get("include", []) if isinstance(root.value, dict) else None
        known = isinstance(listed, list) and len(listed) == len(list(include_entries(root)))
        self.complete &= known

    def _matches(self, root: Document, at: DocumentPath, text: str) -> GlobMatches | None:
        """Return what an entry of `include` matches; None if it is not allowed."""
        hint = refusal(text)
        itself = os.path.realpath(root.path)
        if hint is None and os.path.realpath(root.path.parent / text) == itself:
            hint = "that is this file itself; remove it"
        if hint is not None:
            self._note(root, at, "include-not-allowed", f"`include` has {root.shown(at)}", hint)
            return None
        if self.mirror is not None and not self.mirror.can_list and is_glob(text):
            what = f"`include` has {root.shown(at)}, and the files there cannot be listed"
            hint = f"name each file at {self.mirror.place}, or use a bucket"
            self._note(root, at, "include-not-listed", what, hint)
            return None
        matches = expand(root.path.parent, text)
        self.inputs += [path for path in matches.watched if path not in self.inputs]
        if not matches.files:
            diagnostic = root.diagnostic(
                at,
                "include-matches-nothing",
                f"no file matches {root.shown(at)}",
                severity="warning",
                hint="paths are relative to this file; a file added later is picked up by a reload",
            )
            self.problems.append(diagnostic)
        return matches

    def _read_included(self, root: Document, at: DocumentPath, path: Path) -> None:
        folder = root.path.parent
        # The value of a variable is not shown.
        masked = str(root.as_written(at)) if root.holds_variable(at) else None
        if (link := link_out(folder, path)) is not None:
            what = f"the link `{masked or link}` leads out of the folder of this file"
            hint = "included files must be in the folder of this file or below; copy it there"
            self._note(root, at, "include-not-allowed", what, hint)
            return
        try:
            content = read_bytes(path)
        except Unreadable as error:
            name = masked or os.path.relpath(path, folder)
            what = f"`{name}` cannot be included: {error}"
            self._note(root, at, "include-not-readable", what)
            return
        self._take(path, content)

    def _note(self, root: Document, at: DocumentPath, code: str, what: str, hint: str = "") -> None:
        """Note an error at an entry of `include`: the files that it matches are missing."""
        self.complete = False
        self.problems.append(root.diagnostic(at, code, what, hint=hint))


def include_entries(document: Document) -> Iterator[tuple[DocumentPath, str]]:
    """Yield the entries of `include` that are text without unresolved variables."""
    value = document.value.get("include") if isinstance(document.value, dict) else None
    for index, text in enumerate(value if isinstance(value, list) else ()):
        at = ("include", index)
        if isinstance(text, str) and text and at not in document.unresolved:
            yield at, text
