"""
Values of the routes files, each with the place where it is written.

A node is read by key, from a mapping that has the right shape. Whoever reads one can report a
problem with it, at its place and in its author's words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from lambdo_router.config.diagnostics import Related, Severity
from lambdo_router.config.read.document import On, Path, doubles

if TYPE_CHECKING:  # the draft makes nodes
    from lambdo_router.config.read.draft import Draft

T = TypeVar("T")
V = TypeVar("V")


class Unfit(ValueError):
    """A text that cannot be used; says what is allowed, with the code of the diagnostic."""

    def __init__(self, message: str, code: str = "out-of-range") -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Node(Generic[T]):
    """
    A value of the routes files, and where it is written.

    A scalar's value is None if it is not known: it is wrong, which has been reported, or depends on
    a variable that is not set.
    """

    draft: "Draft" = field(repr=False, compare=False)
    path: Path
    value: T

    def __contains__(self, key: str) -> bool:
        """Return whether the mapping has the key, valid or not."""
        if isinstance(self.value, dict) and key in self.value:
            return True
        return self.draft.is_cut and self.draft.is_written(self.at(key))

    def at(self, *steps: str | int) -> Path:
        """Return the path of what is below."""
        return (*self.path, *steps)

    def get(self, key: str) -> object:
        """Return the plain value at a key of the mapping; None if there is none."""
        return self.value.get(key) if isinstance(self.value, dict) else None

    def section(self, key: str) -> "Section":
        """Return the mapping at `key`; an empty one if there is no valid one."""
        value = self.get(key)
        return Node(self.draft, self.at(key), value if isinstance(value, dict) else {})

    def text(self, key: str) -> "Node[str | None] | None":
        """Return the text at `key`; None if nothing is written there."""
        value = self.get(key)
        return self._node(key, value if isinstance(value, str) else None)

    def raw(self, key: str) -> str | None:
        """Return the text at `key`, with variables that are not set as they are written."""
        value = self.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> "Node[int | None] | None":
        """Return the whole number at `key`; None if nothing is written there."""
        value = doubles(self.get(key))
        # The schema accepts 10.0 as a whole number, as JSON does.
        return self._node(key, int(value) if isinstance(value, int | float) else None)

    def parsed(self, key: str, parse: Callable[[str], V]) -> "Node[V | None] | None":
        """Return the text at `key`, parsed. A ValueError of `parse` becomes a problem."""
        text = self.text(key)
        if text is None:
            return None
        value = None if text.value is None else self.draft.parsed(text.path, text.value, parse)
        return Node(self.draft, text.path, value)

    def report(
        self,
        code: str,
        message: str,
        hint: str = "",
        *,
        on: On = "value",
        severity: Severity = "error",
        related: Sequence[Related] = (),
    ) -> None:
        """Note something wrong with this value or its key."""
        self.draft.problem(
            self.path, code, message, on=on, severity=severity, hint=hint, related=related
        )

    def warning(self, code: str, message: str, hint: str = "") -> None:
        """Note something that is allowed and probably not meant."""
        self.report(code, message, hint, severity="warning")

    def describe(self) -> str:
        """Return what people call it: queue `orders`, `visibility`."""
        return self.draft.describe(self.path)

    def _node(self, key: str, value: V | None) -> "Node[V | None] | None":
        if key not in self:
            return None
        at = self.at(key)
        return Node(self.draft, at, value if self.draft.is_known(at) else None)


Section = Node[Mapping[str, object]]


def known(node: Node[T | None] | None, default: T) -> T:
    """Return the value if it is written and known, else the default."""
    return default if node is None or node.value is None else node.value
