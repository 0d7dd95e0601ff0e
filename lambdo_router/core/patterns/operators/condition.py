"""
What a condition on one value of an event means, everywhere in the router.

Each operator is a class in a file of this package and says all of this about itself; the matcher,
the index, `explain` and the lints know conditions only by these methods.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from lambdo_router.core.patterns.operators.many_values import ManyValues
from lambdo_router.core.patterns.wording import bare, described, shown

Where = tuple[str | int, ...]
"""Keys and list indexes, from the pattern's root to one of its values."""


class PatternError(ValueError):
    """
    An invalid pattern. `path` leads to the culprit inside the pattern.

    With `of_key` the culprit is the last key of the path, not its value.
    """

    def __init__(self, message: str, path: Where = (), *, of_key: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.of_key = of_key


Key = tuple[str, object]
"""
What the index finds a condition by: a value that lacks it cannot meet the condition.

The kinds are `text`, `start`, `end`, `folded`, `folded start`, `folded end`, `address`, `network`,
`number`, `literal` and `any`. A network is its family, the number of bits in which its addresses
differ, and the bits before them.
"""
Range = tuple[tuple[float, float], tuple[float, float]]
"""The first and last value, each with a second number that orders its neighbours; inclusive."""

HOLE: Final = "\ud800"
"""Stands for any text. Half of a surrogate pair: events that contain one are refused."""
UNLIKELY: Final = "\ue0ff"
"""A private-use character, for examples that match little else."""
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def unmatchable_text(text: str) -> str | None:
    """Return why no event contains this text; None if one may."""
    return "no event has half of a surrogate pair in it" if _LONE_SURROGATE.search(text) else None


class Condition(ABC):
    """What a pattern asks of one value: a string, a number, true, false or null."""

    __slots__ = ()

    operand: ClassVar[Literal["text", "number", "any"]] = "any"
    """The only type of value that it can hold for."""
    plain: ClassVar[bool] = False
    """Whether it is written as a bare value."""
    verb: ClassVar[Literal["is", "does"]] = "is"
    """How `claim` continues: the value *is* 5, or *does* start with "a"."""

    @abstractmethod
    def holds(self, value: object) -> bool:
        """Return whether the value meets the condition, in time proportional to the value."""

    @property
    def met_by_absence(self) -> bool:
        """Whether only a missing value meets it."""
        return False

    # Lookups among many conditions and many values

    @property
    def key(self) -> Key | None:
        """The key of every value that meets it; None if they have none in common."""
        return None

    def near(self, values: ManyValues) -> Sequence[object]:
        """Return some of the values, one of which meets the condition if any value does."""
        return values.all

    # Explanations

    @property
    @abstractmethod
    def claim(self) -> str:
        """What a value must be or do, for people."""

    @property
    def exclusion(self) -> str:
        """The claim, as `anything-but` words it."""
        return self.claim

    # Proofs: True is certain, False means "no" or "not known"

    @property
    def only(self) -> tuple[object, ...]:
        """The only value that meets it, if there is just one; spellings of a number are equal."""
        return ()

    @property
    def range(self) -> Range | None:
        """The range of numbers or of addresses that meet it."""
        return None

    @property
    def holes(self) -> str | None:
        """
        The texts that meet it as one text, with `HOLE` for each part that varies.

        What another condition says of the hole, it says of every text in its place.
        """
        return None

    @property
    def folded_holes(self) -> str | None:
        """`holes` for the texts without case."""
        return None if self.holes is None else self.holes.casefold()

    @property
    def unmatchable(self) -> str | None:
        """Why no value can meet it; None if one may."""
        return None

    @abstractmethod
    def example(self) -> object:
        """Return a value that meets it and, if possible, few other conditions."""

    def contains(self, other: "Condition") -> bool:
        """Return whether it certainly holds for every value that `other` holds for."""
        if self == other:
            return True
        return not (self.met_by_absence or other.met_by_absence) and self.includes(other)

    def includes(self, other: "Condition") -> bool:
        """Return `contains` for another condition, neither of them met by absence."""
        if other.only:
            return all(map(self.holds, other.only))
        inner, outer = other.range, self.range
        return (
            inner is not None
            and outer is not None
            and self.operand == other.operand
            and outer[0] <= inner[0]
            and inner[1] <= outer[1]
        )


class TextCondition(Condition):
    """A condition that only strings meet."""

    __slots__ = ()

    operand = "text"
    text: str

    @property
    def only(self) -> tuple[object, ...]:
        return () if self.holes is None or HOLE in self.holes else (self.holes,)

    @property
    def unmatchable(self) -> str | None:
        return unmatchable_text(self.text)

    def includes(self, other: Condition) -> bool:
        if Condition.includes(self, other):
            return True
        # Only a condition with holes itself treats a hole like every text in its place.
        if self.holes is None or other.holes is None or HOLE in self.text:
            return False
        return self.holds(other.holes)


class Operator(Condition):
    """A condition that is written `{name: argument}`."""

    __slots__ = ()

    name: ClassVar[str]
    example_text: ClassVar[str]
    """How it is written, for error messages."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """What people call it elsewhere; errors suggest the right name."""
    never_a_field: ClassVar[bool] = False
    """Whether no field would have its name."""
    argument_starts: ClassVar[tuple[str, ...]] = ()
    """What no list of a field's values would start with."""

    @classmethod
    @abstractmethod
    def read(cls, argument: object, where: Where) -> Condition:
        """Return the condition for an argument. Raises PatternError."""

    @classmethod
    @abstractmethod
    def brief(cls, argument: object) -> str | None:
        """Return the argument in a few words for a table; None to have it shown as JSON."""

    @classmethod
    def is_meant_by(cls, argument: Sequence[object]) -> bool:
        """Return whether `name: [...]` outside a list can only be meant as this operator."""
        return cls.never_a_field or (bool(argument) and argument[0] in cls.argument_starts)

    @classmethod
    def text_argument(cls, argument: object, where: Where) -> str:
        """Return the argument if it is a string. Raises PatternError."""
        if not isinstance(argument, str):
            raise cls.refused(argument, where, "a string")
        return argument

    @classmethod
    def refused(cls, argument: object, where: Where, allowed: str) -> PatternError:
        """Return the error for an argument of the wrong type."""
        return PatternError(
            f"`{cls.name}` takes {allowed}, found {described(argument)}; write it like "
            f"{cls.example_text}",
            where,
        )


class TextOperator(Operator, TextCondition):
    """An operator that compares strings with one text."""

    __slots__ = ()

    in_brief: ClassVar[str] = ""
    """How a table shows it, such as `{}*`; empty for the argument as it is."""

    @classmethod
    def brief(cls, argument: object) -> str | None:
        if not isinstance(argument, str):
            return None
        return cls.in_brief.format(bare(argument)) if cls.in_brief else argument

    @property
    def exclusion(self) -> str:
        return f"{self.name} {shown(self.text)}"


def disjoint(one: Condition, other: Condition) -> bool:
    """Return whether certainly no value meets both conditions."""
    for first, second in ((one, other), (other, one)):
        if first.only:
            return not any(map(second.holds, first.only))
    if one.met_by_absence or other.met_by_absence:
        return True
    if "any" in (one.operand, other.operand):
        return False
    if one.operand != other.operand:
        return True
    if one.range is not None and other.range is not None:
        return one.range[1] < other.range[0] or other.range[1] < one.range[0]
    return _edges_differ(one.holes, other.holes) or _edges_differ(
        one.folded_holes, other.folded_holes
    )


def _edges_differ(one: str | None, other: str | None) -> bool:
    """Return whether texts with holes certainly begin or end differently."""
    if one is None or other is None:
        return False
    heads = [holes.split(HOLE, 1)[0] for holes in (one, other)]
    tails = [holes.rsplit(HOLE, 1)[-1][::-1] for holes in (one, other)]
    return any(first[: len(second)] != second[: len(first)] for first, second in (heads, tails))
