"""
The routes files under examination: their valid values as nodes, and the problems found in them.

Checks of meaning follow the checks of shape, and a mistake of shape must not hide a mistake of
meaning elsewhere. So what has the wrong shape is cut out and remembered as broken: a value read
from here has the right type, or is absent, or is written but not known.

Several files make one draft. Names are global, and the routes of all files are one list: those of
the including file first, then those of each included one. A path such as `("routes", 7, "match")`
counts in that list; the draft knows the file, and the path in it.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Literal, TypeVar, cast

from lambdo_router.config.diagnostics import Diagnostic, Place, Related, Severity
from lambdo_router.config.read.document import Document, On, Path, entries_of, value_at
from lambdo_router.config.read.nodes import Node, Section, Unfit
from lambdo_router.config.read.shape import ROUTES_SCHEMA, SchemaViolation, misspelt, violations
from lambdo_router.config.read.variables import masked

V = TypeVar("V")
Named = Literal["queues", "profiles"]
_NAMED: tuple[Named, ...] = ("queues", "profiles")


class Draft:
    """Routes files, with the problems found in them so far."""

    def __init__(self, documents: Sequence[Document], *, complete: bool = True) -> None:
        """
        Take these files, the including one first, and check their shape.

        `complete` is False if a file could not be read: what is not found may be in it.
        """
        self.documents = tuple(documents)
        self.complete = complete
        self.is_cut = False
        """Whether anything of the wrong shape was cut out."""
        self._problems: dict[Diagnostic, None] = {}
        self._broken: set[Path] = set()
        self._owners: dict[Named, dict[str, Document]] = {"queues": {}, "profiles": {}}
        self._routes: list[tuple[Document, int]] = []
        """The file of each route, and its index there."""
        self._root = self._merge()

    def entries(self) -> Iterator[object]:
        """Yield the entries of each section of the files: nearly all that is held of them."""
        yield from entries_of(self._root)
        for document in self.documents:
            yield from document.entries()

    @property
    def problems(self) -> tuple[Diagnostic, ...]:
        """Errors and warnings by position, without duplicates."""
        return tuple(sorted(self._problems))

    @property
    def unresolved(self) -> frozenset[Path]:
        """Texts with a variable that is not set, by their paths in their own files."""
        return frozenset().union(*(document.unresolved for document in self.documents))

    @property
    def has_gaps(self) -> bool:
        """Whether a YAML error hides something, so that more is written than is known."""
        return any(document.cut for document in self.documents)

    def place(self, path: Path, on: On = "value") -> Place:
        """Return the place of a value or its key; of the nearest one around it if it is absent."""
        document, inside = self._locate(path)
        return document.place(inside, on)

    def diagnostic(
        self,
        path: Path,
        code: str,
        message: str,
        on: On = "value",
        severity: Severity = "error",
        hint: str = "",
    ) -> Diagnostic:
        """Return a diagnostic at `path` without noting it."""
        return self.place(path, on).diagnose(code, message, severity, hint)

    def problem(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        on: On = "value",
        severity: Severity = "error",
        hint: str = "",
        related: Sequence[Related] = (),
    ) -> None:
        """Note something wrong with the value, or the key, at `path`."""
        problem = self.diagnostic(path, code, message, on, severity, hint)
        self.note(replace(problem, related=tuple(related)))

    def note(self, diagnostic: Diagnostic) -> None:
        """Note a diagnostic."""
        self._problems[diagnostic] = None

    def violation(self, violation: SchemaViolation) -> None:
        """Note a violation of a schema, and what must not be read because of it."""
        it = violation
        self.problem(it.path, it.code, it.message, on=it.on, hint=it.hint)
        if it.broken is not None:
            self._broken.add(it.broken)

    def related(self, path: Path, message: str) -> Related:
        """Return the value at `path` as a place related to a problem elsewhere."""
        return self.place(path).related(message)

    def line(self, path: Path, *, seen_from: Path) -> str:
        """Return the line of the key at `path`, with its file if `seen_from` is in another."""
        at = self.place(path, "key")
        document, _ = self._locate(seen_from)
        return f"line {at.line}" + (f" of {at.file}" if at.file != document.file else "")

    def is_known(self, path: Path) -> bool:
        """Return False for what is broken, incomplete, or depends on a variable that is not set."""
        if path in self._broken or (not self.complete and path in {("queues",), ("profiles",)}):
            return False
        document, inside = self._locate(path)
        return inside not in document.unresolved and inside not in document.cut

    def is_written(self, path: Path) -> bool:
        """Return whether the author wrote anything there, valid or not."""
        document, inside = self._locate(path)
        return document.is_written(inside)

    def shown(self, path: Path) -> str:
        """Describe the value at `path` as the author wrote it."""
        document, inside = self._locate(path)
        return document.shown(inside)

    def holds_variable(self, path: Path) -> bool:
        """Return whether the text at `path` contains a variable."""
        document, inside = self._locate(path)
        return document.holds_variable(inside)

    def written(self, path: Path) -> object:
        """Return the value at `path` before variables were filled in."""
        document, inside = self._locate(path)
        return document.as_written(inside)

    def quoted(self, path: Path) -> str:
        """Return the name at `path` as the author wrote it, in backticks."""
        return f"`{self.written(path)}`"

    def masked(self, path: Path, value: V) -> V:
        """Return a value read at `path` with its variables as they are written there."""
        document, inside = self._locate(path)
        if inside not in document.filled:
            return value
        return cast(V, masked(value, document.as_written(inside)))

    def describe(self, path: Path) -> str:
        """Return what people call the thing at `path`: queue `orders`, `visibility`."""
        document, inside = self._locate(path)
        return document.describe(inside)

    def folder(self, path: Path) -> FilePath:
        """Return the folder that file names at `path` are relative to."""
        return self._locate(path)[0].path.parent

    def violations(self, path: Path, value: object, schema: str) -> Iterator[SchemaViolation]:
        """Yield where the value at `path` violates the schema with that file name."""
        document, inside = self._locate(path)
        for it in violations(value, schema, document, inside):
            broken = None if it.broken is None else (*path, *it.broken[len(inside) :])
            yield replace(it, path=(*path, *it.path[len(inside) :]), broken=broken)

    def parsed(self, path: Path, text: str, parse: Callable[[str], V]) -> V | None:
        """Parse the text at `path`; note a problem and return None if it cannot be."""
        try:
            return parse(text)
        except ValueError as problem:
            code = problem.code if isinstance(problem, Unfit) else "bad-format"
            what = f"{self.describe(path)} is {self.shown(path)}"
            self.problem(path, code, what, hint=str(problem))
            return None

    def names(self, section: Named) -> tuple[str, ...]:
        """Return the names that a section of the files defines, also those of broken entries."""
        return tuple(self._owners[section])

    def good_names(self, section: Named) -> list[str]:
        """Return the names of valid entries, to suggest one of them."""
        return [name for name in self.names(section) if self.is_known((section, name))]

    def section(self, *path: str | int) -> Section:
        """Return the mapping at `path`; an empty one if there is no valid one."""
        try:
            value = value_at(self._root, path)
        except (LookupError, TypeError):
            value = None
        return Node(self, path, value if isinstance(value, dict) else {})

    def routes(self) -> Iterator[Section]:
        """Yield the entries of `routes` in order; empty ones for those that are not mappings."""
        for index in range(len(self._routes)):
            yield self.section("routes", index)

    def _locate(self, path: Path) -> tuple[Document, Path]:
        """Return the file of the thing at `path`, and its path there."""
        if len(self.documents) == 1:
            return self.documents[0], path
        match path:
            case ("queues" | "profiles" as section, str(name), *_):
                return self._owners[section].get(name, self.documents[0]), path
            case ("routes", int(index), *inside) if index < len(self._routes):
                document, index = self._routes[index]
                return document, ("routes", index, *inside)
            case _:
                return self.documents[0], path

    def _merge(self) -> dict[str, object]:
        """Join the valid parts of all files, and note what is not valid."""
        queues: dict[str, object] = {}
        profiles: dict[str, object] = {}
        routes: list[object] = []
        root: dict[str, object] = {"queues": queues, "profiles": profiles, "routes": routes}
        for document in self.documents:
            valid = self._shaped(document)
            self._take_names(document, "queues", valid.get("queues"), queues)
            self._take_names(document, "profiles", valid.get("profiles"), profiles)
            more = valid.get("routes")
            if isinstance(more, list):
                routes += more
                self._routes += [(document, index) for index in range(len(more))]
            if document is self.documents[0]:
                root["defaults"] = valid.get("defaults")
            else:
                self._refuse_root_keys(document)
        for key in ("queues", "routes") if self.complete and not self._broken else ():
            if not any(document.is_written((key,)) for document in self.documents):
                what = f"{self.describe(())} has no `{key}`"
                self.problem((), "missing-key", what, on="key", hint="it must be written")
        return root

    def _shaped(self, document: Document) -> dict[str, object]:
        """Return what a file says, without what has the wrong shape."""
        broken: set[Path] = set()
        found = list(violations(document.value, ROUTES_SCHEMA, document))
        meant = misspelt(found)
        for path in meant:
            self._break(path)
        for it in found:
            needless = it.code == "missing-key" and it.broken in meant
            if not needless and it.path not in document.cut:
                self.note(it.diagnostic(document))
            if it.broken is not None:
                broken.add(it.broken)
                self._break(it.broken)
        value = document.value
        if not isinstance(value, dict) or () in broken:
            return {}
        self.is_cut |= bool(broken)
        return without(value, broken) if broken else value

    def _break(self, path: Path) -> None:
        """Remember a path of the file that is being merged as broken."""
        match path:
            case ("routes", int(index), *inside):
                self._broken.add(("routes", len(self._routes) + index, *inside))
            case ():
                self._broken |= {("queues",), ("profiles",)}
            case _:
                self._broken.add(path)

    def _take_names(
        self, document: Document, section: Named, valid: object, into: dict[str, object]
    ) -> None:
        for name in document.keys((section,)):
            owner = self._owners[section].setdefault(name, document)
            if owner is not document:
                self._refuse_twin(document, owner, (section, name))
            elif isinstance(valid, dict) and name in valid:
                into[name] = valid[name]

    def _refuse_twin(self, document: Document, owner: Document, path: Path) -> None:
        first = owner.place(path, "key")
        what = f"{document.describe(path)} is already defined in line {first.line} of {first.file}"
        hint = "names are global; choose another, or remove one of the two"
        problem = document.diagnostic(path, "defined-twice", what, on="key", hint=hint)
        self.note(replace(problem, related=(first.related("first defined here"),)))

    def _refuse_root_keys(self, document: Document) -> None:
        """Refuse in an included file what readers expect to find in the including one."""
        for key in ("include", "defaults"):
            if document.is_written((key,)):
                what = f"`{key}` is not allowed in an included file"
                hint = f"move it to {self.documents[0].file}, which includes this file"
                self.note(document.diagnostic((key,), "only-in-root", what, on="key", hint=hint))
                self._broken.add((key,))


def without(value: dict[str, object], broken: set[Path]) -> dict[str, object]:
    """Return a copy without what is at those paths; an item of a list becomes None."""
    valid = copy.deepcopy(value)
    for path in broken:
        try:
            container = value_at(valid, path[:-1])
        except (LookupError, TypeError):
            continue  # what is around it is gone already
        if isinstance(container, dict):
            container.pop(str(path[-1]), None)
        elif isinstance(container, list) and isinstance(path[-1], int):
            container[path[-1]] = None
    return valid
