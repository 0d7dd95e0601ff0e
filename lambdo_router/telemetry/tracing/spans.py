"""
The spans of messages and batches.

A message has `process` from receipt to settlement, with `decide` and `settle` in it. A batch has
`batch` from its first event to its last settlement, with `launch` and `run`. A batch whose messages
share one trace is part of it; otherwise it begins its own, with links to its messages and back.

Attributes are those of OpenTelemetry's semantic conventions for messaging where there are any, else
they begin with `lambdo.`. No body and no attribute of a message is in a span. What is never settled
(a lease is lost and the message forgotten) is ended when there are too many open spans.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from lambdo_router.core import journal
from lambdo_router.core.routing import Routed
from lambdo_router.core.trace_context import TraceContext, context_of, read_parent, written_in

_Attributes = Mapping[str, AttributeValue]
_W3C: Final = TraceContextTextMapPropagator()

MOST_MESSAGES: Final = 10_000
"""Messages with an open span: about 33 MB."""
MOST_BATCHES: Final = 2_000
_LONGEST: Final = 500
"""Characters of a text that senders may have written."""


@dataclass(slots=True)
class _TracedMessage:
    """One message that is held. Times are nanoseconds since 1970, as OpenTelemetry wants them."""

    queue: str
    id: str
    at: int
    """When it was received."""
    since: int
    """When its last step was over."""
    receives: int
    sender: TraceContext | None
    poll: Span | None
    span: Span | None = None
    run: Span | None = None
    """In a Machine of an earlier launch."""
    batch_id: str | None = None


@dataclass(slots=True)
class _TracedBatch:
    """One batch that was closed and is not settled yet."""

    span: Span
    launch: Span
    unsettled: int
    launching: bool = True
    run: Span | None = None
    failure: tuple[str, str, int] | None = None
    """Of the last attempt to launch: its class, its text, and when."""


class Spans:
    """The spans of one router: `observe` is an Observer."""

    def __init__(self, tracer: Tracer, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives unix seconds."""
        self._tracer = tracer
        self._clock = clock
        self.messages: OrderedDict[tuple[str, str], _TracedMessage] = OrderedDict()
        self.batches: OrderedDict[str, _TracedBatch] = OrderedDict()
        self._polls: dict[str, Span] = {}
        # The other facts are about no message and no batch.
        self._handlers: Mapping[type[journal.Fact], Callable[[Any], None]] = {
            journal.Polled: self._polled,
            journal.Received: self._received,
            journal.Redelivered: self._redelivered,
            journal.Decided: self._decided,
            journal.MachineAdopted: self._adopted,
            journal.BatchClosed: self._closed,
            journal.LaunchFailed: self._launch_failed,
            journal.Launched: self._launched,
            journal.MachineEnded: self._machine_ended,
            journal.Settled: self._settled,
            journal.GivenBack: self._given_back,
            journal.LeaseLost: self._lease_lost,
            journal.SettlementFailed: self._lost,
            journal.InternalError: self._lost,
            journal.QueueClosed: lambda fact: self._end_messages(fact.queue),
        }

    def observe(self, fact: journal.Fact) -> None:
        """Begin, complete or end the spans that a fact is about."""
        if (handle := self._handlers.get(type(fact))) is not None:
            handle(fact)

    def trace_of(self, batch_id: str) -> TraceContext | None:
        """Return what the Machine of a batch continues from."""
        if (batch := self.batches.get(batch_id)) is None:
            return None
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, set_span_in_context(batch.launch))
        return read_parent(carrier.get("traceparent", ""), carrier.get("tracestate", ""))

    def end(self) -> None:
        """End every open span: the router has stopped."""
        self._end_messages()
        for batch_id in [*self.batches]:
            self._end_batch(batch_id)

    def _polled(self, fact: journal.Polled) -> None:
        if not fact.messages:
            return
        now = self._now()
        attributes = {
            **_messaging(fact.queue, "receive", "receive"),
            "messaging.batch.message_count": fact.messages,
        }
        began = now - int(fact.seconds * 1e9)
        span = self._start(f"receive {fact.queue}", began, None, attributes, SpanKind.CLIENT)
        span.end(now)
        self._polls[fact.queue] = span

    def _received(self, fact: journal.Received) -> None:
        message, now = fact.message, self._now()
        key = (fact.queue, message.id)
        if (known := self.messages.get(key)) is not None:
            self._end_message(known, "unknown")
        self.messages[key] = _TracedMessage(
            queue=fact.queue,
            id=message.id,
            at=now,
            since=now,
            receives=message.receive_count,
            sender=context_of(message, message.attributes),
            poll=self._polls.get(fact.queue),
        )
        if len(self.messages) > MOST_MESSAGES:
            self._end_message(next(iter(self.messages.values())), "unknown")

    def _redelivered(self, fact: journal.Redelivered) -> None:
        for message in self._held(fact.queue, (fact.message_id,)):
            self._process(message).add_event("redelivered", timestamp=self._now())

    def _decided(self, fact: journal.Decided) -> None:
        for message in self._held(fact.queue, (fact.message_id,)):
            decision = fact.decision
            if isinstance(decision, Routed):
                # With an SNS envelope the sender's attributes are in the body.
                message.sender = written_in(decision.event.attributes) or message.sender
                outcome = {"lambdo.route": decision.route.name}
            else:
                outcome = {"lambdo.refused": decision.reason}
            now, process = self._now(), self._process(message)
            attributes = {"lambdo.queue": fact.queue, **outcome}
            self._start("decide", message.since, process, attributes).end(now)
            message.since = now
            process.set_attributes(outcome)

    def _adopted(self, fact: journal.MachineAdopted) -> None:
        for message in self._held(fact.queue, (fact.message_id,)):
            machine: _Attributes = {"lambdo.machine.id": fact.machine_id}
            attributes = {**machine, "lambdo.machine.taken_over": True}
            message.run = self._start("run", self._now(), self._process(message), attributes)

    def _settled(self, fact: journal.Settled) -> None:
        for message in self._held(fact.queue, (fact.message_id,)):
            now, process = self._now(), self._process(message)
            if message.run is not None:
                message.run.end(now)
                message.run, message.since = None, now
            settlement = fact.settlement
            attributes = {
                **_messaging(fact.queue, settlement.operation, "settle"),
                "messaging.message.id": fact.message_id,
                "lambdo.settlement": settlement.outcome,
            }
            name, since = f"settle {fact.queue}", message.since
            self._start(name, since, process, attributes, SpanKind.CLIENT).end(now)
            if settlement.outcome != "deleted":
                _fail(process, settlement.reason, settlement.detail)
            self._end_message(message, settlement.outcome)

    def _given_back(self, fact: journal.GivenBack) -> None:
        for message in self._held(fact.queue, fact.message_ids):
            self._end_message(message, "given_back")

    def _lease_lost(self, fact: journal.LeaseLost) -> None:
        for message in self._held(fact.queue, fact.message_ids):
            attributes = {"lambdo.why": _cut(fact.why)}
            self._process(message).add_event("lease lost", attributes, self._now())
            if message.batch_id is None:  # else its Machine decides, and it is settled
                self._break(message, "lease_lost", fact.why)

    def _lost(self, fact: journal.SettlementFailed | journal.InternalError) -> None:
        if isinstance(fact, journal.InternalError):
            error_type, why = fact.error_type, str(fact.error)
        else:
            error_type, why = "settlement_failed", f"{fact.action}: {fact.why}"
        for message in self._held(fact.queue, fact.message_ids):
            self._break(message, error_type, why)

    def _held(self, queue: str, message_ids: Iterable[str]) -> Iterator[_TracedMessage]:
        """Yield those that are known; the others were given up, or never received here."""
        for message_id in message_ids:
            if (message := self.messages.get((queue, message_id))) is not None:
                yield message

    def _process(self, message: _TracedMessage) -> Span:
        """
        Return the message's own span, made when it is first needed.

        It continues its sender's trace, else that of its poll. The sender may only be known once
        the message is decided.
        """
        if message.span is None:
            poll, sender, theirs = message.poll, None, message.sender
            if theirs is not None:
                carrier = {"traceparent": theirs.parent, "tracestate": theirs.state}
                sender = get_current_span(_W3C.extract(carrier))
            message.span = self._start(
                f"process {message.queue}",
                message.at,
                sender or poll,
                {
                    **_messaging(message.queue, "process", "process"),
                    "messaging.message.id": message.id,
                    "lambdo.message.receives": message.receives,
                },
                SpanKind.CONSUMER,
                links=[poll.get_span_context()] if sender and poll else (),
            )
        return message.span

    def _break(self, message: _TracedMessage, error_type: str, why: str) -> None:
        """End a message that was not settled as intended."""
        _fail(self._process(message), error_type, why)
        self._end_message(message, "unknown")

    def _end_messages(self, queue: str | None = None) -> None:
        """End the messages of a queue; None: of all."""
        for message in [it for it in self.messages.values() if queue in (None, it.queue)]:
            self._end_message(message, "unknown")

    def _end_message(self, message: _TracedMessage, outcome: str) -> None:
        del self.messages[(message.queue, message.id)]
        now = self._now()
        if message.run is not None:
            message.run.end(now)
        process = self._process(message)
        process.set_attribute("lambdo.settlement", outcome)
        process.end(now)
        if message.batch_id is not None and (batch := self.batches.get(message.batch_id)):
            batch.unsettled -= 1
            if batch.unsettled <= 0:
                self._end_batch(message.batch_id)

    def _closed(self, fact: journal.BatchClosed) -> None:
        messages = []
        for entry in fact.batch.entries:
            for message in self._held(fact.queue, (entry.message.id,)):
                if message.span is None:  # of a FIFO sequence only the first of a batch is decided
                    message.sender = context_of(entry.message, entry.event.attributes)
                message.batch_id = fact.batch_id
                self._process(message).set_attributes(
                    {"lambdo.route": fact.route, "lambdo.batch.id": fact.batch_id}
                )
                messages.append(message)
        if not messages:
            return
        if fact.batch_id in self.batches:
            self._end_batch(fact.batch_id)
        spans = [self._process(message) for message in messages]
        contexts = [span.get_span_context() for span in spans]
        shared = len({context.trace_id for context in contexts}) == 1
        span = self._start(
            f"batch {fact.route}",
            min(message.at for message in messages),
            spans[0] if shared else None,
            {**_of_batch(fact), "messaging.batch.message_count": fact.events},
            links=contexts if len(contexts) > 1 else (),
        )
        waited = {**_of_batch(fact), "lambdo.launch.waited": fact.waited}
        launch = self._start(f"launch {fact.route}", self._now(), span, waited, SpanKind.CLIENT)
        self.batches[fact.batch_id] = _TracedBatch(span, launch, len(messages))
        if len(self.batches) > MOST_BATCHES:
            self._end_batch(next(iter(self.batches)))
        if not shared:
            for each in spans:
                each.add_link(span.get_span_context())

    def _launch_failed(self, fact: journal.LaunchFailed) -> None:
        batch = self.batches.get(fact.batch_id)
        if batch is not None:
            batch.failure = (fact.code, str(fact.error), self._now())
            attributes: _Attributes = {
                "error.type": fact.code,
                "error.message": _cut(str(fact.error)),
                "lambdo.launch.attempt": fact.attempt,
            }
            batch.launch.add_event("launch failed", attributes, batch.failure[2])

    def _launched(self, fact: journal.Launched) -> None:
        now = self._now()
        if (batch := self.batches.get(fact.batch_id)) is not None:
            where: _Attributes = {
                "lambdo.machine.id": fact.machine.id,
                "lambdo.machine.name": fact.machine.name,
                "lambdo.machine.region": fact.machine.region,
            }
            batch.launch.set_attributes({**where, "lambdo.launch.attempts": fact.attempts})
            batch.launch.end(now)
            batch.launching = False
            batch.span.set_attributes(where)
            if fact.batch.key.profile.acknowledge == "success":
                attributes = {**_of_batch(fact), **where}
                batch.run = self._start(f"run {fact.route}", now, batch.span, attributes)
        self._advance(fact.queue, fact.message_ids, now)

    def _machine_ended(self, fact: journal.MachineEnded) -> None:
        now, batch = self._now(), self.batches.get(fact.batch_id)
        if batch is not None and batch.run is not None:
            batch.run.set_attributes({"lambdo.end": fact.kind, "lambdo.reported": fact.reported})
            if fact.exit_code is not None:
                batch.run.set_attribute("process.exit.code", fact.exit_code)
            if fact.seconds is not None:
                batch.run.set_attribute("lambdo.machine.seconds", fact.seconds)
            if fact.failure:
                _fail(batch.run, fact.kind, fact.failure)
                _fail(batch.span, fact.kind, fact.failure)
            batch.run.end(now)
            batch.run = None
            if batch.unsettled <= 0:
                self._end_batch(fact.batch_id)
        self._advance(fact.queue, fact.message_ids, now)

    def _advance(self, queue: str, message_ids: Iterable[str], now: int) -> None:
        """Let the next step of these messages, their settlement, begin now."""
        for message in self._held(queue, message_ids):
            message.since = now

    def _end_batch(self, batch_id: str) -> None:
        batch, now = self.batches.pop(batch_id), self._now()
        if batch.launching:
            at = now
            if batch.failure is not None:
                code, text, at = batch.failure
                _fail(batch.launch, code, text)
                _fail(batch.span, code, text)
            batch.launch.end(at)
        if batch.run is not None:
            # At a stop; the next start takes the Machine over.
            batch.run.set_attribute("lambdo.end", "not_awaited")
            batch.run.end(now)
        batch.span.end(now)

    def _now(self) -> int:
        return int(self._clock() * 1e9)

    def _start(
        self,
        name: str,
        at: int,
        parent: Span | None,
        attributes: _Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Iterable[SpanContext] = (),
    ) -> Span:
        """Start a span at a time; without a parent it begins a trace."""
        # Never the current span of this task: the router's tasks are not those of one message.
        context = Context() if parent is None else set_span_in_context(parent, Context())
        linked = [Link(link) for link in links]
        return self._tracer.start_span(name, context, kind, attributes, linked, start_time=at)


def _messaging(queue: str, operation: str, kind: str) -> _Attributes:
    return {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": queue,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
    }


def _of_batch(fact: journal.BatchClosed | journal.Launched) -> _Attributes:
    return {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": fact.queue,
        "lambdo.route": fact.route,
        "lambdo.app": fact.app,
        "lambdo.batch.id": fact.batch_id,
    }


def _fail(span: Span, error_type: str, text: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR, _cut(text)))


def _cut(text: str) -> str:
    """Return the text, no longer than a span should carry, as the exporter can encode it."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return short.encode(errors="replace").decode()
