r"""`wildcard`: `*` is any run of characters, also an empty one; `\*` and `\\` are escapes."""

from dataclasses import dataclass

from lambdo_router.core.patterns.operators.condition import (
    HOLE,
    UNLIKELY,
    Key,
    PatternError,
    TextOperator,
    Where,
)
from lambdo_router.core.patterns.wording import shown


@dataclass(frozen=True, slots=True)
class Wildcard(TextOperator):
    """A string made of the parts in their order, with anything, or nothing, between them."""

    text: str
    """As it is written."""
    parts: tuple[str, ...]

    name = "wildcard"
    example_text = '{wildcard: "*a*"}'
    aliases = ("glob", "like", "regex", "contains")
    verb = "does"

    @classmethod
    def read(cls, argument: object, where: Where) -> "Wildcard":
        text = cls.text_argument(argument, where)
        return cls(text, _parts(text, where))

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

    @property
    def key(self) -> Key | None:
        first, last = self.parts[0], self.parts[-1]
        if len(self.parts) == 1:
            return ("text", first)
        if not first and not last:
            return None
        return ("start", first) if len(first) >= len(last) else ("end", last)

    @property
    def claim(self) -> str:
        return f"match the wildcard {shown(self.text)}"

    @property
    def holes(self) -> str:
        return HOLE.join(self.parts)

    def example(self) -> str:
        return UNLIKELY.join(self.parts)


def _parts(text: str, where: Where) -> tuple[str, ...]:
    parts, part, characters = [], "", enumerate(text, start=1)
    after_star = False
    for at, character in characters:
        if character == "*":
            if after_star:
                raise PatternError(
                    f"`**` at character {at - 1} of the wildcard; one `*` already matches any run "
                    r"of characters, and `\*` is a literal star",
                    where,
                )
            parts.append(part)
            part = ""
        elif character == "\\":
            _, escaped = next(characters, (0, ""))
            if escaped not in ("*", "\\"):
                raise PatternError(
                    f"`\\` at character {at} of the wildcard must be followed by `*` or `\\`; "
                    r"`\\` is a literal backslash",
                    where,
                )
            part += escaped
        else:
            part += character
        after_star = character == "*"
    return (*parts, part)
