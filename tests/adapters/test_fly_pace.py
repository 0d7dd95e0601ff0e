import asyncio

from lambdo_router.adapters.fly.pace import RateLimiter


async def turns(pace: RateLimiter, count: int) -> list[float]:
    """When each of so many callers, who all come at once, had its turn, in their order."""
    clock = asyncio.get_running_loop().time

    async def turn() -> float:
        await pace.turn()
        return clock()

    return await asyncio.gather(*(turn() for _ in range(count)))


async def test_three_at_once_and_one_a_second_in_the_order_of_coming() -> None:
    # A quarter second of grace: Fly's bucket begins to fill when the first call arrives there.
    assert await turns(RateLimiter(1.0, 3), 6) == [0.0, 0.0, 0.0, 1.25, 2.25, 3.25]


async def test_after_a_rest_there_are_three_again() -> None:
    pace = RateLimiter(1.0, 3)
    await turns(pace, 3)
    await asyncio.sleep(100.0)

    assert await turns(pace, 4) == [100.0, 100.0, 100.0, 101.25]


async def test_a_pause_holds_back_also_those_who_wait_already() -> None:
    pace = RateLimiter(1.0, 1)
    waiting = asyncio.create_task(turns(pace, 3))
    await asyncio.sleep(1.0)
    pace.pause(9.0)

    assert await waiting == [0.0, 10.0, 11.25]


async def test_who_gives_up_costs_nobody_a_turn() -> None:
    pace = RateLimiter(1.0, 1)
    await pace.turn()
    given_up = asyncio.create_task(pace.turn())
    later = asyncio.create_task(turns(pace, 1))
    await asyncio.sleep(0.5)
    given_up.cancel()

    assert await later == [1.25]
