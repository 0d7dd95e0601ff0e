"""
How many messages went from which queue to which route of late.

The overview counts by route, which is enough for a route that reads one queue. The messages of
those that read several are counted here by queue too: each has its line on the map.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.core import journal
from lambdo_router.core.routing import Routed, RoutingTable
from lambdo_router.telemetry.status.tallies import Tally

_Tallies = dict[str, tuple[tuple[str, ...], Tally]]


@dataclass(slots=True)
class Flows:
    """Counts of the table in use."""

    _tallies: _Tallies = field(default_factory=dict)
    """By route, with the queues that it reads."""

    def decided(self, fact: journal.Decided, now: float) -> None:
        """A message may have taken a route; `now` in unix seconds."""
        decision = fact.decision
        if isinstance(decision, Routed):
            queues, tally = self._tallies.get(decision.route.name, ((), None))
            # Decided under an earlier table, it may be of a queue that this one does not read.
            if tally is not None and fact.queue in queues:
                tally.add(fact.queue, now)

    def adopt(self, table: RoutingTable) -> None:
        """Another table is in use; what is still the same keeps its counts."""
        before, self._tallies = self._tallies, {}
        for route in table.routes:
            if len(route.queues) > 1:
                kept = before.get(route.name)
                same = kept is not None and kept[0] == route.queues
                fresh = (route.queues, Tally(route.queues))
                self._tallies[route.name] = kept if kept is not None and same else fresh

    def last_minute(self, now: float) -> Mapping[str, Mapping[str, int]]:
        """By route and queue, for routes that read several; `now` in unix seconds."""
        return {route: tally.last_minute(now) for route, (_, tally) in self._tallies.items()}
