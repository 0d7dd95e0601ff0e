import asyncio

import pytest
from scenario import now

from lambdo_router.engine.waiting import set_by, set_within, unless


async def test_an_event_is_waited_for_up_to_a_time_of_the_loop() -> None:
    event = asyncio.Event()
    assert not await set_by(event, 5.0)
    assert now() == 5.0

    asyncio.get_running_loop().call_at(7.0, event.set)
    assert await set_by(event, 10.0)
    assert now() == 7.0


async def test_without_a_time_an_event_is_waited_for_as_long_as_it_takes() -> None:
    event = asyncio.Event()
    asyncio.get_running_loop().call_at(1000.0, event.set)
    assert await set_by(event, None)
    assert now() == 1000.0


async def test_seconds_count_from_now() -> None:
    await asyncio.sleep(3)
    assert not await set_within(asyncio.Event(), 4.0)
    assert now() == 7.0


async def test_a_unit_that_ends_first_gives_its_result() -> None:
    assert await unless(asyncio.Event(), asyncio.sleep(2, "done")) == "done"
    assert now() == 2.0


async def test_a_unit_that_an_event_overtakes_is_cancelled() -> None:
    event, ends = asyncio.Event(), []

    async def unit() -> str:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            ends.append(now())
            raise
        return "done"

    asyncio.get_running_loop().call_at(2.0, event.set)
    assert await unless(event, unit()) is None
    await asyncio.sleep(0)
    assert ends == [2.0]


async def test_what_a_unit_raises_comes_through() -> None:
    async def unit() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await unless(asyncio.Event(), unit())
