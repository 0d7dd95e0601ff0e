"""FIFO queues: what may follow a message of its group, and what must not."""

import asyncio

from building import profile, route, table
from scenario import Scenario, running, unavailable

from lambdo_router.core import journal
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Reject

GROUPED = Queue("q.fifo", url="q.fifo", reject_to="r", visibility=60.0)


def one_by_one() -> RoutingTable:
    each = route(queues=("q.fifo",), profile=profile(batch_size=1))
    return table(each, queues=(GROUPED, Queue("r", url="r")))


async def test_what_follows_a_message_that_cannot_be_sent_aside_waits_until_it_is_gone() -> None:
    def broken(scenario: Scenario) -> None:
        scenario.queue("r").failing["send"] = unavailable()

    async with running(one_by_one(), prepare=broken) as scenario:
        queue = scenario.queue("q.fifo").inner
        bad, good = queue.put("not JSON", group="g"), queue.put("{}", group="g")
        await asyncio.sleep(50)
        while_it_was_held = scenario.launched()
        scenario.queue("r").failing.clear()
        await asyncio.sleep(100)

    assert [fact.action for fact in scenario.of(journal.SettlementFailed)] == ["send to r"]
    assert while_it_was_held == []
    order = [fact.message_id for fact in scenario.of(journal.Settled)]
    assert order == [bad, good]
    assert isinstance(scenario.settled()[bad], Reject)
    assert scenario.settled()[good] == Acknowledge("launched")


async def test_what_follows_a_message_whose_delete_is_refused_waits_for_its_redelivery() -> None:
    async with running(one_by_one()) as scenario:
        queue = scenario.queue("q.fifo")
        queue.refusing_deletes = True
        first, second = queue.inner.put("{}", group="g"), queue.inner.put("{}", group="g")
        await asyncio.sleep(10)
        launched = [fact.batch.message_ids for fact in scenario.of(journal.Launched)]
        queue.refusing_deletes = False
        await asyncio.sleep(100)

    assert launched == [(first,)]
    assert [fact.message_id for fact in scenario.of(journal.Settled)] == [first, second]


async def test_every_message_of_a_batch_is_said_to_take_its_route() -> None:
    together = route(queues=("q.fifo",), profile=profile(batch_size=10))
    async with running(table(together, queues=(GROUPED, Queue("r", url="r")))) as scenario:
        queue = scenario.queue("q.fifo").inner
        sent = [queue.put("{}", group="g") for _ in range(5)]
        await asyncio.sleep(10)

    assert [fact.message_id for fact in scenario.of(journal.Decided)] == sent
    assert sorted(i for f in scenario.of(journal.Launched) for i in f.batch.message_ids) == sent
