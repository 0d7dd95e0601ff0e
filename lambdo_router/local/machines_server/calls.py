"""
Which calls came in, and when: what a test asks whether its client keeps to Fly's limits.

Every call counts as it arrives, also one that a fault plan then loses or that is refused. Kept
are the newest ones, since a server may run for days; the totals count all.

Pure: time is an argument.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from lambdo_router.local.machines_server.limits import RateLimits

_KEPT: Final = 100_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `action` as `action_of` names it, `machine_id` empty where no Machine is named."""

    app: str
    action: str
    machine_id: str
    at: float
    """Unix time, by the server's clock."""


class Calls:
    """The calls of one server, oldest first."""

    def __init__(self, kept: int = _KEPT) -> None:
        """`kept`: how many of the newest calls are remembered one by one."""
        self._newest: deque[Call] = deque(maxlen=kept)
        self._totals: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return self._totals.total()

    def __iter__(self) -> Iterator[Call]:
        return iter(self._newest)

    def note(self, call: Call) -> None:
        """A call has come in."""
        self._newest.append(call)
        self._totals[call.app, call.action] += 1

    def totals(self) -> Counter[tuple[str, str]]:
        """How many calls came in, by (app, action)."""
        return Counter(self._totals)

    def times(self, app: str, action: str) -> list[float]:
        """When the calls of one action came in."""
        return [call.at for call in self._newest if (call.app, call.action) == (app, action)]

    def most_in_a_second(self, app: str, action: str) -> int:
        """How many calls of one action came in within the second with the most of them."""
        times = self.times(app, action)
        most = first = 0
        for last, at in enumerate(times):
            while at - times[first] >= 1.0:
                first += 1
            most = max(most, last - first + 1)
        return most

    def too_many(self, limits: RateLimits | None = None) -> list[Call]:
        """
        The calls that Fly would have refused, whether or not this server did.

        By its documented limits, or by those given, whose buckets must be fresh.
        """
        limits = limits or RateLimits()
        return [
            call
            for call in self._newest
            if not limits.admits(call.action, identifier(call), call.at)
        ]


def identifier(call: Call) -> str:
    """What the call counts for: its Machine, or else its app."""
    return f"{call.app}/{call.machine_id}"
