"""
Count the facts of the journal.

Most metrics name their facts in the catalogue. Here is the rest: what depends on the time of day,
on the settlement, or on prices.

Series are removed late: those of a route, queue, profile or app stay until the second reload after
it has left the routes file. So what ends under the old table is still counted where it began, and
there are never more than two tables' worth of series.
"""

from collections.abc import Callable, Iterator
from operator import attrgetter
from typing import Any, cast

from lambdo_router.core import journal
from lambdo_router.core.log_event import read_all
from lambdo_router.core.prices import Prices
from lambdo_router.core.routing import Refused, RoutingTable
from lambdo_router.telemetry.metrics import catalogue
from lambdo_router.telemetry.metrics.costs import Costs
from lambdo_router.telemetry.metrics.series import Labels, Names, Series

_WAYS_AT_ONCE = 1_000
"""Ways of messages for which series are added in one go."""


class Counting:
    """Everything that is counted as it happens."""

    def __init__(self, prices: Prices, clock: Callable[[], float]) -> None:
        """`clock` gives unix seconds."""
        self.series = Series()
        self._clock = clock
        self._costs = Costs(self.series, prices)
        self._names: Names = {}
        self._kept: Names = {}
        self._sources: frozenset[str] = frozenset()
        self._ways: frozenset[tuple[str, str, str]] = frozenset()

    def readers(self) -> Iterator[journal.Handlers]:
        """Yield what counts facts, by their type."""
        yield {
            journal.Received: self._received,
            journal.Decided: self._decided,
            journal.Settled: self._settled,
            journal.Polled: self._polled,
            journal.QueueClosed: self._queue_closed,
            journal.LeasesRenewed: self._renewed,
            journal.GivenBack: self._given_back,
            journal.SettlementFailed: self._settlement_failed,
            journal.Launched: self._launched,
            journal.MachineEnded: self._ended,
            journal.ReportTaken: self._reported,
            journal.ReportRefused: self._reported,
            journal.TableActivated: self._activated,
        }
        for definition in catalogue.DEFINITIONS:
            if definition.of:
                yield dict.fromkeys(definition.of, self._count_of(definition))

    def _count_of(self, definition: catalogue.Definition) -> Callable[[Any], None]:
        """Return what counts a fact as the catalogue says."""
        # A test has every fact: all of these attributes are texts.
        labels_of = cast("Callable[[object], Labels]", read_all(*definition.labels))
        add, histogram, name = self.series.add, self.series.histogram, definition.value
        if name is None:
            numbers = self.series.numbers(definition)

            def count(fact: journal.Fact) -> None:
                labels = labels_of(fact)
                numbers[labels] = numbers.get(labels, 0) + 1

            return count
        value_of = attrgetter(name)
        if definition.kind == "counter":
            return lambda fact: add(definition, labels_of(fact), value_of(fact))

        def observe(fact: journal.Fact) -> None:
            if (value := value_of(fact)) is not None:
                histogram(definition, labels_of(fact)).observe(value)

        return observe

    def _received(self, fact: journal.Received) -> None:
        message = fact.message
        self._age(catalogue.AGE, (fact.queue,), message.sent_at)
        self._costs.received(fact.queue, len(message.body))

    def _decided(self, fact: journal.Decided) -> None:
        decision = fact.decision
        if isinstance(decision, Refused):
            labels = (fact.queue, fact.route or "", decision.reason)
            self.series.add(catalogue.REFUSED, labels)
        else:
            self.series.add(catalogue.ROUTED, (fact.queue, decision.route.name))

    def _settled(self, fact: journal.Settled) -> None:
        settlement, route = fact.settlement, fact.route or ""
        outcome = settlement.outcome
        counter = catalogue.SETTLED[outcome]
        labels = (fact.queue, route, settlement.reason)
        self.series.add(counter, labels[: len(counter.labels)])
        if outcome in ("deleted", "rejected"):
            self._age(catalogue.SENT_TO_SETTLEMENT, (route, outcome), fact.sent_at)
        self._costs.settled(fact.queue, settlement)

    def _polled(self, fact: journal.Polled) -> None:
        self.series.set(catalogue.LAST_POLL, (fact.queue,), self._clock())
        self.series.step()
        self._costs.polled(fact.queue)

    def _queue_closed(self, fact: journal.QueueClosed) -> None:
        # Otherwise it would look like a queue whose polls hang.
        self.series.set(catalogue.LAST_POLL, (fact.queue,), None)

    def _renewed(self, fact: journal.LeasesRenewed) -> None:
        self._costs.changed(fact.queue, "renew", fact.messages)

    def _given_back(self, fact: journal.GivenBack) -> None:
        self._costs.changed(fact.queue, "settle", fact.messages)

    def _settlement_failed(self, fact: journal.SettlementFailed) -> None:
        # "send to QUEUE" also names a queue, which is not the message's.
        action = "send" if fact.action.startswith("send") else fact.action
        self.series.add(catalogue.SETTLEMENT_FAILURES, (fact.queue, action), fact.messages)

    def _launched(self, fact: journal.Launched) -> None:
        sent = [it.message.sent_at for it in fact.batch.entries if it.message.sent_at is not None]
        if sent:
            now = self._clock()
            observe = self.series.histogram(catalogue.SENT_TO_LAUNCH, (fact.route,)).observe
            for at in sent:
                observe(max(0.0, now - at))

    def _ended(self, fact: journal.MachineEnded) -> None:
        if fact.seconds is not None:
            self._costs.ran(fact.batch.key, fact.seconds, fact.region)

    def _reported(self, fact: journal.ReportTaken | journal.ReportRefused) -> None:
        self.series.add(catalogue.REPORTS, (str(fact.status),))

    def _activated(self, fact: journal.TableActivated) -> None:
        self._costs.take(fact.table)
        self.series.postpone(self._adopt(fact.table))

    def _adopt(self, table: RoutingTable) -> Iterator[None]:
        """Remove what left the table before the last one, and start what is new at zero."""
        names, before = table.names, self._names
        kept = {label: it | before.get(label, frozenset()) for label, it in names.items()}
        if any(it - kept.get(label, frozenset()) for label, it in self._kept.items()):
            yield from self.series.keep(kept)
        self._names, self._kept = names, kept
        # A series that appears with its first failure shows no increase: there was no zero before.
        add = self.series.add
        sources = frozenset(queue.name for queue in table.sources())
        for queue in sources - self._sources:
            for definition in (
                catalogue.REDELIVERED,
                catalogue.LEASES_LOST,
                catalogue.UNIT_FAILURES,
            ):
                add(definition, (queue,), 0)
            for action in ("delete", "retry", "send"):
                add(catalogue.SETTLEMENT_FAILURES, (queue, action), 0)
        yield
        for number, (queue, route, app) in enumerate(table.ways - self._ways):
            for kind in ("succeeded", "failed"):
                add(catalogue.ENDED, (route, kind), 0)
            add(catalogue.LAUNCHES_DONE, (route, app), 0)
            add(catalogue.ROUTED, (queue, route), 0)
            add(catalogue.RETRIED, (queue, route), 0)
            if number % _WAYS_AT_ONCE == 0:
                yield
        self._sources, self._ways = sources, table.ways

    def _age(self, definition: catalogue.Definition, labels: Labels, sent: float | None) -> None:
        """Observe the seconds since a message was sent; never negative if clocks disagree."""
        if sent is not None:
            self.series.histogram(definition, labels).observe(max(0.0, self._clock() - sent))
