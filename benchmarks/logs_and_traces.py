"""
What logs and traces cost for each message, and open spans in memory.

    python benchmarks/logs_and_traces.py [MESSAGES]

The router runs on a virtual clock between a queue and a Fly in memory, so nothing is waited for and
no call to SQS is paid: what is measured is CPU, and a real message costs more beside it. The ways
take turns within one run, each round in another order. Of a way the median of its rounds is told,
and the median of what it took more than the bare router in the same round. Log lines go to
/dev/null; spans are encoded as for a collector and dropped.
"""

import asyncio
import gc
import statistics
import sys
import time
import timeit
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, redirect_stderr
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from building import message, profile, route, table
from logged import log_of_its_own
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler
from scenario import WALL, Scenario, ScriptedLauncher, running
from virtual_time import VirtualLoop

from lambdo_router.core import journal
from lambdo_router.core.journal import Level
from lambdo_router.core.routing import Queue
from lambdo_router.engine.router import Limits
from lambdo_router.telemetry.logs import configure_logs
from lambdo_router.telemetry.tracing.spans import MOST_MESSAGES, Spans

ROUNDS = 7
BATCH = 25

Prepare = Callable[[Scenario], None]
Way = Callable[[], AbstractContextManager[Prepare]]


class Encoding(SpanExporter):
    """Does the work of an export, and counts."""

    spans = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        encode_spans(spans).SerializeToString()
        Encoding.spans += len(spans)
        return SpanExportResult.SUCCESS


@contextmanager
def nobody() -> Iterator[Prepare]:
    yield lambda _: None


@contextmanager
def idle() -> Iterator[Prepare]:
    yield lambda scenario: scenario.onlookers.append(lambda _: None)


def logs(level: Level) -> Way:
    @contextmanager
    def way() -> Iterator[Prepare]:
        with log_of_its_own(), Path("/dev/null").open("w") as nowhere, redirect_stderr(nowhere):
            observe = configure_logs("json", level).observe
            yield lambda scenario: scenario.onlookers.append(observe)

    return way


def traces(sampler: Sampler) -> Way:
    @contextmanager
    def way() -> Iterator[Prepare]:
        provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        # Larger than by default: a run on a virtual clock makes the spans of hours in a second.
        provider.add_span_processor(BatchSpanProcessor(Encoding(), max_queue_size=1_000_000))

        def prepare(scenario: Scenario) -> None:
            spans = Spans(
                provider.get_tracer("lambdo_router"),
                lambda: WALL + asyncio.get_running_loop().time(),
            )
            scenario.onlookers.append(spans.observe)
            scenario.trace_of = spans.trace_of

        yield prepare
        provider.shutdown()

    return way


WAYS: dict[str, Way] = {
    "nobody looks on": nobody,
    "somebody who does nothing": idle,
    "logs at INFO": logs("info"),
    "logs at DEBUG": logs("debug"),
    "traces, none recorded": traces(ALWAYS_OFF),
    "traces, all recorded": traces(ALWAYS_ON),
}


async def route_all(messages: int, prepare: Prepare) -> None:
    careful = profile(acknowledge="success", batch_size=BATCH, batch_window=1.0)
    routes = table(
        route("thumbs", profile=careful), queues=(Queue("q", url="q", max_waiting=5000),)
    )
    limits = Limits(launch_rate=1000.0, launch_burst=1000)
    async with running(
        routes, ScriptedLauncher(runs_for=1.0), limits=limits, prepare=prepare
    ) as scenario:
        scenario.put(*['{"object": {"key": "a.jpg", "size": 1234}}'] * messages)
        settled = 0
        while settled < messages:
            await asyncio.sleep(1.0)
            settled = sum(isinstance(f, journal.Settled) for _, f in scenario.facts)


def seconds(messages: int, way: Way) -> float:
    """CPU of one run, that of the exporter's thread included."""
    with way() as prepare:
        gc.collect()
        began = time.process_time()
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(route_all(messages, prepare))
    return time.process_time() - began


def open_spans() -> float:
    """Bytes of one message with an open span."""
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    spans = Spans(provider.get_tracer("lambdo_router"))
    received = [journal.Received("q", message(f"{n:036d}")) for n in range(MOST_MESSAGES)]
    gc.collect()
    tracemalloc.start()
    for fact in received:
        spans.observe(fact)
        spans._process(spans.messages["q", fact.message.id])  # noqa: SLF001 - what is measured
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / MOST_MESSAGES


def quiet_fact() -> float:
    """Seconds that a fact takes at INFO that is not logged there."""
    with log_of_its_own():
        observe = configure_logs("json", "info").observe
        fact = journal.Received("q", message())
        return min(timeit.repeat(lambda: observe(fact), number=100_000)) / 100_000


def main() -> None:
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    names = [*WAYS]
    found: dict[str, list[float]] = {name: [] for name in names}
    for name in names:
        seconds(200, WAYS[name])  # imports, caches
    for turn in range(ROUNDS):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            found[name].append(seconds(messages, WAYS[name]))
    bare = found[names[0]]
    print(f"{messages} messages in batches of {BATCH}, median of {ROUNDS} rounds")
    for name, took in found.items():
        us = statistics.median(took) / messages * 1e6
        ratios = sorted(one / other for one, other in zip(took, bare, strict=True))
        print(
            f"{name:26} {us:6.1f} us a message, {statistics.median(ratios):.2f} times"
            f" (from {ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    print(f"{quiet_fact() * 1e6:.2f} us for a fact that is not logged at INFO")
    print(f"{open_spans():.0f} bytes for a message with an open span")


if __name__ == "__main__":
    main()
