"""Renewals and delays of one queue: few calls, renewals first, and every lapse is noticed."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from memory_queue import MemoryQueue

from lambdo_router.core import journal
from lambdo_router.core.errors import QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.settlement import Acknowledge, Retry
from lambdo_router.engine.held_messages import HeldMessages

LONG = 43_200.0


@dataclass(slots=True)
class SlowQueue(MemoryQueue):
    """Notes the calls that change visibility: when, how many messages, for how long at most."""

    takes: list[float] = field(default_factory=list)
    """Seconds of the next calls; after these, 0.05."""
    calls: list[tuple[float, int, float]] = field(default_factory=list)
    answers_take: float = 0.0
    """Seconds from the change to its answer."""

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        self.calls.append((time(), len(seconds), max(seconds.values())))
        await asyncio.sleep(self.takes.pop(0) if self.takes else 0.05)
        refused = await MemoryQueue.set_visibility(self, seconds)
        await asyncio.sleep(self.answers_take)
        return refused


@dataclass
class Held:
    queue: SlowQueue
    holdings: HeldMessages
    messages: list[Message]
    facts: list[journal.Fact]

    @property
    def ids(self) -> list[str]:
        return [message.id for message in self.messages]


def time() -> float:
    return round(asyncio.get_running_loop().time(), 3)


async def _no_reject_queue(name: str) -> MemoryQueue:
    raise AssertionError(name)


@asynccontextmanager
async def holding(number: int, *, seconds: float = 60.0) -> AsyncIterator[Held]:
    """So many messages that were received at 0.0, with leases of `seconds`."""
    facts: list[journal.Fact] = []
    queue = SlowQueue("q", wait_time=0.0)
    holdings = HeldMessages(queue, _no_reject_queue, facts.append, lambda: 1.0)
    for _ in range(number):
        queue.put("{}")
    messages: list[Message] = []
    while received := await queue.receive(10, seconds):
        messages.extend(received)
    holdings.hold(messages, seconds)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(holdings.keep_alive(lambda _: False))
        await asyncio.sleep(0)
        yield Held(queue, holdings, messages, facts)
        keeping.cancel()


async def test_a_thousand_retries_are_a_hundred_calls_and_renewals_do_not_queue_behind_them() -> (
    None
):
    """One lock for single calls of 50 ms let a hundred leases lapse, 19 s before it was seen."""
    async with holding(1_100) as held:
        await asyncio.sleep(29.9)
        retried, renewed = held.messages[:1_000], held.messages[1_000:]
        async with asyncio.TaskGroup() as settling:
            for number, message in enumerate(retried):
                retry = Retry(300.0 + number % 97, "its Machine failed")
                settling.create_task(held.holdings.settle(message, "orders", retry))
        ended = time()
        await asyncio.sleep(10)
        margin = held.holdings.margin(tuple(message.id for message in renewed))

    assert ended == 30.45
    delays = [count for _, count, longest in held.queue.calls if longest > 60.0]
    assert (len(delays), sum(delays)) == (100, 1_000)
    assert {at for at, _, longest in held.queue.calls if longest == 60.0} == {30.0}
    assert margin == pytest.approx(60.0 - (time() - 30.0))
    assert not [fact for fact in held.facts if isinstance(fact, journal.LeaseLost)]


async def test_each_message_is_hidden_for_its_own_delay() -> None:
    async with holding(3) as held:
        async with asyncio.TaskGroup() as settling:
            for message, delay in zip(held.messages, (10.0, 20.0, 30.0), strict=True):
                settling.create_task(held.holdings.settle(message, None, Retry(delay, "")))
        seen = []
        for _ in range(3):
            await asyncio.sleep(10)
            seen.append([message.id for message in await held.queue.receive(10, LONG)])

    assert seen == [[message_id] for message_id in held.ids]


async def test_a_thousand_messages_that_are_given_back_at_a_stop_are_back_within_a_second() -> None:
    async with holding(1_000) as held:
        began = time()
        async with asyncio.TaskGroup() as stopping:
            for message_id in held.ids:
                stopping.create_task(held.holdings.release((message_id,)))
        took = round(time() - began, 3)

    assert took == 0.5
    given_back = [fact for fact in held.facts if isinstance(fact, journal.GivenBack)]
    assert sum(len(fact.message_ids) for fact in given_back) == 1_000


async def test_a_renewal_that_hangs_delays_no_other_renewal_and_its_lapse_is_noticed() -> None:
    async with holding(101) as held:
        held.queue.takes = [500.0]
        await asyncio.sleep(70)
        healthy = [i for i in held.ids if not held.holdings.is_lost(i)]
        lost = [fact for fact in held.facts if isinstance(fact, journal.LeaseLost)]

    assert len(healthy) == 1
    assert [set(fact.message_ids) for fact in lost] == [set(held.ids) - set(healthy)]


async def test_a_delay_waits_for_the_renewal_under_way_and_is_not_overwritten_by_it() -> None:
    async with holding(2) as held:
        held.queue.takes = [5.0]
        await asyncio.sleep(31)
        # Until 35.0 both are being renewed, for 60 s.
        await held.holdings.release(held.ids[:1])
        at = time()
        visible = await held.queue.receive(10, LONG)

    assert at == 35.05
    assert [message.id for message in visible] == held.ids[:1]


async def test_a_call_that_fails_says_nothing_of_the_delays_that_went_out_beside_it() -> None:
    async with holding(25) as held:
        held.queue.fail("set_visibility", QueueUnavailable("503"))
        await held.holdings.release(held.ids)

    (failed,) = [fact for fact in held.facts if isinstance(fact, journal.SettlementFailed)]
    (given_back,) = [fact for fact in held.facts if isinstance(fact, journal.GivenBack)]
    assert (len(failed.message_ids), failed.action, failed.why) == (10, "give back", "503")
    assert set(failed.message_ids) | set(given_back.message_ids) == set(held.ids)
    assert len(given_back.message_ids) == 15


async def test_with_the_receipt_of_a_lost_lease_nothing_is_asked() -> None:
    """On a standard queue SQS may take it, and change the lease of who has the message now."""
    async with holding(1) as held:
        held.queue.takes = [500.0]
        await asyncio.sleep(60.5)
        (theirs,) = await held.queue.receive(10, 30.0)
        calls = len(held.queue.calls)
        await held.holdings.settle(held.messages[0], "orders", Retry(900.0, "its Machine failed"))
        asked = len(held.queue.calls) - calls
        await asyncio.sleep(30)
        again = await held.queue.receive(10, LONG)

    assert asked == 0
    assert [message.id for message in again] == [theirs.id]
    assert [fact for fact in held.facts if isinstance(fact, journal.Settled)] == []
    (failed,) = [fact for fact in held.facts if isinstance(fact, journal.SettlementFailed)]
    assert failed.why == "its lease was lost before, and others may have the message"


@pytest.mark.parametrize(
    ("settled", "renewed"),
    [pytest.param(2, [], id="all"), pytest.param(1, [(1, 28.95)], id="one-of-two")],
)
async def test_what_is_settled_while_its_renewal_is_answered_has_no_margin(
    settled: int, renewed: list[tuple[int, float]]
) -> None:
    """A margin of 0 s was reported, as if a lease had nearly run out."""
    async with holding(2) as held:
        held.queue.answers_take = 1.0
        await asyncio.sleep(30.5)
        done = tuple(held.ids[:settled])
        await held.holdings.acknowledge(done, "orders", Acknowledge("succeeded"))
        await asyncio.sleep(1)
        facts = [fact for fact in held.facts if isinstance(fact, journal.LeasesRenewed)]

    assert [(fact.messages, round(fact.margin, 3)) for fact in facts] == renewed
