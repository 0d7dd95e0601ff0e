"""A look into a queue: what is seen, that it is held all the while, and that it is given back."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest
from memory_queue import MemoryQueue

from lambdo_router.cli.rejected import queue_browser
from lambdo_router.cli.rejected.queue_browser import browse
from lambdo_router.core.errors import QueueRefused, QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.local.sqs_server import LedgerEntry


def queue_of(bodies: Sequence[str], name: str = "rejected") -> MemoryQueue:
    queue = MemoryQueue(name, wait_time=1.0)
    for body in bodies:
        queue.put(body, group=body[0] if queue.fifo else None)
    return queue


def never() -> asyncio.Event:
    return asyncio.Event()


def entries(queue: MemoryQueue, kind: str) -> list[LedgerEntry]:
    return [entry for entry in queue.ledger.entries if entry.kind == kind]


async def visible(queue: MemoryQueue) -> list[str]:
    """The bodies of what can be received at once, without waiting."""
    found: list[Message] = []
    queue.wait_time = 0.0
    while more := await queue.receive(10, 30):
        found += more
    return [message.body for message in found]


async def test_a_look_sees_every_message_once_and_gives_all_of_them_back() -> None:
    queue = queue_of([f"{n}" for n in range(23)])

    async with browse(queue, never()) as browser:
        seen = []
        while messages := await browser.receive():
            seen += [message.body for message in messages]
        assert (browser.taken, browser.held, browser.ended) == (23, 23, True)
        assert await visible(queue) == []

    assert seen == [f"{n}" for n in range(23)]
    assert (browser.held, browser.stuck, browser.lost_answers) == (0, 0, 0)
    assert sorted(await visible(queue)) == sorted(seen)


async def test_no_message_comes_twice_however_long_the_look_lasts() -> None:
    queue = queue_of(["a"])

    async with browse(queue, never()) as browser:
        (message,) = await browser.receive()
        for _ in range(20):
            await asyncio.sleep(100)
            assert browser.margin(message.id) >= queue_browser.LEASE / 2
        assert await browser.receive() == []

    renewed = [entry.at for entry in entries(queue, "visibility")]
    assert renewed == [60.0 * n for n in range(1, 34)] + [2001.0]
    assert [entry.seconds for entry in entries(queue, "visibility")] == [120.0] * 33 + [0.0]


@pytest.mark.parametrize("error", [QueueRefused("no"), None], ids=["error", "cancelled"])
async def test_whatever_ends_the_block_comes_through_and_everything_is_given_back(
    error: QueueRefused | None,
) -> None:
    queue = queue_of(["a", "b"])

    async def browsing() -> None:
        async with browse(queue, never()) as browser:
            assert len(await browser.receive(1)) == 1
            await browser.receive()
            await asyncio.sleep(400)
            assert await visible(queue) == []
            if error is not None:
                raise error
            task.cancel()
            await asyncio.sleep(0)

    task = asyncio.create_task(browsing())
    with pytest.raises(asyncio.CancelledError if error is None else QueueRefused):
        await task

    assert sorted(await visible(queue)) == ["a", "b"]


async def test_who_cancels_does_not_wait_for_long() -> None:
    queue = _Silent("rejected", wait_time=1.0)
    queue.put("a")

    async def looking() -> None:
        async with browse(queue, never()) as browser:
            browsers.append(browser)
            await browser.receive()
            await asyncio.sleep(1000)

    browsers: list[queue_browser.QueueBrowser] = []
    task = asyncio.create_task(looking())
    await asyncio.sleep(5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert asyncio.get_running_loop().time() == 15.0
    assert browsers[0].stuck == 1


class _Silent(MemoryQueue):
    """A queue that never says that it has changed the visibility of a message."""

    async def set_visibility(self, seconds: Mapping[str, float]) -> dict[str, str]:
        del seconds
        await asyncio.sleep(3600)
        return {}


async def test_a_message_that_comes_again_is_seen_once_and_deleted_by_its_new_receipt() -> None:
    queue = queue_of(["a"])

    async with browse(queue, never()) as browser:
        (message,) = await browser.receive()
        queue.show(message.id)
        assert await browser.receive() == []
        assert (browser.taken, browser.held) == (1, 1)
        assert await browser.delete(message.id) is None

    assert queue.empty


async def test_what_may_pass_is_tried_again_and_a_lost_answer_is_noted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    queue = queue_of(["a"] * 11)
    queue.fail("receive", QueueUnavailable("lost"), after_effect=True)
    queue.fail("receive", QueueUnavailable("slow down", retry_after=7.0))

    async with browse(queue, never()) as browser:
        assert len(await browser.receive()) == 1
        assert browser.lost_answers == 2
        assert asyncio.get_running_loop().time() == 1.0 + 7.0

    assert len(await visible(queue)) == 1


async def test_on_a_fifo_queue_a_lost_answer_is_had_again() -> None:
    queue = queue_of(["a1", "b1"], "rejected.fifo")
    queue.fail("receive", QueueUnavailable("lost"), after_effect=True)

    async with browse(queue, never()) as browser:
        assert [message.body for message in await browser.receive()] == ["a1", "b1"]


async def test_a_stop_during_an_outage_ends_the_look_without_an_error() -> None:
    queue, stop = queue_of(["a"]), never()
    queue.fail("receive", *[QueueUnavailable("away", retry_after=600.0)] * 9)
    asyncio.get_running_loop().call_later(10.0, stop.set)

    async with browse(queue, stop) as browser:
        assert await browser.receive() == []
        assert not browser.ended

    assert (asyncio.get_running_loop().time(), queue.receives) == (10.0, 1)


@pytest.mark.parametrize(
    ("error", "receives"),
    [
        pytest.param(QueueUnavailable("away"), queue_browser.TRIES, id="away-for-good"),
        pytest.param(QueueRefused("not allowed"), 1, id="refused"),
    ],
)
async def test_a_queue_that_cannot_be_read_ends_the_look(
    error: QueueUnavailable | QueueRefused, receives: int
) -> None:
    queue = queue_of(["a"])
    queue.fail("receive", *[error] * receives)

    with pytest.raises(type(error)):
        async with browse(queue, never()) as browser:
            await browser.receive()

    assert queue.receives == receives


async def test_a_delete_goes_on_until_sqs_has_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "random", lambda: 1.0)
    queue = queue_of(["a"])
    queue.fail("delete", QueueUnavailable("away"), QueueUnavailable("away"))
    queue.fail("delete", QueueUnavailable("lost"), after_effect=True)

    async with browse(queue, never()) as browser:
        (message,) = await browser.receive()
        assert await browser.delete(message.id) is None
        assert browser.held == 0

    assert queue.empty
    assert asyncio.get_running_loop().time() == 0.5 + 1.0 + 2.0


@pytest.mark.parametrize(
    ("name", "errors", "why"),
    [
        pytest.param("rejected", [QueueRefused("not allowed")], "not allowed", id="refused"),
        pytest.param(
            "rejected", [QueueUnavailable("away")] * queue_browser.TRIES, "away", id="away"
        ),
        pytest.param("rejected.fifo", [], "ReceiptHandleIsInvalid: ", id="others-may-have-it"),
    ],
)
async def test_a_delete_that_fails_says_why(
    name: str, errors: list[QueueRefused | QueueUnavailable], why: str
) -> None:
    queue = queue_of(["a1"], name)
    queue.fail("delete", *errors)

    async with browse(queue, never()) as browser:
        (message,) = await browser.receive()
        if queue.fifo:
            queue.show(message.id)
        failure = await browser.delete(message.id)

    assert (failure or "").startswith(why)
    assert await visible(queue) == (["a1"] if queue.fifo else [])


async def test_a_lost_lease_has_no_margin_and_may_be_had_again() -> None:
    queue = queue_of(["a"])

    async with browse(queue, never()) as browser:
        (message,) = await browser.receive()
        queue.show(message.id)
        (stolen,) = await queue.receive(1, 200)
        await asyncio.sleep(70)
        assert browser.margin(message.id) == 0.0
        await queue.set_visibility({stolen.receipt: 0})
        assert await browser.receive() == []
        assert (browser.taken, browser.margin(message.id)) == (1, 119.0)

    assert await visible(queue) == ["a"]


async def test_what_cannot_be_given_back_is_counted() -> None:
    queue = queue_of(["a", "b"])

    async with browse(queue, never()) as browser:
        await browser.receive()
        queue.fail("set_visibility", QueueUnavailable("away"))

    assert browser.stuck == 2
