"""Machines that nothing runs in, and that Fly destroys not: through the real router."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from building import profile, route, table
from mock_fly import Mocked
from scenario import Scenario, running
from scripted_runner import ScriptedRunner

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.core import journal
from lambdo_router.core.settlement import Acknowledge, Retry
from lambdo_router.local.faults import ErrorAnswer, FaultPlan
from lambdo_router.local.machines_server import (
    SERVICE,
    Access,
    Delays,
    MachinesServer,
    Mishaps,
    RateLimits,
    machines_app,
)


@dataclass
class Stage:
    scenario: Scenario
    server: MachinesServer
    plan: FaultPlan

    def states(self) -> list[str]:
        return [record.state for record in self.server.machines()]


@asynccontextmanager
async def staged(**changes: object) -> AsyncIterator[Stage]:
    """A router before a Fly whose first Machine fails, with 11 hours for its Machines."""
    server = MachinesServer(
        ScriptedRunner(seconds=lambda _: 5.0),
        Access({"good": {"jobs"}}),
        limits=RateLimits(enabled=False),
    )
    server.mishaps.script("fails")
    plan = FaultPlan()
    session = Mocked(app=machines_app(server, plan))
    careful = profile(acknowledge="success", timeout=39_600.0)
    made = table(route(profile=profile(**{"timeout": 39_600.0, **changes}) if changes else careful))
    async with (
        server.running(),
        FlyMachines(token="good", base_url="localhost", session=session) as fly,
        running(made, fly) as scenario,  # type: ignore[arg-type]
    ):
        yield Stage(scenario, server, plan)


async def test_a_failed_machine_is_settled_and_destroyed_within_seconds() -> None:
    async with staged() as stage:
        (sent,) = stage.scenario.put("{}")
        await asyncio.sleep(8.0)
        (ended,) = stage.scenario.of(journal.MachineEnded)
        retried = stage.scenario.settled()[sent]
        states = stage.states()
        await asyncio.sleep(60.0)

    assert (ended.kind, states) == ("never_ran", ["destroyed"])
    assert isinstance(retried, Retry)
    assert retried.why == "Fly says that the Machine has failed, and not why"
    assert stage.scenario.settled() == {sent: Acknowledge("succeeded")}
    assert stage.states() == ["destroyed", "destroyed"]


async def test_a_failed_machine_takes_no_room() -> None:
    async with staged(acknowledge="launch", max_machines=1, batch_size=1) as stage:
        first, second = stage.scenario.put('{"n": 1}', '{"n": 2}')
        await asyncio.sleep(130.0)

    assert stage.scenario.settled() == dict.fromkeys([first, second], Acknowledge("launched"))
    assert stage.states() == ["destroyed", "destroyed"]


async def test_one_that_cannot_be_destroyed_is_settled_and_destroyed_later() -> None:
    async with staged() as stage:
        stage.plan.script(SERVICE, "delete", ErrorAnswer(500), ErrorAnswer(500))
        stage.scenario.put("{}")
        await asyncio.sleep(6.0)
        ends = [fact.kind for fact in stage.scenario.of(journal.MachineEnded)]
        first = stage.states()[0]
        await asyncio.sleep(60.0)

    assert (ends, first) == (["never_ran"], "failed")
    assert [fact.error.code for fact in stage.scenario.of(journal.WatchFailed)] == [
        "unavailable",
        "unavailable",
    ]
    assert stage.states()[0] == "destroyed"


async def test_one_that_exited_and_is_not_destroyed_is_settled_by_its_exit() -> None:
    async with staged(acknowledge="success", max_machines=1, batch_size=1) as stage:
        stage.server.mishaps = Mishaps()
        stage.server.delays = Delays(destroy=30_000.0)
        first, second = stage.scenario.put('{"n": 1}', '{"n": 2}')
        await asyncio.sleep(40.0)

    assert stage.scenario.settled() == dict.fromkeys([first, second], Acknowledge("succeeded"))
    assert stage.states() == ["destroyed", "destroyed"]


async def test_the_log_tells_what_a_machine_was_doing_when_its_time_was_up() -> None:
    async with staged(acknowledge="success", timeout=600.0) as stage:
        stage.server.mishaps = Mishaps()
        stage.server.delays = Delays(start=100_000.0)
        stage.scenario.put("{}")
        await asyncio.sleep(700.0)
        first = stage.scenario.of(journal.MachineOverdue)[0]

    assert (first.state, first.host) == ("created", "")
