"""
What is certain of two conditions whatever the value: that one holds whenever the other does, or
that no value meets both.

Both answers are one-sided. True is certain; False means no, or that it is not known.

A condition on texts is compared as one text with holes. `img-*` has a hole behind `img-`, in any
mixture of cases `a-1` is a hole and `-1`; the hole is a character that no event and no condition
has in it. Whatever another condition makes of that character, it makes of every text in its place.
"""

import math
from typing import Final, Literal, assert_never

from lambdo_router.core.patterns.conditions import (
    AnyOf,
    AnythingBut,
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
    cases_of,
    folded,
)

_Text = ExactText | SameAddress | Prefix | Suffix | IgnoringCase | Wildcard | Cidr
_HOLE: Final = "\ud800"
"""Half of a surrogate pair. Events with one are refused."""
_MOST_COMPARED: Final = 100_000
"""Pairs of conditions that are compared for two lists."""


def contains_any_of(outer: AnyOf, inner: AnyOf) -> bool:
    """Whether each condition of `inner` is contained in one of `outer`."""
    if len(outer.others) * len(inner.others) > _MOST_COMPARED:
        return False
    return all(_contained(condition, outer) for condition in inner.conditions)


def _contained(inner: Condition, outer: AnyOf) -> bool:
    for value in _only_values(inner):
        return outer.holds(value)
    return any(contains(condition, inner) for condition in outer.others)


def contains(outer: Condition, inner: Condition) -> bool:
    """
    Whether `outer` holds for every value that `inner` holds for.

    `exists: false`, which holds for no value but for there being none, is contained in itself
    only.
    """
    match outer, inner:
        case (Exists(), _) | (_, Exists()):
            return outer == inner or (outer == Exists(wanted=True) and inner != _ABSENT)
        case AnythingBut(excluded), AnythingBut(more):
            return contains_any_of(more, excluded)
        case AnythingBut(excluded), _:
            return all(disjoint(condition, inner) for condition in excluded.conditions)
        case _, AnythingBut():
            return False
    values = _only_values(inner)
    return all(map(outer.holds, values)) if values else _includes(outer, inner)


_ABSENT: Final = Exists(wanted=False)


def disjoint(one: Condition, other: Condition) -> bool:
    """Whether there is no value for which both conditions hold."""
    for first, second in ((one, other), (other, one)):
        if values := _only_values(first):
            return not any(map(second.holds, values))
    match one, other:
        case Numeric(), Numeric():
            return _apart(_limits(one), _limits(other))
        case (SameAddress() | Cidr(), SameAddress() | Cidr()):
            return _apart(_addresses(one), _addresses(other))
        case (Exists() | AnythingBut() | SameAddress() | Cidr(), _):
            return False
        case (_, Exists() | AnythingBut() | SameAddress() | Cidr()):
            return False
        case _:
            return _disjoint_texts(one, other)


def _disjoint_texts(one: Condition, other: Condition) -> bool:
    if not isinstance(one, _Text) or not isinstance(other, _Text):
        return True  # a text and a number
    return _edges_differ(_with_holes(one), _with_holes(other)) or _edges_differ(
        _folded_with_holes(one), _folded_with_holes(other)
    )


def _only_values(condition: Condition) -> tuple[object, ...]:
    """
    The one value for which the condition holds, if there is one only.

    A number stands for all spellings of it, which no condition tells apart.
    """
    match condition:
        case ExactNumber(number=number):
            return (number,)
        case Numeric(low=low, high=high) if low is not None and low == high:
            return (low,)
        case ExactLiteral(literal):
            return (literal,)
        case ExactText() | Wildcard() | IgnoringCase():
            holes = _with_holes(condition)
            return () if _HOLE in holes else (holes,)
        case _:
            return ()


def _includes(outer: Condition, inner: Condition) -> bool:
    """`contains` for conditions that hold for several values, all of one type."""
    match outer, inner:
        case Numeric(), Numeric():
            return _within(_limits(inner), _limits(outer))
        case (SameAddress() | Cidr(), SameAddress() | Cidr()):
            return _within(_addresses(inner), _addresses(outer))
        case IgnoringCase(), IgnoringCase() if _includes_cases(outer, inner):
            return True
    if not isinstance(outer, _Text) or not isinstance(inner, _Text):
        return False
    return _HOLE not in outer.text and outer.holds(_with_holes(inner))


_Range = tuple[tuple[float, float], tuple[float, float]]
"""The first and the last, each with what tells it from its neighbours; both ends belong to it."""


def _within(inner: _Range, outer: _Range) -> bool:
    return outer[0] <= inner[0] and inner[1] <= outer[1]


def _apart(one: _Range, other: _Range) -> bool:
    return one[1] < other[0] or other[1] < one[0]


def _limits(numeric: Numeric) -> _Range:
    """Just above a number is (number, 1), just below (number, -1)."""
    low = -math.inf if numeric.low is None else numeric.low
    high = math.inf if numeric.high is None else numeric.high
    return (low, 1 - numeric.low_included), (high, numeric.high_included - 1)


def _addresses(condition: SameAddress | Cidr) -> _Range:
    if isinstance(condition, SameAddress):
        first = last = condition.address
    else:
        first, last = condition.first, condition.last
    return (first.version, first.number), (last.version, last.number)


def _with_holes(condition: _Text) -> str:
    """The texts for which the condition holds as one text with holes."""
    match condition:
        case ExactText(text):
            holes = text
        case Prefix(text):
            holes = text + _HOLE
        case Suffix(text):
            holes = _HOLE + text
        case Wildcard(parts=parts):
            holes = _HOLE.join(parts)
        case IgnoringCase(text, where):
            cases = map(cases_of, text)
            holes = _bounded("".join(c[0] if len(c) == 1 else _HOLE for c in cases), where)
        case SameAddress() | Cidr():
            holes = _HOLE
        case unreachable:
            assert_never(unreachable)
    return holes


def _folded_with_holes(condition: _Text) -> str:
    """The same of the texts without case."""
    if isinstance(condition, IgnoringCase):
        folds = map(folded, condition.text)
        return _bounded("".join(_HOLE if f is None else f for f in folds), condition.where)
    return _with_holes(condition).casefold()


def _bounded(holes: str, where: Literal["whole", "start", "end"]) -> str:
    return _HOLE * (where == "end") + holes + _HOLE * (where == "start")


def _includes_cases(outer: IgnoringCase, inner: IgnoringCase) -> bool:
    """Whether the texts agree, character by character, as far as `outer` asks."""
    size = len(outer.text)
    match outer.where:
        case "whole":
            texts = (inner.text,) if inner.where == "whole" and len(inner.text) == size else ()
        case "start":
            texts = () if inner.where == "end" else (inner.text[:size],)
        case "end":
            texts = () if inner.where == "start" else (inner.text[len(inner.text) - size :],)
    return any(
        len(text) == size
        and all(
            set(cases_of(one)) <= set(cases_of(other))
            for one, other in zip(text, outer.text, strict=True)
        )
        for text in texts
    )


def _edges_differ(one: str, other: str) -> bool:
    """Whether texts with holes, of two conditions, begin or end differently in any case."""
    heads = [holes.split(_HOLE, 1)[0] for holes in (one, other)]
    tails = [holes.rsplit(_HOLE, 1)[-1][::-1] for holes in (one, other)]
    return any(first[: len(second)] != second[: len(first)] for first, second in (heads, tails))
