import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import httpx
import pytest
from mock_fly import Mocked
from scripted_runner import NEVER, ScriptedRunner

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable, MachineGone
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.ports import MachineEnd, MachineLauncher, MachineSummary, MachineWatcher
from lambdo_router.local.machines_server import (
    AT_ONCE,
    Access,
    Delays,
    Exit,
    MachinesServer,
    Mishap,
    RateLimits,
    machines_app,
)
from lambdo_router.local.machines_server.machine import OUT_OF_MEMORY

MACHINES = "/v1/apps/jobs/machines"
SLOW = Delays(start=2.0, destroy=4.0, gone=2.0)
QueueBrowser = Callable[[FlyMachines], Awaitable[object]]


def request(name: str = "lambdo-a-1", **config: Any) -> MachineRequest:
    metadata = {"lambdo_router": "1", "lambdo_batch": name, **config.pop("metadata", {})}
    body = {
        "name": name,
        "config": {
            "image": "nginx",
            "metadata": metadata,
            "auto_destroy": True,
            "restart": {"policy": "no"},
            **config,
        },
    }
    return MachineRequest("jobs", name, name, json.dumps(body))


def a_server(
    runner: ScriptedRunner | None = None,
    delays: Delays = AT_ONCE,
    limits: RateLimits | None = None,
) -> MachinesServer:
    return MachinesServer(
        runner or ScriptedRunner(seconds=lambda _: 5.0),
        Access({"good": {"jobs"}}),
        delays,
        limits or RateLimits(enabled=False),
    )


@asynccontextmanager
async def embedded(server: MachinesServer) -> AsyncIterator[FlyMachines]:
    session = Mocked(app=machines_app(server))
    async with (
        server.running(),
        FlyMachines(token="good", base_url="localhost", session=session) as fly,
    ):
        yield fly


def mocked(handler: Any) -> FlyMachines:
    return FlyMachines(token="fm2_x", session=Mocked(handler))


def answering(*answers: httpx.Response) -> tuple[FlyMachines, list[str]]:
    """An API that gives these answers in order, the last one for ever; and what it is asked."""
    left, asked = list(answers), list[str]()

    def handler(request_: httpx.Request) -> httpx.Response:
        asked.append(f"{request_.method} {request_.url.raw_path.decode().removeprefix(MACHINES)}")
        return left.pop(0) if len(left) > 1 else left[0]

    return mocked(handler), asked


async def outcome(call: Awaitable[object]) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        await call
    return caught.value


def test_it_is_a_launcher_and_a_watcher() -> None:
    made: tuple[MachineLauncher, MachineWatcher] = (mocked(None), mocked(None))

    assert repr(made[0]) == repr(made[1]) == "FlyMachines('https://api.machines.dev')"


# Lists.


def listed(machine_id: str, **more: Any) -> dict[str, Any]:
    return {
        "id": machine_id,
        "name": f"lambdo-{machine_id}",
        "state": "started",
        "region": "iad",
        "created_at": "2026-10-10T10:00:00Z",
    } | more


CREATED = 1_791_626_400.0


def sighting(machine_id: str, state: str = "started", host: str = "") -> MachineSummary:
    return MachineSummary(
        machine_id, f"lambdo-{machine_id}", "iad", CREATED, state == "destroyed", state, host
    )


async def test_the_living_are_those_of_ours_that_are_not_destroyed() -> None:
    machines = [
        listed("1"),
        listed("2", state="destroying"),
        listed("3", state="destroyed"),
        listed("4", state="some-new-state", region=None, created_at=None),
        listed("5", name="web-1"),
        listed("6", name=None),
        listed("7", state="failed"),
        listed("8", host_status="unreachable"),
        listed("9", state="replacing", host_status=5),
        listed("", name="lambdo-x"),
        "odd",
    ]
    fly, asked = answering(httpx.Response(200, json=machines))

    async with fly:
        assert await fly.living("jobs") == [
            sighting("1"),
            sighting("2", "destroying"),
            MachineSummary("4", "lambdo-4", "", 0.0, ended=False, state="some-new-state"),
            sighting("7", "failed"),
            sighting("8", host="unreachable"),
            sighting("9", "replacing"),
        ]
    assert asked == ["GET ?summary=true&metadata.lambdo_router=1"]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        pytest.param(CREATED - 1.0, ["1", "2", "3"], id="all"),
        pytest.param(CREATED, ["1", "2", "3"], id="exactly-then"),
        pytest.param(CREATED + 0.9, ["1", "2", "3"], id="lists-may-tell-whole-seconds-only"),
        pytest.param(CREATED + 1.0, ["2", "3"], id="a-second-later"),
        pytest.param(CREATED + 61.0, ["3"], id="what-tells-no-time-always-counts"),
    ],
)
async def test_those_launched_since_are_also_the_destroyed(
    since: float, expected: list[str]
) -> None:
    machines = [
        listed("1", state="destroyed"),
        listed("2", created_at="2026-10-10T10:01:00.25Z"),
        listed("3", created_at="soon"),
        listed("4", name="web-1"),
    ]
    fly, asked = answering(httpx.Response(200, json=machines))

    async with fly:
        found = await fly.launched_since("jobs", since)
    assert [(it.id, it.ended) for it in found] == [(id_, id_ == "1") for id_ in expected]
    assert asked == ["GET ?include_deleted=true&summary=true"]


@pytest.mark.parametrize(
    ("first", "expected", "looks"),
    [
        pytest.param([], [sighting("1")], [0.0, 0.5], id="nothing-of-anybody-is-not-believed"),
        pytest.param([listed("2", name="web-1")], [], [0.0], id="nothing-of-ours-is"),
    ],
)
async def test_an_empty_list_is_asked_for_twice(
    first: list[object], expected: list[MachineSummary], looks: list[float]
) -> None:
    times: list[float] = []

    def handler(_: httpx.Request) -> httpx.Response:
        times.append(asyncio.get_running_loop().time())
        return httpx.Response(200, json=first if len(times) == 1 else [listed("1")])

    async with mocked(handler) as fly:
        assert await fly.launched_since("jobs", 0.0) == expected
    assert times == looks


async def test_a_list_in_pages_is_read_to_its_end_even_if_a_page_is_empty() -> None:
    fly, asked = answering(
        httpx.Response(200, json=[listed("1")], headers={"fly-next-cursor": "c1"}),
        httpx.Response(200, json=[], headers={"fly-next-cursor": "c2"}),
        httpx.Response(200, json=[listed("2")]),
    )
    async with fly:
        assert await fly.living("jobs") == [sighting("1"), sighting("2")]
    assert [it.partition("cursor=")[2] for it in asked] == ["", "c1", "c2"]


def without_end(
    cursor: Callable[[int], str],
) -> tuple[Callable[[httpx.Request], httpx.Response], list[int]]:
    pages = [0]

    def handler(_: httpx.Request) -> httpx.Response:
        pages[0] += 1
        headers = {"fly-next-cursor": cursor(pages[0])}
        return httpx.Response(200, json=[listed(str(pages[0]))], headers=headers)

    return handler, pages


@pytest.mark.parametrize(
    ("cursor", "count"),
    [
        pytest.param(lambda page: f"c{page}", 200, id="too-long"),
        pytest.param(lambda _: "same", 2, id="in-circles"),
    ],
)
@pytest.mark.parametrize(
    "look",
    [
        pytest.param(lambda fly: fly.living("jobs"), id="living"),
        pytest.param(lambda fly: fly.launched_since("jobs", 0.0), id="launched-since"),
        pytest.param(lambda fly: fly.find(request()), id="find"),
    ],
)
async def test_a_list_that_does_not_end_is_no_answer(
    look: QueueBrowser, cursor: Callable[[int], str], count: int
) -> None:
    handler, pages = without_end(cursor)
    async with mocked(handler) as fly:
        error = await outcome(look(fly))

    assert isinstance(error, LaunchUnavailable)
    assert (error.code, error.ambiguous) == ("lookup", True)
    assert "the list of the app jobs's Machines does not come to an end" in str(error)
    assert pages == [count]


@pytest.mark.parametrize(
    ("answer", "code", "text"),
    [
        pytest.param(
            httpx.Response(200, json={"machines": []}),
            "unreadable",
            'Machines API: the list of Machines is none: {"machines":[]}',
            id="an-object",
        ),
        pytest.param(
            httpx.Response(200, text='[{"id": "1", "name": "lambdo-1"}'),
            "unreadable",
            'Machines API: the list of Machines is none: [{"id": "1", "name": "lambdo-1"}',
            id="cut-off",
        ),
        pytest.param(
            httpx.Response(200, text="[" * 100_000),
            "unreadable",
            f"Machines API: the list of Machines is none: {'[' * 200}...",
            id="too-deep",
        ),
        pytest.param(
            httpx.Response(502, text="<title>502 Bad Gateway</title>"),
            "unavailable",
            "Machines API: 502 Bad Gateway",
            id="a-gateways",
        ),
    ],
)
async def test_half_a_list_is_no_list(answer: httpx.Response, code: str, text: str) -> None:
    fly, _ = answering(answer)
    async with fly:
        errors = [await outcome(fly.living("jobs")), await outcome(fly.launched_since("jobs", 0.0))]

    assert [(type(error), error.code, str(error)) for error in errors] == [
        (LaunchUnavailable, code, text)
    ] * 2


async def test_a_token_that_comes_in_two_pieces_is_hidden_all_the_same() -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"who has sent planted-"
        yield b"token to me?"

    def handler(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, content=content())

    async with FlyMachines(token="planted-token", session=Mocked(handler)) as fly:
        error = await outcome(fly.living("jobs"))

    assert str(error) == ("Machines API: the list of Machines is none: who has sent [token] to me?")


async def test_a_list_that_breaks_off_is_unclear() -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b'[{"id": "1",'
        raise aiohttp.ClientOSError("reset")

    fly, _ = answering(httpx.Response(200, content=content()))
    async with fly:
        error = await outcome(fly.living("jobs"))

    assert isinstance(error, LaunchUnavailable)
    assert str(error) == ("Machines API at https://api.machines.dev: the connection broke (reset)")


async def test_however_many_ask_lists_go_out_at_flys_pace() -> None:
    server = a_server(limits=RateLimits())
    async with embedded(server) as fly:
        await fly.check("jobs")
        await asyncio.gather(
            *(fly.living("jobs") for _ in range(5)),
            *(fly.launched_since("jobs", 0.0) for _ in range(5)),
        )
        took = asyncio.get_running_loop().time()

    assert [(call.app, call.action) for call in server.calls] == [("jobs", "list")] * 16
    fresh = RateLimits()
    assert all(fresh.admits(call) for call in server.calls)
    # Sixteen, of which three at once, and a moment for the first to arrive.
    assert took == 13.25


@pytest.mark.parametrize(
    ("headers", "second"),
    [
        pytest.param({"retry-after": "7"}, 7.0, id="as-long-as-fly-says"),
        pytest.param({}, 1.0, id="a-second-if-it-does-not-say"),
    ],
)
async def test_a_list_that_was_one_too_many_holds_back_the_next(
    headers: dict[str, str], second: float
) -> None:
    fly, _ = answering(httpx.Response(429, headers=headers), httpx.Response(200, json=[]))
    async with fly:
        error = await outcome(fly.living("jobs"))
        await fly.living("jobs")

    assert error.code == "rate_limited"
    assert asyncio.get_running_loop().time() == second


async def test_lists_of_another_app_do_not_wait() -> None:
    fly, _ = answering(httpx.Response(200, json=[]))
    async with fly:
        await asyncio.gather(*(fly.living(f"app-{number}") for number in range(20)))

    assert asyncio.get_running_loop().time() == 0.0


# Ends.


@pytest.mark.parametrize(
    ("end", "mishaps", "expected"),
    [
        pytest.param(Exit(0), [], MachineEnd(0, seconds=7.5), id="success"),
        pytest.param(Exit(3), [], MachineEnd(3, seconds=7.5), id="failure"),
        pytest.param(
            OUT_OF_MEMORY,
            [],
            MachineEnd(137, oom_killed=True, seconds=7.5),
            id="killed-for-its-memory",
        ),
        pytest.param(
            Exit(127, error="exec: \x1b[31mnot\nfound"),
            [],
            MachineEnd(127, error="exec: \\x1b[31mnot found", seconds=7.5),
            id="with-an-error-in-one-harmless-line",
        ),
        pytest.param(Exit(0), ["never_runs"], MachineEnd(None), id="never-ran"),
    ],
)
async def test_how_a_machine_ended(
    end: Exit,
    mishaps: list[Mishap],
    expected: MachineEnd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "time", lambda: CREATED)  # the server tells whole milliseconds
    server = a_server(ScriptedRunner(lambda _: end, lambda _: 7.5))
    server.mishaps.script(*mishaps)
    async with embedded(server) as fly:
        machine = await fly.launch(request())
        await asyncio.sleep(60.0)
        assert await fly.end_of("jobs", machine.id) == expected


async def test_an_end_is_told_as_soon_as_the_exit_is() -> None:
    server = a_server(delays=SLOW)
    told: list[tuple[float, str, int | None]] = []
    async with embedded(server) as fly:
        machine = await fly.launch(request())
        for at in (1.0, 6.0, 7.5, 11.5, 14.0):
            await asyncio.sleep(at - asyncio.get_running_loop().time())
            end = await fly.end_of("jobs", machine.id)
            code = None if end is None else end.exit_code
            told.append((at, server.machines()[0].state, code))

    assert told == [
        (1.0, "created", None),
        (6.0, "started", None),
        (7.5, "stopped", 0),
        (11.5, "destroying", 0),
        (14.0, "destroyed", 0),
    ]


async def test_a_machine_that_failed_has_ended_if_lists_and_itself_say_so() -> None:
    server = a_server()
    server.mishaps.script("fails")
    async with embedded(server) as fly:
        machine = await fly.launch(request())
        await asyncio.sleep(1.0)
        assert [(it.state, it.at_rest) for it in await fly.living("jobs")] == [("failed", True)]
        assert await fly.end_of("jobs", machine.id) is None
        end = await fly.end_of("jobs", machine.id, at_rest=True)

    assert end == MachineEnd(None, error="Fly says that the Machine has failed, and not why")


@pytest.mark.parametrize("state", ["created", "starting", "started", "stopped", "launch_failed"])
async def test_what_lists_show_at_rest_has_not_ended_while_itself_says_otherwise(
    state: str,
) -> None:
    fly, asked = answering(
        httpx.Response(200, json=[]), httpx.Response(200, json={"id": "1", "state": state})
    )
    async with fly:
        assert await fly.end_of("jobs", "1", at_rest=True) is None
    assert asked == ["GET /1/events?limit=50", "GET /1"]


async def test_being_destroyed_is_no_end_yet() -> None:
    server = a_server(delays=SLOW)
    server.mishaps.script("never_runs")
    async with embedded(server) as fly:
        machine = await fly.launch(request())
        await asyncio.sleep(5.0)
        assert server.machines()[0].state == "destroying"
        assert await fly.end_of("jobs", machine.id) is None
        await asyncio.sleep(2.0)
        assert await fly.end_of("jobs", machine.id) == MachineEnd(None)


async def test_a_machine_that_was_destroyed_by_a_call_was_stopped_whatever_it_said() -> None:
    server = a_server(ScriptedRunner(seconds=lambda _: NEVER))
    async with embedded(server) as fly:
        running = await fly.launch(request())
        await asyncio.sleep(900.0)
        assert await fly.end_of("jobs", running.id) is None
        await fly.destroy("jobs", running.id)
        await asyncio.sleep(1.0)
        end = await fly.end_of("jobs", running.id)
        living = await fly.living("jobs")
        await fly.destroy("jobs", running.id)

    assert end is not None
    assert (end.exit_code, end.requested_stop) == (137, True)
    assert living == []


@pytest.mark.parametrize(
    ("events", "text"),
    [
        pytest.param(
            httpx.Response(200, json={}),
            "Machines API: the events of the Machine m1 are no list: {}",
            id="an-object",
        ),
        pytest.param(
            httpx.Response(200),
            "Machines API: the events of the Machine m1 are no list: nothing",
            id="nothing",
        ),
    ],
)
async def test_what_is_no_list_of_events_tells_nothing(events: httpx.Response, text: str) -> None:
    fly, asked = answering(events)
    async with fly:
        error = await outcome(fly.end_of("jobs", "m1"))

    assert (type(error), error.code, str(error)) == (LaunchUnavailable, "unreadable", text)
    assert asked == ["GET /m1/events?limit=50"]


# Machines that Fly does not know.

ALL_OF_ONE: list[Any] = [
    pytest.param(lambda fly, id_: fly.end_of("jobs", id_), id="end"),
    pytest.param(lambda fly, id_: fly.metadata("jobs", id_), id="metadata"),
    pytest.param(lambda fly, id_: fly.set_metadata("jobs", id_, "k", "v"), id="set-metadata"),
]
Call = Callable[[FlyMachines, str], Awaitable[object]]


@pytest.mark.parametrize("call", ALL_OF_ONE)
async def test_what_never_was_and_what_ended_two_days_ago_is_gone(call: Call) -> None:
    async with embedded(a_server()) as fly:
        machine = await fly.launch(request())
        never = await outcome(call(fly, "3d8d0000000000"))
        await asyncio.sleep(48 * 3600.0 + 10.0)
        pruned = await outcome(call(fly, machine.id))
        await fly.destroy("jobs", machine.id)

    assert [(type(it), it.code, str(it).partition(" (")[0]) for it in (never, pruned)] == [
        (MachineGone, "machine_gone", "Machines API: 404 not_found: machine not found")
    ] * 2


NO_APP = "`fly apps create jobs` makes the app, `fly apps list` shows those there are"
NOT_FOUND = httpx.Response(404, json={"error": "not_found: machine not found"})


@pytest.mark.parametrize(
    "call",
    [*ALL_OF_ONE, pytest.param(lambda fly, id_: fly.destroy("jobs", id_), id="destroy")],
)
async def test_for_a_minute_a_machine_that_was_launched_here_is_only_not_known_yet(
    call: Call,
) -> None:
    fly, _ = answering(httpx.Response(200, json={"id": "m1"}), NOT_FOUND)
    async with fly:
        await fly.launch(request())
        await asyncio.sleep(59.0)
        error = await outcome(call(fly, "m1"))

    assert (type(error), error.code) == (LaunchUnavailable, "not_known_yet")
    assert str(error) == (
        "Machines API: 404 not_found: machine not found; it was only just launched"
    )


async def test_what_was_launched_a_minute_ago_or_longer_is_forgotten() -> None:
    ids = iter(range(100))

    def handler(request_: httpx.Request) -> httpx.Response:
        return (
            httpx.Response(200, json={"id": f"m{next(ids)}"})
            if request_.method == "POST"
            else NOT_FOUND
        )

    async with mocked(handler) as fly:
        for _ in range(50):
            await fly.launch(request())
            await asyncio.sleep(10.0)
        kinds = [type(await outcome(fly.end_of("jobs", f"m{number}"))) for number in range(43, 50)]

        assert kinds == [MachineGone] * 2 + [LaunchUnavailable] * 5
        assert len(fly._new_until) == 6


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        pytest.param(
            [NOT_FOUND, httpx.Response(200, json={"id": "m1"})],
            (
                LaunchUnavailable,
                "unreadable",
                "Machines API: the Machine m1 is there, its events are not",
            ),
            ["GET /m1/events?limit=50", "GET /m1"],
            id="the-machine-is-there-after-all",
        ),
        pytest.param(
            [NOT_FOUND, httpx.Response(500)],
            (LaunchUnavailable, "unavailable", "Machines API: 500 Internal Server Error"),
            ["GET /m1/events?limit=50", "GET /m1"],
            id="the-machine-does-not-answer",
        ),
        pytest.param(
            [httpx.Response(404, text="<title>404 Not Found</title>")],
            (LaunchRejected, "not_found", "Machines API: 404 Not Found"),
            ["GET /m1/events?limit=50", "GET /m1"],
            id="a-page-comes-from-something-in-between",
        ),
        pytest.param(
            [httpx.Response(404, json={"error": "not_found: app not found"})],
            (
                LaunchRejected,
                "app_not_found",
                f"Machines API: 404 not_found: app not found; {NO_APP}",
            ),
            ["GET /m1/events?limit=50", "GET /m1"],
            id="it-is-the-app-that-is-not-there",
        ),
        pytest.param(
            [httpx.Response(429, json={"error": "slow"})],
            (LaunchUnavailable, "rate_limited", "Machines API: 429 slow"),
            ["GET /m1/events?limit=50"],
            id="too-many",
        ),
    ],
)
async def test_one_404_is_not_enough(
    answers: list[httpx.Response], expected: tuple[type, str, str], asked: list[str]
) -> None:
    fly, calls = answering(*answers)
    async with fly:
        error = await outcome(fly.end_of("jobs", "m1"))

    assert (type(error), error.code, str(error)) == expected
    assert calls == asked


async def test_events_that_lag_behind_the_launch_are_no_news() -> None:
    server = a_server()
    server.mishaps.script("stale_events")
    async with embedded(server) as fly:
        machine = await fly.launch(request())
        error = await outcome(fly.end_of("jobs", machine.id))
        assert await fly.end_of("jobs", machine.id) is None

    assert isinstance(error, LaunchUnavailable)


# Metadata.


async def test_metadata_is_read_and_set_also_of_a_strange_key() -> None:
    server = a_server()
    async with embedded(server) as fly:
        machine = await fly.launch(request(metadata={"lambdo_messages": "x" * 11_000}))
        await fly.set_metadata("jobs", machine.id, "lambdo_failed", "abc")
        await fly.set_metadata("jobs", machine.id, "a key?&", "ü")
        during = await fly.metadata("jobs", machine.id)
        await asyncio.sleep(60.0)
        after = await fly.metadata("jobs", machine.id)

    assert (
        after
        == during
        == {
            "lambdo_router": "1",
            "lambdo_batch": "lambdo-a-1",
            "lambdo_messages": "x" * 11_000,
            "lambdo_failed": "abc",
            "a key?&": "ü",
        }
    )
    assert server.machines()[0].state == "destroyed"


METADATA = {"lambdo_batch": "b", "odd": 7}
ITSELF = httpx.Response(200, json={"id": "m1", "config": {"metadata": METADATA}})


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        pytest.param(
            [httpx.Response(200, json=METADATA)],
            {"lambdo_batch": "b"},
            ["GET /m1/metadata"],
            id="from-its-own-endpoint",
        ),
        pytest.param(
            [httpx.Response(200, json={}), ITSELF],
            {"lambdo_batch": "b"},
            ["GET /m1/metadata", "GET /m1"],
            id="from-the-machine-if-that-has-none",
        ),
        pytest.param(
            [NOT_FOUND, ITSELF],
            {"lambdo_batch": "b"},
            ["GET /m1/metadata", "GET /m1"],
            id="or-knows-no-machine",
        ),
        pytest.param(
            [httpx.Response(405), httpx.Response(200, json={"config": {}})],
            {},
            ["GET /m1/metadata", "GET /m1"],
            id="none-at-all",
        ),
        pytest.param(
            [NOT_FOUND, httpx.Response(200, json={"id": "m1"})],
            (
                LaunchUnavailable,
                "unreadable",
                "Machines API: the Machine m1 is shown without its config, so without its metadata",
            ),
            ["GET /m1/metadata", "GET /m1"],
            id="no-config-is-not-no-metadata",
        ),
        pytest.param(
            [httpx.Response(500)],
            (LaunchUnavailable, "unavailable", "Machines API: 500 Internal Server Error"),
            ["GET /m1/metadata"],
            id="out-of-order",
        ),
    ],
)
async def test_where_metadata_comes_from(
    answers: list[httpx.Response],
    expected: dict[str, str] | tuple[type, str, str],
    asked: list[str],
) -> None:
    fly, calls = answering(*answers)
    async with fly:
        if isinstance(expected, tuple):
            error = await outcome(fly.metadata("jobs", "m1"))
            assert (type(error), error.code, str(error)) == expected
        else:
            assert await fly.metadata("jobs", "m1") == expected
    assert calls == asked


async def test_setting_metadata_goes_to_its_key_and_says_what_went_wrong() -> None:
    seen: list[tuple[bytes, bytes]] = []

    def handler(request_: httpx.Request) -> httpx.Response:
        seen.append((request_.url.raw_path, request_.content))
        return httpx.Response(412, json={"error": "failed_precondition: destroyed"})

    async with mocked(handler) as fly:
        error = await outcome(fly.set_metadata("jobs", "../x", "a/b", 'v"'))

    assert seen == [(b"/v1/apps/jobs/machines/..%2Fx/metadata/a%2Fb", b'{"value": "v\\""}')]
    assert (type(error), error.code) == (LaunchUnavailable, "precondition")


# Destroying.


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(httpx.Response(200, json={"ok": True}), None, id="done"),
        pytest.param(NOT_FOUND, None, id="gone-already"),
        pytest.param(httpx.Response(404, text=""), (LaunchRejected, "not_found"), id="404-of-whom"),
        pytest.param(httpx.Response(408), (LaunchUnavailable, "deadline"), id="408"),
        pytest.param(httpx.Response(409), (LaunchUnavailable, "conflict"), id="leased"),
        pytest.param(httpx.Response(403), (LaunchRejected, "forbidden"), id="forbidden"),
    ],
)
async def test_destroying(answer: httpx.Response, expected: tuple[type, str] | None) -> None:
    fly, asked = answering(answer)
    async with fly:
        if expected is None:
            await fly.destroy("jobs", "m1")
        else:
            error = await outcome(fly.destroy("jobs", "m1"))
            assert (type(error), error.code) == expected
    assert asked == ["DELETE /m1?force=true&kill=true"]


# Many at once.


async def test_sixteen_machines_are_looked_at_at_a_time_and_launches_do_not_wait_for_them() -> None:
    under_way: dict[str, int] = {"events": 0, "most": 0}

    async def handler(request_: httpx.Request) -> httpx.Response:
        if request_.method == "POST":
            return httpx.Response(200, json={"id": "new"})
        under_way["events"] += 1
        under_way["most"] = max(under_way["most"], under_way["events"])
        await asyncio.sleep(1.0)
        under_way["events"] -= 1
        return httpx.Response(200, json=[])

    async with mocked(handler) as fly:
        looks = asyncio.gather(*(fly.end_of("jobs", f"m{number}") for number in range(40)))
        await asyncio.sleep(0.5)
        machine = await fly.launch(request())
        launched = asyncio.get_running_loop().time()
        await looks

    assert machine == Machine("new", "lambdo-a-1", "")
    assert launched == 0.5
    assert under_way["most"] == 16
    assert asyncio.get_running_loop().time() == 3.0
