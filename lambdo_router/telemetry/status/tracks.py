"""What is remembered of each queue, route and app, and how that reads as a status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from lambdo_router.core.routing import Route
from lambdo_router.core.snapshot import QueueSnapshot
from lambdo_router.telemetry.status.status import (
    AppStatus,
    Failure,
    QueueState,
    QueueStatus,
    RouteState,
    RouteStatus,
    Trouble,
)
from lambdo_router.telemetry.status.tallies import Tally
from lambdo_router.telemetry.status.troubles import is_over

_IDLE_AFTER = 300.0
"""Seconds without a message, a launch or the end of a Machine."""
_ANSWER = 60.0
"""Seconds that Fly may take for an answer: a question that was to be asked again, and failed
again, would have been heard of by then."""
_TOKEN_CODES = frozenset({"bad_token", "forbidden"})
_READ = ("open", "receive")

_QUEUE_COUNTS = ("received", "redelivered", "deleted", "retried", "rejected", "left")
_ROUTE_COUNTS = (
    *("routed", "refused", "launches", "launch_failures", "succeeded", "failed"),
    *("deleted", "retried", "rejected", "left"),
)


def _queue_tally() -> Tally:
    return Tally(_QUEUE_COUNTS)


def _route_tally() -> Tally:
    return Tally(_ROUTE_COUNTS)


@dataclass(slots=True)
class QueueTrack:
    """One queue."""

    name: str
    since: float
    readers: int = 0
    """Two, while a queue that got another address is still drained at the old one."""
    leaving_since: float | None = None
    """Since no route reads it any more, or the router stops."""
    last_poll: float | None = None
    more: bool = False
    lag: float | None = None
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """By what was tried: open, receive, renew, delete."""
    tally: Tally = field(default_factory=_queue_tally)
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def unread(self) -> Trouble | None:
        """Why nothing comes from it."""
        return self.troubles.get("open") or self.troubles.get("receive")

    def count_reason(self, reason: str) -> None:
        """A message is not wanted; the reasons are a closed set."""
        self.reasons[reason] = self.reasons.get(reason, 0) + 1

    def worked(self, what: str, now: float) -> None:
        """A call has succeeded."""
        if self.troubles.pop(what, None) is not None and what in _READ:
            self.since = now

    def status(self, levels: Iterable[QueueSnapshot], now: float) -> QueueStatus:
        """As it is at this moment; there are two levels while its address changes."""
        levels = tuple(levels)
        margins = [level.margin for level in levels if level.margin is not None]
        open_batches: dict[str, int] = {}
        for level in levels:
            for route, count in level.batched.items():
                open_batches[route] = open_batches.get(route, 0) + count
        state, since = self._state()
        troubles = [self.unread, *self.troubles.values()]
        return QueueStatus(
            name=self.name,
            state=state,
            since=since,
            last_poll=self.last_poll,
            more=self.more,
            lag=self.lag,
            held=sum(level.held for level in levels),
            waiting=sum(level.waiting for level in levels),
            open_batches=open_batches,
            lease_margin=min(margins, default=None),
            trouble=next((t for t in troubles if t is not None and not is_over(t, now)), None),
            totals=self.tally.totals(),
            last_minute=self.tally.last_minute(now),
            reasons=dict(self.reasons),
            activity=self.tally.activity(now),
        )

    def _state(self) -> tuple[QueueState, float]:
        if self.leaving_since is not None:
            return "stopping", self.leaving_since
        if self.unread is not None:
            return "failing", self.unread.since
        return ("reading" if self.readers else "opening"), self.since


@dataclass(slots=True)
class RouteTrack:
    """One route of the table in use."""

    route: Route
    place: str
    since: float
    """When it came, was changed, or recovered."""
    launch: Trouble | None = None
    """Also of attempts that are repeated at once, which leave the route `ok`."""
    launch_given_up: bool = False
    """Whether a launch trouble is more than one that passes with the next attempt."""
    run: Trouble | None = None
    last_failure: Failure | None = None
    last_event: float | None = None
    last_sign: float | None = None
    """When something was last heard of it."""
    awake_since: float | None = None
    """Since when the pauses between its signs are short."""
    tally: Tally = field(default_factory=_route_tally)

    def sign(self, now: float) -> None:
        """Something happens with this route."""
        if self.last_sign is None or now - self.last_sign > _IDLE_AFTER:
            self.awake_since = now
        self.last_sign = now

    def launch_works(self, now: float) -> None:
        """Fly has taken a Machine of its profile."""
        if self.launch is not None:
            self.launch, self.launch_given_up, self.since = None, False, now

    def run_works(self, now: float) -> None:
        """A Machine did what it should."""
        if self.run is not None:
            self.run, self.since = None, now

    def status(self, waiting: int, now: float) -> RouteStatus:
        """As it is at this moment, with so many events in open batches."""
        state, since, trouble = self._state(now)
        profile = self.route.profile
        return RouteStatus(
            name=self.route.name,
            place=self.place,
            queues=self.route.queues,
            profile=profile.name,
            app=profile.app,
            apps=profile.apps,
            acknowledge=profile.acknowledge,
            state=state,
            since=since,
            trouble=trouble,
            last_failure=self.last_failure,
            waiting=waiting,
            last_event=self.last_event,
            totals=self.tally.totals(),
            last_minute=self.tally.last_minute(now),
            activity=self.tally.activity(now),
        )

    def _state(self, now: float) -> tuple[RouteState, float, Trouble | None]:
        launch = self.launch if self.launch_given_up else None
        for trouble in (launch, self.run):
            if trouble is not None and not is_over(trouble, now):
                return "failing", trouble.since, trouble
        if self.last_sign is None or self.awake_since is None:
            return "idle", self.since, self.launch
        if now - self.last_sign > _IDLE_AFTER:
            return "idle", self.last_sign, None
        return "ok", max(self.since, self.awake_since), self.launch


@dataclass(slots=True)
class AppTrack:
    """One Fly app."""

    name: str
    trouble: Trouble | None = None

    def status(self, now: float) -> AppStatus:
        """As it is at this moment."""
        trouble = self.trouble
        if trouble is not None and trouble.next_try is not None:
            # That a question succeeded is no news: none of its failure has come.
            trouble = None if now > trouble.next_try + _ANSWER else trouble
        if trouble is None or is_over(trouble, now):
            return AppStatus(self.name, "ok", token_refused=False, trouble=None)
        return AppStatus(self.name, "failing", trouble.code in _TOKEN_CODES, trouble)


def by_queue(levels: Iterable[QueueSnapshot]) -> Mapping[str, list[QueueSnapshot]]:
    """The levels of each queue, by its name."""
    grouped: dict[str, list[QueueSnapshot]] = {}
    for level in levels:
        grouped.setdefault(level.queue, []).append(level)
    return grouped
