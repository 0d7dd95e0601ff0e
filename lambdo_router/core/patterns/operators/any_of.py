"""The list of a field: several conditions, one of which must hold."""

from dataclasses import dataclass, field
from typing import Final

from lambdo_router.core.patterns.operators.condition import Condition
from lambdo_router.core.patterns.operators.exact import ExactNumber, ExactText
from lambdo_router.core.patterns.operators.many_values import ManyValues
from lambdo_router.core.strict_json import comparable

_MOST_COMPARED: Final = 100_000
"""Pairs of conditions that are compared for two lists."""


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several conditions, one of which must hold. Exact strings and numbers are looked up."""

    conditions: tuple[Condition, ...]
    texts: frozenset[str] = field(init=False, repr=False, compare=False)
    doubles: frozenset[float] = field(init=False, repr=False, compare=False)
    others: tuple[Condition, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        texts, doubles, others = set(), set(), []
        for condition in self.conditions:
            if isinstance(condition, ExactText):
                texts.add(condition.text)
            elif isinstance(condition, ExactNumber) and condition.double is not None:
                doubles.add(condition.double)
            else:
                others.append(condition)
        object.__setattr__(self, "texts", frozenset(texts))
        object.__setattr__(self, "doubles", frozenset(doubles))
        object.__setattr__(self, "others", tuple(others))

    def holds(self, value: object) -> bool:
        """Return whether the value meets one of the conditions."""
        if isinstance(value, str):
            if value in self.texts:
                return True
        elif self.doubles and comparable(value) in self.doubles:
            return True
        for condition in self.others:  # noqa: SIM110 (a generator here doubles the time)
            if condition.holds(value):
                return True
        return False

    def holds_among(self, values: ManyValues) -> bool:
        """Return whether one of the values meets one of the conditions."""
        return (
            not self.texts.isdisjoint(values.texts)
            or bool(self.doubles and not self.doubles.isdisjoint(values.doubles))
            or any(any(map(other.holds, other.near(values))) for other in self.others)
        )

    def contains(self, inner: "AnyOf") -> bool:
        """Return whether each condition of `inner` is certainly contained in one of these."""
        if len(self.others) * len(inner.others) > _MOST_COMPARED:
            return False
        return all(
            any(map(self.holds, condition.only))
            if condition.only
            else any(other.contains(condition) for other in self.others)
            for condition in inner.conditions
        )
