"""
The spans of messages: `process` from receipt to settlement, with `decide` and `settle` in it.

A message is known here from its receipt until it is held no more. That can fail to be told (a lease
is lost and the message forgotten), so the oldest are given up beyond a bound.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import Span, SpanContext, SpanKind

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.routing import Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Retry
from lambdo_router.core.trace_context import TraceContext, context_of, written_in
from lambdo_router.telemetry.tracing.making import SpanMaker, cut, failed, messaging, remote

MOST: Final = 10_000
"""Messages with an open span: about 33 MB."""

_Key = tuple[str, str]
"""Queue and message id."""


@dataclass(slots=True)
class TracedMessage:
    """One message that is held."""

    queue: str
    id: str
    at: int
    """When it was received."""
    since: int
    """When its last step was over."""
    receives: int
    sender: TraceContext | None
    received_by: SpanContext | None
    span: Span | None = None
    run: Span | None = None
    """In a Machine of an earlier launch."""
    batch_id: str | None = None


class MessageSpans:
    """All messages that are held."""

    def __init__(self, maker: SpanMaker, on_end: Callable[[TracedMessage], None]) -> None:
        """`on_end` is called with each message that is held no more."""
        self._maker = maker
        self._on_end = on_end
        self._held: OrderedDict[_Key, TracedMessage] = OrderedDict()
        self._polls: dict[str, SpanContext] = {}

    def __len__(self) -> int:
        return len(self._held)

    def polled(self, fact: journal.Polled) -> None:
        """A poll has brought messages, which come right after it."""
        if not fact.messages:
            return
        now = self._maker.now()
        span = self._maker.start(
            f"receive {fact.queue}",
            now - int(fact.seconds * 1e9),
            parent=None,
            kind=SpanKind.CLIENT,
            attributes={
                **messaging(fact.queue, "receive", "receive"),
                "messaging.batch.message_count": fact.messages,
            },
        )
        span.end(now)
        self._polls[fact.queue] = span.get_span_context()

    def received(self, fact: journal.Received) -> None:
        """A message is held from now on."""
        message, key, now = fact.message, (fact.queue, fact.message.id), self._maker.now()
        if key in self._held:
            self._end(key, "unknown")
        self._held[key] = TracedMessage(
            queue=fact.queue,
            id=message.id,
            at=now,
            since=now,
            receives=message.receive_count,
            sender=context_of(message, message.attributes),
            received_by=self._polls.get(fact.queue),
        )
        if len(self._held) > MOST:
            self._end(next(iter(self._held)), "unknown")

    def decided(self, fact: journal.Decided) -> None:
        """It is known where a message goes."""
        message = self._held.get((fact.queue, fact.message_id))
        if message is None:
            return
        if isinstance(fact.decision, Routed):
            # With an SNS envelope the sender's attributes are in the body.
            message.sender = written_in(fact.decision.event.attributes) or message.sender
        now = self._maker.now()
        span = self._maker.start(
            "decide",
            message.since,
            parent=self._span(message).get_span_context(),
            attributes={"lambdo.queue": fact.queue, **_outcome(fact.decision)},
        )
        span.end(now)
        message.since = now
        self._span(message).set_attributes(_outcome(fact.decision))

    def batched(self, batch: Batch, batch_id: str) -> Iterator[TracedMessage]:
        """The messages of a batch, each with its span."""
        for entry in batch.entries:
            message = self._held.get((batch.key.queue, entry.message.id))
            if message is not None:
                if message.span is None:  # of a FIFO sequence only the first of a batch is decided
                    message.sender = context_of(entry.message, entry.event.attributes)
                message.batch_id = batch_id
                self._span(message).set_attributes(
                    {"lambdo.route": batch.key.route.name, "lambdo.batch.id": batch_id}
                )
                yield message

    def context(self, message: TracedMessage) -> SpanContext:
        """Where the message stands in its trace."""
        return self._span(message).get_span_context()

    def link(self, message: TracedMessage, batch: SpanContext) -> None:
        """Its batch is in another trace."""
        self._span(message).add_link(batch)

    def advanced(self, queue: str, message_ids: Iterable[str]) -> None:
        """The Machine of these is launched, or has ended: what comes next is their settlement."""
        now = self._maker.now()
        for message_id in message_ids:
            message = self._held.get((queue, message_id))
            if message is not None:
                message.since = now

    def taken_over(self, fact: journal.MachineAdopted) -> None:
        """A Machine of an earlier launch decides for a message."""
        message = self._held.get((fact.queue, fact.message_id))
        if message is None:
            return
        message.run = self._maker.start(
            "run",
            self._maker.now(),
            parent=self._span(message).get_span_context(),
            attributes={"lambdo.machine.id": fact.machine_id, "lambdo.machine.taken_over": True},
        )

    def settled(self, fact: journal.Settled) -> None:
        """A message is held no more, and as wanted."""
        key = (fact.queue, fact.message_id)
        message = self._held.get(key)
        if message is None:
            return
        now = self._maker.now()
        if message.run is not None:
            message.run.end(now)
            message.run, message.since = None, now
        operation, outcome, error_type, why = _settlement(fact)
        span = self._maker.start(
            f"settle {fact.queue}",
            message.since,
            parent=self._span(message).get_span_context(),
            kind=SpanKind.CLIENT,
            attributes={
                **messaging(fact.queue, operation, "settle"),
                "messaging.message.id": fact.message_id,
                "lambdo.settlement": outcome,
            },
        )
        span.end(now)
        if error_type:
            failed(self._span(message), error_type, why)
        self._end(key, outcome)

    def broken(self, queue: str, message_ids: Iterable[str], error_type: str, why: str) -> None:
        """These are held no more, and not as wanted."""
        for message_id in message_ids:
            message = self._held.get((queue, message_id))
            if message is not None:
                failed(self._span(message), error_type, why)
                self._end((queue, message_id), "unknown")

    def lost(self, fact: journal.LeaseLost) -> None:
        """Others may have these. What is in a batch is settled as well as may be, the rest not."""
        for message_id in fact.message_ids:
            message = self._held.get((fact.queue, message_id))
            if message is not None:
                self._span(message).add_event("lease lost", {"lambdo.why": cut(fact.why)})
                if message.batch_id is None:
                    self.broken(fact.queue, (message_id,), "lease_lost", fact.why)

    def redelivered(self, fact: journal.Redelivered) -> None:
        """SQS has delivered a message that is held."""
        message = self._held.get((fact.queue, fact.message_id))
        if message is not None:
            self._span(message).add_event("redelivered", timestamp=self._maker.now())

    def given_back(self, fact: journal.GivenBack) -> None:
        """These are for others, or for the next start."""
        for message_id in fact.message_ids:
            if (fact.queue, message_id) in self._held:
                self._end((fact.queue, message_id), "given_back")

    def end_all(self, queue: str | None = None) -> None:
        """Nothing of a queue (None: of any) is held any more."""
        for key in [key for key in self._held if queue in (None, key[0])]:
            self._end(key, "unknown")

    def _span(self, message: TracedMessage) -> Span:
        """
        The message's own span, made when it is needed first.

        It goes on from its sender, else from the poll that brought it. Only with the decision all
        is known that the sender may have written.
        """
        if message.span is None:
            sender = remote(message.sender) if message.sender is not None else None
            poll = message.received_by
            message.span = self._maker.start(
                f"process {message.queue}",
                message.at,
                parent=sender or poll,
                kind=SpanKind.CONSUMER,
                links=(poll,) if sender is not None and poll is not None else (),
                attributes={
                    **messaging(message.queue, "process", "process"),
                    "messaging.message.id": message.id,
                    "lambdo.message.receives": message.receives,
                },
            )
        return message.span

    def _end(self, key: _Key, outcome: str) -> None:
        message = self._held.pop(key)
        now = self._maker.now()
        if message.run is not None:
            message.run.end(now)
        span = self._span(message)
        span.set_attribute("lambdo.settlement", outcome)
        span.end(now)
        self._on_end(message)


def _outcome(decision: Routed | Refused) -> dict[str, str]:
    if isinstance(decision, Routed):
        return {"lambdo.route": decision.route.name}
    return {"lambdo.refused": decision.reason}


def _settlement(fact: journal.Settled) -> tuple[str, str, str, str]:
    """The call to SQS, what became of the message, and the error with its text, if it is one."""
    match fact.settlement:
        case Acknowledge():
            return "delete", "deleted", "", ""
        case Retry(why=why):
            return "change_visibility", "retried", "retried", why
        case Leave(reason=reason, detail=detail):
            return "leave", "left", reason, detail
        case Reject(rejection=rejection):
            return "send_and_delete", "rejected", rejection.reason, rejection.detail
