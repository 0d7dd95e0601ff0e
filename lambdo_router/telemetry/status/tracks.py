"""
What is remembered of each queue, route and app, and the status that it amounts to.

A trouble of which nothing was heard for half an hour is over: whatever is retried at all is retried
sooner than that.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchError, LaunchRejected, QueueError, QueueRefused
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Route
from lambdo_router.core.settlement import Settlement
from lambdo_router.core.snapshot import QueueSnapshot
from lambdo_router.telemetry.status.counts import RollingCounts
from lambdo_router.telemetry.status.document import (
    AppStatus,
    FailureRecord,
    QueueState,
    QueueStatus,
    RouteState,
    RouteStatus,
    Trouble,
)

LONGEST_TEXT = 500
FORGOTTEN_AFTER = 1800.0
"""Seconds; the longest delay of a retried message is 900."""
_IDLE_AFTER = 300.0
"""Seconds without a message, a launch or the end of a Machine."""
_ANSWER = 60.0
"""Seconds that Fly may take to answer a retry: if it had failed, that would be known by then."""
_TOKEN_CODES = frozenset({"bad_token", "forbidden"})
_READ = ("open", "receive")
_QUEUE_COUNTS = ("received", "redelivered", "deleted", "retried", "rejected", "left")
_ROUTE_COUNTS = (
    *("routed", "refused", "launches", "launch_failures", "succeeded", "failed"),
    *("deleted", "retried", "rejected", "left"),
)


def cut(text: str) -> str:
    """Shorten a text from elsewhere."""
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def is_over(trouble: Trouble, now: float) -> bool:
    """Whether nothing was heard of it for so long that it no longer counts."""
    return now - trouble.last > FORGOTTEN_AFTER


def worse(
    before: Trouble | None,
    what: str,
    error: LaunchError | QueueError | str,
    now: float,
    pause: float | None = None,
) -> Trouble:
    """Return the trouble that this failure begins or continues."""
    code = "" if isinstance(error, str) else error.code
    next_try = None if pause is None else now + pause
    since, count = now, 1
    if before is not None and not is_over(before, now):
        since, count = before.since, before.count + 1
    refused = isinstance(error, QueueRefused | LaunchRejected)
    return Trouble(what, cut(str(error)), code, since, now, count, next_try, refused)


@dataclass(slots=True)
class QueueTrack:
    """A queue."""

    name: str
    since: float
    readers: int = 0
    """Two while a queue whose address has changed is still drained at the old one."""
    leaving_since: float | None = None
    """Since when no route reads it any more, or the router stops."""
    last_poll: float | None = None
    more: bool = False
    lag: float | None = None
    troubles: dict[str, Trouble] = field(default_factory=dict)
    """By what failed: open, receive, renew, delete."""
    counts: RollingCounts = field(default_factory=lambda: RollingCounts(_QUEUE_COUNTS))
    reasons: Counter[str] = field(default_factory=Counter)

    def observe(self, fact: journal.Fact, now: float) -> None:
        """Take a fact about this queue into account; its messages have methods of their own."""
        match fact:
            case journal.Redelivered():
                self.counts.add("redelivered", now)
            case journal.QueueOpened():
                self._works("open", now)
                self.readers, self.since = self.readers + 1, now
            case journal.QueueClosed():
                self.readers -= 1
            case journal.Polled(messages=messages, limit=limit):
                self._works("receive", now)
                self.last_poll, self.more = now, messages >= limit
            case journal.LeasesRenewed():
                self._works("renew", now)
            case journal.QueueFailed(action=action, error=error, pause=pause):
                before = self.troubles.get(action)
                self.troubles[action] = worse(before, action, error, now, pause)

    def received(self, message: Message, now: float) -> None:
        """Count a message, and note how long it has waited."""
        self.counts.add("received", now)
        if message.receive_count == 1 and (sent_at := message.sent_at) is not None:
            self.lag = max(0.0, now - sent_at)

    def settled(self, settlement: Settlement, now: float) -> None:
        """Count the settlement of a message."""
        self.counts.add(settlement.outcome, now)
        if settlement.outcome == "deleted":
            self._works("delete", now)
        # What `decide` refuses was counted then, with the reason that it gave.
        elif settlement.reason in ("too_large", "max_attempts"):
            self.reasons[settlement.reason] += 1

    def _works(self, what: str, now: float) -> None:
        if self.troubles and self.troubles.pop(what, None) is not None and what in _READ:
            self.since = now

    def status(self, snapshots: Sequence[QueueSnapshot], now: float) -> QueueStatus:
        """Return its status; there are two snapshots while its address changes."""
        margins = [each.margin for each in snapshots if each.margin is not None]
        open_batches = sum((Counter(each.batched) for each in snapshots), Counter[str]())
        unread = self.troubles.get("open") or self.troubles.get("receive")
        state, since = self._state(unread)
        troubles = [unread, *self.troubles.values()]
        return QueueStatus(
            name=self.name,
            state=state,
            since=since,
            last_poll=self.last_poll,
            more=self.more,
            lag=self.lag,
            held=sum(each.held for each in snapshots),
            waiting=sum(each.waiting for each in snapshots),
            open_batches=dict(open_batches),
            lease_margin=min(margins, default=None),
            trouble=next((t for t in troubles if t is not None and not is_over(t, now)), None),
            reasons=dict(self.reasons),
            **self.counts.fields(now),
        )

    def _state(self, unread: Trouble | None) -> tuple[QueueState, float]:
        if self.leaving_since is not None:
            return "stopping", self.leaving_since
        if unread is not None:
            return "failing", unread.since
        return ("reading" if self.readers else "opening"), self.since


@dataclass(slots=True)
class RouteTrack:
    """A route of the table in use."""

    route: Route
    since: float
    """When it came, was changed, or recovered."""
    launch: Trouble | None = None
    """Also attempts that are repeated at once, which leave the route `ok`."""
    launch_given_up: bool = False
    """Whether the launch trouble will outlast the next attempt."""
    run: Trouble | None = None
    last_failure: FailureRecord | None = None
    last_event: float | None = None
    last_sign: float | None = None
    """When something last happened with it."""
    awake_since: float | None = None
    """Since when the pauses between its signs are short."""
    counts: RollingCounts = field(default_factory=lambda: RollingCounts(_ROUTE_COUNTS))
    by_queue: RollingCounts | None = None
    """Messages by queue, if it reads several."""

    def __post_init__(self) -> None:
        if len(self.route.queues) > 1:
            self.by_queue = RollingCounts(self.route.queues)

    def sign(self, now: float) -> None:
        """Note that something happens with this route."""
        if self.last_sign is None or now - self.last_sign > _IDLE_AFTER:
            self.awake_since = now
        self.last_sign = now

    def routed(self, queue: str, now: float) -> None:
        """Count a message; one decided under an earlier table may come from another queue."""
        self.last_event = now
        self.counts.add("routed", now)
        if self.by_queue is not None and queue in self.route.queues:
            self.by_queue.add(queue, now)

    def launch_works(self, now: float) -> None:
        """Note that Fly has accepted a Machine of its profile."""
        if self.launch is not None:
            self.launch, self.launch_given_up, self.since = None, False, now

    def ended(self, failure: str, now: float) -> None:
        """Count a Machine that has ended, and note its failure, if any."""
        self.counts.add("failed" if failure else "succeeded", now)
        if failure:
            self.run = worse(self.run, "run", failure, now)
        elif self.run is not None:
            self.run, self.since = None, now

    def replace(self, route: Route, now: float) -> None:
        """Take the route of a new table; a changed one starts with a clean record."""
        # Perhaps it was fixed. Routes are compared only then: 10,000 of them take 0.07 s.
        if (self.launch is not None or self.run is not None) and self.route != route:
            self.launch = self.run = None
            self.launch_given_up, self.since = False, now
        several = len(route.queues) > 1
        if (several or self.by_queue is not None) and self.route.queues != route.queues:
            self.by_queue = RollingCounts(route.queues) if several else None
        self.route = route

    def status(self, place: str, waiting: int, now: float) -> RouteStatus:
        """Return its status, written at `place`, with this many events in open batches."""
        state, since, trouble = self._state(now)
        profile, counts = self.route.profile, self.counts.fields(now)
        routed = dict.fromkeys(self.route.queues[:1], counts["last_minute"]["routed"])
        return RouteStatus(
            name=self.route.name,
            place=place,
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
            routed_by_queue=routed if self.by_queue is None else self.by_queue.last_minute(now),
            **counts,
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


def app_status(name: str, trouble: Trouble | None, now: float) -> AppStatus:
    """Return the status of a Fly app with this last trouble."""
    # Successful polls are not reported: if nothing follows the next try, it has worked.
    if trouble is not None and trouble.next_try is not None and now > trouble.next_try + _ANSWER:
        trouble = None
    if trouble is None or is_over(trouble, now):
        return AppStatus(name, "ok", token_refused=False, trouble=None)
    return AppStatus(name, "failing", trouble.code in _TOKEN_CODES, trouble)
