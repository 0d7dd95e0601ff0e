"""
Gauges, read when Prometheus scrapes and never while a message is handled.

The router's snapshot has what it holds and runs; the state of the routes file is kept from facts.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.registry import Collector

from lambdo_router import __version__
from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.telemetry.metrics import catalogue
from lambdo_router.telemetry.metrics.series import family_of


class Gauges(Collector):
    """Makes families when it is asked to."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot] | None,
        price_date: str,
        memory: int | None,
        clock: Callable[[], float],
    ) -> None:
        """`memory` is the limit in bytes, if it is known; `clock` gives unix seconds."""
        self._snapshot = snapshot
        self._price_date = price_date
        self._memory = memory
        self._clock = clock
        self._table: RoutingTable | None = None
        self._loaded_at = 0.0
        self._refused = False
        self._stopping = False

    def readers(self) -> journal.Handlers:
        """Return what keeps what facts say of the routes file, and of the stop."""
        return {
            journal.TableActivated: self._activated,
            journal.RoutesLoaded: self._accepted,
            journal.ReloadFailed: self._failed,
            journal.Stopping: self._stops,
        }

    def _activated(self, fact: journal.TableActivated) -> None:
        self._table = fact.table
        self._accepted(fact)

    def _accepted(self, _: journal.Fact) -> None:
        self._loaded_at, self._refused = self._clock(), False

    def _failed(self, _: journal.ReloadFailed) -> None:
        self._refused = True

    def _stops(self, _: journal.Stopping) -> None:
        self._stopping = True

    def collect(self) -> Iterator[Metric]:
        """Yield all gauges that are not set as things happen."""
        if self._snapshot is not None:
            yield from _of_snapshot(self._snapshot())
        if self._table is not None:
            yield from _of_table(self._table)
            loaded = 0.0 if self._refused else 1.0
            yield family_of(catalogue.RELOAD_SUCCESSFUL, [((), loaded)])
            yield family_of(catalogue.RELOAD_SUCCESS_TIME, [((), self._loaded_at)])
            yield family_of(catalogue.CONFIG_INFO, [((self._table.generation,), 1.0)])
        yield family_of(catalogue.STOPPING, [((), float(self._stopping))])
        yield family_of(catalogue.BUILD_INFO, [((__version__,), 1.0)])
        yield family_of(catalogue.PRICES, [((self._price_date,), 1.0)])
        if self._memory is not None:
            yield family_of(catalogue.MEMORY_LIMIT, [((), float(self._memory))])


def _of_snapshot(snapshot: Snapshot) -> Iterator[Metric]:
    """Yield what is held and runs; a queue is there twice while one of its name drains."""
    queues, machines = snapshot.queues, snapshot.machines
    yield family_of(catalogue.HELD, (((q.queue,), q.held) for q in queues))
    yield family_of(catalogue.WAITING, (((q.queue,), q.waiting) for q in queues))
    batched = (((q.queue, route), n) for q in queues for route, n in q.batched.items())
    yield family_of(catalogue.BATCHED, batched)
    reading = (((q.queue,), float(q.state == "reading")) for q in queues)
    yield family_of(catalogue.READING, reading)
    margins: dict[tuple[str, ...], float] = {}
    for q in queues:
        if q.margin is not None:
            margins[(q.queue,)] = min(q.margin, margins.get((q.queue,), q.margin))
    yield family_of(catalogue.LEASE_MARGIN, margins.items())
    yield family_of(catalogue.RUNNING, (((m.app, m.profile), m.running) for m in machines))
    yield family_of(catalogue.LAUNCHING, (((m.app, m.profile), m.launching) for m in machines))
    failing = (((it.app, it.profile), 1.0) for it in snapshot.failing)
    yield family_of(catalogue.PROFILE_FAILING, failing)


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
    """Return the bytes that this process may use, by its cgroup and its machine, if known."""
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
