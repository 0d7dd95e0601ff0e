"""
How a span is made: at a time that the router says, under a parent that it names.

Attributes are those of OpenTelemetry's semantic conventions for messaging where there are any, and
begin with `lambdo.` where there are none. No body, and no attribute of a message, is in a span.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from lambdo_router.core.trace_context import TraceContext

Attributes = Mapping[str, AttributeValue]

_LONGEST: Final = 500
"""Characters of a text that strangers may have written."""


@dataclass(frozen=True, slots=True)
class SpanMaker:
    """Starts spans. Times are in nanoseconds since 1970, as OpenTelemetry has them."""

    tracer: Tracer
    wall: Callable[[], float]
    """Unix seconds."""

    def now(self) -> int:
        return int(self.wall() * 1e9)

    def start(
        self,
        name: str,
        at: int,
        *,
        parent: SpanContext | None,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Iterable[SpanContext] = (),
        attributes: Attributes,
    ) -> Span:
        """A span that has begun at a time; `parent` None: it begins a trace of its own."""
        # Never the current span of this task: the router's tasks are not those of one message.
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        return self.tracer.start_span(
            name,
            context,
            kind,
            attributes,
            [Link(link) for link in links],
            start_time=at,
        )


def messaging(queue: str, operation: str, kind: str, **more: AttributeValue) -> Attributes:
    """The attributes of a span about messages; `kind` is the type of the operation."""
    return {
        "messaging.system": "aws_sqs",
        "messaging.destination.name": queue,
        "messaging.operation.name": operation,
        "messaging.operation.type": kind,
        **more,
    }


def failed(span: Span, error_type: str, text: str) -> None:
    """Mark a span as one of something that went wrong."""
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR, cut(text)))


def cut(text: str) -> str:
    """The text, no longer than what a span is to carry, and as what the exporter can encode."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return short.encode(errors="replace").decode()


def remote(context: TraceContext) -> SpanContext:
    """A sender's place in its trace."""
    return SpanContext(
        trace_id=int(context.trace_id, 16),
        span_id=int(context.span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(context.flags, 16)),
        trace_state=TraceState.from_header([context.state] if context.state else []),
    )


def told(context: SpanContext) -> TraceContext:
    """A place in a trace of ours, to be told to others."""
    return TraceContext(
        f"{context.trace_id:032x}",
        f"{context.span_id:016x}",
        f"{context.trace_flags:02x}",
        context.trace_state.to_header(),
    )
