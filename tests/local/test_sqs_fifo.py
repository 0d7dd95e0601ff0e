"""
The FIFO queues of the embedded SQS, with time as an argument; at the end over HTTP.

What they have in common with AWS and with moto is in test_sqs_fifo_contract.py; what holds whatever
happens, in test_sqs_fifo_model.py.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import count

import httpx
import pytest

from lambdo_router.core.message import Message
from lambdo_router.local.faults import FaultPlan, Partial
from lambdo_router.local.sqs_server import LedgerEntry, NewMessage, Sqs, SqsError, sqs_app

T = 1_700_000_000.0
FIFO = {"FifoQueue": "true"}


def server(attributes: Mapping[str, str] | None = None) -> Sqs:
    """A server with one queue `q.fifo`, whose messages are called m1, m2, ..."""
    numbers = count(1)
    sqs = Sqs(new_id=lambda: f"m{next(numbers)}")
    sqs.create_queue("q.fifo", {**FIFO, **(attributes or {})}, now=T)
    return sqs


def send(sqs: Sqs, *bodies: str, now: float = T) -> None:
    """Send messages whose group is the first letter of their body."""
    for body in bodies:
        sqs.send("q.fifo", NewMessage(body, group=body[0], deduplication=body), now)


def receive(
    sqs: Sqs,
    now: float,
    visibility: int | None = None,
    limit: int = 10,
    attempt: str | None = None,
    queue: str = "q.fifo",
) -> list[Message]:
    return sqs.receive(queue, limit, visibility, now, attempt=attempt)


def bodies(deliveries: Iterable[Message]) -> list[str]:
    return [delivery.body for delivery in deliveries]


def receipts(deliveries: Iterable[Message]) -> dict[str, str]:
    return {delivery.body: delivery.receipt for delivery in deliveries}


def kinds(sqs: Sqs, message_id: str) -> list[tuple[float, str]]:
    return [(entry.at - T, entry.kind) for entry in sqs.ledger.of(message_id)]


# Order


@pytest.mark.parametrize(
    ("extended", "at", "expected"),
    [
        pytest.param("a1", 30, [], id="the-first-hides-all"),
        pytest.param("a2", 29.9, [], id="not-before-its-time"),
        pytest.param("a2", 30, ["a1"], id="the-second-hides-itself-and-the-third"),
        pytest.param("a3", 30, ["a1", "a2"], id="the-last-hides-itself"),
        pytest.param("a2", 60, ["a1", "a2", "a3"], id="until-its-own-time"),
    ],
)
def test_of_three_received_together_one_is_hidden_for_longer(
    extended: str, at: float, expected: list[str]
) -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs, "a1", "a2", "a3")
    held = receipts(receive(sqs, T))
    sqs.change_visibility("q.fifo", held[extended], 50, T + 10)
    assert bodies(receive(sqs, T + at)) == expected


def test_groups_take_turns() -> None:
    sqs = server()
    send(sqs, "a1", "b1", "b2", "c1", "a2")
    assert bodies(receive(sqs, T, visibility=0, limit=3)) == ["a1", "a2", "b1"]
    assert bodies(receive(sqs, T, visibility=0)) == ["c1", "a1", "a2", "b1", "b2"]


def test_a_group_that_became_visible_first_is_received_first() -> None:
    sqs = server()
    send(sqs, "a1", "b1")
    held = receipts(receive(sqs, T))
    sqs.change_visibility("q.fifo", held["a1"], 20, T)
    sqs.change_visibility("q.fifo", held["b1"], 10, T)
    send(sqs, "c1", now=T + 15)
    assert bodies(receive(sqs, T + 20)) == ["b1", "c1", "a1"]


def test_the_delay_of_the_queue_holds_up_each_message() -> None:
    sqs = server({"DelaySeconds": "5"})
    send(sqs, "a1")
    send(sqs, "a2", now=T + 3)
    assert bodies(receive(sqs, T + 4.9)) == []
    assert bodies(receive(sqs, T + 5, visibility=0)) == ["a1"]
    assert bodies(receive(sqs, T + 8)) == ["a1", "a2"]


def test_a_message_past_its_retention_no_longer_holds_up_its_group() -> None:
    sqs = server({"MessageRetentionPeriod": "60"})
    send(sqs, "a1")
    send(sqs, "a2", now=T + 30)
    assert bodies(receive(sqs, T + 60)) == ["a2"]
    assert kinds(sqs, "m1") == [(0, "sent"), (60, "expired")]


def test_a_purged_queue_holds_up_nothing() -> None:
    sqs = server()
    send(sqs, "a1", "a2")
    receive(sqs, T, limit=1)
    sqs.purge("q.fifo", T + 1)
    send(sqs, "a3", now=T + 2)
    assert bodies(receive(sqs, T + 2)) == ["a3"]


# Receipts

EXPIRED = "Reason: The receipt handle has expired."


def test_a_message_can_be_deleted_until_it_is_visible_again() -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs, "a1", "b1")
    held = receipts(receive(sqs, T))
    sqs.delete("q.fifo", held["a1"], T + 29.9)
    with pytest.raises(SqsError, match=EXPIRED) as refused:
        sqs.delete("q.fifo", held["b1"], T + 30)
    assert (refused.value.code, refused.value.status) == ("InvalidParameterValue", 400)
    assert bodies(receive(sqs, T + 30)) == ["b1"]


def test_a_message_that_was_hidden_for_longer_can_be_deleted() -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs, "a1")
    (held,) = receive(sqs, T)
    sqs.change_visibility("q.fifo", held.receipt, 30, T + 29)
    sqs.delete("q.fifo", held.receipt, T + 58)
    assert receive(sqs, T + 100) == []


def test_a_receipt_that_a_later_receive_replaced_has_expired() -> None:
    sqs = server()
    send(sqs, "a1")
    (stale,) = receive(sqs, T)
    receive(sqs, T + 30)
    with pytest.raises(SqsError, match=EXPIRED):
        sqs.delete("q.fifo", stale.receipt, T + 31)


def test_a_message_that_is_visible_again_cannot_be_hidden() -> None:
    sqs = server()
    send(sqs, "a1")
    (held,) = receive(sqs, T)
    with pytest.raises(SqsError, match="not available for visibility timeout change"):
        sqs.change_visibility("q.fifo", held.receipt, 60, T + 30)
    assert bodies(receive(sqs, T + 30)) == ["a1"]


def test_a_message_that_is_gone_can_be_deleted_again_however_late() -> None:
    sqs = server()
    send(sqs, "a1")
    (held,) = receive(sqs, T)
    sqs.delete("q.fifo", held.receipt, T)
    sqs.delete("q.fifo", held.receipt, T + 1000)
    assert kinds(sqs, "m1")[-2:] == [(0, "deleted"), (1000, "delete_ignored")]


# Receives that are made again


def test_a_receive_that_is_made_again_starts_its_visibility_anew_and_counts_once() -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs, "a1", "a2", "b1")
    first = receive(sqs, T, limit=2, attempt="attempt")
    assert receive(sqs, T + 20, attempt="attempt") == first
    assert bodies(receive(sqs, T + 30)) == ["b1"]
    assert receive(sqs, T + 49.9) == []
    assert bodies(receive(sqs, T + 50)) == ["a1", "a2"]
    assert kinds(sqs, "m1")[:3] == [(0, "sent"), (0, "received"), (20, "replayed")]


@pytest.mark.parametrize(
    ("at", "expected"), [(299.9, ["a1"]), (300.0, [])], ids=["within", "beyond"]
)
def test_a_receive_can_be_made_again_for_five_minutes(at: float, expected: list[str]) -> None:
    sqs = server()
    send(sqs, "a1")
    receive(sqs, T, visibility=600, attempt="attempt")
    assert bodies(receive(sqs, T + at, attempt="attempt")) == expected


def test_what_is_visible_again_by_itself_is_received_anew() -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs, "a1")
    receive(sqs, T, attempt="attempt")
    send(sqs, "a2", now=T + 1)
    again = receive(sqs, T + 30, attempt="attempt")
    assert [delivery.system["ApproximateReceiveCount"] for delivery in again] == ["2", "1"]
    assert receive(sqs, T + 31, attempt="attempt") == again


def test_what_others_received_meanwhile_makes_a_receive_unrepeatable() -> None:
    sqs = server({"VisibilityTimeout": "30"})
    send(sqs, "a1")
    receive(sqs, T, attempt="attempt")
    receive(sqs, T + 30)
    with pytest.raises(SqsError) as refused:
        receive(sqs, T + 31, attempt="attempt")
    assert refused.value.code == "InvalidParameterValue"
    assert refused.value.message == (
        "Value attempt for parameter ReceiveRequestAttemptId is invalid. Reason: The "
        "receiveRequestAttemptId is not valid anymore since the receive call is not retryable."
    )


@pytest.mark.parametrize("attempt", ["", "a b", "x" * 129, "é"])
def test_what_is_no_attempt_id_is_refused(attempt: str) -> None:
    with pytest.raises(SqsError, match="alphanumeric and punctuation characters"):
        receive(server(), T, attempt=attempt)


# Duplicates


@pytest.mark.parametrize(("at", "received"), [(299.9, 1), (300.0, 2)], ids=["within", "beyond"])
def test_a_duplicate_is_one_for_five_minutes(at: float, received: int) -> None:
    sqs = server()
    sent = [
        sqs.accept("q.fifo", NewMessage("a", group="a", deduplication="id"), T + then)
        for then in (0, at)
    ]
    assert len(receive(sqs, T + at)) == received
    assert (sent[0] == sent[1]) is (received == 1)
    assert sqs.ledger.entries[1].kind == ("deduplicated" if received == 1 else "sent")


def test_a_duplicate_does_not_start_the_five_minutes_anew() -> None:
    sqs = server()
    for at in (0, 200, 310):
        send(sqs, "a1", now=T + at)
    assert bodies(receive(sqs, T + 310)) == ["a1", "a1"]


def test_an_id_that_is_the_digest_of_another_body_makes_a_duplicate() -> None:
    sqs = server({"ContentBasedDeduplication": "true"})
    sqs.send("q.fifo", NewMessage("x", group="a"), T)
    digest = hashlib.sha256(b"x").hexdigest()
    sqs.send("q.fifo", NewMessage("y", group="a", deduplication=digest), T)
    assert bodies(receive(sqs, T)) == ["x"]


# Dead letters


def dead_letters(sqs: Sqs) -> None:
    """Give `q.fifo` a dead-letter queue `dead.fifo` after one receive."""
    target = sqs.create_queue("dead.fifo", FIFO, T).arn
    policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 1})
    sqs.set_attributes("q.fifo", {"RedrivePolicy": policy}, T)


def test_a_dead_letter_begins_anew_on_its_queue() -> None:
    sqs = server()
    dead_letters(sqs)
    send(sqs, "a1", "a2")
    before = receive(sqs, T, limit=1)[0].system["SequenceNumber"]
    assert bodies(receive(sqs, T + 30)) == ["a2"]
    (dead,) = receive(sqs, T + 40, queue="dead.fifo")
    assert (dead.id, dead.body) == ("m1", "a1")
    assert dead.system["SentTimestamp"] == f"{T + 30:.0f}000"
    assert dead.system["MessageGroupId"] == "a"
    assert dead.system["MessageDeduplicationId"] == "m1"
    assert dead.system["ApproximateReceiveCount"] == "2"
    assert int(dead.system["SequenceNumber"]) > int(before)


def test_dead_letters_arrive_in_order() -> None:
    sqs = server()
    dead_letters(sqs)
    send(sqs, "a1", "a2", "b1")
    receive(sqs, T)
    assert receive(sqs, T + 30) == []
    assert bodies(receive(sqs, T + 30, queue="dead.fifo")) == ["a1", "a2", "b1"]


# Queues


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("x" * 75 + ".fifo", True),
        ("x" * 76 + ".fifo", False),
        (".fifo", False),
        ("a.b.fifo", False),
    ],
    ids=["80", "81", "nothing-before", "period"],
)
def test_names_of_fifo_queues(name: str, *, fits: bool) -> None:
    sqs = Sqs()
    if fits:
        assert sqs.create_queue(name, FIFO, T).fifo
        return
    with pytest.raises(SqsError, match=r"must end with \.fifo suffix") as refused:
        sqs.create_queue(name, FIFO, T)
    assert refused.value.code == "InvalidParameterValue"


def test_a_queue_stays_what_it_is() -> None:
    sqs = server()
    sqs.set_attributes("q.fifo", FIFO, T)
    with pytest.raises(SqsError, match="Modifying queue type is not supported"):
        sqs.set_attributes("q.fifo", {"FifoQueue": "false"}, T)
    with pytest.raises(SqsError, match="Unknown Attribute FifoQueue"):
        sqs.create_queue("standard", {"FifoQueue": "false"}, T)


# The ledger


def test_the_ledger_tells_the_group() -> None:
    sqs = server()
    send(sqs, "a1")
    send(sqs, "a1")
    (held,) = receive(sqs, T + 1, visibility=20)
    sqs.change_visibility("q.fifo", held.receipt, 40, T + 2)
    sqs.delete("q.fifo", held.receipt, T + 3)
    assert list(sqs.ledger.entries) == [
        LedgerEntry(T, "sent", "q.fifo", "m1", seconds=0, group="a"),
        LedgerEntry(T, "deduplicated", "q.fifo", "m1", group="a"),
        LedgerEntry(T + 1, "received", "q.fifo", "m1", held.receipt, 1, 20, group="a"),
        LedgerEntry(T + 2, "visibility", "q.fifo", "m1", held.receipt, 1, 40, group="a"),
        LedgerEntry(T + 3, "deleted", "q.fifo", "m1", held.receipt, 1, group="a"),
    ]


# Over HTTP, on virtual time


def now() -> float:
    return T + asyncio.get_running_loop().time()


def over_http(sqs: Sqs, plan: FaultPlan | None = None) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(sqs_app(sqs, plan, clock=now))
    return httpx.AsyncClient(transport=transport, base_url="http://sqs")


async def call(client: httpx.AsyncClient, action: str, **parameters: object) -> httpx.Response:
    headers = {"x-amz-target": f"AmazonSQS.{action}", "authorization": "signed by someone"}
    content = {"QueueUrl": "http://sqs/0/q.fifo", **parameters}
    return await client.post("/", json=content, headers=headers)


@pytest.mark.parametrize(
    ("happening", "at", "expected"),
    [
        pytest.param(
            lambda sqs, held: sqs.delete("q.fifo", held.receipt, now()), 5.0, ["a2"], id="deleted"
        ),
        pytest.param(
            lambda sqs, held: sqs.change_visibility("q.fifo", held.receipt, 0, now()),
            5.0,
            ["a1", "a2"],
            id="given-back",
        ),
        pytest.param(lambda sqs, _: send(sqs, "b1", now=now()), 5.0, ["b1"], id="another-group"),
        pytest.param(
            lambda sqs, _: send(sqs, "a3", now=now()), 12.0, ["a1", "a2", "a3"], id="the-same-group"
        ),
    ],
)
async def test_a_long_poll_wakes_when_a_group_may_go_on(
    happening: Callable[[Sqs, Message], object], at: float, expected: list[str]
) -> None:
    sqs = server()
    send(sqs, "a1", "a2")
    (held,) = receive(sqs, T, visibility=12, limit=1)
    async with over_http(sqs) as client:
        options = {"WaitTimeSeconds": 20, "MaxNumberOfMessages": 10}
        polling = asyncio.create_task(call(client, "ReceiveMessage", **options))
        await asyncio.sleep(5)
        happening(sqs, held)
        found = (await polling).json()["Messages"]
    assert [message["Body"] for message in found] == expected
    assert asyncio.get_running_loop().time() == at


async def test_a_number_is_told_to_the_sender_of_a_fifo_queue_only() -> None:
    sqs = server()
    sqs.create_queue("standard", {}, T)
    async with over_http(sqs) as client:
        more = {"MessageBody": "x", "MessageGroupId": "a"}
        fifo = await call(client, "SendMessage", MessageDeduplicationId="id", **more)
        standard = await call(
            client, "SendMessage", **{**more, "QueueUrl": "http://sqs/0/standard"}
        )
    assert fifo.json()["SequenceNumber"] == "18849496460467696384"
    assert "SequenceNumber" not in standard.json()


async def test_entries_that_fail_on_purpose_leave_the_order_of_the_others() -> None:
    sqs, plan = server(), FaultPlan()
    plan.script("sqs", "SendMessageBatch", Partial(0.0))
    entries = [
        {
            "Id": str(at),
            "MessageBody": f"a{at}",
            "MessageGroupId": "a",
            "MessageDeduplicationId": str(at),
        }
        for at in range(4)
    ]
    async with over_http(sqs, plan) as client:
        await call(client, "SendMessageBatch", Entries=entries)
    (failed,) = plan.injected[0].entries(4)
    assert bodies(receive(sqs, T)) == [f"a{at}" for at in range(4) if at != failed]
