"""
Finds routes that changed places where it can matter.

The first route that matches takes a message, so the order of two routes matters if they read the
same queue and a message could match both. As few routes as possible are reported as moved: those
outside the longest run of routes that kept their order.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from lambdo_router.config.lint.overlap import Overlap, overlap
from lambdo_router.core.routing import Route

MOST_OTHERS = 10
"""Routes that are listed as passed by one."""
_MOST_COMPARED = 100_000
"""Pairs of routes whose patterns are compared; further ones are taken to overlap."""

Where = Literal["before", "after"]


@dataclass(frozen=True, slots=True)
class Move:
    """A route that changed places with others, so that it may take other messages."""

    route: str
    where: Where
    """Its new position relative to the others."""
    others: tuple[str, ...]
    """At most `MOST_OTHERS`, in their new order."""
    certain: bool = True
    """False if it only affects messages with several values in one field."""


def moves(old: Sequence[Route], new: Sequence[Route]) -> Iterator[Move]:
    """Yield the moves that lead from the old order to the new one, in the new order."""
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
    """The routes of both tables, in the new order, with their positions in the old one."""

    routes: tuple[Route, ...]
    before: Mapping[str, Route]
    places: Sequence[int]
    _compared: int = field(default=0, init=False)

    def passed_by(self, at: int, stayed: frozenset[int]) -> dict[tuple[Where, bool], list[str]]:
        """Return the routes that one has passed, by its new position and whether it is certain."""
        passed: dict[tuple[Where, bool], list[str]] = {}
        for other in range(len(self.routes)):
            # If both routes moved, the first reports it.
            reported = other < at and other not in stayed
            kept = (self.places[at] < self.places[other]) == (at < other)
            if other == at or reported or kept:
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
        """Return whether a message could match both routes, before and now."""
        queues = set(one.queues) & set(other.queues)
        earlier = set(self.before[one.name].queues) & set(self.before[other.name].queues)
        if not queues & earlier:
            return "never"
        self._compared += 1
        return overlap(one.match, other.match) if self._compared <= _MOST_COMPARED else "maybe"


def _longest_rise(places: Sequence[int]) -> frozenset[int]:
    """Return the positions of a longest increasing subsequence of places."""
    ends: list[int] = []
    """The lowest place at the end of a run of each length."""
    at_end: list[int] = []
    """The position of that place."""
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
