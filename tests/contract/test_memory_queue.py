"""
The queue in memory on virtual time; and what every MessageQueue does, here and over HTTP.

The second half runs on the adapter as well, over our server and over moto, so that tests on virtual
time may trust the memory queue to be what the router will meet.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from memory_queue import MemoryQueue
from sqs_backends import Backend, Connect

from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.core.errors import QueueRefused, QueueUnavailable
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.routing import Queue

pytest_plugins = ["sqs_backends"]


def time() -> float:
    return round(asyncio.get_running_loop().time(), 3)


# On virtual time


async def test_a_message_comes_back_when_its_visibility_has_passed() -> None:
    queue = MemoryQueue("q")
    message_id = queue.put("{}")
    deliveries: list[tuple[float, str, int]] = []
    while len(deliveries) < 3:
        received = await queue.receive(10, 45.0)
        deliveries += [(time(), each.id, each.receive_count) for each in received]
    assert deliveries == [(0.0, message_id, 1), (45.0, message_id, 2), (90.0, message_id, 3)]
    assert queue.receives == 7


async def test_a_receive_waits_for_its_time_and_returns_nothing() -> None:
    queue = MemoryQueue("q", wait_time=7.0)
    assert await queue.receive(10, 30.0) == []
    assert time() == 7.0


async def test_a_receive_wakes_when_a_message_is_sent() -> None:
    queue = MemoryQueue("q")
    receiving = asyncio.create_task(queue.receive(10, 30.0))
    await asyncio.sleep(5)
    queue.put("{}")
    assert len(await receiving) == 1
    assert time() == 5.0


async def test_a_receive_wakes_when_a_message_is_given_back() -> None:
    queue = MemoryQueue("q")
    queue.put("{}")
    (held,) = await queue.receive(10, 3600.0)
    receiving = asyncio.create_task(queue.receive(10, 30.0))
    await asyncio.sleep(5)
    await queue.set_visibility({held.receipt: 0})
    assert len(await receiving) == 1
    assert time() == 5.0


async def test_a_message_that_is_shown_is_delivered_inside_its_lease() -> None:
    queue = MemoryQueue("q")
    message_id = queue.put("{}")
    (first,) = await queue.receive(10, 60.0)
    queue.show(message_id)
    (second,) = await queue.receive(10, 60.0)
    assert (first.id, first.receive_count) == (message_id, 1)
    assert (second.id, second.receive_count) == (message_id, 2)
    assert "not available" in (await queue.set_visibility({first.receipt: 60}))[first.receipt]


# FIFO, on virtual time


async def test_a_receive_wakes_when_a_group_may_go_on() -> None:
    queue = MemoryQueue("q.fifo")
    for body in ("1", "2"):
        queue.put(body, group="a")
    (held,) = await queue.receive(1, 60.0)
    receiving = asyncio.create_task(queue.receive(10, 60.0))
    await asyncio.sleep(5)
    await queue.delete([held.receipt])
    assert [message.body for message in await receiving] == ["2"]
    assert time() == 5.0


async def test_the_receive_after_one_that_failed_gets_what_that_one_took() -> None:
    queue = MemoryQueue("q.fifo", wait_time=0.0)
    for body in ("1", "2"):
        queue.put(body, group="a")
    queue.fail("receive", QueueUnavailable("lost"), after_effect=True)
    with pytest.raises(QueueUnavailable):
        await queue.receive(1, 60.0)
    await asyncio.sleep(50)
    (message,) = await queue.receive(10, 60.0)
    assert (message.body, message.receive_count) == ("1", 1)
    await asyncio.sleep(59)
    assert await queue.receive(10, 60.0) == []
    assert await queue.delete([message.receipt]) == {}


async def test_receives_at_the_same_time_get_different_groups() -> None:
    queue = MemoryQueue("q.fifo")
    receiving = [asyncio.create_task(queue.receive(1, 60.0)) for _ in range(2)]
    await asyncio.sleep(1)
    for group in "ab":
        queue.put(group, group=group)
    first, second = await asyncio.gather(*receiving)
    assert {message.body for message in (*first, *second)} == {"a", "b"}


Call = Callable[[MemoryQueue, str], Awaitable[object]]
CALLS = [
    pytest.param("receive", lambda queue, _: queue.receive(10, 60.0), id="receive"),
    pytest.param("delete", lambda queue, receipt: queue.delete([receipt]), id="delete"),
    pytest.param(
        "set_visibility", lambda queue, receipt: queue.set_visibility({receipt: 0}), id="visibility"
    ),
    pytest.param("send", lambda queue, _: queue.send("{}", {}), id="send"),
]


@pytest.mark.parametrize(("action", "call"), CALLS)
@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_scripted_failure_is_raised_once_before_or_after_the_effect(
    action: str, call: Call, *, after_effect: bool
) -> None:
    queue = MemoryQueue("q")
    queue.put("{}")
    (held,) = await queue.receive(10, 60.0)
    queue.put("{}")
    before = len(queue.ledger.entries)
    lost = QueueUnavailable("lost")
    queue.fail(action, lost, after_effect=after_effect)  # type: ignore[arg-type] # a column
    with pytest.raises(QueueUnavailable) as raised:
        await call(queue, held.receipt)
    assert raised.value is lost
    assert (len(queue.ledger.entries) > before) is after_effect
    queue.put("{}")
    await call(queue, held.receipt)


# What every MessageQueue does


Open = Callable[[], Awaitable[MemoryQueue | SqsQueue]]


def opener(request: pytest.FixtureRequest, connect: Connect, suffix: str) -> Open:
    async def memory() -> MemoryQueue:
        return MemoryQueue(f"q{suffix}", wait_time=0.0)

    if request.param == "memory":
        return memory
    backend: Backend = request.getfixturevalue(request.param)

    async def adapter() -> SqsQueue:
        url = backend.create_fifo() if suffix else backend.create()
        return await connect(backend, 0).open(Queue(f"q{suffix}", lookup=url.rpartition("/")[2]))

    return adapter


@pytest.fixture(params=["memory", "embedded", "moto"])
def new_queue(request: pytest.FixtureRequest, connect: Connect) -> Open:
    """Makes and opens a new queue that does not wait for messages."""
    return opener(request, connect, "")


@pytest.fixture(params=["memory", "embedded", "moto"])
def new_fifo(request: pytest.FixtureRequest, connect: Connect) -> Open:
    """Makes and opens a new FIFO queue that does not wait for messages."""
    return opener(request, connect, ".fifo")


async def sent(queue: MessageQueue, number: int = 1) -> list[Message]:
    """So many messages, sent and received, in the order of their bodies: 0, 1, 2, ..."""
    for body in range(number):
        await queue.send(str(body), {})
    found: list[Message] = []
    while len(found) < number:
        found += await queue.receive(10, 60.0)
    return sorted(found, key=lambda message: int(message.body))


@pytest.mark.real_time
async def test_a_message_is_received_as_it_was_sent(new_queue: Open) -> None:
    queue = await new_queue()
    attributes = {
        "text": Attribute("String.label", "é"),
        "number": Attribute("Number", "1.50"),
        "bytes": Attribute("Binary", b"\x00\xff"),
    }
    message_id = await queue.send('{"x": 1.0, "é": "\\u00e9"}', attributes)
    (message,) = await queue.receive(10, 60.0)
    assert queue.name == "q"
    assert message.id == message_id
    assert message.body == '{"x": 1.0, "é": "\\u00e9"}'
    assert message.attributes == attributes
    assert message.receive_count == 1
    assert {"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= set(message.system)


@pytest.mark.real_time
async def test_a_receive_brings_no_more_than_its_limit(new_queue: Open) -> None:
    queue = await new_queue()
    for _ in range(3):
        await queue.send("{}", {})
    assert len(await queue.receive(2, 60.0)) == 2
    assert len(await queue.receive(2, 60.0)) == 1
    assert await queue.receive(2, 60.0) == []


@pytest.mark.real_time
async def test_a_message_given_back_comes_with_a_new_receipt_and_count(new_queue: Open) -> None:
    queue = await new_queue()
    (first,) = await sent(queue)
    assert await queue.set_visibility({first.receipt: 0}) == {}
    (second,) = await queue.receive(10, 60.0)
    assert second.id == first.id
    assert second.receipt != first.receipt
    assert second.receive_count == 2


@pytest.mark.real_time
async def test_a_part_of_a_second_hides_a_message_too(new_queue: Open) -> None:
    queue = await new_queue()
    (message,) = await sent(queue)
    assert await queue.set_visibility({message.receipt: 0.001}) == {}
    assert await queue.receive(10, 60.0) == []


@pytest.mark.real_time
async def test_any_number_is_settled_in_one_call(new_queue: Open) -> None:
    queue = await new_queue()
    messages = await sent(queue, 25)
    receipts = [message.receipt for message in messages]
    assert await queue.set_visibility(dict.fromkeys(receipts, 30)) == {}
    assert await queue.delete(receipts) == {}
    assert len(set(receipts)) == 25
    # What is deleted cannot be hidden again.
    assert set(await queue.set_visibility(dict.fromkeys(receipts, 0))) == set(receipts)


@pytest.mark.real_time
async def test_nothing_to_settle_is_nothing_to_do(new_queue: Open) -> None:
    queue = await new_queue()
    assert await queue.delete([]) == {}
    assert await queue.set_visibility({}) == {}


@pytest.mark.real_time
async def test_deleting_twice_does_no_harm(new_queue: Open) -> None:
    queue = await new_queue()
    (message,) = await sent(queue)
    assert await queue.delete([message.receipt, message.receipt]) == {}
    assert await queue.delete([message.receipt]) == {}


@pytest.mark.real_time
@pytest.mark.parametrize("call", ["delete", "set_visibility"])
async def test_a_refused_receipt_comes_back_with_its_reason_and_the_rest_is_done(
    new_queue: Open, call: str
) -> None:
    queue = await new_queue()
    good, also_good = await sent(queue, 2)
    receipts = [good.receipt, "garbage", also_good.receipt]
    refused = await (
        queue.delete(receipts)
        if call == "delete"
        else queue.set_visibility(dict.fromkeys(receipts, 0))
    )
    assert set(refused) == {"garbage"}
    assert refused["garbage"].startswith("ReceiptHandleIsInvalid: ")
    again = await queue.receive(10, 60.0)
    assert len(again) == (0 if call == "delete" else 2)


@pytest.mark.real_time
async def test_what_sqs_does_not_take_is_refused(new_queue: Open) -> None:
    queue = await new_queue()
    with pytest.raises(QueueRefused, match="shorter than 1048576 bytes") as refused:
        await queue.send("x" * 1_048_577, {})
    assert refused.value.code == "InvalidParameterValue"


# What every FIFO queue does


async def all_in_order(queue: MessageQueue) -> list[str]:
    """The bodies of all that can be received, each deleted once it is."""
    bodies: list[str] = []
    while messages := await queue.receive(10, 60.0):
        bodies += [message.body for message in messages]
        await queue.delete([message.receipt for message in messages])
    return bodies


@pytest.mark.real_time
async def test_the_order_of_a_group_is_kept(new_fifo: Open) -> None:
    queue = await new_fifo()
    for body in range(12):
        await queue.send(str(body), {}, group="ab"[body % 2])
    found = await all_in_order(queue)
    assert queue.fifo
    assert [body for body in found if int(body) % 2 == 0] == ["0", "2", "4", "6", "8", "10"]
    assert [body for body in found if int(body) % 2 == 1] == ["1", "3", "5", "7", "9", "11"]


@pytest.mark.real_time
async def test_a_fifo_message_tells_its_group_and_number(new_fifo: Open) -> None:
    queue = await new_fifo()
    await queue.send("{}", {"a": Attribute("String", "x")}, group="a", deduplication="id")
    (message,) = await queue.receive(10, 60.0)
    assert message.attributes == {"a": Attribute("String", "x")}
    assert message.system["MessageGroupId"] == "a"
    assert message.system["MessageDeduplicationId"] == "id"
    assert message.system["SequenceNumber"].isdecimal()


@pytest.mark.real_time
async def test_while_a_message_is_held_its_group_waits_and_others_do_not(new_fifo: Open) -> None:
    queue = await new_fifo()
    for body, group in (("1", "a"), ("2", "a"), ("3", "b")):
        await queue.send(body, {}, group=group)
    (first,) = await queue.receive(1, 60.0)
    assert [message.body for message in await queue.receive(10, 60.0)] == ["3"]
    assert await queue.receive(10, 60.0) == []
    assert await queue.set_visibility({first.receipt: 0}) == {}
    assert [message.body for message in await queue.receive(10, 60.0)] == ["1", "2"]


@pytest.mark.real_time
async def test_a_duplicate_is_sent_once(new_fifo: Open) -> None:
    queue = await new_fifo()
    for _ in range(2):
        await queue.send("{}", {}, group="a", deduplication="id")
    assert len(await queue.receive(10, 60.0)) == 1


@pytest.mark.real_time
async def test_without_a_group_a_message_waits_for_no_other(new_fifo: Open) -> None:
    queue = await new_fifo()
    for _ in range(2):
        await queue.send("{}", {})
    assert [len(await queue.receive(1, 60.0)) for _ in range(3)] == [1, 1, 0]


@pytest.mark.real_time
async def test_on_a_standard_queue_a_group_holds_up_nothing(new_queue: Open) -> None:
    queue = await new_queue()
    for _ in range(2):
        await queue.send("{}", {}, group="tenant", deduplication="id")
    messages = [(await queue.receive(1, 60.0))[0] for _ in range(2)]
    assert not queue.fifo
    assert [message.system["MessageGroupId"] for message in messages] == ["tenant", "tenant"]


@pytest.mark.real_time
@pytest.mark.parametrize("new_fifo", ["memory", "embedded"], indirect=True)
async def test_an_expired_receipt_deletes_nothing_and_comes_back(new_fifo: Open) -> None:
    queue = await new_fifo()
    await queue.send("{}", {})
    (message,) = await queue.receive(10, 60.0)
    await queue.set_visibility({message.receipt: 0})
    expired = {message.receipt: "ReceiptHandleIsInvalid: The receipt handle has expired"}
    assert await queue.delete([message.receipt]) == expired
    assert len(await queue.receive(10, 60.0)) == 1
