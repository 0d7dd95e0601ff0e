"""
A JSON Schema on disk: a file, and the files that it refers to.

Nothing is ever fetched: a `$ref` leads to a place in the file itself or to another file in the
folder of the schema or below. All branches of a schema are checked, also those that no event may
ever reach, so that its author finds a mistake before an event does.
"""

import hashlib
import json
import posixpath
import re
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

from lambdo_router.core.schemas.keywords import (
    DRAFT,
    against_metaschema,
    oddities,
    patterns,
    repeats,
    short,
    subschemas,
)
from lambdo_router.core.schemas.parsing import NotJson, parse
from lambdo_router.core.schemas.visits import MOST_VISITS, TooManyVisits, count_visits

MAX_FILES = 100


@dataclass(frozen=True, slots=True)
class SchemaProblem:
    """
    An error or a warning about a schema file.

    `where` is `line:column` (from 1) in a file that is not JSON, a JSON pointer (`#/properties/a`)
    in a schema, and empty if the file as a whole is meant.
    """

    file: Path
    where: str
    code: str
    message: str

    def __str__(self) -> str:
        between = ":" if self.where and not self.where.startswith("#") else ""
        return f"{self.file.name}{between}{self.where}: {self.message}"


class SchemaError(ValueError):
    """A schema that cannot be used: all its problems, and the files read or looked for."""

    def __init__(self, problems: Sequence[SchemaProblem], inputs: Sequence[Path]) -> None:
        self.problems: tuple[SchemaProblem, ...] = tuple(problems)
        self.inputs: tuple[Path, ...] = tuple(inputs)
        super().__init__("; ".join(str(problem) for problem in self.problems))


class SchemaRegex(NamedTuple):
    """A regular expression somewhere in a schema."""

    text: str
    file: Path
    where: str


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    """Its path from the folder of the schema."""
    uri: str
    content: bytes
    value: object


class _SchemaPosition(NamedTuple):
    """Where a subschema stands, and the URI that its references are relative to."""

    file: _File
    pointer: str
    base: str


class _Reference(NamedTuple):
    position: _SchemaPosition
    written: str
    schema: int
    """The `id()` of the schema that it is written in."""
    dynamic: bool

    @property
    def uri(self) -> str:
        """What it names, in full, with its fragment."""
        # urljoin does not know urn:, and these do not change the base anyway.
        within = not self.written or self.written.startswith("#")
        base = self.position.base
        return base + self.written if within else urljoin(base, self.written)


class SchemaSources:
    """A schema and everything that it refers to: read, and checked but for its patterns."""

    def __init__(self, path: Path, read: Callable[[Path], bytes]) -> None:
        """
        Read the schema at `path`, and the files that it refers to, each once with `read`.

        `read` raises OSError for a file that cannot be read. Raises SchemaError with every problem.
        """
        self.inputs: list[Path] = []
        self.patterns: list[SchemaRegex] = []
        self.warnings: list[SchemaProblem] = []
        self.has_alternatives = False
        """Whether `anyOf` or `oneOf` is used anywhere."""
        self._problems: list[SchemaProblem] = []
        self._root = path
        self._read = read
        self._files: dict[str, _File | None] = {}
        """By name; None is a file that could not be read."""
        self._named: dict[str, tuple[_File, object]] = {}
        """All that a reference can name as a whole: files, and subschemas that have an `$id`."""
        self._references: deque[_Reference] = deque()
        self._walked: set[int] = set()
        self._malformed = False
        self._repeats = False
        self._applies: defaultdict[int, list[int]] = defaultdict(list)
        """Which schemas a schema applies to a value, or to what is in it; schemas by `id()`."""
        self._leads_to: defaultdict[int, list[list[object]]] = defaultdict(list)
        """For each reference of a schema, the schemas that it may mean; by the schema's `id()`."""
        self._dynamic: defaultdict[str, list[object]] = defaultdict(list)
        """Schemas by `$dynamicAnchor`: which of them a reference means depends on its caller."""
        self._positions: dict[int, _SchemaPosition] = {}
        self._load(path.name, path, None)
        self._follow_references()
        self.visits = 0 if self._problems else self._count_visits()
        """How often the schema may look at one value at most."""
        if self._problems:
            raise SchemaError(self._problems, self.inputs)

    @property
    def root(self) -> _File:
        """The file of the schema itself."""
        return next(file for file in self._files.values() if file)

    @property
    def resources(self) -> list[tuple[str, object]]:
        """All that a reference can name as a whole, by URI."""
        return [(uri, value) for uri, (_, value) in self._named.items()]

    @property
    def digest(self) -> str:
        """A digest of the contents, and of the names by which they refer to each other."""
        root, *others = (file for file in self._files.values() if file)
        digest = hashlib.sha256(root.content)
        for file in sorted(others, key=lambda file: file.name):
            content = hashlib.sha256(file.content).hexdigest()
            digest.update(f"\0{file.name}\0{content}".encode())
        return digest.hexdigest()

    @property
    def is_explosive(self) -> bool:
        """
        Whether it applies itself to a value more than once.

        The time for an event may then double with each level of nesting.
        """
        return self._repeats and self._is_recursive()

    def _follow_references(self) -> None:
        found: list[_Reference] = []
        while self._references:
            while self._references:
                reference = self._references.popleft()
                if self._find_file(reference):
                    found.append(reference)
            if self._malformed:
                return
            registry = self._registry()
            for reference in found:
                self._resolve(registry, reference)
            found.clear()

    def _count_visits(self) -> int:
        visits = count_visits(self.root.value, self._leads_to)
        if not isinstance(visits, TooManyVisits):
            return visits
        count = f"{visits.visits:,}" if visits.visits < _MANY else f"over {_MANY:,}"
        message = (
            f"this may look at one value of an event {count} times, at most {MOST_VISITS} are "
            "allowed; let fewer subschemas and references apply to the same value"
        )
        at = self._positions[id(visits.schema)]
        self._problem(at.file.path, at.pointer, "schema-too-costly", message)
        return 0

    def _is_recursive(self) -> bool:
        try:
            TopologicalSorter(self._applies).prepare()
        except CycleError:
            return True
        return False

    def _load(self, name: str, path: Path, at: _SchemaPosition | None) -> None:
        """Read one file, to which the schema at `at` refers, and check it."""
        self._files[name] = None
        self.inputs.append(path)
        try:
            content = self._read(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if isinstance(error, FileNotFoundError):
                reason = "there is no such file"
            elif isinstance(error, IsADirectoryError):
                reason = "this is a folder, not a file"
            message = reason if at is None else f"{short(name)} cannot be read: {reason}"
            by, where = (path, "") if at is None else (at.file.path, at.pointer)
            self._problem(by, where, "schema-not-readable", message)
            return
        try:
            value = parse(content)
        except NotJson as problem:
            self._malformed = True
            self._problem(path, problem.where, problem.code, str(problem))
            return
        # Where the folder really is must not matter to a reference.
        uri = f"file:///folder-of-the-schema/{quote(name)}"
        file = self._files[name] = _File(path, name, uri, content, value)
        self._named[uri] = (file, value)
        if self._is_of_this_draft(file):
            self._check(file)
            self._walk(_SchemaPosition(file, "#", uri), value)

    def _is_of_this_draft(self, file: _File) -> bool:
        draft = file.value.get("$schema", DRAFT) if isinstance(file.value, dict) else DRAFT
        if draft in {DRAFT, f"{DRAFT}#"}:
            return True
        self._malformed = True
        message = f"`$schema` is {json.dumps(draft)[:100]}; allowed is {DRAFT}, or no `$schema`"
        self._problem(file.path, "#/$schema", "schema-draft", message)
        return False

    def _check(self, file: _File) -> None:
        try:
            for pointer, message in against_metaschema(file.value):
                self._malformed = True
                self._problem(file.path, f"#{pointer}", "schema-invalid", message)
        except RecursionError:
            self._malformed = True
            self._problem(file.path, "", "schema-too-deep", "the schema is nested too deep")

    def _walk(self, position: _SchemaPosition, schema: object) -> None:
        waiting = [(position, schema)]
        while waiting:
            position, schema = waiting.pop()
            if not isinstance(schema, dict) or id(schema) in self._walked:
                continue
            self._walked.add(id(schema))
            position = self._rebased(position, schema)
            self._positions[id(schema)] = position
            self._look_at(position, schema)
            below = list(subschemas(schema))
            for pointer, inner in reversed(below):
                waiting.append((position._replace(pointer=position.pointer + pointer), inner))
                if not pointer.startswith(("/$defs/", "/definitions/")):
                    self._applies[id(schema)].append(id(inner))

    def _rebased(self, position: _SchemaPosition, schema: dict[str, object]) -> _SchemaPosition:
        """Return the position with the base URI that an `$id` of the schema sets."""
        written = schema.get("$id")
        if not isinstance(written, str):
            return position
        try:
            base, _ = urldefrag(urljoin(position.base, written))
        except ValueError as error:
            self._malformed = True
            self._problem(position.file.path, position.pointer, "schema-invalid", f"`$id`: {error}")
            return position
        if self._named.setdefault(base, (position.file, schema))[1] is not schema:
            message = f"the `$id` {short(written)} is taken already"
            self._problem(position.file.path, position.pointer, "schema-duplicate-id", message)
        return position._replace(base=base)

    def _look_at(self, position: _SchemaPosition, schema: dict[str, object]) -> None:
        file, pointer, _ = position
        for keyword in ("$ref", "$dynamicRef"):
            written = schema.get(keyword)
            if isinstance(written, str):
                dynamic = keyword == "$dynamicRef"
                self._references.append(_Reference(position, written, id(schema), dynamic))
        if isinstance(anchor := schema.get("$dynamicAnchor"), str):
            self._dynamic[anchor].append(schema)
        for below, text in patterns(schema):
            self.patterns.append(SchemaRegex(text, file.path, pointer + below))
        for below, code, message in oddities(schema):
            self.warnings.append(SchemaProblem(file.path, pointer + below, code, message))
        self.has_alternatives |= "anyOf" in schema or "oneOf" in schema
        self._repeats |= repeats(schema)

    def _find_file(self, reference: _Reference) -> bool:
        """Read the file that it leads to, if that is new. Return whether there is one."""
        written, position = reference.written, reference.position
        if _URI_REFERENCE.fullmatch(written) is None:
            self._refuse(reference, "is not a URI reference; write a space as %20")
            return False
        try:
            uri, parts = urldefrag(reference.uri)[0], urlsplit(written)
        except ValueError as error:
            self._refuse(reference, f"is not a URI reference: {error}")
            return False
        if uri in self._named:
            return True
        if parts.scheme or parts.netloc:
            self._refuse(
                reference, "is not fetched; put the file beside the schema and refer to that"
            )
            return False
        folder = posixpath.dirname(position.file.name)
        name = posixpath.normpath(posixpath.join(folder, unquote(parts.path)))
        if name == ".." or name.startswith(("/", "../")) or parts.query:
            self._refuse(reference, "is outside the folder of the schema, and may not be read")
            return False
        if name not in self._files and len(self._files) == MAX_FILES:
            self._refuse(reference, f"is one file too many; a schema has at most {MAX_FILES}")
            self._files[name] = None
        if name not in self._files:
            self._load(name, self._root.parent / name, position)
        file = self._files[name]
        if file is not None:
            self._named.setdefault(uri, (file, file.value))
        return file is not None

    def _registry(self) -> Any:  # noqa: ANN401 - referencing's own class, imported where used
        from referencing import Registry
        from referencing.jsonschema import DRAFT202012

        return (
            Registry()
            .with_resources(
                (uri, DRAFT202012.create_resource(value)) for uri, (_, value) in self._named.items()
            )
            .crawl()
        )

    def _resolve(self, registry: Any, reference: _Reference) -> None:  # noqa: ANN401 - see above
        from referencing.exceptions import Unresolvable

        try:
            resolver = registry.resolver(reference.position.base)
            schema = resolver.lookup(reference.written).contents
        except (Unresolvable, LookupError, TypeError, ValueError, AttributeError):
            self._refuse(reference, "leads nowhere")
            return
        if not isinstance(schema, dict | bool):
            self._refuse(reference, "does not lead to a schema")
            return
        self._applies[reference.schema].append(id(schema))
        uri, fragment = urldefrag(reference.uri)
        file, _ = self._named[uri]
        self._walk(_SchemaPosition(file, f"#{fragment}", uri), schema)
        others = self._dynamic[fragment] if reference.dynamic else []
        by_way = any(other is schema for other in others)
        self._leads_to[reference.schema].append(others if by_way else [schema])

    def _refuse(self, reference: _Reference, why: str) -> None:
        position = reference.position
        message = f"the reference `{short(reference.written)}` {why}"
        self._problem(position.file.path, position.pointer, "schema-ref", message)

    def _problem(self, file: Path, where: str, code: str, message: str) -> None:
        self._problems.append(SchemaProblem(file, where, code, message))


_MANY = 1_000_000
_URI_REFERENCE = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")
