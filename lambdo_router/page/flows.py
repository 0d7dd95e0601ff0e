"""
How many messages went from which queue to which route of late.

The overview counts by route, which is enough for a route that reads one queue. The messages of
those that read several are counted here by queue too: each has its line on the map.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router import journal
from lambdo_router.overview.tallies import Tally
from lambdo_router.routing import Routed, RoutingTable

_Tallies = dict[str, tuple[tuple[str, ...], Tally]]


@dataclass(slots=True)
class Flows:
    """Counts of the table in use."""

    _tallies: _Tallies = field(default_factory=dict)
    """By route, with the queues that it reads."""

    def observe(self, fact: journal.Fact, now: float) -> None:
        """Take a fact into account; `now` in unix seconds."""
        match fact:
            case journal.Decided(queue=queue, decision=Routed(route=route)):
                queues, tally = self._tallies.get(route.name, ((), None))
                # Decided under an earlier table, it may be of a queue that this one does not read.
                if tally is not None and queue in queues:
                    tally.add(queue, now)
            case journal.TableSwapped(table=table) if table is not None:
                self._adopt(table)
            case _:
                pass  # no message takes a route by it

    def _adopt(self, table: RoutingTable) -> None:
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
