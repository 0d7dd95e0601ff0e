"""
What is certain of patterns without an event: that one covers another, or can never match.

Both answers are sound and incomplete: `covers` is true, and `impossible` gives a reason, only if
that is so for every event.

A sub-rule covers another if it asks at no other paths, and if at each of its own all the other's
conditions are contained in its own. The values that satisfy the other then satisfy it too, arrays
or not: of values that go together, some go together as well. The exception is `exists: false`,
which holds when no value goes with those at the paths before. There the two must ask at the same
paths before, as far as these can lead into the same array: as far as they begin alike.

One reservation: an event that spells a path in several ways, so that it needs more tries than an
event may have (arrays.py), can be refused by the covering pattern and not by the covered one.
"""

from collections.abc import Sequence
from typing import Final

from lambdo_router.core.patterns.compiling import Clause, SubRule
from lambdo_router.core.patterns.explaining import Unmet
from lambdo_router.core.patterns.operators.condition import unmatchable_text
from lambdo_router.core.patterns.pattern import Pattern
from lambdo_router.core.patterns.wording import cut, label

_MOST_COMPARED: Final = 20_000
"""Pairs of sub-rules that are compared for two patterns."""


def covers(outer: Pattern | None, inner: Pattern | None) -> bool:
    """
    Return whether `outer` certainly matches every event that `inner` matches.

    None is the pattern that asks nothing.
    """
    if outer is None or inner is None:
        return outer is None
    return covers_all(outer.sub_rules, inner.sub_rules)


def covers_all(outer: Sequence[SubRule], inner: Sequence[SubRule]) -> bool:
    """Return whether each sub-rule of `inner` is certainly covered by one of `outer`."""
    if len(outer) * len(inner) > _MOST_COMPARED:
        return False
    return all(any(_covers(one, sub_rule) for one in outer) for sub_rule in inner)


def _covers(outer: SubRule, inner: SubRule) -> bool:
    asked = {clause.path: clause for clause in inner}
    for clause in outer:
        other = asked.get(clause.path)
        if other is None or not clause.values.contains(other.values):
            return False
    paths = {clause.path for clause in outer}
    return all(
        clause.path in paths
        for absent in outer
        if asked[absent.path].allows_absence
        for clause in inner
        if clause.path < absent.path and _first_key(clause) == _first_key(absent)
    )


def _first_key(clause: Clause) -> str:
    return clause.path.split(".", 1)[0]


def impossible(pattern: Pattern) -> Unmet | None:
    """Return why certainly no event can match; None if one may."""
    reasons = [_impossible(sub_rule) for sub_rule in pattern.sub_rules]
    return None if None in reasons else reasons[0]


def _impossible(sub_rule: SubRule) -> Unmet | None:
    for clause in sub_rule:
        why = None if clause.allows_absence else unmatchable_text(clause.path)
        reasons = [condition.unmatchable for condition in clause.conditions]
        if why is None and None not in reasons:
            why = reasons[0]
        if why is not None:
            return Unmet(clause.where, f"{label(cut(clause.path))}: {why}")
    return None


def example_of(sub_rule: SubRule) -> dict[str, object]:
    """
    Return an event that the sub-rule matches, unless it is impossible, and few others do.

    It has one value at each path that needs one. A sub-rule that does not match the example
    cannot cover this one.
    """
    event: dict[str, object] = {}
    for clause in sub_rule:
        value_conditions = (c for c in clause.conditions if not c.met_by_absence)
        if (condition := next(value_conditions, None)) is not None:
            event[clause.path] = condition.example()
    return event
