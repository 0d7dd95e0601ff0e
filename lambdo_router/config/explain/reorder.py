"""
Which routes have changed places, where that can matter.

The first route that matches takes a message. So it matters which of two routes comes first if they
read the same queue and a message could match both. As few routes as possible are said to have
moved: those outside the longest run of routes that kept their order.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lambdo_router.config.lint.overlap import Overlap, overlap
from lambdo_router.core.routing import Route

MOST_OTHERS = 10
"""Routes that are named as passed by one."""
_MOST_LOOKS = 100_000
"""Pairs of routes whose patterns are looked at; further ones are said to overlap."""

Where = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Move:
    """A route that has changed places with others, so that messages may go another way."""

    route: str
    where: Where
    """Where it stands now, seen from the others."""
    others: tuple[str, ...]
    """At most `MOST_OTHERS`, in their new order."""
    certain: bool = True
    """False if that only matters to a message with several values in a field."""


def moves(old: Sequence[Route], new: Sequence[Route]) -> Iterator[Move]:
    """The moves that lead from the old order to the new one, by the new order of the routes."""
    before = {route.name: (at, route) for at, route in enumerate(old)}
    common = tuple(route for route in new if route.name in before)
    places = [before[route.name][0] for route in common]
    order = _Order(common, {name: route for name, (_, route) in before.items()}, places)
    stayed = _longest_rise(places)
    for at, route in enumerate(common):
        if at in stayed:
            continue
        for (where, certain), others in order.passed_by(at, stayed).items():
            yield Move(route.name, where, tuple(others), certain)


@dataclass(slots=True)
class _Order:
    """The routes that both tables have, in the new order, with their places in the old one."""

    routes: tuple[Route, ...]
    before: Mapping[str, Route]
    places: Sequence[int]
    _looks: int = field(default=0, init=False)

    def passed_by(self, at: int, stayed: frozenset[int]) -> dict[tuple[Where, bool], list[str]]:
        """The routes that one has passed, by where it stands now and whether that is certain."""
        passed: dict[tuple[Where, bool], list[str]] = {}
        for other in range(len(self.routes)):
            # Of two routes that both moved, the first tells.
            told = other < at and other not in stayed
            kept = (self.places[at] < self.places[other]) == (at < other)
            if other == at or told or kept:
                continue
            found = self._meeting(self.routes[at], self.routes[other])
            if found == "never":
                continue
            named = passed.setdefault(("before" if at < other else "after", found == "maybe"), [])
            named.append(self.routes[other].name)
            if len(named) == MOST_OTHERS:
                break
        return passed

    def _meeting(self, one: Route, other: Route) -> Overlap:
        """Whether a message could have met both routes before, and can now."""
        queues = set(one.queues) & set(other.queues)
        earlier = set(self.before[one.name].queues) & set(self.before[other.name].queues)
        if not queues & earlier:
            return "never"
        self._looks += 1
        return overlap(one.match, other.match) if self._looks <= _MOST_LOOKS else "maybe"


def _longest_rise(places: Sequence[int]) -> frozenset[int]:
    """The positions of a longest run of places, with gaps, that only goes up."""
    ends: list[int] = []
    """The lowest place that a run of each length can end with."""
    at_end: list[int] = []
    """And its position."""
    previous: list[int] = []
    for position, place in enumerate(places):
        length = bisect_left(ends, place)
        previous.append(at_end[length - 1] if length else -1)
        ends[length : length + 1] = [place]
        at_end[length : length + 1] = [position]
    run = []
    position = at_end[-1] if at_end else -1
    while position >= 0:
        run.append(position)
        position = previous[position]
    return frozenset(run)
