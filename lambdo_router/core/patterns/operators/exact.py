"""Bare values, and `exactly`: the value itself, in whatever spelling is equal to it."""

import math
from dataclasses import dataclass, field

from lambdo_router.core.patterns.operators.addresses import IpAddress, parse_address
from lambdo_router.core.patterns.operators.condition import (
    HOLE,
    Condition,
    Key,
    PatternError,
    Range,
    TextCondition,
    TextOperator,
    Where,
)
from lambdo_router.core.patterns.wording import shown
from lambdo_router.core.strict_json import WideNumber, comparable


@dataclass(frozen=True, slots=True)
class ExactText(TextOperator):
    """The same string, code point by code point."""

    text: str

    name = "exactly"
    example_text = '{exactly: "a"}'
    plain = True
    in_brief = "{}"

    @classmethod
    def read(cls, argument: object, where: Where) -> "ExactText":
        return cls(cls.text_argument(argument, where))

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value == self.text

    @property
    def key(self) -> Key:
        return ("text", self.text)

    @property
    def claim(self) -> str:
        return shown(self.text)

    @property
    def exclusion(self) -> str:
        return shown(self.text)

    @property
    def holes(self) -> str:
        return self.text

    def example(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class SameAddress(TextCondition):
    """Any spelling of the IP address that the text is a literal of."""

    text: str
    address: IpAddress

    plain = True

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and parse_address(value) == self.address

    @property
    def key(self) -> Key:
        return ("address", self.address)

    @property
    def claim(self) -> str:
        return shown(self.text)

    @property
    def range(self) -> Range:
        at = (self.address.version, int(self.address))
        return at, at

    @property
    def holes(self) -> str:
        return HOLE

    def example(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class ExactNumber(Condition):
    """The same double; for a number that no double represents exactly, the same text."""

    number: int | float | WideNumber = field(
        compare=False
    )  # 2**64 equals 2.0**64, here it must not
    text: str = field(init=False)
    double: float | None = field(init=False, repr=False, compare=False)

    operand = "number"
    plain = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", number_text(self.number))
        object.__setattr__(self, "double", comparable(self.number))

    def holds(self, value: object) -> bool:
        if type(value) is not int and type(value) is not float and type(value) is not WideNumber:
            return False
        if self.double is None:  # then the number is an int, which has one text only, or wide
            return type(value) is type(self.number) and value == self.number
        return comparable(value) == self.double

    @property
    def key(self) -> Key:
        return ("number", self.number if self.double is None else self.double)

    @property
    def claim(self) -> str:
        return shown(self.number)

    @property
    def only(self) -> tuple[object, ...]:
        return (self.number,)

    def example(self) -> object:
        return self.number


@dataclass(frozen=True, slots=True)
class ExactLiteral(Condition):
    """true, false or null."""

    literal: bool | None

    plain = True

    def holds(self, value: object) -> bool:
        return value is self.literal

    @property
    def key(self) -> Key:
        return ("literal", self.literal)

    @property
    def claim(self) -> str:
        return shown(self.literal)

    @property
    def only(self) -> tuple[object, ...]:
        return (self.literal,)

    def example(self) -> object:
        return self.literal


def number_text(number: float | WideNumber) -> str:
    """Return the number in JSON. Raises ValueError for an int longer than Python prints."""
    return number.text if isinstance(number, WideNumber) else repr(number)


def exact_number(value: float | WideNumber, where: Where) -> ExactNumber:
    """Return the condition for a number in a pattern. Raises PatternError."""
    if isinstance(value, float) and not math.isfinite(value):
        raise PatternError(f"{value} is not a JSON number", where)
    try:
        return ExactNumber(value)
    except ValueError:
        raise PatternError("this number is too long", where) from None


def comparable_number(value: float | WideNumber, where: Where) -> float:
    """Return the double for a number in a pattern. Raises PatternError if there is none."""
    double = exact_number(value, where).double
    if double is None:
        raise PatternError(
            f"{shown(value)} cannot be compared: it has more digits than a double keeps, or is "
            "beyond a double's range",
            where,
        )
    return double
