import asyncio
import json
from collections.abc import Callable, Mapping
from statistics import median

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lambdo_router.local.machines_server import (
    NEVER,
    OUT_OF_MEMORY,
    Exit,
    Job,
    ScriptedRunner,
    SeededSeconds,
    by_route,
)
from lambdo_router.local.machines_server.runners import GuestFile


def job(
    machine_id: str = "m1",
    route: str = "",
    env: Mapping[str, str] | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Job:
    return Job(
        machine_id=machine_id,
        app="jobs",
        region="iad",
        image="nginx",
        entrypoint=(),
        command=None,
        env=dict(env or {}),
        files=tuple(GuestFile(path, content) for path, content in (files or {}).items()),
        metadata={"lambdo_route": route},
    )


async def run(runner: ScriptedRunner, made: Job) -> tuple[float, Exit]:
    end = await runner.run(made, lambda *_: None)
    return asyncio.get_running_loop().time(), end


SCENARIO = ScriptedRunner(
    outcome=by_route({"faulty": Exit(1), "greedy": OUT_OF_MEMORY}, Exit(0)),
    seconds=by_route({"slow": 60.0}, 2.0),
)


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        pytest.param("faulty", (2.0, Exit(1)), id="faulty"),
        pytest.param("greedy", (2.0, Exit(137, oom_killed=True)), id="greedy"),
        pytest.param("slow", (60.0, Exit(0)), id="slow"),
        pytest.param("", (2.0, Exit(0)), id="any-other"),
    ],
)
async def test_a_scenario_by_route(route: str, expected: tuple[float, Exit]) -> None:
    assert await run(SCENARIO, job(route=route)) == expected


async def test_a_stuck_job_ends_by_a_signal_alone() -> None:
    runner = ScriptedRunner(seconds=lambda _: NEVER)
    running = asyncio.create_task(run(runner, job()))
    await asyncio.sleep(1_000_000.0)
    assert not running.done()
    runner.signal("m1", "SIGKILL")

    assert await running == (1_000_000.0, Exit(137, signal=9))


async def test_a_signal_that_comes_early_ends_the_job_before_it_does_anything() -> None:
    runner = ScriptedRunner(outcome=lambda _: pytest.fail("it acted"))
    runner.signal("m1", "SIGTERM")

    assert await run(runner, job()) == (0.0, Exit(143, signal=15))
    assert [it.machine_id for it in runner.jobs] == ["m1"]


async def test_the_next_run_of_a_machine_knows_nothing_of_an_old_signal() -> None:
    runner = ScriptedRunner(seconds=lambda _: 1.0)
    runner.signal("m1", "SIGTERM")
    await run(runner, job())

    assert await run(runner, job()) == (1.0, Exit(0))


REPORTS = "http://router/reports"


def reporting(api: Starlette) -> Callable[[Job], "asyncio.Future[Exit]"]:
    """A job that reports its second message as failed, as a runtime does, and then exits 0."""

    async def act(made: Job) -> Exit:
        messages = json.loads(made.read("/tmp/batch.json"))["messages"]
        failures = [{"itemIdentifier": messages[1]["message_id"]}]
        async with httpx.AsyncClient(transport=httpx.ASGITransport(api)) as client:
            answer = await client.post(
                made.env["LAMBDO_REPORT_URL"],
                headers={"authorization": f"Bearer {made.env['LAMBDO_REPORT_TOKEN']}"},
                json={"batchItemFailures": failures},
            )
        return Exit(0 if answer.is_success else 1)

    return lambda made: asyncio.ensure_future(act(made))


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)], ids=["taken", "not-taken"])
async def test_a_job_may_call_the_address_in_its_environment(status: int, code: int) -> None:
    reports: list[tuple[str, object]] = []

    async def take(request: Request) -> Response:
        reports.append((request.headers["authorization"], await request.json()))
        return JSONResponse({}, status)

    api = Starlette(routes=[Route("/reports", take, methods=["POST"])])
    runner = ScriptedRunner(seconds=lambda _: 3.0, act=reporting(api))
    messages = [{"message_id": "a"}, {"message_id": "b"}]
    made = job(
        env={"LAMBDO_REPORT_URL": REPORTS, "LAMBDO_REPORT_TOKEN": "secret"},
        files={"/tmp/batch.json": json.dumps({"messages": messages}).encode()},
    )

    assert await run(runner, made) == (3.0, Exit(code))
    assert reports == [("Bearer secret", {"batchItemFailures": [{"itemIdentifier": "b"}]})]


async def test_a_signal_ends_a_job_in_the_middle_of_what_it_does() -> None:
    log: list[str] = []

    async def act(_: Job) -> Exit:
        try:
            await asyncio.sleep(100.0)
        finally:
            log.append("cut off")
        return Exit(0)

    runner = ScriptedRunner(act=act)
    running = asyncio.create_task(run(runner, job()))
    await asyncio.sleep(7.0)
    runner.signal("m1", "SIGKILL")

    assert await running == (7.0, Exit(137, signal=9))
    assert log == ["cut off"]


async def test_a_mistake_in_what_a_job_does_is_raised() -> None:
    async def act(_: Job) -> Exit:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run(ScriptedRunner(act=act), job())


async def test_ending_the_server_ends_what_a_job_does() -> None:
    runner = ScriptedRunner(seconds=lambda _: NEVER)
    running = asyncio.create_task(run(runner, job()))
    await asyncio.sleep(1.0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert len(asyncio.all_tasks()) == 1


def test_a_file_that_is_not_there_cannot_be_read() -> None:
    with pytest.raises(KeyError, match="/tmp/x"):
        job().read("/tmp/x")


def test_seeded_seconds_are_the_same_in_every_run_and_have_a_long_tail() -> None:
    def drawn(seed: int) -> list[float]:
        seconds = SeededSeconds(median=10.0, most=60.0, spread=1.0, seed=seed)
        return [seconds(job(f"m{number}")) for number in range(1000)]

    first = drawn(1)
    assert first == drawn(1) != drawn(2)
    assert 9.0 < median(first) < 11.0
    assert max(first) == 60.0
    assert min(first) < 1.0
