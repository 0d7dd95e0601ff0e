"""
An event as patterns read it: what was found at a path is kept for the next one that asks.

A message may be put to thousands of patterns that look at the same few paths. Each path is walked
once, however many ask for it.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from lambdo_router.core.patterns.conditions import AnyOf
from lambdo_router.core.patterns.many import Many
from lambdo_router.core.patterns.walking import Pending, Step, gather, way_along

FAILS: Final = 1
"""There are values, none of which will do; or there are none, and there must be one."""
NESTED: Final = 2
"""An array on the way holds objects or arrays: which values go together must be found out."""
HOLDS: Final = 3
"""There is a value that will do, outside such arrays; or there is none, and that will do."""


_FEW: Final = 16
"""Values at one path that are not worth being prepared for further questions."""


class Found:
    """All that an event holds at one path."""

    __slots__ = ("_asked", "_inside", "_many", "_pending", "_values", "nested")

    def __init__(self, event: dict[str, object], step: Step) -> None:
        self._values: list[object] = []
        self._pending: Pending = []
        gather(event, step, self._values, self._pending)
        self._many: Many | None = None
        self._inside: Many | None = None
        self._asked = False
        self.nested = bool(self._pending)
        """Whether there may be more in arrays of objects or arrays, where not all go together."""

    def __bool__(self) -> bool:
        """Whether there is a value that goes with every other value of the event."""
        return bool(self._values)

    def holds(self, asked: AnyOf) -> bool:
        """Whether one such value is one of those asked for."""
        if len(self._values) > _FEW and self._is_asked_again():
            if self._many is None:
                self._many = Many(self._values)
            return self._many.holds(asked)
        for value in self._values:  # noqa: SIM110 (a generator here doubles the time)
            if asked.holds(value):
                return True
        return False

    def may_hold_inside(self, asked: AnyOf) -> bool:
        """
        Whether a value in arrays of objects or arrays may be one of those asked for.

        The first to ask is told yes: only for several is it worth while to collect them.
        """
        if self._inside is None:
            if not self._is_asked_again():
                return True
            self._inside = Many(_values(self._pending))
        return self._inside.holds(asked)

    def _is_asked_again(self) -> bool:
        asked, self._asked = self._asked, True
        return asked


def _values(pending: Pending) -> Iterator[object]:
    waiting = list(pending)
    while waiting:
        element, step = waiting.pop()
        if isinstance(element, dict):
            found = [(element[key], step.moves[key]) for key in step.moves if key in element]
        elif isinstance(element, list):
            found = [(item, step) for item in element]
        else:
            if step.mask:
                yield element
            continue
        waiting += found


class Reading:
    """One event that is put to one pattern after the other. The event must not change meanwhile."""

    __slots__ = ("_found", "event")

    def __init__(self, event: Mapping[str, object]) -> None:
        """Raises ValueError if the event is no object."""
        self.event = _object(event)
        self._found: dict[str, Found] = {}

    def outcome(self, path: str, values: AnyOf, without: int) -> int:
        """
        How things stand at the path: FAILS, NESTED or HOLDS.

        `values` is what is asked there, and `without` (FAILS or HOLDS) what it means if there is
        no value.
        """
        found = self._found.get(path)
        if found is None:
            found = self._found[path] = Found(self.event, way_along(path))
        if found.holds(values):
            return HOLDS
        if found.nested:
            return NESTED if without == HOLDS or found.may_hold_inside(values) else FAILS
        return FAILS if found else without


def _object(event: object) -> dict[str, object]:
    if isinstance(event, dict):
        return event
    if isinstance(event, Mapping):
        return dict(event)
    raise ValueError(f"an event is an object, not a {type(event).__name__}")
