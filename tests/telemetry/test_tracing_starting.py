"""Whether there are traces, and how they get to a collector."""

import asyncio
import builtins
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from building import message
from logged import log_of_its_own
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdo_router import __version__
from lambdo_router.admin.serving import serve
from lambdo_router.core import journal
from lambdo_router.telemetry.logs import configure_logs
from lambdo_router.telemetry.tracing import is_asked_for, traces, unsupported
from lambdo_router.telemetry.tracing.export import Export, resource_of

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}


@pytest.fixture(autouse=True)
def _no_traces_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)
    with log_of_its_own():
        yield


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        pytest.param({}, False, id="nothing"),
        pytest.param(ENDPOINT, True, id="endpoint"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True, id="of-traces"
        ),
        pytest.param({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False, id="empty"),
        pytest.param({**ENDPOINT, "OTEL_SDK_DISABLED": "True"}, False, id="disabled"),
        pytest.param({**ENDPOINT, "OTEL_SDK_DISABLED": "false"}, True, id="not-disabled"),
        pytest.param({**ENDPOINT, "OTEL_TRACES_EXPORTER": "none"}, False, id="no-exporter"),
        pytest.param({"OTEL_SERVICE_NAME": "x"}, False, id="a-name-is-no-endpoint"),
    ],
)
def test_traces_need_an_endpoint(environment: dict[str, str], *, expected: bool) -> None:
    assert is_asked_for(environment) is expected


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        pytest.param({}, None, id="plain"),
        pytest.param({"OTEL_TRACES_EXPORTER": "otlp"}, None, id="otlp"),
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf"}, None, id="protobuf"),
        pytest.param({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER", id="zipkin"),
        pytest.param({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "4318", id="grpc"),
        pytest.param(
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "is not a URL", id="no-scheme"
        ),
    ],
)
def test_what_cannot_be_done_is_said(variables: dict[str, str], said: str | None) -> None:
    found = unsupported({**ENDPOINT, **variables})
    assert found is None if said is None else said in (found or "")


@pytest.mark.parametrize("environment", [{}, {**ENDPOINT, "OTEL_SDK_DISABLED": "true"}])
def test_nothing_of_opentelemetry_is_imported_where_nobody_asks_for_it(
    environment: dict[str, str],
) -> None:
    code = (
        "import asyncio, os, sys\n"
        "import lambdo_router.cli.run\n"
        "from lambdo_router.telemetry.tracing import traces\n"
        "async def run():\n"
        "    async with traces(os.environ) as found:\n"
        "        print(len(found.observers), found.trace_of('b'))\n"
        "asyncio.run(run())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    base = {"PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**base, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "0 None\n[]\n"
    assert done.stderr == ""


async def refused(
    environment: Mapping[str, str], capsys: pytest.CaptureFixture[str]
) -> dict[str, Any]:
    """What is logged where there are no traces; the router goes on."""
    configure_logs("json", "info")
    async with traces(environment) as found:
        assert found.observers == ()
        assert found.trace_of("b") is None
    line: dict[str, Any] = json.loads(capsys.readouterr().err)
    assert (line["level"], line["event"]) == ("warning", "traces.off")
    return line


async def test_without_the_extra_the_log_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return real(name, *rest, **named)

    for name in [n for n in sys.modules if n.startswith("lambdo_router.telemetry.tracing.export")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)

    line = await refused(ENDPOINT, capsys)
    assert line["reason"].endswith("install the extra: pip install 'lambdo-router[otel]'")


async def test_what_is_unsupported_is_said_and_stops_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = await refused({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, capsys)
    assert "only http/protobuf" in line["reason"]


async def test_a_value_that_the_sdk_refuses_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    line = await refused(ENDPOINT, capsys)
    assert "max_queue_size must be a positive integer" in line["reason"]


@pytest.mark.parametrize(
    ("variables", "environment", "expected"),
    [
        pytest.param({}, {}, {"service.name": "lambdo-router"}, id="plain"),
        pytest.param(
            {},
            {"FLY_MACHINE_ID": "m1", "FLY_REGION": "iad"},
            {"service.instance.id": "m1", "cloud.region": "iad"},
            id="on-fly",
        ),
        pytest.param(
            {"OTEL_SERVICE_NAME": "mine", "OTEL_RESOURCE_ATTRIBUTES": "service.version=9,team=a"},
            {},
            {"service.name": "mine", "service.version": "9", "team": "a"},
            id="variables-win",
        ),
    ],
)
def test_spans_say_whose_they_are(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    environment: dict[str, str],
    expected: dict[str, str],
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    found = resource_of(environment).attributes
    standard = {"service.name": "lambdo-router", "service.version": __version__}
    assert (standard | expected).items() <= found.items()


# Over the wire


@dataclass
class Collector:
    """Takes spans as a collector does."""

    url: str = ""
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    answering: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: Request) -> Response:
        await self.answering.wait()
        self.headers.append(request.headers)
        self.requests.append(ExportTraceServiceRequest.FromString(await request.body()))
        return Response(b"", media_type="application/x-protobuf")

    def names(self) -> list[str]:
        return sorted(
            span.name
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        )


@asynccontextmanager
async def collector() -> AsyncIterator[Collector]:
    made = Collector()
    made.answering.set()
    app = Starlette(routes=[Route("/v1/traces", made.take, methods=["POST"])])
    async with serve(app) as url:
        made.url = url
        yield made


def facts() -> list[journal.Fact]:
    return [journal.Polled("q", 1, 0.1), journal.Received("q", message())]


@pytest.mark.real_time
async def test_what_is_left_at_the_end_reaches_the_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with collector() as there:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=planted")
        async with traces(os.environ) as found:
            for fact in facts():
                found.observers[0](fact)

    assert there.names() == ["process q", "receive q"]
    assert there.headers[0]["x-key"] == "planted"
    (resource, *_) = there.requests[0].resource_spans
    attributes = {a.key: a.value.string_value for a in resource.resource.attributes}
    assert attributes["service.name"] == "lambdo-router"


@pytest.mark.real_time
async def test_a_collector_that_does_not_answer_holds_the_stop_up_for_a_bounded_time(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logs("json", "info")
    async with collector() as there:
        there.answering.clear()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", there.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "2")
        export = Export({}, patience=0.2)
        for fact in facts():
            export.spans.observe(fact)
        began = time.monotonic()
        await export.aclose()
        took = time.monotonic() - began
        there.answering.set()
        await asyncio.to_thread(_last_traces_are_sent)

    assert 0.2 <= took < 2.0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (line,) = [line for line in lines if line["event"] == "traces.not_flushed"]
    assert line["seconds"] == 0.2


def _last_traces_are_sent() -> None:
    """What the SDK still logs belongs to this test, and to none that comes after it."""
    for thread in threading.enumerate():
        if thread.name == "last-traces":
            thread.join()


async def test_a_block_that_is_cancelled_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    closed: list[Export] = []

    async def aclose(self: Export) -> None:
        closed.append(self)

    monkeypatch.setattr(Export, "aclose", aclose)
    with pytest.raises(asyncio.CancelledError):
        async with traces(os.environ):
            raise asyncio.CancelledError
    assert closed == []
