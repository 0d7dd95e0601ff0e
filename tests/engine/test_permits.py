import asyncio

import pytest

from lambdo_router.core.throttle import TokenBucket
from lambdo_router.engine.permits import LaunchSlots


def slots(rate: float = 1.0, burst: int = 1) -> LaunchSlots:
    return LaunchSlots(TokenBucket(rate, burst))


async def test_slots_come_at_the_budgets_pace() -> None:
    loop, made, times = asyncio.get_running_loop(), slots(burst=3), []
    for _ in range(5):
        await made.acquire("a")
        times.append(loop.time())

    assert times == pytest.approx([0.0, 0.0, 0.0, 1.25, 2.25])


async def test_a_quiet_route_gets_the_next_slot_although_a_flooding_one_queued_first() -> None:
    loop, made, granted = asyncio.get_running_loop(), slots(), []

    async def launch(route: str) -> None:
        await made.acquire(route)
        granted.append((round(loop.time(), 6), route))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(launch("flood"))
        await asyncio.sleep(0.5)
        tasks.create_task(launch("quiet"))

    assert granted == [
        (0.0, "flood"),
        (1.25, "quiet"),
        (2.25, "flood"),
        (3.25, "flood"),
        (4.25, "flood"),
        (5.25, "flood"),
    ]


async def test_a_cancelled_wait_costs_nobody_a_slot() -> None:
    loop, made = asyncio.get_running_loop(), slots()
    await made.acquire("a")
    waiting = asyncio.create_task(made.acquire("a"))
    await asyncio.sleep(0.5)
    waiting.cancel()
    await made.acquire("b")

    assert loop.time() == pytest.approx(1.25)


async def test_a_wait_cancelled_just_as_it_is_granted_gives_the_slot_back() -> None:
    loop, made = asyncio.get_running_loop(), slots()
    await made.acquire("a")
    waiting = asyncio.create_task(made.acquire("a"))
    loop.call_at(1.25, lambda: loop.call_soon(waiting.cancel))
    await asyncio.wait({waiting})
    await made.acquire("b")

    assert loop.time() == pytest.approx(1.25)


async def test_a_pause_holds_everybody_back() -> None:
    loop, made = asyncio.get_running_loop(), slots(burst=3)
    made.pause(7.0)
    await made.acquire("a")

    assert loop.time() == 7.0
