"""
Many values at one path, prepared to be asked by many patterns.

A sender can put a hundred thousand values where thousands of routes look. For the conditions that
most routes have, the value that could meet them is found without a look at the others.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import cached_property

from lambdo_router.core.strict_json import comparable


class ManyValues:
    """The different values at one path. Each lookup is prepared when it is first needed."""

    def __init__(self, values: Iterable[object]) -> None:
        # With their types: true and 1 are one key of a dict, but not one value.
        self.all: Sequence[object] = [v for _, v in {(type(value), value) for value in values}]
        self.texts = frozenset(value for value in self.all if isinstance(value, str))

    @cached_property
    def doubles(self) -> frozenset[float]:
        """The numbers that a double represents exactly."""
        return frozenset(n for n in map(comparable, self.all) if n is not None)

    def first_from(self, text: str) -> Sequence[str]:
        """Return the first text, in order, that is not before this one: it or its extension."""
        at = bisect_left(self._sorted, text)
        return self._sorted[at : at + 1]

    def first_back_from(self, text: str) -> Sequence[str]:
        """Return the same for texts that are read from their end."""
        at = bisect_left(self._sorted_backwards, text[::-1])
        return [backwards[::-1] for backwards in self._sorted_backwards[at : at + 1]]

    def folding_to(self, folded: str) -> Sequence[str]:
        """Return the texts whose case-folded form is this one."""
        return self._by_fold.get(folded, ())

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.texts)

    @cached_property
    def _sorted_backwards(self) -> list[str]:
        return sorted(text[::-1] for text in self.texts)

    @cached_property
    def _by_fold(self) -> dict[str, list[str]]:
        by_fold: dict[str, list[str]] = {}
        for text in self.texts:
            by_fold.setdefault(text.casefold(), []).append(text)
        return by_fold
