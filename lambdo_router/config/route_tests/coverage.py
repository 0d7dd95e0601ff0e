"""
What of a routes file its tests reach.

A pattern lists, for each field, the values that will do: these are its alternatives. A test reaches
an alternative if its message takes the route, and would still match the pattern if that value were
the only one in its list (and, inside a `$or`, that branch the only one). So it is the matcher that
decides here too, and a value that merely stands beside the one that matched is not counted. A route
that asks nothing is one alternative itself.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.read.places import Place
from lambdo_router.core.message import Message, attribute_document, read_event, system_document
from lambdo_router.core.patterns import Pattern, compile_pattern
from lambdo_router.core.patterns.compiling import OR
from lambdo_router.core.patterns.wording import cut, label
from lambdo_router.core.routing import Part, Queue, Route
from lambdo_router.core.strict_json import parse_json


@dataclass(frozen=True, slots=True)
class Alternative:
    """One value in the list of one field of a route's patterns."""

    part: Part
    path: tuple[str | int, ...]
    """Keys and indexes inside the pattern; the last one is the index in the field's list."""
    value: str = field(compare=False)
    """As JSON."""

    def __str__(self) -> str:
        steps = "".join(
            f"[{step}]" if isinstance(step, int) else f".{label(cut(step))}"
            for step in self.path[:-1]
        )
        return f"{self.part}{steps}: {cut(self.value)}"


@dataclass(frozen=True, slots=True)
class Unreached:
    """An alternative that no test reaches."""

    alternative: Alternative
    place: Place


@dataclass(frozen=True, slots=True)
class RouteCoverage:
    """How far the tests reach into one route."""

    route: str
    place: Place
    tests: int
    """How many messages take it, be they refused by it in the end."""
    alternatives: int
    """At least 1: a route that asks nothing is an alternative itself."""
    unreached: tuple[Unreached, ...]
    """In the order of the file. Empty for a route that asks nothing."""

    @property
    def reached(self) -> int:
        """How many of the alternatives some test reaches."""
        return self.alternatives - len(self.unreached) if self.tests else 0


def percent(routes: tuple[RouteCoverage, ...]) -> float:
    """The share of the alternatives of these routes that is reached; 100.0 is all of them."""
    return 100 * sum(it.reached for it in routes) / sum(it.alternatives for it in routes)


def alternatives(route: Route) -> Iterator[Alternative]:
    """Every value in the lists of the route's patterns."""
    for part, pattern in route.match.parts().items():
        for path, value in _values(_source(pattern), ()):
            yield Alternative(part, path, json.dumps(value, ensure_ascii=False, default=str))


def held(route: Route, queue: Queue, message: Message) -> Iterator[Alternative]:
    """Those by which the message, which takes this route, matches it."""
    documents = _documents(queue, message)
    patterns = route.match.parts()
    for alternative in alternatives(route):
        narrowed = _narrowed(patterns[alternative.part].source, alternative.path)
        if narrowed.matches(documents[alternative.part]):
            yield alternative


class Coverage:
    """Collects what the tests of one routes file reach."""

    def __init__(self) -> None:
        self._tests: dict[int, int] = {}
        self._reached: dict[int, set[Alternative]] = {}

    def add(self, loaded: LoadedRoutes, queue: str, message: Message, route: Route) -> None:
        """Count a test whose message takes this route; variables may differ from test to test."""
        # By its number: variables may be part of a name, and of values, but not of the structure.
        number = next(at for at, other in enumerate(loaded.table.routes) if other is route)
        self._tests[number] = self._tests.get(number, 0) + 1
        reached = self._reached.setdefault(number, set())
        reached.update(held(route, loaded.table.queues[queue], message))

    def report(self, loaded: LoadedRoutes) -> tuple[RouteCoverage, ...]:
        """Each route of the file, in order."""
        return tuple(
            self._route(loaded, number, route) for number, route in enumerate(loaded.table.routes)
        )

    def _route(self, loaded: LoadedRoutes, number: int, route: Route) -> RouteCoverage:
        reached, all_of_them = self._reached.get(number, set()), list(alternatives(route))
        unreached = [
            Unreached(it, loaded.place_of(route.name, "match", it.part, *it.path))
            for it in all_of_them
            if it not in reached
        ]
        unreached.sort(key=lambda it: (it.place.line, it.place.column))
        return RouteCoverage(
            route=route.name,
            place=loaded.place_of(route.name, "name"),
            tests=self._tests.get(number, 0),
            alternatives=max(1, len(all_of_them)),
            unreached=tuple(unreached),
        )


def _documents(queue: Queue, message: Message) -> dict[Part, Mapping[str, object]]:
    event = read_event(message, queue.envelope)
    return {
        "attributes": attribute_document(event.attributes),
        "body": event.value,
        "system": system_document(message.system),
    }


def _values(
    source: Mapping[str, Any], path: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], object]]:
    for key, value in source.items():
        if key == OR:
            for index, branch in enumerate(value):
                yield from _values(branch, (*path, OR, index))
        elif isinstance(value, Mapping):
            yield from _values(value, (*path, key))
        else:
            for index, condition in enumerate(value):
                yield (*path, key, index), condition


def _source(pattern: Pattern) -> Any:  # noqa: ANN401 - JSON
    """As people may see it, and so the same whatever the variables of a test are."""
    return parse_json(pattern.told)


@lru_cache(maxsize=4096)
def _narrowed(source: str, path: tuple[str | int, ...]) -> Pattern:
    """The pattern with nothing but the value at `path` in its field's list."""
    return compile_pattern(_narrow(parse_json(source), path))


def _narrow(source: Any, path: tuple[str | int, ...]) -> object:  # noqa: ANN401 - JSON
    key, *rest = path
    inner = source[key]
    if key == OR:
        index, *rest = rest
        branch = _narrow(inner[index], tuple(rest))
        return {**source, OR: [branch, branch]}  # the language wants at least two
    if isinstance(inner, Mapping):
        return {**source, key: _narrow(inner, tuple(rest))}
    return {**source, key: [inner[rest[0]]]}
