"""
Whether one message could match two routes: only then does it matter which of them comes first.

A claim is made only where it is sure. Two patterns that ask different things of one field exclude
each other for every message with one value there. But a field may hold a list, of which any item
may match; such a message may then match both.
"""

from itertools import product
from typing import Literal

from lambdo_router.core.patterns import Clause, Pattern, SubRule
from lambdo_router.core.patterns.conditions import (
    Cidr,
    Condition,
    ExactLiteral,
    ExactNumber,
    ExactText,
    Exists,
    IgnoringCase,
    Numeric,
    Prefix,
    SameAddress,
    Suffix,
    Wildcard,
)
from lambdo_router.core.routing import Match, Part

Overlap = Literal["never", "several", "maybe"]
"""No message can match both; only one with several values in a field; one may, as far as known."""

_MOST_PAIRS = 10_000
"""Pairs of alternatives that are looked at; patterns of more are said to overlap."""
_TEXTUAL = (ExactText, SameAddress, Prefix, Suffix, IgnoringCase, Wildcard, Cidr)


def overlap(one: Match, other: Match) -> Overlap:
    """Whether a message could match both."""
    verdicts = [
        _of_patterns(one.attributes, other.attributes, "attributes"),
        _of_patterns(one.body, other.body, "body"),
        _of_patterns(one.system, other.system, "system"),
    ]
    return min(verdicts, key=_SUREST_FIRST.index)


_SUREST_FIRST: tuple[Overlap, ...] = ("never", "several", "maybe")


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
    if all(_apart(*pair) for pair in product(_values(one), _values(other))):
        return "never" if part == "system" else "several"
    return "maybe"


def _values(clause: Clause) -> list[Condition]:
    return [condition for condition in clause.conditions if condition != Exists(wanted=False)]


def _apart(one: Condition, other: Condition) -> bool:
    """Whether surely no value satisfies both."""
    match one, other:
        case (ExactText(value), asked) | (asked, ExactText(value)):
            apart = not asked.holds(value)
        case (ExactNumber(value), asked) | (asked, ExactNumber(value)):
            apart = not asked.holds(value)
        case (ExactLiteral(value), asked) | (asked, ExactLiteral(value)):
            apart = not asked.holds(value)
        case Prefix(first), Prefix(second):
            apart = not (first.startswith(second) or second.startswith(first))
        case Suffix(first), Suffix(second):
            apart = not (first.endswith(second) or second.endswith(first))
        case Numeric(), Numeric():
            apart = _below(one, other) or _below(other, one)
        case _:
            kinds = {_kind(one), _kind(other)}
            apart = kinds == {"text", "number"}
    return apart


def _kind(condition: Condition) -> str:
    if isinstance(condition, Numeric):
        return "number"
    return "text" if isinstance(condition, _TEXTUAL) else "any"


def _below(lower: Numeric, upper: Numeric) -> bool:
    if lower.high is None or upper.low is None:
        return False
    touches = lower.high == upper.low and lower.high_included and upper.low_included
    return lower.high <= upper.low and not touches
