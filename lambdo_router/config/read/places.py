"""
Where in the routes files a route stands, and where everything that it is made of was written.

A route is put together from its own entry, a chain of profiles and the defaults. `Places` goes the
same way backwards: for each key of the finished profile it tells the value, who said it, and the
place, so that a tool can point there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft, Section
from lambdo_router.config.read.shape import ROUTES_SCHEMA, doubles, schema_text

_MERGED = ("env", "machine")
"""The keys of a profile that are merged, not replaced, by the layer above."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file: line and column from 1, columns in code points, as diagnostics have it."""

    file: str
    line: int
    column: int
    end_column: int | None = None
    """The column after the last character, on the same line; None where that is not known."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Origin:
    """A value of a finished profile, and where it comes from."""

    value: object
    """As the file spells it (`2s`, not 2.0), with its variables filled in: maybe a secret."""
    place: Place
    """Where it is written; for what is written nowhere, the `profile` of the route."""
    source: str
    """`route`, `profile NAME`, `defaults`, `environment` or `default value`."""
    written: object = None
    """The value with its variables as the author wrote them: fit to be shown."""
    items: tuple[Place, ...] = ()
    """Where each item of a list is written."""


@dataclass(frozen=True, slots=True)
class Places:
    """Finds things again in the files that a table was made from."""

    draft: Draft
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Keys of a profile that the environment gives where no file does: `app`, `region`."""
    _indexes: dict[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        indexes: dict[object, int] = {}
        for index, section in enumerate(self.draft.routes()):
            indexes.setdefault(section.raw("name"), index)
        object.__setattr__(self, "_indexes", indexes)

    def place_of(self, route: str, *path: str | int) -> Place:
        """
        Where this part of a route's entry is written, such as `("match", "body", "size", 0)`.

        That is the value; or its key, if the value begins on a later line. What is not written
        stands at the nearest thing around it that is. KeyError if there is no such route.
        """
        return self._place(("routes", self._indexes[route], *path))

    def entry(self, route: str) -> Mapping[str, object]:
        """A route's own keys and values, with variables filled in. KeyError if there is none."""
        return self.draft.section("routes", self._indexes[route]).value

    def written(self, route: str, *path: str | int) -> object:
        """What is written there, before variables were filled in; None if nothing is."""
        at = ("routes", self._indexes[route], *path)
        return self.draft.written(at) if self.draft.is_written(at) else None

    def origins(self, route: str) -> Mapping[str, Origin]:
        """
        Where each value of the route's profile comes from, in the order of the reference.

        Names of the environment are keys such as `env.LOG_LEVEL`, parts of the machine config such
        as `machine.stop_config.timeout`: these two are merged from several places. `memory` is not
        there if it is the size's own. KeyError if there is no such route.
        """
        index = self._indexes[route]
        layers = list(self._layers(index))
        found: dict[str, Origin] = {}
        for key, default in _profile_keys().items():
            if key in _MERGED:
                found |= self._merged(key, layers)
                continue
            if (origin := self._topmost(key, layers)) is None:
                origin = self._unwritten(key, default, index)
            if origin is not None:
                found[key] = origin
        return found

    def _layers(self, index: int) -> Iterator[tuple[str, Section]]:
        """What the route's profile is made of, the topmost first."""
        inline = self.draft.section("routes", index, "profile")
        name = self.draft.section("routes", index).value.get("profile")
        if isinstance(name, dict):
            yield "route", inline
            name = inline.value.get("extends")
        seen: set[str] = set()
        while isinstance(name, str) and name in self.draft.names("profiles") and name not in seen:
            seen.add(name)
            section = self.draft.section("profiles", name)
            yield f"profile {name}", section
            name = section.value.get("extends")
        yield "defaults", self.draft.section("defaults")

    def _topmost(self, key: str, layers: list[tuple[str, Section]]) -> Origin | None:
        for source, section in layers:
            if key in section.value:
                return self._origin(source, section.at(key), section.value[key])
            # CPUs and memory in full leave nothing for an inherited `memory` to say.
            if key == "memory" and isinstance(section.value.get("size"), dict):
                return None
        return None

    def _merged(self, key: str, layers: list[tuple[str, Section]]) -> dict[str, Origin]:
        found: dict[tuple[str, ...], Origin] = {}
        for source, section in reversed(layers):
            for path, value in _leaves(section.value.get(key), ()):
                around = [other for other in found if path[: len(other)] == other]
                below = [other for other in found if other[: len(path)] == path != other]
                if below and value == {}:
                    continue  # merged with what is there already
                for other in (*around, *below):  # a mapping and a plain value replace each other
                    del found[other]
                found[path] = self._origin(source, section.at(key, *path), value)
        return {".".join((key, *path)): origin for path, origin in found.items()}

    def _unwritten(self, key: str, default: object, index: int) -> Origin | None:
        place = self._place(("routes", index, "profile"))
        if (given := self.environment.get(key)) is not None:
            return Origin(given, place, "environment", given)
        if key in ("memory", "image"):
            return None
        return Origin(default, place, "default value", default)

    def _origin(self, source: str, path: Path, value: object) -> Origin:
        written = doubles(self.draft.written(path))
        count = len(value) if isinstance(value, list) else 0
        items = tuple(self._place((*path, index)) for index in range(count))
        return Origin(doubles(value), self._place(path), source, written, items)

    def _place(self, path: Path) -> Place:
        value, key = self.draft.diagnostic(path, "", ""), self.draft.diagnostic(path, "", "", "key")
        at = value if value.line == key.line else key
        return Place(at.file, at.line, at.column, at.end_column)


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Everything in nested mappings that is no mapping, and the empty ones."""
    if not isinstance(value, dict):
        if path:
            yield path, value
        return
    for key, inner in value.items():
        if isinstance(inner, dict) and inner:
            yield from _leaves(inner, (*path, key))
        else:
            yield (*path, key), inner


@cache
def _profile_keys() -> Mapping[str, object]:
    """Every key of a profile and its default (None: it has none), in the schema's order."""
    schema = json.loads(schema_text(ROUTES_SCHEMA))
    definitions = schema["$defs"]
    return {key: definitions[key].get("default") for key in definitions["defaults"]["properties"]}
