"""`prefix` and `suffix`, of a given text or of a text in any case."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from lambdo_router.core.patterns.operators.condition import (
    HOLE,
    UNLIKELY,
    Condition,
    Key,
    TextOperator,
    Where,
)
from lambdo_router.core.patterns.operators.ignoring_case import IgnoringCase
from lambdo_router.core.patterns.operators.many_values import ManyValues
from lambdo_router.core.patterns.wording import shown


@dataclass(frozen=True, slots=True)
class _Affix(TextOperator):
    text: str

    verb = "does"
    edge: ClassVar[Literal["start", "end"]]

    @classmethod
    def read(cls, argument: object, where: Where) -> Condition:
        match argument:
            case str():
                return cls(argument)
            case {"equals-ignore-case": str(text), **others} if not others:
                return IgnoringCase(text, cls.edge)
            case _:
                raise cls.refused(argument, where, "a string or {equals-ignore-case: string}")

    @property
    def key(self) -> Key | None:
        return (self.edge, self.text) if self.text else None

    @property
    def claim(self) -> str:
        return f"{self.edge} with {shown(self.text)}"


class Prefix(_Affix):
    """A string that starts with the text; every string starts with the empty text."""

    __slots__ = ()

    name = "prefix"
    example_text = '{prefix: "a"}'
    aliases = ("startswith", "starts-with", "begins-with")
    edge = "start"
    in_brief = "{}*"

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value.startswith(self.text)

    def near(self, values: ManyValues) -> Sequence[object]:
        return values.first_from(self.text)

    @property
    def holes(self) -> str:
        return self.text + HOLE

    def example(self) -> str:
        return self.text + UNLIKELY


class Suffix(_Affix):
    """A string that ends with the text; every string ends with the empty text."""

    __slots__ = ()

    name = "suffix"
    example_text = '{suffix: "a"}'
    aliases = ("endswith", "ends-with")
    edge = "end"
    in_brief = "*{}"

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and value.endswith(self.text)

    def near(self, values: ManyValues) -> Sequence[object]:
        return values.first_back_from(self.text)

    @property
    def holes(self) -> str:
        return HOLE + self.text

    def example(self) -> str:
        return UNLIKELY + self.text
