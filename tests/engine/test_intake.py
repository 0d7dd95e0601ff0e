"""How many receives are under way at once: one while it is quiet, more while there is a backlog."""

import asyncio

import pytest
from building import profile, route, table
from scenario import Scenario, ScriptedLauncher, running, unavailable

from lambdo_router.core import journal
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.engine.router import Limits

FAST = Limits(launch_rate=1000.0, launch_burst=1000)


def roomy(name: str = "q", *, max_waiting: int = 10_000) -> RoutingTable:
    careful = route(queues=(name,), profile=profile(batch_size=100))
    return table(careful, queues=(Queue(name, url=name, max_waiting=max_waiting),))


def slow(scenario: Scenario) -> None:
    for queue in scenario.queues.values():
        queue.receive_takes = 0.5


async def test_a_backlog_is_read_by_more_and_more_polls_and_a_quiet_queue_by_one() -> None:
    async with running(roomy(), limits=FAST, prepare=slow) as scenario:
        queue = scenario.queue()
        scenario.put(*["{}"] * 600)
        under_way = []
        for _ in range(5):
            await asyncio.sleep(0.25)
            under_way.append(queue.receiving)
            await asyncio.sleep(0.25)
        await asyncio.sleep(60)
        quiet = queue.receiving

    assert under_way == [1, 2, 4, 8, 8]
    assert queue.most_receiving == 8
    assert quiet == 1
    assert queue.inner.empty


@pytest.mark.parametrize(("name", "most"), [("q", 8), ("q.fifo", 1)])
async def test_a_fifo_queue_has_one_poll(name: str, most: int) -> None:
    async with running(roomy(name), limits=FAST, prepare=slow) as scenario:
        queue = scenario.queue(name)
        for number in range(400):
            queue.inner.put("{}", group=f"g{number}" if queue.fifo else None)
        await asyncio.sleep(60)

    assert queue.most_receiving == most
    assert queue.inner.empty


async def test_no_more_is_asked_for_than_there_is_room() -> None:
    limits = Limits(launch_rate=0.01, launch_burst=1)
    async with running(roomy(max_waiting=35), limits=limits, prepare=slow) as scenario:
        scenario.put(*["{}"] * 200)
        await asyncio.sleep(30)
        held = scenario.router.held

    assert scenario.queue().most_receiving <= 4
    assert held == 35


async def test_polls_that_fail_come_back_one_by_one() -> None:
    async with running(roomy(), limits=FAST, prepare=slow) as scenario:
        queue = scenario.queue()
        scenario.put(*["{}"] * 300)
        await asyncio.sleep(1.75)
        queue.failing["receive"] = unavailable()
        await asyncio.sleep(1.0)
        during = queue.receiving
        queue.failing.clear()
        await asyncio.sleep(60)

    assert during == 0
    # Only the line that goes on for ever tells of it: an outage is not said eight times.
    assert len(scenario.of(journal.QueueFailed)) == 1
    assert queue.inner.empty


async def test_while_events_wait_for_their_batch_a_receive_brings_what_came_meanwhile() -> None:
    async with running(roomy(), limits=Limits(launch_rate=1.0, launch_burst=1)) as scenario:
        for _ in range(500):
            scenario.put("{}")
            await asyncio.sleep(0.04)
        polls = [fact.messages for fact in scenario.of(journal.Polled)]

    # 25 events a second for 20 seconds; with a receive for each it would be five hundred.
    assert len(polls) <= 20 * 7
    assert sum(polls) >= 480


async def test_an_event_that_comes_alone_is_received_at_once() -> None:
    async with running(roomy(), limits=FAST) as scenario:
        for _ in range(20):
            await asyncio.sleep(3.3)
            scenario.put("{}")
        await asyncio.sleep(1)

    expected = [3.3 * number for number in range(1, 21)]
    assert scenario.when(journal.Received) == pytest.approx(expected, abs=0.002)


async def test_no_more_is_received_than_the_machines_that_may_run_can_take() -> None:
    bounded = table(route(profile=profile(batch_size=5, max_machines=2, acknowledge="success")))
    launcher = ScriptedLauncher(runs_for=1000.0)
    async with running(bounded, launcher, limits=FAST) as scenario:
        scenario.put(*["{}"] * 120)
        await asyncio.sleep(10)
        held = scenario.router.held

    assert held == 15
