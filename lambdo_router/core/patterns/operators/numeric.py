"""`numeric`: comparisons of numbers."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lambdo_router.core.patterns.operators.condition import (
    Key,
    Operator,
    PatternError,
    Range,
    Where,
)
from lambdo_router.core.patterns.operators.exact import comparable_number
from lambdo_router.core.patterns.wording import described, shown
from lambdo_router.core.strict_json import WideNumber, comparable

COMPARISONS: Final = ("=", "<", "<=", ">", ">=")
_LARGEST: Final = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Numeric(Operator):
    """A comparable number within the limits; None is no limit. `["=", 5]` is from 5 to 5."""

    low: float | None
    low_included: bool
    high: float | None
    high_included: bool

    name = "numeric"
    example_text = '{numeric: [">", 0, "<=", 5]}'
    aliases = ("range", "between", "number", *COMPARISONS)
    argument_starts = COMPARISONS
    operand = "number"

    @classmethod
    def read(cls, argument: object, where: Where) -> "Numeric":
        if not isinstance(argument, (list, tuple)) or not argument:
            raise cls.refused(argument, where, "a list of comparisons and numbers")
        signs = _comparisons(argument, where)
        limits = [_limit(limit, (*where, at)) for at, limit in enumerate(argument) if at % 2]
        match signs:
            case ["="]:
                return cls(limits[0], True, limits[0], True)
            case ["<" | "<="]:
                return cls(None, False, limits[0], signs[0] == "<=")
            case [">" | ">="]:
                return cls(limits[0], signs[0] == ">=", None, False)
            case [">" | ">=", "<" | "<="] if limits[0] < limits[1]:
                return cls(limits[0], signs[0] == ">=", limits[1], signs[1] == "<=")
            case [">" | ">=", "<" | "<="]:
                raise PatternError(
                    f"no number is {signs[0]} {shown(argument[1])} and {signs[1]} "
                    f"{shown(argument[3])}: the first limit must be less than the second "
                    '(for a single number write ["=", 5])',
                    where,
                )
            case _:
                raise PatternError(
                    f"{shown(argument)} is not a range; write the lower limit first, with > or "
                    '>=, then the upper one, with < or <=, like [">", 0, "<=", 5]',
                    where,
                )

    @classmethod
    def brief(cls, argument: object) -> str | None:
        if not isinstance(argument, list):
            return None
        return " ".join(text if isinstance(text, str) else json.dumps(text) for text in argument)

    def holds(self, value: object) -> bool:
        number = comparable(value)
        if number is None:
            return False
        low, high = self.low, self.high
        if low is not None and not (number > low or (self.low_included and number == low)):
            return False
        return high is None or number < high or (self.high_included and number == high)

    @property
    def key(self) -> Key | None:
        return ("number", self.low) if self.only else None

    @property
    def claim(self) -> str:
        if self.low is not None and self.low == self.high:
            return f"= {_text(self.low)}"
        limits = []
        if self.low is not None:
            limits.append(f">{'=' * self.low_included} {_text(self.low)}")
        if self.high is not None:
            limits.append(f"<{'=' * self.high_included} {_text(self.high)}")
        return " and ".join(limits)

    @property
    def only(self) -> tuple[object, ...]:
        return (self.low,) if self.low is not None and self.low == self.high else ()

    @property
    def range(self) -> Range:
        """Just above a number is (number, 1), just below it (number, -1)."""
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        return (low, 1 - self.low_included), (high, self.high_included - 1)

    @property
    def unmatchable(self) -> str | None:
        if self._first() <= self._last():
            return None
        return "no number that a double represents lies between these limits"

    def example(self) -> float:
        """Return the middle of the range, or a number close to its only limit."""
        if self.low is not None and self.high is not None:
            middle = self.low + (self.high - self.low) / 2
            return next(filter(self.holds, (middle, self._first(), self._last())), self.low)
        if self.low is None and self.high is not None:
            return self._last()
        return self._first()

    def _first(self) -> float:
        if self.low is None:
            return -_LARGEST
        return self.low if self.low_included else math.nextafter(self.low, math.inf)

    def _last(self) -> float:
        if self.high is None:
            return _LARGEST
        return self.high if self.high_included else math.nextafter(self.high, -math.inf)


def _comparisons(argument: Sequence[object], where: Where) -> list[object]:
    for at, sign in enumerate(argument[:4:2]):
        if sign not in COMPARISONS or not isinstance(sign, str):
            raise PatternError(
                f"{described(sign)} where a comparison belongs; allowed are "
                f'{", ".join(COMPARISONS)}, each followed by a number, like [">", 0, "<=", 5]',
                (*where, 2 * at),
            )
    if len(argument) not in (2, 4):
        raise PatternError(
            "a range is a comparison and a number, or two of both, like "
            f'[">", 0, "<=", 5], found {shown(argument)}',
            where,
        )
    return list(argument[::2])


def _limit(value: object, where: Where) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, WideNumber)):
        hint = "; write it without quotes" if isinstance(value, str) else ""
        raise PatternError(f"{described(value)} where a number belongs{hint}", where)
    return comparable_number(value, where)


def _text(double: float) -> str:
    return repr(double).removesuffix(".0")
