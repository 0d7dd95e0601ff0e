"""
The conditions of the pattern language: what one value of an event may be asked.

Each kind is a small frozen type, so that an index over many patterns can sort them by kind.
`holds` says whether a value (a string, a number, true, false or null, as `parse_json` reads them)
satisfies the condition, in time proportional to the value, whatever a sender wrote.
"""

import re
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from lambdo_router.core.message import Unreadable
from lambdo_router.core.patterns.addresses import Address, parse_address
from lambdo_router.core.strict_json import WideNumber, comparable


@dataclass(frozen=True, slots=True)
class ExactText:
    """The same string, code point by code point."""

    text: str

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value == self.text


@dataclass(frozen=True, slots=True)
class SameAddress:
    """Any spelling of the IP address that the text is a literal of."""

    text: str
    address: Address

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and parse_address(value) == self.address


@dataclass(frozen=True, slots=True)
class ExactNumber:
    """The same double; for a number that no double stands for, the same text."""

    number: int | float | WideNumber = field(
        compare=False
    )  # 2**64 equals 2.0**64, here it must not
    text: str = field(init=False)
    double: float | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", number_text(self.number))
        object.__setattr__(self, "double", comparable(self.number))

    def holds(self, value: object) -> bool:
        if type(value) is not int and type(value) is not float and type(value) is not WideNumber:
            return False
        if self.double is None:  # then the number is an int, which has one text only, or wide
            return type(value) is type(self.number) and value == self.number
        return comparable(value) == self.double


def number_text(number: float | WideNumber) -> str:
    """The number in JSON. ValueError for an int that is longer than Python prints."""
    return number.text if isinstance(number, WideNumber) else repr(number)


@dataclass(frozen=True, slots=True)
class ExactLiteral:
    """true, false or null."""

    literal: bool | None

    def holds(self, value: object) -> bool:
        return value is self.literal


@dataclass(frozen=True, slots=True)
class Prefix:
    """A string that starts with the text; the empty text asks for any string."""

    text: str

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value.startswith(self.text)


@dataclass(frozen=True, slots=True)
class Suffix:
    """A string that ends with the text; the empty text asks for any string."""

    text: str

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value.endswith(self.text)


@dataclass(frozen=True, slots=True)
class IgnoringCase:
    """
    A string that is the text, starts or ends with it, in any mixture of cases.

    Each character of the text stands for its lower and its upper case, nothing else: `ß` for `ß`
    and `SS`, but `SS` not for `ß`. Characters beyond U+FFFF have no case here: the language was
    made on UTF-16.
    """

    text: str
    where: Literal["whole", "start", "end"] = "whole"
    _expression: re.Pattern[str] = field(init=False, repr=False, compare=False)
    _longest: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # The two cases of a character begin and end differently, so that an expression made of
        # them never has anything to try again, forwards or backwards.
        cases = [cases_of(character) for character in self.text]
        if self.where == "end":
            cases = [[case[::-1] for case in pair] for pair in reversed(cases)]
        expression = "".join(f"(?:{'|'.join(map(re.escape, pair))})" for pair in cases)
        object.__setattr__(self, "_expression", re.compile(expression))
        object.__setattr__(self, "_longest", sum(max(map(len, pair)) for pair in cases))

    def holds(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        match self.where:
            case "whole":
                return self._expression.fullmatch(value) is not None
            case "start":
                return self._expression.match(value) is not None
            case "end":
                end = value[-self._longest :] if self._longest else ""
                return self._expression.match(end[::-1]) is not None


def cases_of(character: str) -> list[str]:
    """The lower and the upper case of a character; once, if they are the same."""
    if ord(character) > 0xFFFF:  # noqa: PLR2004 (the end of what UTF-16 has one unit for)
        return [character]
    return sorted({character.lower(), character.upper()})


def folded(character: str) -> str | None:
    """What both cases of a character fold to; None for the dotless i, whose cases do not agree."""
    folds = {case.casefold() for case in cases_of(character)}
    return folds.pop() if len(folds) == 1 else None


def folded_text(text: str) -> str | None:
    """What every text folds to that is this one in some mixture of cases; None if they differ."""
    folds = [folded(character) for character in text]
    return None if None in folds else "".join(fold for fold in folds if fold is not None)


@dataclass(frozen=True, slots=True)
class Wildcard:
    r"""
    A string made of the parts in their order, with anything, or nothing, between them.

    `text` is the wildcard as written: `*` is any run of characters, `\*` and `\\` escape.
    """

    text: str
    parts: tuple[str, ...]

    def holds(self, value: object) -> bool:
        if not isinstance(value, str):
            return False
        first, *rest = self.parts
        if not rest:
            return value == first
        if not value.startswith(first):
            return False
        *middle, last = rest
        at = len(first)
        for part in middle:  # the first find is the best one: it leaves the most to the others
            found = value.find(part, at)
            if found < 0:
                return False
            at = found + len(part)
        return len(value) - len(last) >= at and value.endswith(last)


@dataclass(frozen=True, slots=True)
class Numeric:
    """A comparable number within the limits; None is no limit. `["=", 5]` is from 5 to 5."""

    low: float | None
    low_included: bool
    high: float | None
    high_included: bool

    def holds(self, value: object) -> bool:
        number = comparable(value)
        if number is None:
            return False
        low, high = self.low, self.high
        if low is not None and not (number > low or (self.low_included and number == low)):
            return False
        return high is None or number < high or (self.high_included and number == high)


@dataclass(frozen=True, slots=True)
class Cidr:
    """A string that is an IP address literal within the range, both ends included."""

    text: str
    first: Address
    last: Address

    def holds(self, value: object) -> bool:
        if not isinstance(value, str) or (address := parse_address(value)) is None:
            return False
        return (
            address.version == self.first.version
            and self.first.number <= address.number <= self.last.number
        )


@dataclass(frozen=True, slots=True)
class Exists:
    """
    Any value at all, null included; or, with `wanted` false, none.

    Only values count: an object, `[]` and `{}` are none. No value satisfies `exists: false`, so
    `holds` is false then; that there is no value is seen by the matcher.
    """

    wanted: bool

    def holds(self, value: object) -> bool:
        return self.wanted and type(value) is not Unreadable


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Several conditions of which one is enough. Exact strings and numbers are looked up."""

    conditions: tuple["Condition", ...]
    texts: frozenset[str] = field(init=False, repr=False, compare=False)
    doubles: frozenset[float] = field(init=False, repr=False, compare=False)
    others: tuple["Condition", ...] = field(init=False, repr=False, compare=False)

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
        if isinstance(value, str):
            if value in self.texts:
                return True
        elif self.doubles and comparable(value) in self.doubles:
            return True
        for condition in self.others:  # noqa: SIM110 (a generator here doubles the time)
            if condition.holds(value):
                return True
        return False


@dataclass(frozen=True, slots=True)
class AnythingBut:
    """A value, of whatever type, for which none of the conditions holds."""

    excluded: AnyOf

    def holds(self, value: object) -> bool:
        return not self.excluded.holds(value) and type(value) is not Unreadable


Condition: TypeAlias = (
    ExactText
    | SameAddress
    | ExactNumber
    | ExactLiteral
    | Prefix
    | Suffix
    | IgnoringCase
    | Wildcard
    | Numeric
    | Cidr
    | Exists
    | AnythingBut
)
