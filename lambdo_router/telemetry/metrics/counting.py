"""
From the facts of the journal to counters and histograms.

What a reload may remove is forgotten late: the series of a route, queue, profile or app stay until
the second reload after it has left the routes file. So what still ends under the old table is
counted where it began, and there are never more than two tables' worth of series.
"""

from typing import assert_never

from lambdo_router.core import journal
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.prices import Prices
from lambdo_router.core.routing import Refused, Routed, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Retry
from lambdo_router.telemetry.metrics import catalogue
from lambdo_router.telemetry.metrics.series import Distribution, Names, Shelf
from lambdo_router.telemetry.metrics.spending import Spending


class Counting:
    """Everything that is counted as it happens."""

    def __init__(self, prices: Prices) -> None:
        self.shelf = Shelf()
        self._names: Names = {}
        self._kept: Names = {}
        self._sources: frozenset[str] = frozenset()
        self._ways: frozenset[tuple[str, str, str]] = frozenset()
        self._spending = Spending(self.shelf, prices)
        make, distributions = self.shelf.numbers, self.shelf.distributions
        self._received = make(catalogue.RECEIVED)
        self._redelivered = make(catalogue.REDELIVERED)
        self._age = distributions(catalogue.AGE)
        self._routed = make(catalogue.ROUTED)
        self._refused = make(catalogue.REFUSED)
        self._deleted = make(catalogue.DELETED)
        self._retried = make(catalogue.RETRIED)
        self._rejected = make(catalogue.REJECTED)
        self._left = make(catalogue.LEFT)
        self._given_back = make(catalogue.GIVEN_BACK)
        self._taken_over = make(catalogue.TAKEN_OVER)
        self._sent_to_launch = distributions(catalogue.SENT_TO_LAUNCH)
        self._sent_to_settlement = distributions(catalogue.SENT_TO_SETTLEMENT)
        self._last_poll = make(catalogue.LAST_POLL)
        self._polls = make(catalogue.POLLS)
        self._queue_failures = make(catalogue.QUEUE_FAILURES)
        self._settlement_failures = make(catalogue.SETTLEMENT_FAILURES)
        self._unit_failures = make(catalogue.UNIT_FAILURES)
        self._leases_renewed = make(catalogue.LEASES_RENEWED)
        self._leases_lost = make(catalogue.LEASES_LOST)
        self._renewal_margin = distributions(catalogue.RENEWAL_MARGIN)
        self._batch_events = distributions(catalogue.BATCH_EVENTS)
        self._batch_bytes = distributions(catalogue.BATCH_BYTES)
        self._launch_wait = distributions(catalogue.LAUNCH_WAIT)
        self._launches = make(catalogue.LAUNCHES_DONE)
        self._launch_failures = make(catalogue.LAUNCH_FAILURES)
        self._launch_duration = distributions(catalogue.LAUNCH_DURATION)
        self._ended = make(catalogue.ENDED)
        self._run = distributions(catalogue.RUN)
        self._reported = make(catalogue.REPORTED)
        self._reports = make(catalogue.REPORTS)
        self._overdue = make(catalogue.OVERDUE)
        self._watch_failures = make(catalogue.WATCH_FAILURES)
        self._reloads = make(catalogue.RELOADS)

    def count(self, fact: journal.Fact, now: float) -> None:
        """One fact; `now` in unix seconds. Those of each message come first, for speed."""
        match fact:
            case journal.Received() | journal.Decided() | journal.Settled():
                self._count_message(fact, now)
            case journal.Polled() | journal.QueueFailed() | journal.QueueClosed():
                self._count_polling(fact, now)
            case (
                journal.LeasesRenewed()
                | journal.LeaseLost()
                | journal.Redelivered()
                | journal.MachineAdopted()
                | journal.GivenBack()
                | journal.SettlementFailed()
                | journal.InternalError()
            ):
                self._count_held(fact)
            case journal.BatchClosed() | journal.Launched() | journal.LaunchFailed():
                self._count_launch(fact, now)
            case (
                journal.MachineEnded()
                | journal.ReportTaken()
                | journal.ReportRefused()
                | journal.MachineOverdue()
                | journal.WatchFailed()
            ):
                self._count_machine(fact)
            case journal.RoutesLoaded() | journal.ReloadFailed() | journal.TableActivated():
                self._count_routes(fact)
            case (
                # Levels say what these do, and better: it is gone when it is over.
                journal.QueueOpened()
                | journal.ProfileFailing()
                | journal.ProfileRecovered()
                | journal.Stopping()
                | journal.Stopped()
            ):
                pass

    def _count_message(
        self, fact: journal.Received | journal.Decided | journal.Settled, now: float
    ) -> None:
        match fact:
            case journal.Received(queue=queue, message=message):
                self._received.add((queue,))
                _observe_since(self._age[(queue,)], message.sent_at, now)
                self._spending.received(queue, len(message.body))
            case journal.Decided(queue=queue, decision=Routed(route=route)):
                self._routed.add((queue, route.name))
            case journal.Decided(queue=queue, decision=Refused(reason=reason, route=taken)):
                self._refused.add((queue, taken.name if taken is not None else "", reason))
            case journal.Settled():
                self._count_settlement(fact, now)

    def _count_settlement(self, fact: journal.Settled, now: float) -> None:
        queue, route = fact.queue, fact.route or ""
        match fact.settlement:
            case Acknowledge(why=why):
                self._deleted.add((queue, route, why))
                series = self._sent_to_settlement[(route, "deleted")]
                _observe_since(series, fact.sent_at, now)
            case Retry():
                self._retried.add((queue, route))
            case Leave(reason=reason):
                self._left.add((queue, route, reason))
            case Reject(rejection=rejection):
                self._rejected.add((queue, route, rejection.reason))
                series = self._sent_to_settlement[(route, "rejected")]
                _observe_since(series, fact.sent_at, now)
            case unreachable:
                assert_never(unreachable)
        self._spending.settled(queue, fact.settlement)

    def _count_polling(
        self, fact: journal.Polled | journal.QueueFailed | journal.QueueClosed, now: float
    ) -> None:
        queue = fact.queue
        match fact:
            case journal.Polled():
                self._polls.add((queue,))
                self._last_poll[(queue,)] = now
                self._spending.polled(queue)
            case journal.QueueFailed():
                kind = "refused" if isinstance(fact.error, QueueRefused) else "unavailable"
                self._queue_failures.add((queue, fact.action, kind))
            case journal.QueueClosed():
                # Else it would look like a queue whose polls hang.
                self._last_poll.pop((queue,), None)

    def _count_held(
        self,
        fact: journal.LeasesRenewed
        | journal.LeaseLost
        | journal.Redelivered
        | journal.MachineAdopted
        | journal.GivenBack
        | journal.SettlementFailed
        | journal.InternalError,
    ) -> None:
        queue = (fact.queue,)
        match fact:
            case journal.LeasesRenewed():
                self._leases_renewed.add(queue, fact.messages)
                self._renewal_margin[queue].observe(fact.margin)
                self._spending.changed(fact.queue, "renew", fact.messages)
            case journal.LeaseLost():
                self._leases_lost.add(queue, len(fact.message_ids))
            case journal.Redelivered():
                self._redelivered.add(queue)
            case journal.MachineAdopted():
                self._taken_over.add(queue)
            case journal.GivenBack():
                self._given_back.add(queue, len(fact.message_ids))
                self._spending.changed(fact.queue, "settle", len(fact.message_ids))
            case journal.SettlementFailed():
                # "send to QUEUE" names the queue too, which is another one than the message's.
                action = "send" if fact.action.startswith("send") else fact.action
                self._settlement_failures.add((fact.queue, action), len(fact.message_ids))
            case journal.InternalError():
                self._unit_failures.add(queue)

    def _count_launch(
        self, fact: journal.BatchClosed | journal.Launched | journal.LaunchFailed, now: float
    ) -> None:
        key, entries = fact.batch.key, fact.batch.entries
        app, profile, route = key.profile.app, key.profile.name, key.route.name
        match fact:
            case journal.BatchClosed():
                self._batch_events[(profile,)].observe(len(entries))
                self._batch_bytes[(profile,)].observe(sum(entry.raw_bytes for entry in entries))
                self._launch_wait[(app, profile)].observe(fact.waited)
            case journal.Launched():
                self._launches.add((route, app))
                self._launch_duration[(app,)].observe(fact.seconds)
                series = self._sent_to_launch[(route,)]
                for entry in entries:
                    _observe_since(series, entry.message.sent_at, now)
            case journal.LaunchFailed():
                self._launch_failures.add((route, app, fact.error.code))

    def _count_machine(
        self,
        fact: journal.MachineEnded
        | journal.ReportTaken
        | journal.ReportRefused
        | journal.MachineOverdue
        | journal.WatchFailed,
    ) -> None:
        match fact:
            case journal.MachineEnded():
                key = fact.batch.key
                self._ended.add((key.route.name, fact.kind))
                self._reported.add((key.route.name,), fact.reported)
                if fact.seconds is not None:
                    self._run[(key.profile.name,)].observe(fact.seconds)
                    self._spending.ran(key, fact.seconds, fact.region)
            case journal.ReportTaken():
                self._reports.add(("200",))
            case journal.ReportRefused():
                self._reports.add((str(fact.status),))
            case journal.MachineOverdue():
                self._overdue.add((fact.app,))
            case journal.WatchFailed():
                self._watch_failures.add((fact.app, fact.error.code))

    def _count_routes(
        self, fact: journal.RoutesLoaded | journal.ReloadFailed | journal.TableActivated
    ) -> None:
        match fact:
            case journal.RoutesLoaded():
                self._reloads.add(("loaded",))
            case journal.ReloadFailed():
                self._reloads.add(("refused",))
            case journal.TableActivated(table=table):
                self._take(table)

    def _take(self, table: RoutingTable) -> None:
        """Forget what left the table before the last one, and let what came begin at zero."""
        names, before = names_of(table), self._names
        kept = {label: it | before.get(label, frozenset()) for label, it in names.items()}
        if any(it - kept.get(label, frozenset()) for label, it in self._kept.items()):
            self.shelf.keep(kept)
        self._names, self._kept = names, kept
        self._spending.take(table)
        # A series that appears with its first failure shows no increase: there was nothing before.
        sources = frozenset(queue.name for queue in table.sources())
        for queue in sources - self._sources:
            self._begin_queue(queue)
        for queue, route, app in table.ways - self._ways:
            self._begin_way(queue, route, app)
        self._sources, self._ways = sources, table.ways

    def _begin_queue(self, queue: str) -> None:
        for series in (self._redelivered, self._leases_lost, self._unit_failures):
            series.add((queue,), 0)
        for action in ("delete", "retry", "send"):
            self._settlement_failures.add((queue, action), 0)

    def _begin_way(self, queue: str, route: str, app: str) -> None:
        for kind in ("succeeded", "failed"):
            self._ended.add((route, kind), 0)
        self._launches.add((route, app), 0)
        self._routed.add((queue, route), 0)
        self._retried.add((queue, route), 0)


def names_of(table: RoutingTable) -> Names:
    """What a table's series are labelled with."""
    return {
        "app": frozenset(app for profile in table.profiles for app in profile.apps),
        "profile": frozenset(profile.name for profile in table.profiles),
        "queue": frozenset(table.queues),
        "route": frozenset(route.name for route in table.routes),
    }


def _observe_since(series: Distribution, then: float | None, now: float) -> None:
    """The seconds since; clocks that disagree make no negative ones."""
    if then is not None:
        series.observe(max(0.0, now - then))
