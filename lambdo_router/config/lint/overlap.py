"""
Whether one message could match two routes: only then does their order matter.

Two patterns that ask different things of one field exclude each other for every message with one
value there. But a field may hold a list, of which any item may match, so that such a message may
match both.
"""

from itertools import product
from typing import Literal

from lambdo_router.core.patterns import Clause, Pattern, SubRule
from lambdo_router.core.patterns.operators import disjoint
from lambdo_router.core.routing import Match, Part

Overlap = Literal["never", "several", "maybe"]
"""No message can match both; only one with several values in a field; one may, as far as known."""

_MOST_PAIRS = 10_000
"""Pairs of alternatives that are compared; patterns with more count as overlapping."""
_SUREST_FIRST: tuple[Overlap, ...] = ("never", "several", "maybe")


def overlap(one: Match, other: Match) -> Overlap:
    """Return whether a message could match both."""
    verdicts = [
        _of_patterns(one.attributes, other.attributes, "attributes"),
        _of_patterns(one.body, other.body, "body"),
        _of_patterns(one.system, other.system, "system"),
    ]
    return min(verdicts, key=_SUREST_FIRST.index)


def _of_patterns(one: Pattern | None, other: Pattern | None, part: Part) -> Overlap:
    if one is None or other is None or len(one.sub_rules) * len(other.sub_rules) > _MOST_PAIRS:
        return "maybe"
    pairs = product(one.sub_rules, other.sub_rules)
    return max((_of_sub_rules(*pair, part) for pair in pairs), key=_SUREST_FIRST.index)


def _of_sub_rules(one: SubRule, other: SubRule, part: Part) -> Overlap:
    verdicts = [
        _of_clauses(first, second, part)
        for first in one
        for second in other
        if first.path == second.path
    ]
    return min(verdicts, key=_SUREST_FIRST.index, default="maybe")


def _of_clauses(one: Clause, other: Clause, part: Part) -> Overlap:
    if one.allows_absence and other.allows_absence:
        return "maybe"
    if not one.allows_values or not other.allows_values:
        # Of the elements of an array one may lack what another has; attributes have no elements.
        return "several" if part == "body" else "never"
    if all(disjoint(*pair) for pair in product(one.conditions, other.conditions)):
        return "never" if part == "system" else "several"
    return "maybe"
