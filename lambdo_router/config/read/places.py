"""Where in the routes files a route is written, and where each value of its profile comes from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from lambdo_router.config.diagnostics import Place
from lambdo_router.config.read.document import Path, doubles
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Section
from lambdo_router.config.read.shape import ROUTES_SCHEMA, schema_text

_MERGED = ("env", "machine")
"""The keys of a profile that are merged with those of the layers below, not replaced."""


@dataclass(frozen=True, slots=True)
class Origin:
    """A value of a complete profile, and where it comes from."""

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
    """Finds routes and their values in the files that they were read from."""

    draft: Draft
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Keys of a profile that the environment sets where no file does: `app`, `region`."""
    _indexes: dict[object, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        indexes: dict[object, int] = {}
        for index, section in enumerate(self.draft.routes()):
            indexes.setdefault(section.raw("name"), index)
        object.__setattr__(self, "_indexes", indexes)

    def place_of(self, route: str, *path: str | int) -> Place:
        """
        Return where a part of a route's entry is written, such as `("match", "body", "size", 0)`.

        That is the value, or its key if the value begins on a later line; for what is not written,
        the nearest thing around it. KeyError if there is no such route.
        """
        return self._place(("routes", self._indexes[route], *path))

    def entry(self, route: str) -> Mapping[str, object]:
        """Return a route's own keys and values, variables filled in. KeyError if there is none."""
        return self.draft.section("routes", self._indexes[route]).value

    def written(self, route: str, *path: str | int) -> object:
        """Return the value there before variables were filled in; None if there is none."""
        at = ("routes", self._indexes[route], *path)
        return self.draft.written(at) if self.draft.is_written(at) else None

    def origins(self, route: str) -> Mapping[str, Origin]:
        """
        Return where each value of the route's profile comes from, in the order of the reference.

        `env` and `machine` are merged from several places, so they have an origin for each of
        their parts, such as `env.LOG_LEVEL` and `machine.stop_config.timeout`. `memory` is absent
        if it is the size's own. KeyError if there is no such route.
        """
        index = self._indexes[route]
        layers = list(self._layers(index))
        found: dict[str, Origin] = {}
        for key, default in _profile_keys().items():
            if key in _MERGED:
                found |= self._merged(key, layers)
                continue
            origin = self._topmost(key, layers) or self._unwritten(key, default, index)
            if origin is not None:
                found[key] = origin
        return found

    def _layers(self, index: int) -> Iterator[tuple[str, Section]]:
        """Yield what the route's profile is made of, the topmost first."""
        route = self.draft.section("routes", index)
        name = route.get("profile")
        if isinstance(name, dict):
            yield "route", route.section("profile")
            name = name.get("extends")
        seen: set[str] = set()
        while isinstance(name, str) and name in self.draft.names("profiles") and name not in seen:
            seen.add(name)
            profile = self.draft.section("profiles", name)
            yield f"profile {name}", profile
            name = profile.get("extends")
        yield "defaults", self.draft.section("defaults")

    def _topmost(self, key: str, layers: Sequence[tuple[str, Section]]) -> Origin | None:
        for source, section in layers:
            if key in section.value:
                return self._origin(source, section.at(key), section.value[key])
            # A size with CPUs and memory leaves nothing for an inherited `memory` to set.
            if key == "memory" and isinstance(section.get("size"), dict):
                return None
        return None

    def _merged(self, key: str, layers: Sequence[tuple[str, Section]]) -> dict[str, Origin]:
        found: dict[tuple[str, ...], Origin] = {}
        for source, section in reversed(layers):
            for path, value in _leaves(section.get(key), ()):
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
        value, key = self.draft.place(path), self.draft.place(path, "key")
        return value if value.line == key.line else key


def _leaves(value: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    """Yield everything in nested mappings that is not a mapping, and the empty ones."""
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
    """Return every key of a profile and its default (None: it has none), in the schema's order."""
    definitions = json.loads(schema_text(ROUTES_SCHEMA))["$defs"]
    return {key: definitions[key].get("default") for key in definitions["defaults"]["properties"]}
