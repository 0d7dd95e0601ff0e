"""
Finds routes that changed places where it can matter.

The first route that matches takes a message, so the order of two routes matters if they read the
same queue and a message could match both. As few routes as possible are reported as moved: those
outside the longest run of routes that kept their order.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from lambdo_router.config.lint.overlap import overlap
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
    common = [route for route in new if route.name in before]
    places = [before[route.name][0] for route in common]
    stayed = _longest_rise(places)
    compared = 0
    for at, route in enumerate(common):
        passed: dict[tuple[Where, bool], list[str]] = {}
        for other_at, other in enumerate(common) if at not in stayed else ():
            # If both routes moved, the first reports it.
            reported = other_at < at and other_at not in stayed
            kept = (places[at] < places[other_at]) == (at < other_at)
            if other_at == at or reported or kept or not _meet(before, route, other):
                continue
            compared += 1
            found = overlap(route.match, other.match) if compared <= _MOST_COMPARED else "maybe"
            if found == "never":
                continue
            where: Where = "before" if at < other_at else "after"
            named = passed.setdefault((where, found != "several"), [])
            named.append(other.name)
            if len(named) == MOST_OTHERS:
                break
        for (where, certain), others in passed.items():
            yield Move(route.name, where, tuple(others), certain)


def _meet(before: Mapping[str, tuple[int, Route]], one: Route, other: Route) -> bool:
    """Return whether both routes read a queue together, before and now."""
    earlier = set(before[one.name][1].queues) & set(before[other.name][1].queues)
    return not earlier.isdisjoint(set(one.queues) & set(other.queues))


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
