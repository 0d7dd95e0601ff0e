"""Whether there are traces, and what of them the router has to know. Imports no OpenTelemetry."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from lambdo_router.core import journal
from lambdo_router.core.trace_context import TraceContext

log = structlog.get_logger()

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


@dataclass(frozen=True, slots=True)
class Traces:
    """What looks on and makes spans, if anything does, and what a Machine is to go on from."""

    observers: tuple[journal.Observer, ...] = ()
    trace_of: Callable[[str], TraceContext | None] = lambda _: None
    """By the id of a batch that is being launched."""


@asynccontextmanager
async def traces(environment: Mapping[str, str]) -> AsyncIterator[Traces]:
    """
    Spans for as long as the block lasts, where the variables of OpenTelemetry ask for them.

    At the end what is left is sent, for a few seconds at most; not if the block fails or is
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
    except Exception as error:  # noqa: BLE001 - messages are routed with traces or without
        reason = f"OpenTelemetry does not start: {type(error).__name__}: {error}"
    if reason is not None:
        log.warning("traces.off", reason=reason)
        yield Traces()
        return
    yield Traces((export.spans.observe,), export.spans.trace_of)
    await export.aclose()


def is_asked_for(environment: Mapping[str, str]) -> bool:
    """Whether there is an endpoint, and nothing says that there are to be no traces."""
    if _value(environment, "OTEL_SDK_DISABLED") == "true":
        return False
    if _value(environment, "OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(_value(environment, *_ENDPOINTS))


def unsupported(environment: Mapping[str, str]) -> str | None:
    """What of the variables cannot be done here, and what can; None: nothing."""
    exporter = _value(environment, "OTEL_TRACES_EXPORTER")
    if exporter not in ("", "otlp"):
        return f"OTEL_TRACES_EXPORTER is {exporter}; only otlp and none are known here"
    protocol = _value(environment, *_PROTOCOLS)
    if protocol not in ("", "http/protobuf"):
        return (
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}; only http/protobuf is known here, which "
            "collectors take on port 4318"
        )
    if not _value(environment, *_ENDPOINTS).startswith(("http://", "https://")):
        return (
            "the endpoint is no URL; write OTEL_EXPORTER_OTLP_ENDPOINT like "
            "http://collector.internal:4318"
        )
    return None


def _value(environment: Mapping[str, str], *names: str) -> str:
    """The first of these that is set and not empty, as OpenTelemetry compares such values."""
    return next((v for n in names if (v := environment.get(n, "").strip().lower())), "")
