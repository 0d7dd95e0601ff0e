"""
What is at this moment: read when somebody scrapes, never on the way of a message.

Levels come from the router; the state of the routes file is folded from the journal's facts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from lambdo_router import __version__
from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.telemetry.metrics import catalogue
from lambdo_router.telemetry.metrics.series import family_of, summed

STATES = (journal.TableActivated, journal.RoutesLoaded, journal.ReloadFailed, journal.Stopping)
"""The facts that change a State."""


@dataclass(slots=True)
class State:
    """What the last facts of their kind have said."""

    table: RoutingTable | None = None
    taken_at: float = 0.0
    refused: bool = False
    stopping: bool = False

    def follow(self, fact: journal.Fact, now: float) -> None:
        """Take one of these facts into account; `now` in unix seconds."""
        match fact:
            case journal.TableActivated():
                self.table, self.taken_at, self.refused = fact.table, now, False
            case journal.RoutesLoaded():
                self.taken_at, self.refused = now, False
            case journal.ReloadFailed():
                self.refused = True
            case journal.Stopping():
                self.stopping = True
            case _:
                pass


class Gauges(Collector):
    """Makes families when it is asked to."""

    def __init__(
        self,
        levels: Callable[[], Snapshot] | None,
        state: State,
        prices_of: str,
        memory: int | None,
    ) -> None:
        """`prices_of` is the date of the price table, `memory` the limit in bytes."""
        self._levels = levels
        self._state = state
        self._prices_of = prices_of
        self._memory = memory

    def describe(self) -> list[Metric]:
        """Nothing: a registry would have to collect to know, and there may be no router yet."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All gauges that are not set as things happen."""
        if self._levels is not None:
            yield from _of_levels(self._levels())
        state = self._state
        if state.table is not None:
            yield from _of_table(state.table)
            yield family_of(catalogue.RELOAD_SUCCESSFUL, [((), 0.0 if state.refused else 1.0)])
            yield family_of(catalogue.RELOAD_SUCCESS_TIME, [((), state.taken_at)])
            yield family_of(catalogue.CONFIG_INFO, [((state.table.generation,), 1.0)])
        yield family_of(catalogue.STOPPING, [((), float(state.stopping))])
        yield family_of(catalogue.BUILD_INFO, [((__version__,), 1.0)])
        yield family_of(catalogue.PRICES, [((self._prices_of,), 1.0)])
        if self._memory is not None:
            yield family_of(catalogue.MEMORY_LIMIT, [((), float(self._memory))])


def _of_levels(levels: Snapshot) -> Iterator[Metric]:
    """A queue is there twice while one of its name drains and another is read: they are added."""
    queues, machines = levels.queues, levels.machines
    yield family_of(catalogue.HELD, summed(((q.queue,), q.held) for q in queues))
    yield family_of(catalogue.WAITING, summed(((q.queue,), q.waiting) for q in queues))
    batched = (((q.queue, route), n) for q in queues for route, n in q.batched.items())
    yield family_of(catalogue.BATCHED, summed(batched))
    reading = (((q.queue,), float(q.state == "reading")) for q in queues)
    yield family_of(catalogue.READING, summed(reading))
    margins: dict[tuple[str, ...], float] = {}
    for level in queues:
        if level.margin is not None:
            labels = (level.queue,)
            margins[labels] = min(level.margin, margins.get(labels, level.margin))
    yield family_of(catalogue.LEASE_MARGIN, margins.items())
    yield family_of(catalogue.RUNNING, (((m.app, m.profile), m.running) for m in machines))
    yield family_of(catalogue.LAUNCHING, (((m.app, m.profile), m.launching) for m in machines))
    yield family_of(
        catalogue.PROFILE_FAILING, (((it.app, it.profile), 1.0) for it in levels.failing)
    )


def _of_table(table: RoutingTable) -> Iterator[Metric]:
    limits = (((queue.name,), queue.max_waiting) for queue in table.sources())
    yield family_of(catalogue.WAITING_LIMIT, limits)
    routes = (
        ((queue, route.name, route.profile.name, app), 1.0)
        for route in table.routes
        for queue in route.queues
        for app in route.profile.apps
    )
    yield family_of(catalogue.ROUTE_INFO, routes)


def memory_limit(root: Path = Path("/")) -> int | None:
    """Bytes that this process may use, by its cgroup and its machine; None if neither is known."""
    limits = []
    for path in ("sys/fs/cgroup/memory.max", "proc/meminfo"):
        try:
            text = (root / path).read_text("ascii")
        except OSError:
            continue
        if text.startswith("MemTotal:"):
            limits.append(int(text.split(maxsplit=2)[1]) * 1024)
        elif text.strip().isdecimal():  # else it is "max"
            limits.append(int(text))
    return min(limits, default=None)
