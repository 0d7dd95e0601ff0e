"""A region without room is no wrong token, however Fly words it: through the real router."""

import asyncio
from collections.abc import Callable

import pytest
from building import route, table
from mock_fly import Mocked
from scenario import WALL, Scenario, running
from scripted_runner import ScriptedRunner

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.core import journal
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.machines_server.refusals import REGION_FULL
from lambdo_router.telemetry.status import Overview

OVER_QUOTA = (
    403,
    (
        'organization "jobs" is using 81920 MB of memory in dfw which is over the allowed quota. '
        "please consider other regions"
    ),
)


@pytest.mark.parametrize(
    "says",
    [
        pytest.param(REGION_FULL, id="422-with-a-word"),
        pytest.param(
            OVER_QUOTA,
            id="403-the-organisations-memory",
        ),
        pytest.param((400, "no capacity"), id="400-no-capacity"),
    ],
)
async def test_a_full_region_is_tried_again_and_the_router_stays_ready(
    says: tuple[int, str],
) -> None:
    server = MachinesServer(
        ScriptedRunner(), Access({"good": {"jobs"}}), limits=RateLimits(enabled=False)
    )
    server.full_regions.add("iad")
    server.full = says
    overview = Overview(lambda: WALL + asyncio.get_running_loop().time(), {})
    watched: Callable[[Scenario], None] = lambda made: made.onlookers.append(overview.observe)  # noqa: E731
    session = Mocked(app=machines_app(server))
    async with (
        server.running(),
        FlyMachines(token="good", base_url="localhost", session=session) as fly,
        running(table(route()), fly, prepare=watched) as scenario,  # type: ignore[arg-type]
    ):
        scenario.put('{"n": 1}')
        await asyncio.sleep(10.0)
        failures = [fact.error.code for fact in scenario.of(journal.LaunchFailed)]
        health = overview.status(Snapshot("g1", (), ())).health
        server.full_regions.clear()
        await asyncio.sleep(600.0)
        launched = len(scenario.launched())

    assert failures == ["region_capacity"] * 4
    assert health.ready
    assert launched == 1
