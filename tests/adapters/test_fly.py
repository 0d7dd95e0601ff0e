import asyncio
import json
import logging
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import pytest
from mock_fly import TOKEN, Mocked, always, launcher, outcome
from scripted_runner import ScriptedRunner

from lambdo_router.adapters.fly import FlyLauncher, FlyMachines
from lambdo_router.admin.serving import serve
from lambdo_router.core.errors import (
    LaunchRejected,
    LaunchUnavailable,
)
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.ports import MachineLauncher
from lambdo_router.local.faults import Cut, ErrorAnswer, FaultPlan, LoseAnswer
from lambdo_router.local.machines_server import (
    AT_ONCE,
    SERVICE,
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)

MACHINES = "/v1/apps/jobs/machines"
BODY = json.dumps(
    {
        "name": "lambdo-a-1",
        "region": "iad",
        "config": {
            "image": "nginx",
            "metadata": {"lambdo_batch": "batch-1"},
            "auto_destroy": True,
            "restart": {"policy": "no"},
        },
    }
)
REQUEST = MachineRequest(app="jobs", name="lambdo-a-1", batch_id="batch-1", body=BODY)


def test_the_launcher_is_a_machine_launcher() -> None:
    made: MachineLauncher = launcher(always(200))

    assert repr(made) == "FlyLauncher('https://api.machines.dev')"


# Launching.


@pytest.mark.parametrize("status", [200, 201])
async def test_a_launch_sends_the_body_as_it_is_and_returns_the_machine(status: int) -> None:
    seen: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(status, json={"id": "3d8d", "name": "lambdo-a-1", "region": "ord"})

    async with launcher(handler, base_url="http://fly.test/v1/") as fly:
        assert await fly.launch(REQUEST) == Machine("3d8d", "lambdo-a-1", "ord")
    (request,) = seen
    assert (request.method, str(request.url)) == ("POST", f"http://fly.test{MACHINES}")
    assert request.content == BODY.encode()
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"FlyV1 {TOKEN}"


async def test_a_strange_app_name_stays_one_part_of_the_path() -> None:
    seen: list[bytes] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.raw_path)
        return httpx.Response(200, json={"id": "1"})

    async with launcher(handler) as fly:
        await fly.launch(MachineRequest("../a?b", "n", "b", "{}"))
    assert seen == [b"/v1/apps/..%2Fa%3Fb/machines"]


@pytest.mark.parametrize(
    "body", ["", "no json", "[]", '{"name": "x"}', '{"id": 7}', "[" * 100_000], ids=range(6)
)
async def test_a_success_without_a_machine_is_unclear(body: str) -> None:
    async with launcher(always(200, text=body)) as fly:
        error = await outcome(fly.launch(REQUEST))

    assert isinstance(error, LaunchUnavailable)
    assert (error.code, error.ambiguous) == ("unreadable", True)


async def test_a_launch_is_one_attempt_and_carries_the_servers_wish_for_time() -> None:
    calls: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        calls.append(request.method)
        return httpx.Response(429, headers={"Retry-After": "9"}, json={"error": "slow down"})

    async with launcher(handler) as fly:
        error = await outcome(fly.launch(REQUEST))

    assert calls == ["POST"]
    assert isinstance(error, LaunchUnavailable)
    assert (error.retry_after, error.ambiguous) == (9.0, False)


@pytest.mark.parametrize(
    ("error", "fate", "words"),
    [
        pytest.param(
            aiohttp.ConnectionTimeoutError(), "clear", "no connection in time", id="slow-connect"
        ),
        pytest.param(
            aiohttp.SocketTimeoutError(), "unclear", "no answer in time", id="slow-answer"
        ),
        pytest.param(aiohttp.ClientOSError(), "unclear", "the connection broke", id="broken"),
        pytest.param(
            aiohttp.ServerDisconnectedError(), "unclear", "the connection was closed", id="cut-off"
        ),
        pytest.param(
            aiohttp.ClientPayloadError("not completed"),
            "unclear",
            "the answer broke off (not completed)",
            id="cut-body",
        ),
        pytest.param(
            aiohttp.ClientConnectionError(f"broke after {TOKEN}"),
            "unclear",
            "the request failed (broke after [token])",
            id="broken-while-sending",
        ),
        pytest.param(
            OSError("[SSL: BAD_RECORD]"),
            "unclear",
            "the connection broke ([SSL: BAD_RECORD])",
            id="tls-in-mid-stream",
        ),
        pytest.param(
            type("NewError", (aiohttp.ClientConnectionError,), {})("new"),
            "unclear",
            "the request failed (new)",
            id="one-that-aiohttp-may-grow",
        ),
    ],
)
async def test_a_lost_connection_is_unclear_only_if_something_was_sent(
    error: Exception, fate: str, words: str
) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise error

    async with launcher(handler) as fly:
        failed = await outcome(fly.launch(REQUEST))

    assert isinstance(failed, LaunchUnavailable)
    assert str(failed) == f"Machines API at https://api.machines.dev: {words}"
    assert ("unclear" if failed.ambiguous else "clear") == fate
    assert failed.code == "connection"
    assert failed.__cause__ is error


async def test_an_answer_that_trickles_in_is_given_up() -> None:
    async def handler(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(10_000.0)
        return httpx.Response(200)

    async with launcher(handler, timeout=30.0) as fly:
        error = await outcome(fly.launch(REQUEST))

    assert asyncio.get_running_loop().time() == 70.0
    assert isinstance(error, LaunchUnavailable)
    assert error.ambiguous


# Checking at the start.


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        pytest.param(200, "[]", None, id="fine"),
        pytest.param(401, "{}", ("LaunchRejected", "bad_token"), id="401"),
        pytest.param(403, "{}", ("LaunchRejected", "forbidden"), id="403"),
        pytest.param(
            404, '{"error": "App not found"}', ("LaunchRejected", "app_not_found"), id="404"
        ),
        pytest.param(500, "", ("LaunchUnavailable", "unavailable"), id="500"),
        pytest.param(
            404,
            "<title>404 Not Found</title>",
            "cannot tell whether the token is good for the app jobs: Machines API: 404 Not Found",
            id="404-of-another-kind",
        ),
        pytest.param(
            405,
            "",
            "cannot tell whether the token is good for the app jobs: "
            "Machines API: 405 Method Not Allowed",
            id="405",
        ),
        pytest.param(
            429,
            "",
            "cannot tell whether the token is good for the app jobs: "
            "Machines API: 429 Too Many Requests",
            id="429",
        ),
        pytest.param(
            200,
            "<html>",
            "https://api.machines.dev does not answer like a Machines API: <html>",
            id="no-list",
        ),
    ],
)
async def test_a_check(status: int, body: str, expected: str | tuple[str, str] | None) -> None:
    async with launcher(always(status, text=body)) as fly:
        if isinstance(expected, tuple):
            error = await outcome(fly.check("jobs"))
            assert (type(error).__name__, error.code) == expected
        else:
            assert await fly.check("jobs") == expected


@pytest.mark.real_time
async def test_where_nothing_listens_nothing_was_sent() -> None:
    async with FlyLauncher(token=TOKEN, base_url="127.0.0.1:1") as fly:
        error = await outcome(fly.check("jobs"))

    assert isinstance(error, LaunchUnavailable)
    assert (error.code, error.ambiguous) == ("connection", False)
    assert str(error).startswith("Machines API at http://127.0.0.1:1: cannot connect")


# The token stays where it belongs.


@pytest.mark.parametrize(
    "handler",
    [
        pytest.param(always(401, json={"error": f"bad token {TOKEN}"}), id="echoed"),
        pytest.param(always(400, text=f"<title>FlyV1 {TOKEN}"), id="echoed-in-a-page"),
        pytest.param(always(500, text=f"{'x' * 190}{TOKEN}"), id="cut-in-half"),
        pytest.param(always(500, headers={"fly-request-id": TOKEN}), id="in-a-header"),
        pytest.param(always(400, json={"error": "fm2_second-half is bad"}), id="one-part"),
        pytest.param(always(200, text=TOKEN), id="in-a-success"),
    ],
)
async def test_the_token_is_in_no_error_no_repr_and_no_log(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with FlyMachines(token=TOKEN, session=Mocked(handler)) as fly:
        errors = [
            await outcome(fly.launch(REQUEST)),
            await outcome(fly.find(REQUEST)),
            await outcome(fly.living("jobs")),
            await outcome(fly.launched_since("jobs", 0.0)),
            await outcome(fly.end_of("jobs", "m1")),
            await outcome(fly.metadata("jobs", "m1")),
        ]
        written = [repr(fly), caplog.text]
    written += ["".join(traceback.format_exception(error)) for error in errors]

    for part in ("fm2_planted", "fm2_second", "planted-token", "second-half"):
        assert all(part not in text for text in written)


# Against the embedded server.


@asynccontextmanager
async def embedded(
    server: MachinesServer, faults: FaultPlan | None = None
) -> AsyncIterator[FlyLauncher]:
    session = Mocked(app=machines_app(server, faults))
    async with (
        server.running(),
        FlyLauncher(token="good", base_url="localhost", session=session) as fly,
    ):
        yield fly


def a_server(**more: Any) -> MachinesServer:
    return MachinesServer(
        ScriptedRunner(seconds=lambda _: 5.0),
        Access({"good": {"jobs"}}),
        AT_ONCE,
        limits=RateLimits(enabled=False),
        **more,
    )


async def test_a_repeat_adopts_the_machine_while_it_lives_and_finds_it_afterwards() -> None:
    server = a_server()
    async with embedded(server) as fly:
        assert await fly.check("jobs") is None
        assert await fly.find(REQUEST) is None
        made = await fly.launch(REQUEST)
        again = await fly.launch(REQUEST)
        await asyncio.sleep(10.0)
        found = await fly.find(REQUEST)

    assert made == Machine(server.machines()[0].id, "lambdo-a-1", "iad")
    assert again == found == Machine(made.id, "lambdo-a-1", "iad", adopted=True)
    assert len(server.machines()) == 1


async def test_a_later_delivery_of_the_same_messages_is_told_apart() -> None:
    server = a_server()
    later = MachineRequest("jobs", "lambdo-a-1", "batch-2", BODY.replace("batch-1", "batch-2"))
    async with embedded(server) as fly:
        first = await fly.launch(REQUEST)
        await asyncio.sleep(10.0)
        assert await fly.find(later) is None
        second = await fly.launch(later)
        await asyncio.sleep(10.0)
        found = [await fly.find(request) for request in (REQUEST, later)]

    assert [machine and machine.id for machine in found] == [first.id, second.id]


@pytest.mark.parametrize("mishap", ["empty_list", "stale_list"])
async def test_one_list_that_lags_hides_no_machine(mishap: Any) -> None:
    server = a_server()
    async with embedded(server) as fly:
        made = await fly.launch(REQUEST)
        server.mishaps.script(mishap)
        found = await fly.find(REQUEST)

    assert found == Machine(made.id, made.name, made.region, adopted=True)


async def test_a_408_may_have_created_the_machine() -> None:
    server = a_server()
    server.mishaps.script("late_answer")
    async with embedded(server) as fly:
        error = await outcome(fly.launch(REQUEST))
        found = await fly.find(REQUEST)

    assert isinstance(error, LaunchUnavailable)
    assert (error.code, error.ambiguous) == ("deadline", True)
    assert found is not None
    assert found.id == server.machines()[0].id


async def test_full_regions_a_wrong_app_and_a_wrong_token_are_told_apart() -> None:
    server = a_server()
    server.full_regions.add("iad")
    async with embedded(server) as fly:
        full = await outcome(fly.launch(REQUEST))
        other = await outcome(fly.launch(MachineRequest("others", "a", "b", BODY)))
        session = Mocked(app=machines_app(server))
        async with FlyLauncher(token="bad", base_url="localhost", session=session) as stranger:
            wrong = await outcome(stranger.check("jobs"))

    assert (type(full), full.code) == (LaunchUnavailable, "region_capacity")
    assert (type(other), other.code) == (LaunchRejected, "forbidden")
    assert (type(wrong), wrong.code) == (LaunchRejected, "bad_token")


@pytest.mark.real_time
async def test_over_real_connections_a_lost_answer_is_unclear_and_then_found() -> None:
    server, plan = a_server(), FaultPlan()
    plan.script(SERVICE, "create", Cut(), ErrorAnswer(502), LoseAnswer(halfway=True))
    async with (
        server.running(),
        serve(machines_app(server, plan)) as base_url,
        FlyLauncher(token="good", base_url=base_url.removeprefix("http://")) as fly,
    ):
        errors = [await outcome(fly.launch(REQUEST)) for _ in range(3)]
        found = await fly.find(REQUEST)

    assert [error.code for error in errors] == ["connection", "unavailable", "connection"]
    assert all(isinstance(error, LaunchUnavailable) and error.ambiguous for error in errors)
    assert found is not None
    assert [record.id for record in server.machines()] == [found.id]
