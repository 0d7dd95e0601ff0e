"""
What is certain of patterns without any event: that one takes all that another takes, or that one
takes nothing.

Both answers are sound and not complete: `covers` says yes, and `impossible` says why, only where
it is so for every event. All else is "not known".

A sub-rule covers another if it asks at no other paths, and if at each of its own all the other's
conditions are contained in its own. The values that satisfy the other then satisfy it too, arrays
or not: of values that go together, some go together as well. The exception is `exists: false`,
which holds when there is no value that goes with those at the paths before. There the two must ask
at the same paths before, as far as these can lead into the same array: as far as they begin alike.

One reservation: an event that spells a path in several ways, to need more tries than an event may
have (joining.py), can be refused by the pattern that covers and not by the one that is covered.
"""

import math
import re
import sys
from collections.abc import Sequence
from typing import Final

from lambdo_router.core.patterns.compiling import Clause, SubRule
from lambdo_router.core.patterns.conditions import (
    Condition,
    ExactText,
    IgnoringCase,
    Numeric,
    Prefix,
    Suffix,
    Wildcard,
)
from lambdo_router.core.patterns.containing import contains_any_of
from lambdo_router.core.patterns.explaining import Failure
from lambdo_router.core.patterns.pattern import Pattern
from lambdo_router.core.patterns.wording import cut, label

_MOST_COMPARED: Final = 20_000
"""Pairs of sub-rules that are compared for two patterns."""


def covers(outer: Pattern | None, inner: Pattern | None) -> bool:
    """
    Whether certainly every event that `inner` matches is matched by `outer`.

    None is the pattern that asks nothing.
    """
    if outer is None or inner is None:
        return outer is None
    return covers_all(outer.sub_rules, inner.sub_rules)


def covers_all(outer: Sequence[SubRule], inner: Sequence[SubRule]) -> bool:
    """Whether each sub-rule of `inner` is certainly covered by one of `outer`."""
    if len(outer) * len(inner) > _MOST_COMPARED:
        return False
    return all(any(_covers(one, sub_rule) for one in outer) for sub_rule in inner)


def _covers(outer: SubRule, inner: SubRule) -> bool:
    asked = {clause.path: clause for clause in inner}
    for clause in outer:
        other = asked.get(clause.path)
        if other is None or not contains_any_of(clause.values, other.values):
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


def impossible(pattern: Pattern) -> Failure | None:
    """Why certainly no event can match; None if one may."""
    failures = [_impossible(sub_rule) for sub_rule in pattern.sub_rules]
    return None if None in failures else failures[0]


def _impossible(sub_rule: SubRule) -> Failure | None:
    for clause in sub_rule:
        why = None if clause.allows_absence else _LONE_SURROGATE.search(clause.path)
        reasons = [_never(condition) for condition in clause.conditions]
        if why is not None or None not in reasons:
            reason = "no event has half of a surrogate pair in it" if why else reasons[0]
            return Failure(clause.where, f"{label(cut(clause.path))}: {reason}")
    return None


_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def _never(condition: Condition) -> str | None:
    match condition:
        case ExactText(text) | Prefix(text) | Suffix(text) | IgnoringCase(text) | Wildcard(text):
            if _LONE_SURROGATE.search(text):
                return "no event has half of a surrogate pair in it"
        case Numeric():
            if _first(condition) > _last(condition):
                return "no number that a double stands for lies between these limits"
    return None


def _first(numeric: Numeric) -> float:
    if numeric.low is None:
        return -_LARGEST
    return numeric.low if numeric.low_included else math.nextafter(numeric.low, math.inf)


def _last(numeric: Numeric) -> float:
    if numeric.high is None:
        return _LARGEST
    return numeric.high if numeric.high_included else math.nextafter(numeric.high, -math.inf)


_LARGEST: Final = sys.float_info.max
