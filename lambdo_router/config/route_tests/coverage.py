"""
How much of a routes file its tests reach.

A pattern lists, for each field, the values that match: these are its alternatives. A test reaches
an alternative if its message takes the route, and would still match if that value were alone in its
list (and, inside a `$or`, that branch were alone). So the matcher itself decides here too, and a
value beside the one that matched does not count. A route without conditions counts as one
alternative.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from lambdo_router.config.diagnostics import Place
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core.message import Message, attribute_document, read_event, system_document
from lambdo_router.core.patterns import OR, Pattern, compile_pattern
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
class RouteCoverage:
    """How much of one route the tests reach."""

    route: str
    place: Place
    tests: int
    """Messages that take the route, even if it then refuses them."""
    alternatives: int
    """At least 1: a route without conditions counts as one alternative."""
    unreached: tuple[tuple[Alternative, Place], ...]
    """In the order of the file; empty for a route without conditions."""

    @property
    def reached(self) -> int:
        """The number of alternatives that some test reaches."""
        return self.alternatives - len(self.unreached) if self.tests else 0


def percent(routes: tuple[RouteCoverage, ...]) -> float:
    """Return the percentage of alternatives of these routes that some test reaches."""
    return 100 * sum(it.reached for it in routes) / sum(it.alternatives for it in routes)


def alternatives(route: Route) -> Iterator[Alternative]:
    """Yield every value in the lists of the route's patterns."""
    for part, pattern in route.match.parts().items():
        # As people may see it, so that it is equal whatever the variables of a test are.
        source: Any = parse_json(pattern.public_source)
        for path, value in _values(source, ()):
            yield Alternative(part, path, json.dumps(value, ensure_ascii=False, default=str))


def held(route: Route, queue: Queue, message: Message) -> Iterator[Alternative]:
    """Yield the alternatives by which the message, which takes this route, matches it."""
    event = read_event(message, queue.envelope)
    documents: dict[Part, Mapping[str, object]] = {
        "attributes": attribute_document(event.attributes),
        "body": event.value,
        "system": system_document(message.system),
    }
    patterns = route.match.parts()
    for alternative in alternatives(route):
        narrowed = _narrowed(patterns[alternative.part].source, alternative.path)
        if narrowed.matches(documents[alternative.part]):
            yield alternative


class Coverage:
    """
    Collects what the tests of one routes file reach.

    Routes are counted by their index: a variable may be part of a name or a value, and differ from
    test to test, but never changes the structure.
    """

    def __init__(self) -> None:
        self._tests: defaultdict[int, int] = defaultdict(int)
        self._reached: defaultdict[int, set[Alternative]] = defaultdict(set)

    def add(self, loaded: LoadedRoutes, queue: str, message: Message, route: Route) -> None:
        """Count a test whose message takes this route."""
        index = next(at for at, other in enumerate(loaded.table.routes) if other is route)
        self._tests[index] += 1
        self._reached[index].update(held(route, loaded.table.queues[queue], message))

    def report(self, loaded: LoadedRoutes) -> tuple[RouteCoverage, ...]:
        """Return the coverage of each route of the file, in order."""
        return tuple(
            self._route(loaded, index, route) for index, route in enumerate(loaded.table.routes)
        )

    def _route(self, loaded: LoadedRoutes, index: int, route: Route) -> RouteCoverage:
        every = list(alternatives(route))
        unreached = [
            (it, loaded.place_of(route.name, "match", it.part, *it.path))
            for it in every
            if it not in self._reached[index]
        ]
        unreached.sort(key=lambda pair: (pair[1].line, pair[1].column))
        return RouteCoverage(
            route=route.name,
            place=loaded.place_of(route.name, "name"),
            tests=self._tests[index],
            alternatives=max(1, len(every)),
            unreached=tuple(unreached),
        )


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


@lru_cache(maxsize=4096)
def _narrowed(source: str, path: tuple[str | int, ...]) -> Pattern:
    """Return the pattern with nothing but the value at `path` in its field's list."""
    return compile_pattern(_narrow(parse_json(source), path))


def _narrow(source: Any, path: tuple[str | int, ...]) -> object:  # noqa: ANN401 - JSON
    key, *rest = path
    inner = source[key]
    if key == OR:
        index, *rest = rest
        branch = _narrow(inner[index], tuple(rest))
        return {**source, OR: [branch, branch]}  # the language requires two branches
    if isinstance(inner, Mapping):
        return {**source, key: _narrow(inner, tuple(rest))}
    return {**source, key: [inner[rest[0]]]}
