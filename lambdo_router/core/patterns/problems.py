"""What is wrong with a pattern: the error, and the words that the readers of operators share."""

from collections.abc import Mapping
from typing import Final

from lambdo_router.core.patterns.wording import described

Where = tuple[str | int, ...]
"""Keys and list indexes, from the pattern's root to one of its values."""


class PatternError(ValueError):
    """
    A pattern that says nothing sensible. `path` leads to the culprit inside the pattern.

    With `of_key` that is the last key of the path itself, and not what stands there.
    """

    def __init__(self, message: str, path: Where = (), *, of_key: bool = False) -> None:
        super().__init__(message)
        self.path = path
        self.of_key = of_key


EXAMPLES: Final[Mapping[str, str]] = {
    "exactly": '{exactly: "a"}',
    "prefix": '{prefix: "a"}',
    "suffix": '{suffix: "a"}',
    "equals-ignore-case": '{equals-ignore-case: "a"}',
    "wildcard": '{wildcard: "*a*"}',
    "numeric": '{numeric: [">", 0, "<=", 5]}',
    "cidr": '{cidr: "10.0.0.0/8"}',
    "exists": "{exists: true}",
    "anything-but": '{anything-but: ["a", "b"]}',
}


def refused(name: str, argument: object, where: Where, allowed: str = "a string") -> PatternError:
    """The error for an operator whose argument is of the wrong kind."""
    return PatternError(
        f"`{name}` takes {allowed}, found {described(argument)}; write it like {EXAMPLES[name]}",
        where,
    )
