"""Counts of what happened: since the start, in the last minute, and over the last five minutes."""

from array import array
from collections import deque
from collections.abc import Mapping
from typing import Any

SLOT = 10.0
"""Seconds that are counted together."""
SLOTS = 30
"""Slots of the chart: five minutes."""
_MINUTE = 6


class RollingCounts:
    """
    Counts under a few names, the first of which is charted.

    Each route has one, and there can be thousands of routes: so only the charted name is kept for
    more than a minute.
    """

    __slots__ = (
        *("_at", "_begins", "_chart", "_charted", "_counts", "_ends", "_minute", "_names"),
        "_totals",
    )

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._totals = [0] * len(names)
        self._minute: deque[tuple[int, list[int]]] = deque(maxlen=_MINUTE)
        """Slots in which something was counted, the newest last."""
        self._chart = array("L", [0] * SLOTS)
        """A ring, by slot."""
        self._at = 0
        """The newest slot of the chart."""
        self._begins = self._ends = 0.0
        """The slot that was counted in last, which is nearly always the current one."""
        self._counts: list[int] = []
        self._charted = 0
        """Its place in the ring; -1 if it is too old for that, since the clock was set back."""

    def add(self, name: str, now: float, count: int = 1) -> None:
        """Count something; raise ValueError for an unknown name."""
        place = self._names.index(name)
        if not self._begins <= now < self._ends:
            self._begin(int(now // SLOT))
        self._totals[place] += count
        self._counts[place] += count
        if place == 0 and self._charted >= 0:
            self._chart[self._charted] += count

    def _begin(self, slot: int) -> None:
        self._begins, self._ends = slot * SLOT, (slot + 1) * SLOT
        self._counts = [0] * len(self._names)
        self._minute.append((slot, self._counts))
        for expired in range(max(self._at + 1, slot - SLOTS + 1), slot + 1):
            self._chart[expired % SLOTS] = 0
        self._at = max(self._at, slot)
        self._charted = slot % SLOTS if slot > self._at - SLOTS else -1

    def last_minute(self, now: float) -> Mapping[str, int]:
        """Return the counts of the current slot and the five before it."""
        first = int(now // SLOT) - _MINUTE + 1
        recent = [counts for slot, counts in self._minute if slot >= first]
        if not recent:
            return dict.fromkeys(self._names, 0)
        return dict(zip(self._names, map(sum, zip(*recent, strict=True)), strict=True))

    def fields(self, now: float) -> dict[str, Any]:
        """Return the fields `totals`, `last_minute` and `activity` of a status."""
        last = int(now // SLOT)
        return {
            "totals": dict(zip(self._names, self._totals, strict=True)),
            "last_minute": self.last_minute(now),
            "activity": tuple(
                self._chart[slot % SLOTS] if self._at - SLOTS < slot <= self._at else 0
                for slot in range(last - SLOTS + 1, last + 1)
            ),
        }
