"""
The fold: each fact of the journal changes a little of what is remembered.

Everything that is remembered has a bound: tracks of what the table in use names, and the last so
many batches, failures and reloads. Pure but for the clock, which is handed in.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import assert_never

from lambdo_router import __version__
from lambdo_router.core import journal
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.telemetry.status.batches import Batches
from lambdo_router.telemetry.status.health import health_of
from lambdo_router.telemetry.status.known import Known
from lambdo_router.telemetry.status.machines import MachineFact, MachineFold
from lambdo_router.telemetry.status.queues import QueueFold
from lambdo_router.telemetry.status.status import (
    FORMAT_VERSION,
    Reload,
    RouterState,
    RouterStatus,
    Status,
)
from lambdo_router.telemetry.status.tracks import by_queue
from lambdo_router.telemetry.status.troubles import Failures, cut, is_over

_RELOADS = 20
_LINES = 50
"""Of what a reload says."""

RoutesFact = journal.TableActivated | journal.RoutesLoaded | journal.ReloadFailed


class Overview:
    """Remembers what the journal says, for whoever asks how things are."""

    def __init__(self, wall: Callable[[], float], places: Mapping[str, str] | None = None) -> None:
        """`wall` gives unix seconds; `places` are those of the first table's routes."""
        self._wall = wall
        self._places = dict(places or {})
        self._started = self._since = wall()
        self._state: RouterState = "starting"
        self._stop_by: float | None = None
        self._start_problems: list[str] = []
        self._reloads: deque[Reload] = deque(maxlen=_RELOADS)
        self._loaded: journal.RoutesLoaded | None = None
        self._refused: Reload | None = None
        self._known, self._batches, self._failures = Known(), Batches(), Failures()
        self._of_queues = QueueFold(self._known, self._failures)
        self._of_machines = MachineFold(self._known, self._batches, self._failures)

    def cannot_start(self, problem: str) -> None:
        """What keeps the router from starting: a queue or an app that cannot be reached."""
        self._start_problems.append(cut(problem))
        self._failures.note("start", problem, "", self._wall())

    def status(self, levels: Snapshot) -> Status:
        """How things are at this moment, with what the router holds."""
        now, known = self._wall(), self._known
        levels_of, router = by_queue(levels.queues), self._router()
        queues = tuple(t.status(levels_of.get(n, ()), now) for n, t in known.queues.items())
        waiting: dict[str, int] = {}
        for queue in queues:
            for route, count in queue.open_batches.items():
                waiting[route] = waiting.get(route, 0) + count
        routes = tuple(t.status(waiting.get(n, 0), now) for n, t in known.routes.items())
        apps = tuple(track.status(now) for track in known.apps.values())
        sends = {name: t for name, t in known.sends.items() if not is_over(t, now)}
        problems = tuple(self._start_problems)
        return Status(
            format_version=FORMAT_VERSION,
            at=now,
            health=health_of(router, queues, routes, apps, self._refused, sends, problems, now),
            router=router,
            queues=queues,
            routes=routes,
            apps=apps,
            machines=levels.machines,
            batches=tuple(self._batches.newest_first()),
            failures=tuple(self._failures.newest_first()),
            reloads=tuple(reversed(self._reloads)),
            refused_reload=self._refused,
        )

    def _router(self) -> RouterStatus:
        table = self._known.table
        return RouterStatus(
            state=self._state,
            version=__version__,
            started=self._started,
            since=self._since,
            generation="" if table is None else table.generation,
            queues=0 if table is None else len(table.sources()),
            routes=0 if table is None else len(table.routes),
            stop_by=self._stop_by,
        )

    def observe(self, fact: journal.Fact) -> None:
        """Take a fact into account: an Observer."""
        now = self._wall()
        match fact:
            case journal.Received() | journal.Redelivered() | journal.Decided() | journal.Settled():
                self._of_queues.message(fact, now)
            case (
                journal.QueueOpened()
                | journal.QueueClosed()
                | journal.Polled()
                | journal.LeasesRenewed()
            ):
                self._of_queues.queue(fact, now)
            case journal.QueueFailed():
                self._of_queues.failed(fact, now)
            case journal.LeaseLost() | journal.SettlementFailed():
                self._of_queues.loss(fact, now)
            case journal.InternalError():
                self._of_queues.loss(fact, now)
                self._of_machines.broken(fact, now)
            case journal.TableActivated() | journal.RoutesLoaded() | journal.ReloadFailed():
                self._routes_file(fact, now)
            case journal.Stopping(grace=grace):
                self._state, self._since, self._stop_by = "stopping", now, now + grace
                self._known.leave(now)
            case journal.Stopped():
                self._state, self._since = "stopped", now
            case (
                journal.BatchClosed()
                | journal.Launched()
                | journal.LaunchFailed()
                | journal.MachineEnded()
                | journal.WatchFailed()
                | journal.ReportRefused()
                | journal.ProfileFailing()
            ):
                self._machine(fact, now)
            case _:
                pass  # other facts say what comes of it

    def _machine(self, fact: MachineFact, now: float) -> None:
        match fact:
            case journal.BatchClosed():
                self._of_machines.closed(fact, now)
            case journal.Launched():
                self._of_machines.launched(fact, now)
            case journal.LaunchFailed():
                self._of_machines.launch_failed(fact, now)
            case journal.MachineEnded():
                self._of_machines.ended(fact, now)
            case journal.WatchFailed():
                self._of_machines.watch_failed(fact, now)
            case journal.ReportRefused():
                self._of_machines.report_refused(fact, now)
            case journal.ProfileFailing():
                self._of_machines.gate_closed(fact, now)
            case unreachable:
                assert_never(unreachable)

    def _routes_file(self, fact: RoutesFact, now: float) -> None:
        table = self._known.table
        match fact:
            case journal.ReloadFailed(problems=problems):
                generation = "" if table is None else table.generation
                shown = tuple(map(cut, problems[:_LINES]))
                self._refused = Reload("refused", now, generation, None, shown)
                self._reloads.append(self._refused)
            case journal.RoutesLoaded(generation=generation):
                self._refused, self._loaded = None, fact
                if table is not None and generation == table.generation:
                    self._accepted(generation, None, now)
            case journal.TableActivated(generation=generation, previous=previous):
                if self._state == "starting":
                    self._state, self._since = "running", now
                if self._loaded is not None and self._loaded.generation == generation:
                    self._places = dict(self._loaded.places)
                self._known.adopt(fact.table, self._places, now)
                if previous is not None:
                    self._accepted(generation, previous, now)
            case unreachable:
                assert_never(unreachable)

    def _accepted(self, generation: str, previous: str | None, now: float) -> None:
        loaded = self._loaded
        warnings = () if loaded is None else tuple(map(cut, loaded.warnings[:_LINES]))
        changes = () if loaded is None else tuple(map(cut, loaded.changes[:_LINES]))
        self._reloads.append(Reload("accepted", now, generation, previous, (), warnings, changes))
