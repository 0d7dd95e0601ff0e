"""
The embedded SQS: first without HTTP, where time is an argument, then its protocol on virtual time.

What it has in common with AWS and with moto is in test_sqs_contract.py, FIFO queues are in
test_sqs_fifo.py.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

import httpx
import pytest

from lambdo_router.admin.serving import serve
from lambdo_router.core.message import Attribute, Message
from lambdo_router.local.faults import ErrorAnswer, Fault, FaultPlan, Partial, Throttle
from lambdo_router.local.sqs_server import (
    Ledger,
    LedgerEntry,
    NewMessage,
    Sqs,
    SqsError,
    sqs_app,
)

T = 1_700_000_000.0
MIB = 1_048_576


def server(attributes: Mapping[str, str] | None = None) -> Sqs:
    """A server with one queue `q`, whose messages are called m1, m2, ..."""
    numbers = count(1)
    sqs = Sqs(new_id=lambda: f"m{next(numbers)}")
    sqs.create_queue("q", attributes or {}, now=T)
    return sqs


def send(sqs: Sqs, body: str = "{}", now: float = T, queue: str = "q") -> str:
    return sqs.send(queue, NewMessage(body), now)


def receive(
    sqs: Sqs, now: float, visibility: int | None = None, limit: int = 10, queue: str = "q"
) -> list[Message]:
    return sqs.receive(queue, limit, visibility, now)


def ids(deliveries: list[Message]) -> list[str]:
    return [delivery.id for delivery in deliveries]


def counts(sqs: Sqs, now: float, queue: str = "q") -> tuple[str, str, str]:
    """Visible, in flight and delayed messages, as GetQueueAttributes has them."""
    found = sqs.attributes(queue, ["All"], now)
    name = "ApproximateNumberOfMessages"
    return found[name], found[f"{name}NotVisible"], found[f"{name}Delayed"]


def kinds(sqs: Sqs, message_id: str) -> list[tuple[float, str]]:
    return [(entry.at - T, entry.kind) for entry in sqs.ledger.of(message_id)]


# Visibility


def test_a_received_message_is_hidden_until_its_visibility_has_passed() -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs)
    assert ids(receive(sqs, T + 1)) == ["m1"]
    assert ids(receive(sqs, T + 30.999)) == []
    assert ids(receive(sqs, T + 31)) == ["m1"]


def test_each_receive_counts_and_gives_a_new_receipt() -> None:
    sqs = server()
    send(sqs)
    first, second = (receive(sqs, T + at)[0] for at in (0, 30))
    assert first.receipt != second.receipt
    assert [d.system["ApproximateReceiveCount"] for d in (first, second)] == ["1", "2"]
    assert [d.system["ApproximateFirstReceiveTimestamp"] for d in (first, second)] == [
        "1700000000000",
        "1700000000000",
    ]


def test_changing_the_visibility_counts_from_now() -> None:
    sqs = server()
    send(sqs)
    receipt = receive(sqs, T)[0].receipt
    sqs.change_visibility("q", receipt, 100, T + 20)
    assert ids(receive(sqs, T + 119.9)) == []
    assert ids(receive(sqs, T + 120)) == ["m1"]


def test_messages_become_visible_in_the_order_of_their_time() -> None:
    sqs = server()
    for _ in range(3):
        send(sqs)
    receipts = [delivery.receipt for delivery in receive(sqs, T)]
    for receipt, seconds in zip(receipts, (30, 10, 20), strict=True):
        sqs.change_visibility("q", receipt, seconds, T)
    send(sqs, now=T + 15)
    assert ids(receive(sqs, T + 30)) == ["m2", "m4", "m3", "m1"]


@pytest.mark.parametrize(
    ("seconds", "at", "fits"),
    [
        pytest.param(43_200, 0, True, id="all-of-it-at-the-receive"),
        pytest.param(43_200, 1, False, id="all-of-it-a-second-later"),
        pytest.param(43_199, 1, True, id="the-rest-of-it"),
        pytest.param(43_201, 0, False, id="more-than-ever"),
        pytest.param(-1, 0, False, id="negative"),
    ],
)
def test_twelve_hours_from_the_receive_are_the_limit(seconds: int, at: int, fits: bool) -> None:  # noqa: FBT001 # a column
    sqs = server()
    send(sqs)
    receipt = receive(sqs, T)[0].receipt
    if fits:
        sqs.change_visibility("q", receipt, seconds, T + at)
        return
    with pytest.raises(SqsError) as refused:
        sqs.change_visibility("q", receipt, seconds, T + at)
    assert refused.value.code == "InvalidParameterValue"


def test_a_new_receive_starts_the_twelve_hours_anew() -> None:
    sqs = server()
    send(sqs)
    receive(sqs, T)
    later = receive(sqs, T + 43_000)[0]
    sqs.change_visibility("q", later.receipt, 43_200, T + 43_000)


# Deletes and receipts


def test_a_deleted_message_is_gone_and_deleting_it_again_does_no_harm() -> None:
    sqs = server()
    send(sqs)
    receipt = receive(sqs, T)[0].receipt
    sqs.delete("q", receipt, T + 1)
    sqs.delete("q", receipt, T + 2)
    assert counts(sqs, T + 100) == ("0", "0", "0")
    assert kinds(sqs, "m1") == [
        (0, "sent"),
        (0, "received"),
        (1, "deleted"),
        (2, "delete_ignored"),
    ]


def test_a_receipt_that_a_later_receive_replaced_has_no_effect() -> None:
    sqs = server()
    send(sqs)
    stale = receive(sqs, T)[0].receipt
    receive(sqs, T + 30)
    sqs.delete("q", stale, T + 31)
    assert kinds(sqs, "m1")[-1] == (31, "delete_ignored")
    with pytest.raises(SqsError, match="not available for visibility timeout change"):
        sqs.change_visibility("q", stale, 10, T + 31)
    assert ids(receive(sqs, T + 60)) == ["m1"]


@pytest.mark.parametrize("receipt", ["", "garbage", "ä", "Z2FyYmFnZQ==", "YS9iL2M="])
def test_what_is_no_receipt_is_refused_as_such(receipt: str) -> None:
    with pytest.raises(SqsError) as refused:
        server().delete("q", receipt, T)
    assert refused.value.code == "ReceiptHandleIsInvalid"


def test_a_receipt_is_worth_nothing_on_another_queue() -> None:
    sqs = server()
    sqs.create_queue("other", {}, T)
    send(sqs)
    with pytest.raises(SqsError, match="not a valid receipt handle"):
        sqs.delete("other", receive(sqs, T)[0].receipt, T)


# Delays, retention, purge, the limit in flight


@pytest.mark.parametrize(
    ("own", "queues", "visible_at"),
    [
        pytest.param(None, "0", 0, id="none"),
        pytest.param(None, "7", 7, id="the-queues"),
        pytest.param(5, "7", 5, id="the-messages-own"),
        pytest.param(0, "7", 0, id="the-messages-own-zero"),
    ],
)
def test_a_delayed_message_is_not_visible_before_its_time(
    own: int | None, queues: str, visible_at: int
) -> None:
    sqs = server({"DelaySeconds": queues})
    sqs.send("q", NewMessage("{}", delay=own), T)
    assert counts(sqs, T) == (("1", "0", "0") if visible_at == 0 else ("0", "0", "1"))
    assert visible_at == 0 or ids(receive(sqs, T + visible_at - 0.1)) == []
    assert ids(receive(sqs, T + visible_at)) == ["m1"]


def test_a_message_older_than_the_retention_is_never_received() -> None:
    sqs = server({"MessageRetentionPeriod": "60"})
    send(sqs)
    send(sqs, now=T + 30)
    assert ids(receive(sqs, T + 60)) == ["m2"]
    assert kinds(sqs, "m1") == [(0, "sent"), (60, "expired")]


# Dead letters


def dead_letters(sqs: Sqs, most: object = 2) -> None:
    """Give `q` a dead-letter queue `dead` after `most` receives."""
    target = sqs.create_queue("dead", {}, T).arn
    policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": most})
    sqs.set_attributes("q", {"RedrivePolicy": policy}, T)


def test_a_message_is_dead_lettered_by_the_receive_after_the_last_one_allowed() -> None:
    sqs = server()
    dead_letters(sqs)
    send(sqs)
    assert [ids(receive(sqs, T + at)) for at in (0, 30)] == [["m1"], ["m1"]]
    assert counts(sqs, T + 60, "dead") == ("0", "0", "0")
    assert ids(receive(sqs, T + 60)) == []
    found = receive(sqs, T + 61, queue="dead")[0]
    assert found.id == "m1"
    assert found.system["ApproximateReceiveCount"] == "3"
    assert found.system["DeadLetterQueueSourceArn"] == "arn:aws:sqs:us-east-1:000000000000:q"
    assert found.system["SentTimestamp"] == "1700000000000"
    moved = next(entry for entry in sqs.ledger.of("m1") if entry.kind == "dead_lettered")
    assert moved == LedgerEntry(T + 60, "dead_lettered", "q", "m1", receives=2, target="dead")


def test_a_message_that_is_dead_lettered_does_not_use_up_the_receive() -> None:
    sqs = server()
    dead_letters(sqs, most=1)
    send(sqs)
    send(sqs)
    receive(sqs, T, limit=1)
    assert ids(receive(sqs, T + 30, limit=1)) == ["m2"]


def test_without_its_dead_letter_queue_a_message_stays() -> None:
    sqs = server()
    dead_letters(sqs, most=1)
    send(sqs)
    sqs.delete_queue("dead", T)
    assert [ids(receive(sqs, T + at)) for at in (0, 30)] == [["m1"], ["m1"]]


def test_an_empty_redrive_policy_ends_dead_lettering() -> None:
    sqs = server()
    dead_letters(sqs, most=1)
    sqs.set_attributes("q", {"RedrivePolicy": ""}, T)
    send(sqs)
    assert [ids(receive(sqs, T + at)) for at in (0, 30)] == [["m1"], ["m1"]]
    assert "RedrivePolicy" not in sqs.attributes("q", ["All"], T)


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param("{", "InvalidAttributeValue", id="no-json"),
        pytest.param('{"maxReceiveCount": 3}', "InvalidAttributeValue", id="no-target"),
        pytest.param(
            '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:q", "maxReceiveCount": 0}',
            "InvalidAttributeValue",
            id="no-receives",
        ),
        pytest.param(
            '{"deadLetterTargetArn": "arn:aws:sqs:us-east-1:000000000000:nowhere"}',
            "InvalidParameterValue",
            id="unknown-target",
        ),
    ],
)
def test_a_redrive_policy_that_cannot_work_is_refused(policy: str, code: str) -> None:
    with pytest.raises(SqsError) as refused:
        server().set_attributes("q", {"RedrivePolicy": policy}, T)
    assert refused.value.code == code


# Queues


def test_creating_a_queue_again_finds_it_unless_it_should_be_another() -> None:
    sqs = server({"VisibilityTimeout": "7"})
    assert sqs.create_queue("q", {"VisibilityTimeout": "7"}, T) is sqs.queue("q")
    assert sqs.create_queue("q", {}, T) is sqs.queue("q")
    with pytest.raises(SqsError) as refused:
        sqs.create_queue("q", {"VisibilityTimeout": "8"}, T)
    assert refused.value.code == "QueueAlreadyExists"


def test_what_was_on_a_deleted_queue_is_gone() -> None:
    sqs = server()
    send(sqs)
    sqs.delete_queue("q", T)
    sqs.create_queue("q", {}, T + 60)
    assert counts(sqs, T + 60) == ("0", "0", "0")
    assert kinds(sqs, "m1") == [(0, "sent"), (0, "purged")]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("a" * 81, "InvalidParameterValue", id="too-long"),
        pytest.param("a.b", "InvalidParameterValue", id="wrong-character"),
        pytest.param("a.fifo", "InvalidParameterValue", id="fifo-without-the-attribute"),
    ],
)
def test_a_queue_name_that_sqs_would_not_take_is_refused(name: str, code: str) -> None:
    with pytest.raises(SqsError) as refused:
        server().create_queue(name, {}, T)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("attribute", "value", "code"),
    [
        pytest.param("VisibilityTimeout", "43201", "InvalidAttributeValue", id="above"),
        pytest.param("MessageRetentionPeriod", "59", "InvalidAttributeValue", id="below"),
        pytest.param("DelaySeconds", "soon", "InvalidAttributeValue", id="no-number"),
        pytest.param("Colour", "red", "InvalidAttributeName", id="unknown"),
        pytest.param("QueueArn", "arn", "InvalidAttributeName", id="not-to-be-set"),
        pytest.param("FifoQueue", "true", "InvalidAttributeValue", id="not-to-be-changed"),
        pytest.param("ContentBasedDeduplication", "true", "InvalidAttributeName", id="for-fifo"),
    ],
)
def test_a_queue_attribute_that_sqs_would_not_take_is_refused(
    attribute: str, value: str, code: str
) -> None:
    with pytest.raises(SqsError) as refused:
        server().set_attributes("q", {attribute: value}, T)
    assert refused.value.code == code


def test_only_the_attributes_asked_for_are_told() -> None:
    sqs = server()
    sqs.set_attributes("q", {"VisibilityTimeout": "5"}, T + 9)
    assert sqs.attributes("q", [], T) == {}
    assert sqs.attributes("q", ["VisibilityTimeout", "RedrivePolicy"], T) == {
        "VisibilityTimeout": "5"
    }
    assert sqs.attributes("q", ["CreatedTimestamp", "LastModifiedTimestamp"], T) == {
        "CreatedTimestamp": "1700000000",
        "LastModifiedTimestamp": "1700000009",
    }
    with pytest.raises(SqsError) as refused:
        sqs.attributes("q", ["Colour"], T)
    assert refused.value.code == "InvalidAttributeName"


# What a message may be

TEXT = Attribute("String", "x")
BAD, NOT_XML = "InvalidParameterValue", "InvalidMessageContents"


@pytest.mark.parametrize(
    ("body", "attributes", "code"),
    [
        pytest.param("", {}, "MissingParameter", id="empty-body"),
        pytest.param("x" * MIB, {}, None, id="the-largest-body"),
        pytest.param("x" * (MIB + 1), {}, BAD, id="body-too-large"),
        pytest.param("é" * (MIB // 2 + 1), {}, BAD, id="bytes-not-characters"),
        pytest.param("x" * (MIB - 8), {"a": TEXT}, None, id="the-largest-with-attributes"),
        pytest.param("x" * (MIB - 7), {"a": TEXT}, BAD, id="attributes-count-too"),
        pytest.param("\t\n\r \ud7ff\ue000\ufffd\U00010000", {}, None, id="all-of-xml"),
        pytest.param("\x00", {}, NOT_XML, id="not-xml-control"),
        pytest.param("\ufffe", {}, NOT_XML, id="not-xml-noncharacter"),
        pytest.param("\ud800", {}, NOT_XML, id="not-xml-surrogate"),
        pytest.param("x", {f"a{i}": TEXT for i in range(10)}, None, id="ten-attributes"),
        pytest.param("x", {f"a{i}": TEXT for i in range(11)}, BAD, id="eleven-attributes"),
        pytest.param("x", {"a_-.b": TEXT}, None, id="name-all-characters"),
        pytest.param("x", {"a" * 257: TEXT}, BAD, id="name-too-long"),
        pytest.param("x", {"a b": TEXT}, BAD, id="name-with-a-space"),
        pytest.param("x", {".a": TEXT}, BAD, id="name-begins-with-a-period"),
        pytest.param("x", {"a.": TEXT}, BAD, id="name-ends-with-a-period"),
        pytest.param("x", {"a..b": TEXT}, BAD, id="name-with-two-periods"),
        pytest.param("x", {"AWS.a": TEXT}, BAD, id="name-of-aws"),
        pytest.param("x", {"amazon.a": TEXT}, BAD, id="name-of-amazon"),
        pytest.param("x", {"a": Attribute("String", "")}, BAD, id="empty-text"),
        pytest.param("x", {"a": Attribute("Binary", b"")}, BAD, id="empty-bytes"),
        pytest.param("x", {"a": Attribute("String", b"x")}, BAD, id="bytes-as-text"),
        pytest.param("x", {"a": Attribute("Binary", "x")}, BAD, id="text-as-bytes"),
        pytest.param("x", {"a": Attribute("String", "\x01")}, NOT_XML, id="text-not-xml"),
        pytest.param("x", {"a": Attribute("Number.int", "-1.5e3")}, None, id="number"),
        pytest.param("x", {"a": Attribute("Number", "many")}, BAD, id="no-number"),
        pytest.param("x", {"a": Attribute("String.Array", "[1]")}, None, id="labelled-type"),
        pytest.param("x", {"a": Attribute("Text", "x")}, BAD, id="no-type"),
        pytest.param("x", {"a": Attribute("", "x")}, BAD, id="without-type"),
    ],
)
def test_what_sqs_takes_as_a_message(
    body: str, attributes: dict[str, Attribute], code: str | None
) -> None:
    sqs = server()
    if code is None:
        sqs.send("q", NewMessage(body, attributes), T)
        return
    with pytest.raises(SqsError) as refused:
        sqs.send("q", NewMessage(body, attributes), T)
    assert refused.value.code == code
    assert not sqs.ledger.entries


def test_a_queue_may_take_less_than_sqs_does() -> None:
    sqs = server({"MaximumMessageSize": "1024"})
    send(sqs, "x" * 1024)
    with pytest.raises(SqsError, match="shorter than 1024 bytes"):
        send(sqs, "x" * 1025)


# The ledger


def test_the_ledger_tells_every_effect_in_order() -> None:
    sqs = server()
    send(sqs)
    receipt = receive(sqs, T + 1, visibility=20)[0].receipt
    sqs.change_visibility("q", receipt, 40, T + 2)
    sqs.delete("q", receipt, T + 3)
    assert list(sqs.ledger.entries) == [
        LedgerEntry(T, "sent", "q", "m1", seconds=0),
        LedgerEntry(T + 1, "received", "q", "m1", receipt, receives=1, seconds=20),
        LedgerEntry(T + 2, "visibility", "q", "m1", receipt, receives=1, seconds=40),
        LedgerEntry(T + 3, "deleted", "q", "m1", receipt, receives=1),
    ]


def test_entries_say_under_which_fault_they_were_written() -> None:
    sqs = server()
    with sqs.ledger.under("LoseAnswer"):
        send(sqs)
    send(sqs)
    assert [entry.fault for entry in sqs.ledger.entries] == ["LoseAnswer", ""]


def test_listeners_hear_every_entry_and_a_limit_forgets_the_oldest() -> None:
    heard: list[LedgerEntry] = []
    ledger = Ledger(limit=2, listeners=[heard.append])
    entries = [LedgerEntry(T, "sent", "q", f"m{i}") for i in range(3)]
    for entry in entries:
        ledger.write(entry)
    assert heard == entries
    assert list(ledger.entries) == entries[1:]


# Over HTTP, on virtual time


@dataclass
class Line:
    """A client of the app, with no sockets between."""

    sqs: Sqs
    plan: FaultPlan
    client: httpx.AsyncClient

    async def call(self, action: str, **parameters: object) -> httpx.Response:
        headers = {"x-amz-target": f"AmazonSQS.{action}", "authorization": "signed by someone"}
        return await self.client.post("/", json=parameters, headers=headers)

    async def receive(self, **options: object) -> list[str]:
        """Message ids."""
        answer = await self.call("ReceiveMessage", QueueUrl="http://sqs/0/q", **options)
        return [message["MessageId"] for message in answer.json().get("Messages", [])]


@asynccontextmanager
async def line() -> AsyncIterator[Line]:
    sqs, plan = server(), FaultPlan()
    transport = httpx.ASGITransport(sqs_app(sqs, plan, clock=now))
    async with httpx.AsyncClient(transport=transport, base_url="http://sqs:9324") as client:
        yield Line(sqs, plan, client)


def now() -> float:
    return T + asyncio.get_running_loop().time()


def elapsed() -> float:
    return round(asyncio.get_running_loop().time(), 3)


async def test_a_long_poll_ends_empty_after_its_wait() -> None:
    async with line() as sqs:
        assert await sqs.receive(WaitTimeSeconds=20) == []
        assert elapsed() == 20.0


async def test_the_queues_own_wait_counts_where_the_call_has_none() -> None:
    async with line() as sqs:
        sqs.sqs.set_attributes("q", {"ReceiveMessageWaitTimeSeconds": "7"}, T)
        assert await sqs.receive() == []
        assert elapsed() == 7.0
        assert await sqs.receive(WaitTimeSeconds=0) == []
        assert elapsed() == 7.0


@pytest.mark.parametrize(
    ("happening", "at"),
    [
        pytest.param(lambda sqs: send(sqs, now=now()), 5.0, id="sent"),
        pytest.param(
            lambda sqs: sqs.send("q", NewMessage("x", delay=4), now()), 9.0, id="sent-with-a-delay"
        ),
        pytest.param(lambda sqs: sqs.change_visibility("q", HELD, 0, now()), 5.0, id="given-back"),
        pytest.param(
            lambda sqs: sqs.change_visibility("q", HELD, 3, now()), 8.0, id="hidden-for-less"
        ),
        pytest.param(lambda _: None, 12.0, id="visibility-passed"),
    ],
)
async def test_a_long_poll_wakes_as_soon_as_a_message_is_visible(
    happening: Callable[[Sqs], object], at: float
) -> None:
    async with line() as sqs:
        send(sqs.sqs)
        (held,) = receive(sqs.sqs, T, visibility=12)
        assert held.receipt == HELD
        polling = asyncio.create_task(sqs.receive(WaitTimeSeconds=20))
        await asyncio.sleep(5)
        happening(sqs.sqs)
        assert len(await polling) == 1
        assert elapsed() == at


HELD = "cS9tMS8x"
"""The receipt of the first receive of message m1 on queue q."""


async def test_a_dead_letter_wakes_the_polls_of_its_queue() -> None:
    async with line() as sqs:
        dead_letters(sqs.sqs, most=1)
        send(sqs.sqs)
        receive(sqs.sqs, T, visibility=3)
        polling = asyncio.create_task(
            sqs.call("ReceiveMessage", QueueUrl="http://sqs/0/dead", WaitTimeSeconds=20)
        )
        await asyncio.sleep(6)
        assert await sqs.receive() == []
        assert len((await polling).json()["Messages"]) == 1
        assert elapsed() == 6.0


@pytest.mark.parametrize(
    ("action", "parameters", "shape", "code"),
    [
        pytest.param(
            "SendMessage",
            {"QueueUrl": "http://sqs/0/none", "MessageBody": "x"},
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
            id="no-such-queue",
        ),
        pytest.param("SendMessage", {}, "MissingParameter", None, id="no-parameters"),
        pytest.param(
            "SendMessage",
            {"QueueUrl": "q", "MessageBody": "x"},
            "InvalidAddress",
            None,
            id="no-address",
        ),
        pytest.param(
            "SendMessage",
            {"QueueUrl": "http://sqs/0/q", "MessageBody": 1},
            "SerializationException",
            None,
            id="wrong-type",
        ),
        pytest.param("Dance", {}, "InvalidAction", None, id="no-action"),
    ],
)
async def test_a_refusal_on_the_wire(
    action: str, parameters: dict[str, object], shape: str, code: str | None
) -> None:
    async with line() as sqs:
        answer = await sqs.call(action, **parameters)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/x-amz-json-1.0"
    assert answer.headers["x-amzn-query-error"] == f"{code or shape};Sender"
    assert answer.json()["__type"] == f"com.amazonaws.sqs#{shape}"
    assert answer.json()["message"]


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff"])
async def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    async with line() as sqs:
        answer = await sqs.client.post("/", content=body, headers={"authorization": "x"})
    assert answer.json()["__type"] == "com.amazonaws.sqs#SerializationException"


async def test_an_unsigned_request_is_refused() -> None:
    async with line() as sqs:
        answer = await sqs.client.post("/", headers={"x-amz-target": "AmazonSQS.ListQueues"})
    assert answer.status_code == 403
    assert answer.json()["__type"] == "com.amazonaws.sqs#MissingAuthenticationToken"


@pytest.mark.parametrize(
    ("fault", "status", "shape", "retry_after"),
    [
        pytest.param(ErrorAnswer(500), 500, "InternalFailure", None, id="500"),
        pytest.param(ErrorAnswer(503), 503, "ServiceUnavailable", None, id="503"),
        pytest.param(Throttle(3), 403, "RequestThrottled", "3", id="throttled"),
    ],
)
async def test_faults_speak_as_sqs_does(
    fault: Fault, status: int, shape: str, retry_after: str | None
) -> None:
    async with line() as sqs:
        sqs.plan.script("sqs", "ReceiveMessage", fault)
        answer = await sqs.call("ReceiveMessage", QueueUrl="http://sqs/0/q")
    assert answer.status_code == status
    assert answer.json()["__type"] == f"com.amazonaws.sqs#{shape}"
    assert answer.headers.get("retry-after") == retry_after


async def test_entries_that_fail_on_purpose_are_sqss_fault_and_have_no_effect() -> None:
    async with line() as sqs:
        sqs.plan.script("sqs", "SendMessageBatch", Partial(0.0))
        entries = [{"Id": str(at), "MessageBody": str(at)} for at in range(3)]
        answer = await sqs.call("SendMessageBatch", QueueUrl="http://sqs/0/q", Entries=entries)
    (position,) = sqs.plan.injected[0].entries(3)
    assert [(e["Id"], e["SenderFault"], e["Code"]) for e in answer.json()["Failed"]] == [
        (str(position), False, "InternalError")
    ]
    assert len(answer.json()["Successful"]) == len(sqs.sqs.ledger.entries) == 2
    assert {entry.fault for entry in sqs.sqs.ledger.entries} == {"Partial"}


async def test_the_queue_url_names_the_host_that_was_asked() -> None:
    async with line() as sqs:
        await sqs.call("CreateQueue", QueueName="a1")
        listed = await sqs.call("ListQueues", QueueNamePrefix="a")
    assert listed.json() == {"QueueUrls": ["http://sqs:9324/000000000000/a1"]}


@pytest.mark.real_time
async def test_a_poll_whose_client_has_gone_takes_nothing_any_more() -> None:
    sqs, plan = server(), FaultPlan()
    async with (
        serve(sqs_app(sqs, plan)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False) as client,
    ):
        over_http = Line(sqs, plan, client)
        polling = asyncio.create_task(over_http.receive(WaitTimeSeconds=20))
        async with asyncio.timeout(10):
            while not plan.calls["sqs", "ReceiveMessage"]:  # noqa: ASYNC110 # no event tells
                await asyncio.sleep(0)
            polling.cancel()
            await asyncio.wait([polling])
            await over_http.call("SendMessage", QueueUrl="http://sqs/0/q", MessageBody="x")
            assert await over_http.receive(WaitTimeSeconds=1) == ["m1"]
    assert [entry.receives for entry in sqs.ledger.of("m1")] == [0, 1]
