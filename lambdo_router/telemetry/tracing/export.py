"""
The SDK: the attributes of this process, and the way of spans to the collector.

The SDK reads the standard variables itself (OTEL_EXPORTER_OTLP_*, OTEL_BSP_*, OTEL_TRACES_SAMPLER,
OTEL_RESOURCE_ATTRIBUTES, ...). It exports from its own thread and drops spans when its queue is
full, so no message ever waits for a collector.
"""

import asyncio
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from lambdo_router import __version__
from lambdo_router.core.structured_log import structlog
from lambdo_router.telemetry.tracing.spans import Spans

log = structlog.get_logger()

_PATIENCE: Final = 3.0
"""Seconds for the last spans to reach the collector; Fly's kill_timeout has to allow for them."""


class Export:
    """The SDK of this process. Raises what the SDK raises for variables that it cannot parse."""

    def __init__(self, environment: Mapping[str, str], patience: float = _PATIENCE) -> None:
        # Neither the SDK's global provider nor its exit handler: this process closes it in order.
        self._provider = TracerProvider(resource=resource_of(environment), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._patience = patience
        self.spans = Spans(self._provider.get_tracer("lambdo_router", __version__))

    async def aclose(self) -> None:
        """End the open spans and send them, for a bounded time."""
        self.spans.end()
        loop, sent = asyncio.get_running_loop(), asyncio.Event()

        def send() -> None:
            self._provider.shutdown()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(sent.set)

        # In a thread that nobody joins, since the SDK can exceed the timeout it is given.
        threading.Thread(target=send, name="last-traces", daemon=True).start()
        try:
            async with asyncio.timeout(self._patience):
                await sent.wait()
        except TimeoutError:
            log.warning("traces.not_flushed", seconds=self._patience)


def resource_of(environment: Mapping[str, str]) -> Resource:
    """Return the attributes of this process, from Fly and the package; OTEL_* variables win."""
    known = {
        "service.name": "lambdo-router",
        "service.version": __version__,
        "service.instance.id": environment.get("FLY_MACHINE_ID", ""),
        "cloud.region": environment.get("FLY_REGION", ""),
    }
    own = Resource({name: value for name, value in known.items() if value})
    return Resource.create().merge(own).merge(OTELResourceDetector().detect())
