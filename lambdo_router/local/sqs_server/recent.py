"""
What a FIFO queue remembers for five minutes, so that a repeated call has no further effect.

The sender of a repeated message gets the id of the first one, even if that was received and deleted
meanwhile. A repeated receive gets the same messages and receipts, as long as none of them was
touched.
"""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

_FIVE_MINUTES = 300.0
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")


@dataclass(slots=True)
class Recent(Generic[_K, _V]):
    """Values by key, each for five minutes from the moment at which it was noted."""

    _values: dict[_K, tuple[float, _V]] = field(default_factory=dict)
    _oldest: deque[tuple[float, _K]] = field(default_factory=deque)

    def note(self, key: _K, value: _V, now: float) -> None:
        """Remember a value, in place of what was remembered under the key."""
        self._forget(now)
        self._values[key] = (now, value)
        self._oldest.append((now, key))

    def get(self, key: _K, now: float) -> _V | None:
        """Return what was noted under this key less than five minutes ago."""
        self._forget(now)
        found = self._values.get(key)
        return None if found is None else found[1]

    def _forget(self, now: float) -> None:
        while self._oldest and self._oldest[0][0] + _FIVE_MINUTES <= now:
            at, key = self._oldest.popleft()
            if key in self._values and self._values[key][0] == at:
                del self._values[key]
