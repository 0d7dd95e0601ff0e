"""The fault plan alone, and carried out on real connections as clients see it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Scope

from lambdo_router.admin.serving import cut, serve
from lambdo_router.local.faults import (
    Cut,
    Delay,
    ErrorAnswer,
    Fault,
    FaultPlan,
    FaultyApp,
    Injected,
    LoseAnswer,
    Partial,
    Rate,
    Silence,
    Throttle,
    injected,
)


def kinds(plan: FaultPlan, action: str, count: int) -> list[str | None]:
    met = [plan.decide("sqs", action, now=0.0) for _ in range(count)]
    return [each.kind if each else None for each in met]


RATES = (Rate(Cut(), 0.2), Rate(LoseAnswer(), 0.3, action="Delete"))


def test_the_same_seed_meets_the_same_calls_with_the_same_faults() -> None:
    assert kinds(FaultPlan(7, RATES), "Delete", 50) == kinds(FaultPlan(7, RATES), "Delete", 50)
    assert kinds(FaultPlan(7, RATES), "Delete", 50) != kinds(FaultPlan(8, RATES), "Delete", 50)


def test_calls_to_other_actions_in_between_change_nothing() -> None:
    plain, mixed = FaultPlan(7, RATES), FaultPlan(7, RATES)
    expected = kinds(plain, "Delete", 20)
    found = []
    for _ in range(20):
        kinds(mixed, "Receive", 3)
        found += kinds(mixed, "Delete", 1)
    assert found == expected


def test_shares_hold_over_many_calls_and_concern_only_their_action() -> None:
    plan = FaultPlan(1, RATES)
    assert Counter(kinds(plan, "Delete", 1000)) == {None: 496, "LoseAnswer": 309, "Cut": 195}
    assert Counter(kinds(plan, "Receive", 1000)) == {None: 774, "Cut": 226}


def test_shares_beyond_one_leave_the_later_rates_nothing() -> None:
    plan = FaultPlan(1, (Rate(Cut(), 1.0), Rate(Silence(), 1.0)))
    assert set(kinds(plan, "Delete", 100)) == {"Cut"}


def test_a_partial_failure_is_drawn_for_batch_calls_only() -> None:
    plan = FaultPlan(1, (Rate(Partial(), 1.0), Rate(Cut(), 1.0)))
    assert kinds(plan, "Receive", 3) == ["Cut"] * 3
    assert kinds(plan, "DeleteBatch", 3) == ["Partial"] * 3


def test_a_rate_of_one_service_spares_the_others() -> None:
    plan = FaultPlan(1, (Rate(Cut(), 1.0, service="machines"),))
    assert plan.decide("sqs", "Delete", now=0.0) is None
    assert plan.decide("machines", "create", now=0.0) is not None


def test_scripted_faults_come_first_and_once_each() -> None:
    plan = FaultPlan(1)
    plan.script("sqs", "Delete", Cut(), ErrorAnswer(503))
    assert kinds(plan, "Receive", 1) == [None]
    assert kinds(plan, "Delete", 3) == ["Cut", "ErrorAnswer", None]


def test_every_fault_is_on_record_with_its_call_number_and_time() -> None:
    plan = FaultPlan(1)
    plan.decide("sqs", "Delete", now=1.0)
    plan.script("sqs", "Delete", Cut(), LoseAnswer())
    plan.decide("sqs", "Delete", now=2.0)
    plan.decide("sqs", "Delete", now=3.5)
    assert [(met.number, met.kind, met.at) for met in plan.injected] == [
        (2, "Cut", 2.0),
        (3, "LoseAnswer", 3.5),
    ]
    assert plan.calls["sqs", "Delete"] == 3


def met_with(fault: Fault, seed: str = "s") -> Injected:
    return Injected("sqs", "Delete", 1, fault, 0.0, seed)


@pytest.mark.parametrize(
    ("fault", "count", "expected"),
    [
        pytest.param(Partial(1.0), 3, {0, 1, 2}, id="all-of-them"),
        pytest.param(Partial(0.5), 10, {0, 4, 5, 7, 8, 9}, id="some-of-them"),
        pytest.param(Partial(0.0), 10, {8}, id="one-at-least"),
        pytest.param(Partial(1.0), 0, set(), id="none-to-fail"),
        pytest.param(Cut(), 10, set(), id="not-a-partial-failure"),
    ],
)
def test_failing_entries_are_the_same_for_the_same_call(
    fault: Fault, count: int, expected: set[int]
) -> None:
    assert met_with(fault).entries(count) == met_with(fault).entries(count) == expected


def test_a_delay_lies_within_its_bounds_and_other_faults_take_no_time() -> None:
    delays = {met_with(Delay(2.0, 3.0), seed).seconds() for seed in "abc"}
    assert len(delays) == 3
    assert all(2.0 <= seconds <= 3.0 for seconds in delays)
    assert met_with(Cut()).seconds() == 0.0


# On real connections


class Service:
    """Counts its effects; says in its answer what fault it was left to carry out itself."""

    def __init__(self) -> None:
        self.effects = 0

    async def endpoint(self, request: Request) -> Response:
        self.effects += 1
        await request.body()
        met = injected(request.scope)
        return PlainTextResponse(f"effect {self.effects}, {met.kind if met else 'no fault'}")


def refusal(fault: ErrorAnswer | Throttle) -> Response:
    match fault:
        case ErrorAnswer(status):
            return PlainTextResponse("broken", status)
        case Throttle(retry_after):
            headers = {} if retry_after is None else {"retry-after": str(retry_after)}
            return PlainTextResponse("slow down", 429, headers)


def path_of(scope: Scope) -> str:
    path: str = scope["path"]
    return path


@asynccontextmanager
async def faulty(*faults: Fault) -> AsyncIterator[tuple[httpx.AsyncClient, Service]]:
    service, plan = Service(), FaultPlan()
    plan.script("test", "/", *faults)
    app = Starlette(routes=[Route("/", service.endpoint, methods=["POST"])])
    async with (
        serve(FaultyApp(app, plan, "test", path_of, refusal)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        yield client, service


@pytest.mark.real_time
async def test_without_a_fault_nothing_changes() -> None:
    async with faulty() as (client, _):
        response = await client.post("/", content=b"x")
    assert (response.status_code, response.text) == (200, "effect 1, no fault")


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("fault", "status", "retry_after"),
    [
        pytest.param(ErrorAnswer(503), 503, None, id="broken"),
        pytest.param(Throttle(), 429, None, id="throttled"),
        pytest.param(Throttle(7), 429, "7", id="throttled-with-a-wish"),
    ],
)
async def test_refusals_come_in_the_words_of_the_service_and_have_no_effect(
    fault: Fault, status: int, retry_after: str | None
) -> None:
    async with faulty(fault) as (client, service):
        response = await client.post("/", content=b"x")
        assert (response.status_code, response.headers.get("retry-after")) == (status, retry_after)
        assert service.effects == 0


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("fault", "effects"),
    [
        pytest.param(Cut(), 0, id="cut-before-the-effect"),
        pytest.param(LoseAnswer(), 1, id="answer-lost"),
        pytest.param(LoseAnswer(halfway=True), 1, id="half-the-answer-lost"),
    ],
)
async def test_the_client_sees_a_closed_connection(fault: Fault, effects: int) -> None:
    async with faulty(fault) as (client, service):
        with pytest.raises(httpx.RemoteProtocolError):
            await client.post("/", content=b"x" * 100_000)
        assert service.effects == effects
        response = await client.post("/", content=b"x")
    assert response.text == f"effect {effects + 1}, no fault"


async def test_a_connection_that_nobody_serves_cannot_be_cut() -> None:
    with pytest.raises(RuntimeError, match=r"served by serving\.serve"):
        cut({"type": "http"})


@pytest.mark.real_time
async def test_silence_lasts_until_the_client_gives_up() -> None:
    async with faulty(Silence()) as (client, service):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/", content=b"x", timeout=0.05)
        assert service.effects == 0


@pytest.mark.real_time
async def test_faults_of_single_entries_are_left_to_the_app() -> None:
    async with faulty(Partial()) as (client, _):
        response = await client.post("/", content=b"x")
    assert response.text == "effect 1, Partial"


@pytest.mark.real_time
async def test_latency_comes_on_top_of_every_call() -> None:
    service, plan = Service(), FaultPlan(latency=5.0)
    app = Starlette(routes=[Route("/", service.endpoint, methods=["POST"])])
    async with (
        serve(FaultyApp(app, plan, "test", path_of, refusal)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/", content=b"x", timeout=0.05)
        plan.latency = 0.0
        await client.post("/", content=b"x", timeout=5.0)
    assert service.effects == 1


@pytest.mark.real_time
async def test_the_end_of_serving_cuts_requests_that_wait() -> None:
    arrived = asyncio.Event()

    async def waiting(_: Request) -> Response:
        arrived.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody answers")

    app = Starlette(routes=[Route("/", waiting, methods=["POST"])])
    async with httpx.AsyncClient(trust_env=False) as client:
        async with serve(app) as url:
            asking = asyncio.create_task(client.post(url))
            await arrived.wait()
        with pytest.raises(httpx.RemoteProtocolError):
            await asking
        with pytest.raises(httpx.ConnectError):
            await client.post(url)
