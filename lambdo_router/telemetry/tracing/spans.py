"""Facts of the journal as spans: an Observer."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry.trace import Tracer

from lambdo_router.core import journal
from lambdo_router.core.trace_context import TraceContext
from lambdo_router.telemetry.tracing.batches import BatchSpans
from lambdo_router.telemetry.tracing.making import SpanMaker
from lambdo_router.telemetry.tracing.messages import MessageSpans, TracedMessage


class Spans:
    """The spans of one router."""

    def __init__(self, tracer: Tracer, wall: Callable[[], float] = time.time) -> None:
        """`wall` gives unix seconds."""
        maker = SpanMaker(tracer, wall)
        self.batches = BatchSpans(maker)
        self.messages = MessageSpans(maker, self._message_ended)
        # The other kinds of facts are of no message and no batch.
        self._readers: Mapping[type[journal.Fact], Callable[[Any], None]] = {
            journal.Polled: self.messages.polled,
            journal.Received: self.messages.received,
            journal.Redelivered: self.messages.redelivered,
            journal.Decided: self.messages.decided,
            journal.MachineAdopted: self.messages.taken_over,
            journal.BatchClosed: self._closed,
            journal.LaunchFailed: self.batches.launch_failed,
            journal.Launched: self._launched,
            journal.MachineEnded: self._machine_ended,
            journal.Settled: self.messages.settled,
            journal.GivenBack: self.messages.given_back,
            journal.LeaseLost: self.messages.lost,
            journal.SettlementFailed: self._settlement_failed,
            journal.InternalError: self._unit_failed,
            journal.QueueClosed: self._queue_closed,
        }

    def observe(self, fact: journal.Fact) -> None:
        """Begin, complete or end the spans that a fact is about."""
        reader = self._readers.get(type(fact))
        if reader is not None:
            reader(fact)

    def trace_of(self, batch_id: str) -> TraceContext | None:
        """What the Machine of a batch goes on from."""
        return self.batches.trace_of(batch_id)

    def end(self) -> None:
        """End whatever is open: the router has stopped."""
        self.messages.end_all()
        self.batches.end_all()

    def _closed(self, fact: journal.BatchClosed) -> None:
        messages = list(self.messages.batched(fact.batch, fact.batch_id))
        if not messages:
            return
        contexts = [self.messages.context(message) for message in messages]
        own = self.batches.closed(fact, min(message.at for message in messages), contexts)
        if own is not None:
            for message in messages:
                self.messages.link(message, own)

    def _launched(self, fact: journal.Launched) -> None:
        self.batches.launched(fact)
        self.messages.advanced(fact.batch.key.queue, fact.batch.message_ids)

    def _machine_ended(self, fact: journal.MachineEnded) -> None:
        self.batches.ended(fact)
        self.messages.advanced(fact.batch.key.queue, fact.batch.message_ids)

    def _settlement_failed(self, fact: journal.SettlementFailed) -> None:
        why = f"{fact.action}: {fact.why}"
        self.messages.broken(fact.queue, fact.message_ids, "settlement_failed", why)

    def _unit_failed(self, fact: journal.InternalError) -> None:
        kind = type(fact.error).__name__
        self.messages.broken(fact.queue, fact.message_ids, kind, str(fact.error))

    def _queue_closed(self, fact: journal.QueueClosed) -> None:
        self.messages.end_all(fact.queue)

    def _message_ended(self, message: TracedMessage) -> None:
        if message.batch_id is not None:
            self.batches.settled(message.batch_id)
