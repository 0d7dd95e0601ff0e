"""`exists`: whether there is a value."""

from dataclasses import dataclass

from lambdo_router.core.message import Undecodable
from lambdo_router.core.patterns.operators.condition import UNLIKELY, Condition, Operator, Where


@dataclass(frozen=True, slots=True)
class Exists(Operator):
    """
    Any value at all, null included; or, with `wanted` false, none.

    An object, `[]` and `{}` do not count as values. No value meets `exists: false`; the matcher
    itself sees that there is none.
    """

    wanted: bool

    name = "exists"
    example_text = "{exists: true}"
    aliases = ("present",)

    @classmethod
    def read(cls, argument: object, where: Where) -> "Exists":
        if not isinstance(argument, bool):
            raise cls.refused(argument, where, "true or false")
        return cls(argument)

    @classmethod
    def brief(cls, argument: object) -> str | None:
        return "present" if argument else "absent"

    def holds(self, value: object) -> bool:
        return self.wanted and type(value) is not Undecodable

    @property
    def met_by_absence(self) -> bool:
        return not self.wanted

    @property
    def claim(self) -> str:
        return "a readable value" if self.wanted else "absent"

    def example(self) -> str:
        return UNLIKELY

    def includes(self, other: Condition) -> bool:
        return not other.met_by_absence
