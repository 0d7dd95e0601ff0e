"""What `run` asks before it takes anything, and how long it waits for the answers."""

import asyncio
from typing import Any

import pytest
from building import route, table

from lambdo_router.cli.run import _all_reachable
from lambdo_router.core.routing import Queue


class Sqs:
    async def open(self, queue: Queue) -> Any:
        if queue.name == "silent":
            await asyncio.sleep(3600)

        class Opened:
            notes = ()

        return Opened()


class Fly:
    async def check(self, app: str) -> None:
        """It is there."""


async def test_a_queue_that_does_not_answer_delays_the_start_for_ten_seconds_and_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    queues = (Queue("q", url="q"), Queue("silent", url="s"))
    made = table(route(queues=("q", "silent")), queues=queues)
    told: list[str] = []

    fine = await _all_reachable(made, Sqs(), Fly(), told.append)  # type: ignore[arg-type]

    assert asyncio.get_running_loop().time() == 10.0
    assert fine
    warned = capsys.readouterr().err
    assert "queue `silent` does not answer within 10 s; the router keeps trying" in warned
    assert told == []
