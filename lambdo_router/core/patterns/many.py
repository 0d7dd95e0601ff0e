"""
Many values at one path, prepared to be asked by many patterns.

A sender can put a hundred thousand values where thousands of routes look. For the conditions that
most routes have, the value that could meet them is found without looking at the others.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property

from lambdo_router.core.patterns.conditions import (
    AnyOf,
    Condition,
    IgnoringCase,
    Prefix,
    Suffix,
    folded_text,
)
from lambdo_router.core.strict_json import comparable


class Many:
    """Different values. What is prepared of them is prepared when the first condition needs it."""

    def __init__(self, values: Iterable[object]) -> None:
        # With their types: true and 1 are one key of a dict, but not one value.
        self._values = [value for _, value in {(type(value), value) for value in values}]
        self._texts = frozenset(value for value in self._values if isinstance(value, str))

    def holds(self, asked: AnyOf) -> bool:
        """Whether one of the values is one of those asked for."""
        return (
            not asked.texts.isdisjoint(self._texts)
            or bool(asked.doubles and not asked.doubles.isdisjoint(self._doubles))
            or any(any(map(other.holds, self._near(other))) for other in asked.others)
        )

    def _near(self, condition: Condition) -> Sequence[object]:
        """Values of which one meets the condition if any of all values does."""
        match condition:
            case Prefix(text):
                at = bisect_left(self._by_beginning, text)
                return self._by_beginning[at : at + 1]
            case Suffix(text):
                at = bisect_left(self._by_end, text[::-1])
                return [backwards[::-1] for backwards in self._by_end[at : at + 1]]
            case IgnoringCase(text, "whole") if (folded := folded_text(text)) is not None:
                return self._by_fold.get(folded, ())
            case _:
                return self._values

    @cached_property
    def _doubles(self) -> frozenset[float]:
        numbers = map(comparable, self._values)
        return frozenset(number for number in numbers if number is not None)

    @cached_property
    def _by_beginning(self) -> list[str]:
        return sorted(self._texts)

    @cached_property
    def _by_end(self) -> list[str]:
        return sorted(text[::-1] for text in self._texts)

    @cached_property
    def _by_fold(self) -> dict[str, list[str]]:
        by_fold: dict[str, list[str]] = {}
        for text in self._texts:
            by_fold.setdefault(text.casefold(), []).append(text)
        return by_fold
