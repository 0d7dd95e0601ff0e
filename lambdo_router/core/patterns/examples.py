"""
An event that a sub-rule matches, made up to match little else.

Whoever wants to know which of many patterns take all that this one takes puts the example to them
(through an index): those that do not take the example do not take all.
"""

import math
from ipaddress import IPv4Address, IPv6Address
from typing import Final, assert_never

from lambdo_router.core.patterns.addresses import Address
from lambdo_router.core.patterns.compiling import SubRule
from lambdo_router.core.patterns.conditions import (
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
)

_UNLIKELY: Final = "\ue0ff"
"""A character for private use, which hardly any condition has in it."""


def example_of(sub_rule: SubRule) -> dict[str, object]:
    """
    An event with one value at each path that must have one, of the first condition there.

    The sub-rule matches it, unless it is impossible.
    """
    event: dict[str, object] = {}
    for clause in sub_rule:
        for condition in clause.conditions:
            if condition != Exists(wanted=False):
                event[clause.path] = _value(condition)
                break
    return event


def _value(condition: Condition) -> object:
    """A value for which the condition holds, if there is any."""
    match condition:
        case ExactNumber(number=number):
            return number
        case ExactLiteral(literal):
            return literal
        case Numeric():
            return _number(condition)
        case Exists():
            return _UNLIKELY
        case AnythingBut():
            return next((v for v in (_UNLIKELY, 0) if condition.holds(v)), None)
        case _:
            return _text(condition)


def _text(
    condition: ExactText | SameAddress | Prefix | Suffix | IgnoringCase | Wildcard | Cidr,
) -> str:
    match condition:
        case ExactText(text) | SameAddress(text):
            example = text
        case Prefix(text):
            example = text + _UNLIKELY
        case Suffix(text):
            example = _UNLIKELY + text
        case Wildcard(parts=parts):
            example = _UNLIKELY.join(parts)
        case IgnoringCase(text, where):
            cases = "".join(cases_of(character)[-1] for character in text)
            example = _UNLIKELY * (where == "end") + cases + _UNLIKELY * (where == "start")
        case Cidr(last=last):
            example = _spelled(last)
        case unreachable:
            assert_never(unreachable)
    return example


def _spelled(address: Address) -> str:
    if address.version == 4:  # noqa: PLR2004 (IPv4)
        return str(IPv4Address(address.number))
    return IPv6Address(address.number).exploded  # `str` may use the mixed form, which is no literal


def _number(numeric: Numeric) -> float:
    """In the middle of the range, or close to its only end."""
    low, high = numeric.low, numeric.high
    if low is not None and high is not None:
        middle = low + (high - low) / 2
        choices = [middle, low, high, math.nextafter(low, math.inf)]
        return next(filter(numeric.holds, choices), low)
    if low is not None:
        return low if numeric.low_included else math.nextafter(low, math.inf)
    if high is not None:
        return high if numeric.high_included else math.nextafter(high, -math.inf)
    return 0.0
