"""
Reads a routes file, and the files that it includes.

`include` is a list of globs. The included files come after the including one, in the order in which
the globs are written, and those of one glob sorted by name; a file is taken once, however many
globs mean it, and the including file never includes itself. There is one level: who reads the
including file sees all that belongs to it.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.read.document import Document
from lambdo_router.config.read.document import Path as DocumentPath
from lambdo_router.config.read.files import link_out, read_regular
from lambdo_router.config.read.globs import Matches, expand, is_glob, refusal
from lambdo_router.config.read.mirror import Mirror
from lambdo_router.config.read.parts import Part
from lambdo_router.config.read.variables import substitute
from lambdo_router.config.read.yaml_loader import parse_document, source_lines

MOST_INCLUDED = 1000
_MOST_READ = 16 * 1024 * 1024
"""Bytes. Routes files are far smaller, and a larger one is refused."""


@dataclass(slots=True)
class RoutesFiles:
    """The files that were read, and what was wrong with them as files and as YAML."""

    parts: list[Part] = field(default_factory=list)
    """The including file first. Empty if that one could not be read."""
    problems: list[Diagnostic] = field(default_factory=list)
    """Of reading, of YAML and of variables."""
    refused: set[tuple[str, int, int]] = field(default_factory=set)
    """Places at which YAML itself was refused: what else is wrong there follows from that."""
    inputs: list[Path] = field(default_factory=list)
    """Every file that was read or looked for, and the folders that globs looked into."""
    contents: list[bytes] = field(default_factory=list)
    sources: dict[str, Sequence[str]] = field(default_factory=dict)
    """The lines of each file, by its name in diagnostics."""
    readable: bool = True
    """False if there is no such file as the including one, or it cannot be read."""
    complete: bool = True
    """False if a file that should be there is not, or is not YAML."""


def read_routes_files(
    path: Path,
    env: Mapping[str, str],
    *,
    missing: Literal["error", "warning"],
    content: bytes | None = None,
    mirror: Mirror | None = None,
) -> RoutesFiles:
    """
    The file at `path` and all that it includes, with variables from `env` filled in.

    With `content` that is what the file at `path` holds; nothing is read from there. `missing` is
    the severity of a variable that is not set. `mirror` is the folder of files from elsewhere that
    the path is in. Never fails: what is wrong is among the problems.
    """
    files = RoutesFiles(inputs=[path])
    reader = _Reader(files, env, missing, mirror)
    try:
        content = read_bytes(path) if content is None else content
    except Unreadable as error:
        name = reader.name_of(path)
        files.readable, files.sources[name] = False, ()
        files.problems.append(Diagnostic(name, 1, 1, error.code, str(error)))
        return files
    reader.take(path, content)
    if files.parts:
        reader.include(files.parts[0])
    return files


class Unreadable(Exception):
    """Why a file cannot be read, with the code of the problem."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def read_bytes(path: Path) -> bytes:
    """The file's bytes; of one that is far too large, enough to see that it is."""
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
class _Reader:
    files: RoutesFiles
    env: Mapping[str, str]
    missing: Literal["error", "warning"]
    mirror: Mirror | None

    def name_of(self, path: Path) -> str:
        """What the file is called in diagnostics."""
        return str(path) if self.mirror is None else self.mirror.name_of(path)

    def take(self, path: Path, content: bytes) -> None:
        """Add the file to the parts, as far as it is YAML."""
        files, name = self.files, self.name_of(path)
        files.contents.append(content)
        written, refused = parse_document(content, name)
        files.problems += refused
        files.refused |= {(problem.file, problem.line, problem.column) for problem in refused}
        if written is None:
            files.sources[name] = source_lines(content)
            files.complete = False
            return
        files.sources[name] = written.lines
        document, problems = substitute(written, self.env, missing=self.missing)
        files.problems += problems
        files.parts.append(Part(path, written, document))

    def include(self, root: Part) -> None:
        """Add every file that this one includes."""
        taken = {os.path.realpath(root.path)}
        for at, text in _entries(root.document):
            matches = self._matches(root, at, text)
            for path in () if matches is None else matches.files:
                if (real := os.path.realpath(path)) in taken:
                    continue
                taken.add(real)
                if len(taken) > MOST_INCLUDED:
                    what = f"over {MOST_INCLUDED} files are included"
                    self._note(root, at, "include-too-many", what, "join some of them")
                    return
                self._read(root, at, path)
        self.files.complete &= _is_known(root.document)

    def _matches(self, root: Part, at: DocumentPath, text: str) -> Matches | None:
        """What an entry of `include` means; None if it is not allowed."""
        hint = refusal(text)
        if hint is None and os.path.realpath(root.path.parent / text) == os.path.realpath(
            root.path
        ):
            hint = "that is this file itself; remove it"
        if hint is not None:
            self._note(root, at, "include-not-allowed", f"`include` has {root.shown(at)}", hint)
            return None
        if self.mirror is not None and not self.mirror.can_list and is_glob(text):
            what = f"`include` has {root.shown(at)}, and nobody says which files there are"
            hint = f"at {self.mirror.place} files cannot be listed; name each, or use a bucket"
            self._note(root, at, "include-not-listed", what, hint)
            return None
        matches = expand(root.path.parent, text)
        self.files.inputs += [path for path in matches.watched if path not in self.files.inputs]
        if not matches.files:
            diagnostic = root.document.diagnostic(
                at,
                "include-matches-nothing",
                f"no file matches {root.shown(at)}",
                severity="warning",
                hint="it is relative to this file; a file that comes later is taken up by a reload",
            )
            self.files.problems.append(diagnostic)
        return matches

    def _read(self, root: Part, at: DocumentPath, path: Path) -> None:
        folder = root.path.parent
        # What a variable stands for is not told.
        veiled = str(root.as_written(at)) if root.holds_variable(at) else None
        name = veiled or os.path.relpath(path, folder)
        if (link := link_out(folder, path)) is not None:
            what = f"the link `{veiled or link}` leads out of the folder of this file"
            hint = "what is included lies in the folder of this file, or below; copy it there"
            self._note(root, at, "include-not-allowed", what, hint)
            return
        try:
            content = read_bytes(path)
        except Unreadable as error:
            what = f"`{name}` cannot be included: {error}"
            self._note(root, at, "include-not-readable", what)
            return
        self.take(path, content)

    def _note(self, root: Part, at: DocumentPath, code: str, what: str, hint: str = "") -> None:
        """An error at an entry of `include`: what it stands for is missing."""
        self.files.complete = False
        self.files.problems.append(root.document.diagnostic(at, code, what, hint=hint))


def _is_known(document: Document) -> bool:
    """Whether all that is included is known: no entry is of the wrong type or has a variable."""
    value = document.value.get("include", []) if isinstance(document.value, dict) else None
    return isinstance(value, list) and len(value) == len(list(_entries(document)))


def _entries(document: Document) -> Iterator[tuple[DocumentPath, str]]:
    """What `include` lists, as far as it is text whose variables are known."""
    value = document.value.get("include") if isinstance(document.value, dict) else None
    for index, text in enumerate(value if isinstance(value, list) else ()):
        at = ("include", index)
        if isinstance(text, str) and text and at not in document.unresolved:
            yield at, text
