"""Numbers in patterns: any may be listed, comparisons need one that a double stands for."""

import math
from collections.abc import Sequence
from typing import Final

from lambdo_router.core.patterns.conditions import Numeric, number_text
from lambdo_router.core.patterns.problems import PatternError, Where, refused
from lambdo_router.core.patterns.wording import described, shown
from lambdo_router.core.strict_json import WideNumber, comparable


def checked_number(value: float | WideNumber, where: Where) -> int | float | WideNumber:
    try:
        number_text(value)
    except ValueError:
        raise PatternError("this number is too long", where) from None
    if isinstance(value, float) and not math.isfinite(value):
        raise PatternError(f"{value} is no JSON number", where)
    return value


def numeric(argument: object, where: Where) -> Numeric:
    if not isinstance(argument, (list, tuple)) or not argument:
        raise refused("numeric", argument, where, "a list of comparisons and numbers")
    signs = _comparisons(argument, where)
    limits = [_limit(limit, (*where, at)) for at, limit in enumerate(argument) if at % 2]
    match signs:
        case ["="]:
            return Numeric(limits[0], True, limits[0], True)
        case ["<" | "<="]:
            return Numeric(None, False, limits[0], signs[0] == "<=")
        case [">" | ">="]:
            return Numeric(limits[0], signs[0] == ">=", None, False)
        case [">" | ">=", "<" | "<="]:
            low, high = limits
            if low >= high:
                raise PatternError(
                    f"no number is {signs[0]} {shown(argument[1])} and {signs[1]} "
                    f"{shown(argument[3])}: the first limit must be less than the second "
                    '(for a single number write ["=", 5])',
                    where,
                )
            return Numeric(low, signs[0] == ">=", high, signs[1] == "<=")
        case _:
            raise PatternError(
                f"{shown(argument)} is no range; two limits stand as a lower one, > or >=, and "
                'then an upper one, < or <=, like [">", 0, "<=", 5]',
                where,
            )


def _comparisons(argument: Sequence[object], where: Where) -> list[object]:
    for at, sign in enumerate(argument[:4:2]):
        if sign not in _SIGNS or not isinstance(sign, str):
            raise PatternError(
                f"{described(sign)} where a comparison belongs; allowed are {', '.join(_SIGNS)}, "
                'each followed by a number, like [">", 0, "<=", 5]',
                (*where, 2 * at),
            )
    if len(argument) not in (2, 4):
        raise PatternError(
            "a range is a comparison and a number, or two of both, like "
            f'[">", 0, "<=", 5], found {shown(argument)}',
            where,
        )
    return list(argument[::2])


_SIGNS: Final = ("=", "<", "<=", ">", ">=")


def _limit(value: object, where: Where) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, WideNumber)):
        hint = "; write it without quotes" if isinstance(value, str) else ""
        raise PatternError(f"{described(value)} where a number belongs{hint}", where)
    return comparable_number(value, where)


def comparable_number(value: float | WideNumber, where: Where) -> float:
    number = comparable(checked_number(value, where))
    if number is None:
        raise PatternError(
            f"{shown(value)} cannot be compared: it has more digits than a double keeps, or is "
            "beyond a double's range",
            where,
        )
    return number
