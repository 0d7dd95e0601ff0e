"""
The spans of batches: `batch` from its first event to the last settlement, with `launch` and `run`.

A batch whose messages are of one trace is part of that trace. Otherwise it begins one of its own,
with links to its messages, and they get a link to it.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.trace import Span, SpanContext, SpanKind

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.machine import batch_id_of
from lambdo_router.core.trace_context import TraceContext
from lambdo_router.telemetry.tracing.making import Attributes, SpanMaker, cut, failed, told

MOST: Final = 2_000
"""Batches with open spans."""


@dataclass(slots=True)
class _TracedBatch:
    span: Span
    launch: Span
    unsettled: int
    launching: bool = True
    run: Span | None = None
    failure: tuple[str, str, int] | None = None
    """Of the last attempt to launch: its class, its text, and when."""


class BatchSpans:
    """All batches that were closed and are not settled yet."""

    def __init__(self, maker: SpanMaker) -> None:
        self._maker = maker
        self._open: OrderedDict[str, _TracedBatch] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open)

    def trace_of(self, batch_id: str) -> TraceContext | None:
        """What the Machine of a batch goes on from."""
        batch = self._open.get(batch_id)
        return told(batch.launch.get_span_context()) if batch is not None else None

    def closed(
        self, fact: journal.BatchClosed, first_at: int, messages: Sequence[SpanContext]
    ) -> SpanContext | None:
        """
        A batch takes no more events, and is about to be launched.

        `first_at` is when its first message was received. Returns where the batch stands, if that
        is a trace of its own.
        """
        now = self._maker.now()
        if fact.batch_id in self._open:
            self._end(fact.batch_id, now)
        alone = len({context.trace_id for context in messages}) != 1
        attributes = _attributes(fact.batch, fact.batch_id)
        span = self._maker.start(
            f"batch {fact.batch.key.route.name}",
            first_at,
            parent=None if alone else messages[0],
            links=messages if len(messages) > 1 else (),
            attributes={**attributes, "messaging.batch.message_count": len(fact.batch.entries)},
        )
        launch = self._maker.start(
            f"launch {fact.batch.key.route.name}",
            now,
            parent=span.get_span_context(),
            kind=SpanKind.CLIENT,
            attributes={**attributes, "lambdo.launch.waited": fact.waited},
        )
        self._open[fact.batch_id] = _TracedBatch(span, launch, len(messages))
        if len(self._open) > MOST:
            self._end(next(iter(self._open)), now)
        return span.get_span_context() if alone else None

    def launch_failed(self, fact: journal.LaunchFailed) -> None:
        """One attempt has failed."""
        batch = self._open.get(batch_id_of(fact.batch))
        if batch is None:
            return
        now, text = self._maker.now(), str(fact.error)
        batch.failure = (fact.error.code, text, now)
        batch.launch.add_event(
            "launch failed",
            {
                "error.type": fact.error.code,
                "error.message": cut(text),
                "lambdo.launch.attempt": fact.attempt,
            },
            now,
        )

    def launched(self, fact: journal.Launched) -> None:
        """Fly has taken the Machine."""
        batch = self._open.get(fact.batch_id)
        if batch is None:
            return
        now, machine = self._maker.now(), fact.machine
        where: Attributes = {
            "lambdo.machine.id": machine.id,
            "lambdo.machine.name": machine.name,
            "lambdo.machine.region": machine.region,
        }
        batch.launch.set_attributes({**where, "lambdo.launch.attempts": fact.attempts})
        batch.launch.end(now)
        batch.launching = False
        batch.span.set_attributes(where)
        if fact.batch.key.profile.acknowledge == "success":
            batch.run = self._maker.start(
                f"run {fact.batch.key.route.name}",
                now,
                parent=batch.span.get_span_context(),
                attributes={**_attributes(fact.batch, fact.batch_id), **where},
            )

    def ended(self, fact: journal.MachineEnded) -> None:
        """The Machine has ended."""
        batch = self._open.get(fact.batch_id)
        if batch is None or batch.run is None:
            return
        now = self._maker.now()
        batch.run.set_attributes({"lambdo.end": fact.kind, "lambdo.reported": fact.reported})
        if fact.exit_code is not None:
            batch.run.set_attribute("process.exit.code", fact.exit_code)
        if fact.seconds is not None:
            batch.run.set_attribute("lambdo.machine.seconds", fact.seconds)
        if fact.failure:
            failed(batch.run, fact.kind, fact.failure)
            failed(batch.span, fact.kind, fact.failure)
        batch.run.end(now)
        batch.run = None
        if batch.unsettled <= 0:
            self._end(fact.batch_id, now)

    def settled(self, batch_id: str) -> None:
        """One message of the batch is held no more."""
        batch = self._open.get(batch_id)
        if batch is not None:
            batch.unsettled -= 1
            if batch.unsettled <= 0:
                self._end(batch_id, self._maker.now())

    def end_all(self) -> None:
        """The router has stopped."""
        now = self._maker.now()
        for batch_id in [*self._open]:
            self._end(batch_id, now)

    def _end(self, batch_id: str, now: int) -> None:
        batch = self._open.pop(batch_id)
        if batch.launching:
            at = now
            if batch.failure is not None:
                code, text, at = batch.failure
                failed(batch.launch, code, text)
                failed(batch.span, code, text)
            batch.launch.end(at)
        if batch.run is not None:
            # At a stop the next start takes the Machine over.
            batch.run.set_attribute("lambdo.end", "not_awaited")
            batch.run.end(now)
        batch.span.end(now)


def _attributes(batch: Batch, batch_id: str) -> dict[str, str]:
    return {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": batch.key.queue,
        "lambdo.route": batch.key.route.name,
        "lambdo.app": batch.key.profile.app,
        "lambdo.batch.id": batch_id,
    }
