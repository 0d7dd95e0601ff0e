"""
The files with the schemas of events, each read once however many routes name it.

What was read is kept: the generation is a digest of exactly these bytes, and a watcher watches
exactly these files.
"""

import re
from pathlib import Path

from lambdo_router.config.read.document import Path as DocumentPath
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.files import Mirror, link_out, read_regular
from lambdo_router.core.schemas import EventSchema, SchemaError, SchemaProblem, compile_schema

_MOST_READ = 16 * 1024 * 1024
"""Bytes. Schemas are far smaller, and a larger one is refused."""


class SchemaFiles:
    """Reads and compiles schema files, each relative to the folder of the file that names it."""

    def __init__(self, root: Path = Path(), mirror: Mirror | None = None) -> None:
        """
        Start with nothing read.

        `root` is the folder of the routes file, in which links may lead anywhere. `mirror` is the
        folder that files from elsewhere were copied to, out of which nothing is read.
        """
        self._root = root
        self._mirror = mirror
        self._compiled: dict[Path, EventSchema | None] = {}
        self.contents: dict[Path, bytes | None] = {}
        """Each file that was read or looked for; None if it could not be read."""

    def compile(self, draft: Draft, at: DocumentPath, text: str) -> EventSchema | None:
        """
        Return the schema in the file that `text`, written at `at`, names; None if it is invalid.

        Problems of a schema are noted in the draft where it is first named.
        """
        path = draft.folder(at) / text
        if path not in self._compiled:
            self._compiled[path] = self._compile(draft, at, text, path)
        return self._compiled[path]

    def _compile(self, draft: Draft, at: DocumentPath, text: str, path: Path) -> EventSchema | None:
        if re.match(r"[a-z][a-z0-9+.-]+:", text, re.IGNORECASE):
            what = f"`schema` is {draft.shown(at)}, which is not a file"
            hint = "nothing is fetched; write a path relative to this file"
            draft.problem(at, "schema-not-a-file", what, hint=hint)
            return None
        if self._mirror is not None and not self._mirror.holds(path):
            what = f"`schema` is {draft.shown(at)}, which is not at {self._mirror.place} or below"
            hint = "only files in the folder of the routes file or below are fetched"
            draft.problem(at, "schema-outside", what, hint=hint)
            return None
        folder = draft.folder(at)

        def read(file: Path) -> bytes:
            if (link := link_out(folder, file, self._root)) is not None:
                which = "a link" if draft.holds_variable(at) else f"the link {link}"
                raise OSError(0, f"{which} leads out of its folder")
            return self._read(file)

        def message(problem: SchemaProblem) -> str:
            shown = str(problem)
            if draft.holds_variable(at):  # whose value may be a secret
                shown = shown.replace(Path(text).name, draft.quoted(at))
            return shown

        try:
            compiled = compile_schema(path, read)
        except SchemaError as error:
            for problem in error.problems:
                of_file = problem.code == "schema-not-readable" and problem.file == path
                hint = "the path is relative to the folder of this file" if of_file else ""
                draft.problem(at, problem.code, message(problem), hint=hint)
            return None
        for warning in compiled.warnings:
            draft.problem(at, warning.code, message(warning), severity="warning")
        return compiled.schema

    def _read(self, path: Path) -> bytes:
        if (content := self.contents.get(path)) is not None:
            return content
        self.contents[path] = None
        self.contents[path] = content = read_regular(path, _MOST_READ)
        return content
