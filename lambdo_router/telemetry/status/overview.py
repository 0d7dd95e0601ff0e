"""
Folds the facts of the journal into a bounded memory, from which the status document is made.

What is remembered: tracks of what the table in use names, and the last batches, failures and
reloads, without the body of any message.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from lambdo_router import __version__
from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected
from lambdo_router.core.machine import batch_id_of
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Refused, RoutingTable
from lambdo_router.core.settlement import Reject
from lambdo_router.core.snapshot import QueueSnapshot, Snapshot
from lambdo_router.telemetry.status.document import (
    FORMAT_VERSION,
    FailureKind,
    Reload,
    RouterState,
    RouterStatus,
    Status,
    Trouble,
)
from lambdo_router.telemetry.status.health import health_of
from lambdo_router.telemetry.status.recent import RecentHistory
from lambdo_router.telemetry.status.tracks import (
    QueueTrack,
    RouteTrack,
    app_status,
    cut,
    is_over,
    worse,
)

_RELOADS = 20
_LINES = 50
"""Lines that are kept of a reload's problems, warnings and changes."""
_OF_APPS = frozenset(
    ("bad_token", "forbidden", "app_not_found", "quota", "connection", "unavailable", "unexpected")
)
"""Codes of launch failures that every profile of the app would meet."""
_Handler = Callable[[Any, Any, float], None]
_LossFact = journal.LeaseLost | journal.SettlementFailed | journal.InternalError


class Overview:
    """Observes a router and says how it is."""

    def __init__(self, clock: Callable[[], float], places: Mapping[str, str] | None = None) -> None:
        """`clock` gives unix seconds; `places` are where the first table's routes are written."""
        self._clock = clock
        self._places = places or {}
        self._started = self._since = clock()
        self._state: RouterState = "starting"
        self._stop_by: float | None = None
        self._start_problems: list[str] = []
        self._loaded: journal.RoutesLoaded | None = None
        self._refused: Reload | None = None
        self.table: RoutingTable | None = None
        """The routing table in use."""
        self._queues: dict[str, QueueTrack] = {}
        self._routes: dict[str, RouteTrack] = {}
        self._apps: dict[str, Trouble | None] = {}
        self._sends: dict[str, Trouble] = {}
        """Reject queues that messages cannot be sent to."""
        self._recent = RecentHistory()
        self.observe: journal.Observer = journal.Dispatch(
            {kind: self._at_its_time(handler) for kind, handler in self._HANDLERS.items()}
        )
        """Takes a fact into account."""
        self._reloads: deque[Reload] = deque(maxlen=_RELOADS)

    def cannot_start(self, problem: str) -> None:
        """Note what keeps the router from starting: a queue or an app that cannot be reached."""
        self._start_problems.append(cut(problem))
        self._recent.failed("start", problem, "", self._clock())

    def status(self, snapshot: Snapshot) -> Status:
        """Return the status at this moment, given what the router holds."""
        now, router = self._clock(), self._router()
        held: dict[str, list[QueueSnapshot]] = {}
        for each in snapshot.queues:
            held.setdefault(each.queue, []).append(each)
        queues = tuple(track.status(held.get(n, ()), now) for n, track in self._queues.items())
        waiting: dict[str, int] = {}
        for queue in queues:
            for route, count in queue.open_batches.items():
                waiting[route] = waiting.get(route, 0) + count
        routes = tuple(
            track.status(self._places.get(name, ""), waiting.get(name, 0), now)
            for name, track in self._routes.items()
        )
        apps = tuple(app_status(name, trouble, now) for name, trouble in self._apps.items())
        sends = {name: t for name, t in self._sends.items() if not is_over(t, now)}
        problems = self._start_problems if self._state == "starting" else ()
        return Status(
            format_version=FORMAT_VERSION,
            at=now,
            health=health_of(router, queues, routes, apps, sends, problems, self._refused, now),
            router=router,
            queues=queues,
            routes=routes,
            apps=apps,
            machines=snapshot.machines,
            batches=tuple(self._recent.batches()),
            failures=tuple(reversed(self._recent.failures.values())),
            reloads=tuple(reversed(self._reloads)),
            refused_reload=self._refused,
        )

    def _router(self) -> RouterStatus:
        table = self.table
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

    def _at_its_time(self, handler: _Handler) -> journal.Observer:
        return lambda fact: handler(self, fact, self._clock())

    # Messages and queues

    def _received(self, fact: journal.Received, now: float) -> None:
        if (queue := self._queues.get(fact.queue)) is not None:
            queue.received(fact.message, now)

    def _of_queue(self, fact: Any, now: float) -> None:  # noqa: ANN401 - any with a queue
        if (queue := self._queues.get(fact.queue)) is not None:
            queue.observe(fact, now)

    def _queue_closed(self, fact: journal.QueueClosed, now: float) -> None:
        self._of_queue(fact, now)
        queue = self._queues.get(fact.queue)
        if queue is not None and queue.leaving_since is not None and queue.readers == 0:
            del self._queues[fact.queue]

    def _decided(self, fact: journal.Decided, now: float) -> None:
        decision = fact.decision
        track = None if decision.route is None else self._sign(decision.route.name, now)
        if isinstance(decision, Refused):
            if (queue := self._queues.get(fact.queue)) is not None:
                queue.reasons[decision.reason] += 1
            if track is not None:
                track.counts.add("refused", now)
        elif track is not None:
            track.routed(fact.queue, now)

    def _settled(self, fact: journal.Settled, now: float) -> None:
        settlement = fact.settlement
        if (queue := self._queues.get(fact.queue)) is not None:
            queue.settled(settlement, now)
        if isinstance(settlement, Reject):
            self._sends.pop(settlement.to, None)
        if fact.route is not None and (track := self._routes.get(fact.route)) is not None:
            track.counts.add(settlement.outcome, now)

    def _sign(self, route: str, now: float) -> RouteTrack | None:
        """Note that something happens with a route; return None for one of an earlier table."""
        if (track := self._routes.get(route)) is not None:
            track.sign(now)
        return track

    def _queue_failed(self, fact: journal.QueueFailed, now: float) -> None:
        name, error = fact.queue, fact.error
        self._recent.failed("queue", f"{fact.action}: {error}", error.code, now, queue=name)
        if fact.action == "send":
            self._sends[name] = worse(self._sends.get(name), "send", error, now, fact.pause)
        else:
            self._of_queue(fact, now)

    def _messages_lost(self, fact: _LossFact, now: float) -> None:
        """Note that messages will be delivered again, though nothing was wrong with them."""
        kind: FailureKind
        match fact:
            case journal.LeaseLost(why=why):
                kind, text, code = "lease", f"lease lost: {why}", ""
            case journal.SettlementFailed(action=action, why=why):
                kind, text, code = "settlement", f"{action}: {why}", ""
            case journal.InternalError(error=error):
                kind, code = "defect", type(error).__name__
                text = f"a defect of lambdo-router ({code}); see its log"
                self._recent.broken(fact.message_ids, text, now)
        count = len(fact.message_ids)
        self._recent.failed(kind, text, code, now, count=count, queue=fact.queue)

    # Batches and Machines

    def _batch_closed(self, fact: journal.BatchClosed, now: float) -> None:
        self._recent.update(fact.batch, fact.batch_id, now, waited=fact.waited)
        self._sign(fact.batch.key.route.name, now)

    def _launched(self, fact: journal.Launched, now: float) -> None:
        """Note that Fly has accepted a Machine: its app and its profile work."""
        key, machine = fact.batch.key, fact.machine
        self._recent.update(
            *(fact.batch, fact.batch_id, now),
            state="running" if key.profile.acknowledge == "success" else "launched",
            attempts=fact.attempts,
            machine_id=machine.id,
            machine_name=machine.name,
            region=machine.region,
            launched=now,
            launch_seconds=fact.seconds,
            failure="",
        )
        if key.profile.app in self._apps:
            self._apps[key.profile.app] = None
        if (track := self._sign(key.route.name, now)) is not None:
            track.counts.add("launches", now)
        for other in self._sharing(track, key.profile):
            other.launch_works(now)

    def _launch_failed(self, fact: journal.LaunchFailed, now: float) -> None:
        """Note a failed attempt. A refusal is about the profile: no route with it launches."""
        key, error, pause = fact.batch.key, fact.error, fact.pause
        app, batch_id, text = key.profile.app, batch_id_of(fact.batch), str(error)
        given_up = pause is None
        self._recent.update(
            *(fact.batch, batch_id, now),
            state="not_launched" if given_up else "launching",
            attempts=fact.attempt,
            ended=now if given_up else None,
            failure=cut(text),
        )
        if error.code in _OF_APPS and app in self._apps:
            self._apps[app] = worse(self._apps[app], "launch", error, now, pause)
        failure = self._recent.failed(
            "launch", text, error.code, now, batch=fact.batch, batch_id=batch_id
        )
        if (track := self._sign(key.route.name, now)) is not None:
            track.counts.add("launch_failures", now)
            track.last_failure = failure
        refused = isinstance(error, LaunchRejected)
        for other in self._sharing(track, key.profile):
            if refused or other is track:
                other.launch = worse(other.launch, "launch", error, now, pause)
                other.launch_given_up |= refused or given_up

    def _profile_failing(self, fact: journal.ProfileFailing, now: float) -> None:
        """
        Note when the routes of a refused profile are tried again.

        Not for routes with several apps: another app may accept their next Machine.
        """
        for track in self._routes.values():
            profile, launch = track.route.profile, track.launch
            if launch is not None and (profile.name, profile.apps) == (fact.profile, (fact.app,)):
                track.launch = replace(launch, next_try=now + fact.pause)

    def _machine_ended(self, fact: journal.MachineEnded, now: float) -> None:
        batch, batch_id, machine_id = fact.batch, fact.batch_id, fact.machine_id
        self._recent.update(
            *(batch, batch_id, now),
            state=fact.kind,
            machine_id=machine_id,
            ended=now,
            seconds=fact.seconds,
            exit_code=fact.exit_code,
            reported=fact.reported,
            failure=cut(fact.failure),
        )
        failure, track = None, self._sign(batch.key.route.name, now)
        if fact.failure or fact.reported:
            why = f"the Machine reported {fact.reported} of {len(batch.entries)} as failed"
            failure = self._recent.failed(
                *("machine", fact.failure or why, fact.kind, now),
                batch=batch,
                batch_id=batch_id,
                machine_id=machine_id,
            )
        if track is not None:
            track.ended(fact.failure, now)
            track.last_failure = failure or track.last_failure

    def _watch_failed(self, fact: journal.WatchFailed, now: float) -> None:
        """Note that Fly could not be asked about a Machine, or about all of an app."""
        app, error, machine = fact.app, fact.error, fact.machine_id
        self._recent.failed("watch", str(error), error.code, now, app=app, machine_id=machine)
        if machine is None and app in self._apps:
            self._apps[app] = worse(self._apps[app], "watch", error, now, fact.pause)

    def _report_refused(self, fact: journal.ReportRefused, now: float) -> None:
        batch_id = cut(fact.batch_id)  # whatever the sender of the report wrote
        self._recent.failed("report", fact.why, str(fact.status), now, batch_id=batch_id)

    def _sharing(self, track: RouteTrack | None, profile: Profile) -> list[RouteTrack]:
        """Return the routes whose batches wait for this profile, and the one that launches now."""
        routes = self.table.routes_with(profile) if self.table is not None else ()
        sharing = [self._routes[route.name] for route in routes]
        return sharing if track is None or track in sharing else [track, *sharing]

    # The routes file, and the stop

    def _reload_failed(self, fact: journal.ReloadFailed, now: float) -> None:
        generation = "" if self.table is None else self.table.generation
        self._refused = Reload("refused", now, generation, None, _lines(fact.problems))
        self._reloads.append(self._refused)

    def _routes_loaded(self, fact: journal.RoutesLoaded, now: float) -> None:
        self._refused, self._loaded = None, fact
        if self.table is not None and fact.generation == self.table.generation:
            self._accepted(fact.generation, None, now)

    def _table_activated(self, fact: journal.TableActivated, now: float) -> None:
        if self._state == "starting":
            self._state, self._since = "running", now
        if self._loaded is not None and self._loaded.generation == fact.generation:
            self._places = self._loaded.places
        self._adopt(fact.table, now)
        if fact.previous is not None:
            self._accepted(fact.generation, fact.previous, now)

    def _accepted(self, generation: str, previous: str | None, now: float) -> None:
        loaded = self._loaded or journal.RoutesLoaded(generation, ())
        warnings, changes = _lines(loaded.warnings), _lines(loaded.changes)
        self._reloads.append(Reload("accepted", now, generation, previous, (), warnings, changes))

    def _adopt(self, table: RoutingTable, now: float) -> None:
        """Go over to another table; what stays the same keeps its memory."""
        self.table = table
        names = [queue.name for queue in table.sources()]
        kept = {name: self._queues.get(name) or QueueTrack(name, now) for name in names}
        for track in kept.values():
            track.leaving_since = None
        # One that was never reached has nothing to drain, and its end is never reported.
        leaving = {n: t for n, t in self._queues.items() if n not in kept and t.readers}
        for track in leaving.values():
            track.leaving_since = track.leaving_since or now
        self._queues = {**kept, **leaving}
        before, self._routes = self._routes, {}
        for route in table.routes:
            name = route.name
            if (known := before.get(name)) is not None:
                known.replace(route, now)
            self._routes[name] = known or RouteTrack(route, now)
        self._apps = {name: self._apps.get(name) for name in table.apps}
        self._sends = {name: t for name, t in self._sends.items() if name in table.queues}

    def _stopping(self, fact: journal.Stopping, now: float) -> None:
        self._state, self._since, self._stop_by = "stopping", now, now + fact.grace
        for track in self._queues.values():
            track.leaving_since = track.leaving_since or now

    def _stopped(self, fact: journal.Stopped, now: float) -> None:  # noqa: ARG002 - a handler
        self._state, self._since = "stopped", now

    _HANDLERS: ClassVar[Mapping[type[journal.Fact], _Handler]] = {
        journal.Received: _received,
        journal.Redelivered: _of_queue,
        journal.QueueOpened: _of_queue,
        journal.Polled: _of_queue,
        journal.LeasesRenewed: _of_queue,
        journal.LeaseLost: _messages_lost,
        journal.SettlementFailed: _messages_lost,
        journal.InternalError: _messages_lost,
        journal.QueueClosed: _queue_closed,
        journal.Decided: _decided,
        journal.Settled: _settled,
        journal.QueueFailed: _queue_failed,
        journal.BatchClosed: _batch_closed,
        journal.Launched: _launched,
        journal.LaunchFailed: _launch_failed,
        journal.ProfileFailing: _profile_failing,
        journal.MachineEnded: _machine_ended,
        journal.WatchFailed: _watch_failed,
        journal.ReportRefused: _report_refused,
        journal.ReloadFailed: _reload_failed,
        journal.RoutesLoaded: _routes_loaded,
        journal.TableActivated: _table_activated,
        journal.Stopping: _stopping,
        journal.Stopped: _stopped,
    }
    """The other facts are followed by one of these."""


def _lines(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(map(cut, lines[:_LINES]))
