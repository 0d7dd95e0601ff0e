"""However long a server asks to be left alone, it is minutes."""

import asyncio
import time

import httpx
import pytest
from building import route, table
from mock_fly import Mocked
from scenario import now, running
from scripted_runner import ScriptedRunner

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.retry_after import LONGEST, seconds_of
from lambdo_router.core import journal
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)

NOW = 1_790_000_000.0
"""Mon, 21 Sep 2026 14:13:20 GMT."""


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        pytest.param("", None, id="absent"),
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("0", 0.0, id="at-once"),
        pytest.param(" 1.5 ", 1.5, id="fraction"),
        pytest.param("300", LONGEST, id="the-longest"),
        pytest.param("301", LONGEST, id="longer"),
        pytest.param("86400", LONGEST, id="a-day"),
        pytest.param("9" * 60, LONGEST, id="for-ever"),
        pytest.param("9" * 5000, None, id="absurd"),
        pytest.param("-1", None, id="negative"),
        pytest.param("nan", None, id="nan"),
        pytest.param("inf", None, id="infinite"),
        pytest.param("1e9", None, id="in-another-notation"),
        pytest.param("0x10", None, id="in-another-base"),
        pytest.param("٣", None, id="in-other-digits"),
        pytest.param("soon", None, id="no-time"),
        pytest.param("Mon, 21 Sep 2026 14:14:20 GMT", 60.0, id="date"),
        pytest.param("Mon, 21 Sep 2026 14:14:20 -0000", 60.0, id="date-without-a-zone-is-utc"),
        pytest.param("Mon Sep 21 14:14:20 2026", 60.0, id="date-as-c-writes-it"),
        pytest.param("Mon, 21 Sep 2026 14:12:00 GMT", 0.0, id="date-gone-by"),
        pytest.param("Tue, 22 Sep 2026 14:13:20 GMT", LONGEST, id="date-tomorrow"),
        pytest.param("Mon, 21 Sep 9999 14:14:20 GMT", LONGEST, id="date-far-away"),
        pytest.param("Mon, 21 Sep 99999 14:14:20 GMT", None, id="date-beyond-the-calendar"),
        pytest.param("Mon, 21 Sep 2026 14:14:20 +9999999", None, id="date-in-an-absurd-zone"),
    ],
)
def test_a_header_is_seconds_or_a_date_and_never_over_five_minutes(
    header: str, expected: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "America/New_York")
        time.tzset()
        assert seconds_of(header, NOW) == expected
    time.tzset()


def test_the_longest_is_five_minutes() -> None:
    assert LONGEST == 300.0


@pytest.mark.parametrize("after", ["86400", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_one_429_that_asks_for_a_day_closes_an_app_for_minutes(after: str) -> None:
    server = MachinesServer(
        ScriptedRunner(),
        Access({"good": {"jobs"}}),
        limits=RateLimits(enabled=False),
    )
    api = httpx.ASGITransport(machines_app(server))
    refused: list[float] = []

    async def first_create_is_refused(request: httpx.Request) -> httpx.Response:
        if request.method == "POST" and not refused:
            refused.append(now())
            error = {"error": "resource_exhausted: rate limit exceeded"}
            return httpx.Response(429, json=error, headers={"Retry-After": after})
        return await api.handle_async_request(request)

    session = Mocked(first_create_is_refused)
    async with (
        server.running(),
        FlyMachines(token="good", base_url="localhost", session=session) as fly,
        running(table(route()), fly) as scenario,  # type: ignore[arg-type]
    ):
        scenario.put('{"n": 1}')
        await asyncio.sleep(1000.0)
        launched = scenario.when(journal.Launched)

    assert launched == [round(refused[0] + LONGEST, 3)]
