"""Counts of what happened: since the start, in the last minute, and one of them over time."""

from array import array
from collections import deque
from collections.abc import Mapping

SLOT = 10.0
"""Seconds that are counted together."""
SLOTS = 30
"""Of the chart: five minutes."""
_MINUTE = 6


class Tally:
    """
    Counts under a few names, the first of which is charted.

    There is one for each route, and there can be thousands: so all names are remembered for a
    minute, and only one for longer.
    """

    __slots__ = ("_at", "_chart", "_counts", "_minute", "_names", "_slot", "_totals")

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._totals = [0] * len(names)
        self._minute: deque[tuple[int, list[int]]] = deque(maxlen=_MINUTE)
        """Slots in which something was, the newest at the end."""
        self._chart = array("L", [0] * SLOTS)
        """By slot, round and round."""
        self._at = 0
        """The newest slot of the chart."""
        self._slot = -1
        self._counts: list[int] = []
        """Of the slot that was counted in last: nearly always it is this one's turn again."""

    def add(self, name: str, now: float, count: int = 1) -> None:
        """Count something; ValueError for a name that was not given."""
        place, slot = self._names.index(name), int(now // SLOT)
        if slot != self._slot:
            self._go_on(slot)
        self._totals[place] += count
        self._counts[place] += count
        if place == 0 and slot > self._at - SLOTS:  # else the clock was set back
            self._chart[slot % SLOTS] += count

    def _go_on(self, slot: int) -> None:
        """Another slot: what the chart had of earlier rounds is over."""
        self._slot, self._counts = slot, [0] * len(self._names)
        self._minute.append((slot, self._counts))
        for over in range(max(self._at + 1, slot - SLOTS + 1), slot + 1):
            self._chart[over % SLOTS] = 0
        self._at = max(self._at, slot)

    def totals(self) -> Mapping[str, int]:
        """Since the start."""
        return dict(zip(self._names, self._totals, strict=True))

    def last_minute(self, now: float) -> Mapping[str, int]:
        """In this slot and the five before it."""
        first = int(now // SLOT) - _MINUTE + 1
        recent = [counts for slot, counts in self._minute if slot >= first]
        if not recent:
            return dict.fromkeys(self._names, 0)
        return dict(zip(self._names, map(sum, zip(*recent, strict=True)), strict=True))

    def activity(self, now: float) -> tuple[int, ...]:
        """The first name in each slot of the last five minutes, the newest at the end."""
        last = int(now // SLOT)
        return tuple(
            self._chart[slot % SLOTS] if self._at - SLOTS < slot <= self._at else 0
            for slot in range(last - SLOTS + 1, last + 1)
        )
