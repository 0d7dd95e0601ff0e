"""
Traces: the journal's facts as spans of OpenTelemetry.

    receive -> process [ decide, settle ]        for each message
               batch   [ launch, run ]           for each batch, with links to its messages

A message's `process` continues its sender's trace, if the message carries one, and the Machine
continues from `launch`. Traces need the extra `otel` and an endpoint in the standard variables.
OpenTelemetry is imported only if both are there, and no problem with it stops the routing. spans.py
makes the spans, export.py sends them; docs/traces.md is for users.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from lambdo_router.core import journal
from lambdo_router.core.structured_log import structlog
from lambdo_router.core.trace_context import TraceContext

log = structlog.get_logger()

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@dataclass(frozen=True, slots=True)
class Traces:
    """The observer that makes spans, if there is one, and the trace of each batch."""

    observers: tuple[journal.Observer, ...] = ()
    trace_of: Callable[[str], TraceContext | None] = lambda _: None
    """Takes the id of a batch that is being launched."""


@asynccontextmanager
async def traces(environment: Mapping[str, str]) -> AsyncIterator[Traces]:
    """
    Make spans while the block runs, if the variables of OpenTelemetry ask for them.

    At the end, send what is left, for a few seconds at most; not if the block fails or is
    cancelled.
    """
    if not is_asked_for(environment):
        yield Traces()
        return
    try:
        reason = unsupported(environment)
        if reason is None:
            from lambdo_router.telemetry.tracing.export import Export

            export = Export(environment)
    except ImportError as error:
        reason = (
            f"{error.name or 'a module'} is missing; install the extra: "
            "pip install 'lambdo-router[otel]'"
        )
    except Exception as error:  # noqa: BLE001 - messages are routed with or without traces
        reason = f"OpenTelemetry does not start: {type(error).__name__}: {error}"
    if reason is not None:
        log.warning("traces.off", reason=reason)
        yield Traces()
        return
    yield Traces((export.spans.observe,), export.spans.trace_of)
    await export.aclose()


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Return whether there is an endpoint, and traces are not switched off."""
    if _value(environment, "OTEL_SDK_DISABLED") == "true":
        return False
    if _value(environment, "OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(_value(environment, *_ENDPOINTS))


def unsupported(environment: Mapping[str, str]) -> str | None:
    """Return which of the variables is not supported, and what is; None if all are."""
    exporter = _value(environment, "OTEL_TRACES_EXPORTER")
    if exporter not in ("", "otlp"):
        return f"OTEL_TRACES_EXPORTER is {exporter}; only otlp and none are supported"
    protocol = _value(environment, *_PROTOCOLS)
    if protocol not in ("", "http/protobuf"):
        return (
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}; only http/protobuf is supported, which "
            "collectors accept on port 4318"
        )
    if not _value(environment, *_ENDPOINTS).startswith(("http://", "https://")):
        return (
            "the endpoint is not a URL; write OTEL_EXPORTER_OTLP_ENDPOINT like "
            "http://collector.internal:4318"
        )
    return None


def _value(environment: Mapping[str, str], *names: str) -> str:
    """Return the first of these that is set and not empty, as OpenTelemetry compares values."""
    return next((v for n in names if (v := environment.get(n, "").strip().lower())), "")


__all__ = ["Traces", "traces"]
