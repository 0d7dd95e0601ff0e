"""Facts as spans: what a trace shows of a batch, and what of it a Machine is told."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from building import message, profile, route, table, text
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, ParentBased
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.trace import SpanKind
from scenario import WALL, Scenario, ScriptedLauncher, running

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchRejected, LaunchUnavailable
from lambdo_router.core.machine import Machine, batch_id_of, entry_of
from lambdo_router.core.message import Event
from lambdo_router.core.ports import MachineEnd
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Queue, Refused, Routed
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry
from lambdo_router.telemetry.tracing import spans as spans_module
from lambdo_router.telemetry.tracing.spans import Spans

SENDER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-01"


@dataclass
class Recorder:
    """Spans, and what of them has been exported."""

    wall: Callable[[], float]
    """Unix seconds."""
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    spans: Spans = field(init=False)

    def __post_init__(self) -> None:
        provider = TracerProvider(sampler=ParentBased(ALWAYS_ON), shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(provider.get_tracer("test"), self.wall)

    def all(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def of(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.of(name)
        return span

    def tree(self) -> list[str]:
        """Each span with its seconds since the start, below its parent."""
        lines: list[str] = []

        def add(parent: int | None, depth: int) -> None:
            found = [s for s in self.all() if (s.parent.span_id if s.parent else None) == parent]
            for span in sorted(found, key=lambda s: (s.start_time or 0, s.name)):
                begin, end = (((t or 0) / 1e9 - WALL) for t in (span.start_time, span.end_time))
                lines.append(f"{'  ' * depth}{span.name} {begin:g}-{end:g}")
                add(span.context.span_id, depth + 1)

        add(None, 0)
        return lines

    def link_ids(self, span: ReadableSpan) -> set[int]:
        return {link.context.span_id for link in span.links}


def traced(recorders: list[Recorder]) -> Callable[[Scenario], None]:
    """To be the scenario's `prepare`: its facts become spans."""

    def prepare(scenario: Scenario) -> None:
        recorder = Recorder(lambda: WALL + asyncio.get_running_loop().time())
        recorders.append(recorder)
        scenario.onlookers.append(recorder.spans.observe)
        scenario.trace_of = recorder.spans.trace_of

    return prepare


async def run(
    scene: Callable[[Scenario], object],
    profile_: Profile,
    launcher: ScriptedLauncher | None = None,
    *,
    seconds: float = 60.0,
    queue: Queue = Queue("q", url="q"),
) -> tuple[Recorder, Scenario]:
    """Play a scene from its first second, for so long, and look at the spans afterwards."""
    recorders: list[Recorder] = []
    routes = table(route("thumbs", profile=profile_), queues=(queue,))
    async with running(routes, launcher, prepare=traced(recorders)) as scenario:
        await asyncio.sleep(1.0)
        scene(scenario)
        await asyncio.sleep(seconds)
    recorders[0].spans.end()
    return recorders[0], scenario


CAREFUL = profile(acknowledge="success", batch_size=10, batch_window=2.0)
QUICK = profile(acknowledge="launch")


def environment_of(scenario: Scenario, number: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(scenario.launcher.flown[number].request.body)["config"][
        "env"
    ]
    return found


async def test_the_trace_of_one_batch() -> None:
    launcher = ScriptedLauncher(takes=1.0, runs_for=10.0)

    recorder, _ = await run(lambda s: s.put("{}"), CAREFUL, launcher)

    # The poll began at once and waited for a second; the batch waits for its window, the end of
    # the Machine is seen by the look after it.
    assert recorder.tree() == [
        "receive q 0-1",
        "  process q 1-14",
        "    batch thumbs 1-14",
        "      launch thumbs 3-4",
        "      run thumbs 4-14",
        "    decide 1-1",
        "    settle q 14-14",
    ]


async def test_a_message_goes_on_from_its_sender_and_the_machine_from_the_launch() -> None:
    recorder, scenario = await run(lambda s: s.put("{}", traceparent=SENDER), CAREFUL)
    process, launch = recorder.one("process q"), recorder.one("launch thumbs")

    assert process.parent is not None
    assert process.parent.is_remote
    assert f"{process.parent.trace_id:032x}" == SENDER[3:35]
    assert f"{process.parent.span_id:016x}" == SENDER[36:52]
    assert recorder.link_ids(process) == {recorder.one("receive q").context.span_id}
    assert environment_of(scenario)["TRACEPARENT"] == (
        f"00-{SENDER[3:35]}-{launch.context.span_id:016x}-01"
    )


async def test_a_batch_of_several_traces_begins_one_and_links_to_them() -> None:
    def scene(scenario: Scenario) -> None:
        scenario.put("{}", traceparent=SENDER)
        scenario.put("{}", traceparent=OTHER)

    recorder, scenario = await run(scene, CAREFUL)
    batch, processes = recorder.one("batch thumbs"), recorder.of("process q")

    assert batch.parent is None
    assert recorder.link_ids(batch) == {span.context.span_id for span in processes}
    assert all(batch.context.span_id in recorder.link_ids(span) for span in processes)
    traces = {f"{span.context.trace_id:032x}" for span in processes}
    assert traces == {SENDER[3:35], OTHER[3:35]}
    assert f"{batch.context.trace_id:032x}" in environment_of(scenario)["TRACEPARENT"]


async def test_what_the_sender_does_not_record_is_not_recorded_and_handed_on_all_the_same() -> None:
    unrecorded = SENDER[:-1] + "0"
    recorder, scenario = await run(lambda s: s.put("{}", traceparent=unrecorded), CAREFUL)

    assert [span.name for span in recorder.all()] == ["receive q"]
    parent = environment_of(scenario)["TRACEPARENT"]
    assert parent.startswith(f"00-{SENDER[3:35]}-")
    assert parent.endswith("-00")


async def test_the_trace_state_of_the_sender_goes_on() -> None:
    _, scenario = await run(
        lambda s: s.put("{}", traceparent=SENDER, tracestate="vendor=1"), CAREFUL
    )
    assert environment_of(scenario)["TRACESTATE"] == "vendor=1"


async def test_without_traces_the_sender_s_own_goes_on() -> None:
    routes = table(route(profile=CAREFUL), queues=(Queue("q", url="q"),))
    async with running(routes) as scenario:
        scenario.put("{}", traceparent=SENDER)
        await asyncio.sleep(10)
    assert environment_of(scenario)["TRACEPARENT"] == SENDER


async def test_with_an_sns_envelope_the_sender_s_attributes_are_in_the_body() -> None:
    body = json.dumps(
        {
            "Type": "Notification",
            "Message": "{}",
            "MessageAttributes": {"traceparent": {"Type": "String", "Value": SENDER}},
        }
    )
    queue = Queue("q", url="q", envelope="sns")
    recorder, _ = await run(lambda s: s.put(body), CAREFUL, queue=queue)

    assert f"{recorder.one('process q').context.trace_id:032x}" == SENDER[3:35]


async def test_a_launch_with_acknowledge_launch_has_no_run() -> None:
    recorder, _ = await run(lambda s: s.put("{}"), QUICK)

    assert sorted(span.name for span in recorder.all()) == [
        "batch thumbs",
        "decide",
        "launch thumbs",
        "process q",
        "receive q",
        "settle q",
    ]


async def test_a_machine_that_fails_marks_its_spans() -> None:
    launcher = ScriptedLauncher(ends=[MachineEnd(3)])
    recorder, _ = await run(lambda s: s.put("{}"), CAREFUL, launcher, seconds=13.0)
    ran, batch, process = (recorder.of(n)[0] for n in ("run thumbs", "batch thumbs", "process q"))

    for span, kind in ((ran, "failed"), (batch, "failed"), (process, "retried")):
        assert not span.status.is_ok
        assert span.attributes is not None
        assert span.attributes["error.type"] == kind
    assert ran.attributes is not None
    assert ran.attributes["process.exit.code"] == 3
    assert ran.status.description == "exited with code 3"


async def test_each_attempt_that_fails_is_in_the_launch() -> None:
    busy = LaunchUnavailable("503 busy", code="unavailable")
    launcher = ScriptedLauncher(script=[busy, None])
    recorder, _ = await run(lambda s: s.put("{}"), CAREFUL, launcher)
    launch = recorder.one("launch thumbs")

    assert [(e.name, dict(e.attributes or {})) for e in launch.events] == [
        (
            "launch failed",
            {"error.type": "unavailable", "error.message": "503 busy", "lambdo.launch.attempt": 1},
        )
    ]
    assert launch.attributes is not None
    assert launch.attributes["lambdo.launch.attempts"] == 2
    assert launch.status.is_unset


async def test_a_launch_that_is_refused_ends_its_spans_in_an_error() -> None:
    launcher = ScriptedLauncher(script=[LaunchRejected("422 no image", code="bad_image")])
    recorder, _ = await run(lambda s: s.put("{}"), CAREFUL, launcher, seconds=3.0)

    for name in ("launch thumbs", "batch thumbs"):
        span = recorder.of(name)[0]
        assert span.attributes is not None
        assert span.attributes["error.type"] == "bad_image"
        assert span.status.description == "422 no image"
    assert recorder.of("run thumbs") == []


async def test_at_a_stop_what_is_given_back_ends() -> None:
    recorder, _ = await run(lambda s: s.put("{}"), CAREFUL, seconds=5.0)
    # What was given back comes again with the last poll, and is given back again.
    ran, process, *_ = *recorder.of("run thumbs"), *recorder.of("process q")

    assert (ran.attributes or {})["lambdo.end"] == "not_awaited"
    assert (process.attributes or {})["lambdo.settlement"] == "given_back"
    assert (len(recorder.spans.messages), len(recorder.spans.batches)) == (0, 0)


async def test_the_attributes_are_those_of_the_conventions() -> None:
    recorder, scenario = await run(lambda s: s.put("{}"), CAREFUL)
    known = {
        value
        for name, value in vars(messaging_attributes).items()
        if name.startswith("MESSAGING_") and isinstance(value, str)
    }
    (message_id,) = scenario.settled()
    common = {"messaging.system": "aws_sqs", "messaging.destination.name": "q"}
    expected = {
        "receive q": (SpanKind.CLIENT, "receive", "receive"),
        "process q": (SpanKind.CONSUMER, "process", "process"),
        "settle q": (SpanKind.CLIENT, "delete", "settle"),
    }

    for name, (kind, operation, operation_type) in expected.items():
        span = recorder.one(name)
        found = dict(span.attributes or {})
        assert span.kind == kind
        assert common.items() <= found.items()
        assert found["messaging.operation.name"] == operation
        assert found["messaging.operation.type"] == operation_type
        assert name == "receive q" or found["messaging.message.id"] == message_id
    used = {name for span in recorder.all() for name in span.attributes or {}}
    assert {name for name in used if name.startswith("messaging.")} <= known


async def test_no_body_and_no_attribute_of_a_message_is_in_a_span() -> None:
    body = '{"secret": "planted"}'
    recorder, _ = await run(lambda s: s.put(body, kind="planted"), CAREFUL)
    assert "planted" not in "".join(span.to_json() for span in recorder.all())


# Facts in other orders than a scenario brings them in


def decided(message_id: str = "m1") -> journal.Decided:
    found = route("thumbs", profile=CAREFUL)
    return journal.Decided("q", message_id, Routed(found, CAREFUL, Event("{}", {}, {})))


def batch_of(*message_ids: str) -> Batch:
    entries = tuple(entry_of(message(i), Event("{}", {}, {})) for i in message_ids)
    return Batch(BatchKey("q", route("thumbs", profile=CAREFUL), CAREFUL), entries)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder(lambda: WALL)


def tell(recorder: Recorder, *facts: journal.Fact) -> None:
    for fact in facts:
        recorder.spans.observe(fact)


@pytest.mark.parametrize(
    ("settlement", "operation", "outcome", "error"),
    [
        (Acknowledge("dropped"), "delete", "deleted", None),
        (Retry(5.0, "busy"), "change_visibility", "retried", "retried"),
        (Leave("unmatched", "why"), "leave", "left", "unmatched"),
        (
            Reject("r", Rejection("not_json", "why", None, "q", "m1", 1, 0.0)),
            *("send_and_delete", "rejected", "not_json"),
        ),
    ],
)
def test_every_settlement_is_told_apart(
    recorder: Recorder, settlement: Any, operation: str, outcome: str, error: str | None
) -> None:
    refused = journal.Decided("q", "m1", Refused("unmatched", "why", "leave"))
    tell(recorder, journal.Received("q", message()), refused)
    tell(recorder, journal.Settled("q", "m1", None, settlement))

    settle, process = recorder.one("settle q"), recorder.one("process q")
    assert (settle.attributes or {})["messaging.operation.name"] == operation
    assert (process.attributes or {})["lambdo.settlement"] == outcome
    assert (process.attributes or {}).get("error.type") == error


@pytest.mark.parametrize(
    ("fact", "error"),
    [
        (journal.SettlementFailed("q", ("m1",), "delete", "why"), "settlement_failed"),
        (journal.InternalError("q", ("m1",), KeyError("bug")), "KeyError"),
        (journal.LeaseLost("q", ("m1",), "why"), "lease_lost"),
    ],
)
def test_what_goes_wrong_ends_a_message_with_an_error(
    recorder: Recorder, fact: journal.Fact, error: str
) -> None:
    tell(recorder, journal.Received("q", message()), decided(), fact)

    assert (recorder.one("process q").attributes or {})["error.type"] == error
    assert len(recorder.spans.messages) == 0


def test_a_lost_lease_of_a_launched_message_is_an_event_until_it_is_settled(
    recorder: Recorder,
) -> None:
    tell(recorder, journal.Received("q", message()), decided())
    tell(recorder, journal.BatchClosed(batch_of("m1"), "b1", 0.0))
    tell(recorder, journal.LeaseLost("q", ("m1",), "why"))
    assert recorder.of("process q") == []

    tell(recorder, journal.Settled("q", "m1", "thumbs", Acknowledge("succeeded")))
    assert [event.name for event in recorder.one("process q").events] == ["lease lost"]


def test_a_machine_that_was_taken_over_is_a_run_of_the_message(recorder: Recorder) -> None:
    tell(recorder, journal.Received("q", message(receives=2)), decided())
    tell(recorder, journal.MachineAdopted("q", "m1", "id"))
    tell(recorder, journal.Settled("q", "m1", "thumbs", Acknowledge("succeeded")))

    ran = recorder.one("run")
    assert ran.parent is not None
    assert ran.parent.span_id == recorder.one("process q").context.span_id
    assert (ran.attributes or {})["lambdo.machine.id"] == "id"


def test_the_machine_of_an_ambiguous_launch_that_was_found_is_a_success(
    recorder: Recorder,
) -> None:
    batch = batch_of("m1")
    batch_id = batch_id_of(batch)
    lost = LaunchUnavailable("lost", code="connection", ambiguous=True)
    tell(recorder, journal.Received("q", message()), decided())
    tell(recorder, journal.BatchClosed(batch, batch_id, 0.0))
    tell(recorder, journal.LaunchFailed(batch, lost, 4, None))
    tell(recorder, journal.Launched(batch, Machine("id", "n", "iad"), 1.0, 4, 9.0, batch_id))
    tell(recorder, journal.MachineEnded(batch, batch_id, "id", "succeeded", 0, "", 1.0))
    tell(recorder, journal.Settled("q", "m1", "thumbs", Acknowledge("succeeded")))

    assert recorder.one("launch thumbs").status.is_unset
    assert recorder.one("batch thumbs").status.is_unset


def test_a_message_that_was_never_decided_here_is_made_with_its_batch(recorder: Recorder) -> None:
    # Of a FIFO sequence only the first message of a batch has a decision of its own.
    attributes = {"traceparent": text(SENDER)}
    entry = entry_of(message("m2", attributes=attributes), Event("{}", {}, attributes))
    batch = Batch(batch_of("m1").key, (entry,))
    tell(recorder, journal.Received("q", message("m2", attributes=attributes)))
    tell(recorder, journal.BatchClosed(batch, "b1", 0.0))
    tell(recorder, journal.Settled("q", "m2", "thumbs", Acknowledge("launched")))

    assert f"{recorder.one('batch thumbs').context.trace_id:032x}" == SENDER[3:35]


def test_facts_about_what_is_not_known_are_let_go(recorder: Recorder) -> None:
    batch = batch_of("m1")
    machine = Machine("id", "n", "iad")
    busy = LaunchUnavailable("busy", code="busy")
    tell(
        recorder,
        decided(),
        journal.Redelivered("q", "m1"),
        journal.MachineAdopted("q", "m1", "id"),
        journal.BatchClosed(batch, "b1", 0.0),
        journal.LaunchFailed(batch, busy, 1, None),
        journal.Launched(batch, machine, 1.0, 1, 9.0, "b1"),
        journal.MachineEnded(batch, "b1", "id", "succeeded", 0, "", 1.0),
        journal.Settled("q", "m1", None, Acknowledge("launched")),
        journal.GivenBack("q", ("m1",)),
        journal.LeaseLost("q", ("m1",), "why"),
        journal.SettlementFailed("q", ("m1",), "delete", "why"),
        journal.ProfileRecovered("p", "jobs"),
    )
    assert recorder.all() == []
    assert recorder.spans.trace_of("b1") is None


def test_what_is_never_settled_does_not_fill_the_memory(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spans_module, "MOST_MESSAGES", 5)
    monkeypatch.setattr(spans_module, "MOST_BATCHES", 2)
    for number in range(10):
        tell(recorder, journal.Received("q", message(f"m{number}")), decided(f"m{number}"))
        tell(recorder, journal.BatchClosed(batch_of(f"m{number}"), f"b{number}", 0.0))

    assert (len(recorder.spans.messages), len(recorder.spans.batches)) == (5, 2)
    assert len(recorder.of("process q")) == 5
    assert {(s.attributes or {})["lambdo.settlement"] for s in recorder.of("process q")} == {
        "unknown"
    }


def test_a_queue_that_is_closed_leaves_nothing_open(recorder: Recorder) -> None:
    for queue in ("q", "r"):
        tell(recorder, journal.Received(queue, message()))
    tell(recorder, journal.QueueClosed("q"))
    assert len(recorder.spans.messages) == 1


def test_a_message_that_comes_again_after_it_was_forgotten_has_a_span_of_its_own(
    recorder: Recorder,
) -> None:
    tell(recorder, *[journal.Received("q", message(receives=n)) for n in (1, 2)])
    recorder.spans.end()
    assert [(s.attributes or {})["lambdo.message.receives"] for s in recorder.all()] == [1, 2]


def test_what_cannot_be_encoded_does_not_cost_the_spans_beside_it(recorder: Recorder) -> None:
    tell(recorder, journal.Received("q", message()), decided())
    tell(recorder, journal.Settled("q", "m1", None, Leave("unmatched", "\ud800" + "x" * 600)))
    description = recorder.one("process q").status.description

    assert description == "?" + "x" * 499 + "..."
