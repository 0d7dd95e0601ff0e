"""
FIFO queues: one suite over our SQS server and over moto, with plain boto3 as the client.

As in test_sqs_contract.py, what the cases claim is what AWS does, and where moto does otherwise
the table says so.
"""

import hashlib
import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from sqs_backends import (
    Backend,
    Wire,
    counts,
    expect_difference,
    new_name,
    receive,
    receive_one,
    refusal,
    show,
)

pytest_plugins = ["sqs_backends"]

_REFUSED = "test_a_message_that_a_fifo_queue_would_not_take_is_refused"
_QUEUES = "test_a_queue_that_is_half_a_fifo_queue_is_refused"
_AGAIN = "test_a_receive_cannot_be_made_again_once_its_messages_were_touched"
_DUPLICATE = "test_a_duplicate_is_accepted_and_not_received"
MOTO_DIFFERS: dict[str, tuple[str, str]] = {
    # case: (what moto 5.2.5 does, what AWS does)
    "test_numbers_grow_within_a_group": ("draws them", "numbers grow within a group"),
    "test_the_order_of_a_batch_is_kept": ("draws the numbers", "numbers grow within a group"),
    "test_one_receive_brings_as_many_of_a_group_as_it_can": (
        "keeps to the order of sending",
        "as many of the same group as possible",
    ),
    "test_of_a_group_what_comes_before_the_first_hidden_one_is_received": (
        "gives none of the group",
        "gives those before the first hidden one",
    ),
    "test_a_receive_that_hides_nothing_holds_nothing_up": ("loses a1", "gives it again"),
    "test_what_is_visible_again_cannot_be_deleted": (
        "deletes it",
        "InvalidParameterValue, the receipt handle has expired",
    ),
    "test_in_a_batch_only_what_is_visible_again_fails": (
        "deletes it",
        "ReceiptHandleIsInvalid, the receipt handle has expired",
    ),
    "test_a_receive_that_is_made_again_brings_the_same": ("nothing", "the same messages"),
    f"{_AGAIN}[delete]": ("receives anew", "InvalidParameterValue, not retryable"),
    f"{_AGAIN}[show]": ("receives anew", "InvalidParameterValue, not retryable"),
    "test_a_standard_queue_knows_no_attempts": ("ignores them", "InvalidParameterValue"),
    **{
        f"{_DUPLICATE}[{by}-deleted]": ("forgets what was deleted", "remembers for five minutes")
        for by in ("by-id", "by-content")
    },
    "test_the_sender_of_a_duplicate_hears_of_the_first_one": ("a new id", "the first one's"),
    "test_duplicates_may_be_told_apart_by_group": ("by queue always", "DeduplicationScope"),
    f"{_REFUSED}[long-id]": ("takes it", "InvalidParameterValue, 128 are the limit"),
    f"{_REFUSED}[group-with-a-space]": ("takes it", "InvalidParameterValue"),
    "test_in_a_batch_only_the_message_that_is_not_taken_fails": (
        "refuses the whole batch",
        "one failed entry",
    ),
    "test_a_standard_queue_takes_a_group_as_a_label_and_no_deduplication": (
        "takes both",
        "InvalidParameterValue for the second",
    ),
    f"{_QUEUES}[only-the-name]": ("creates it", "InvalidParameterValue"),
    f"{_QUEUES}[no-fifo-at-all]": ("creates it", "InvalidAttributeName"),
    f"{_QUEUES}[limit-by-group-of-ids-by-queue]": ("creates it", "InvalidAttributeValue"),
    "test_a_dead_letter_keeps_its_group_and_is_a_duplicate_of_none": (
        "keeps the deduplication id",
        "the message id becomes the deduplication id",
    ),
    "test_dead_letters_stay_with_their_kind_of_queue[fifo-to-standard]": (
        "says InvalidParameterCombination",
        "InvalidParameterValue",
    ),
    "test_dead_letters_stay_with_their_kind_of_queue[standard-to-fifo]": (
        "allows it",
        "InvalidParameterValue",
    ),
}


@pytest.fixture(autouse=True)
def _known_differences(request: pytest.FixtureRequest, backend: Backend) -> None:
    expect_difference(request, backend, MOTO_DIFFERS)


def send(backend: Backend, queue: str, *bodies: str, **more: object) -> Wire:
    """Send messages whose group is the first letter of their body; the last answer."""
    answer: Wire = {}
    for body in bodies:
        options = {"MessageGroupId": body[0], "MessageDeduplicationId": f"id-{body}", **more}
        answer = backend.client.send_message(QueueUrl=queue, MessageBody=body, **options)
    return answer


def bodies(messages: Iterable[Wire]) -> list[str]:
    return [message["Body"] for message in messages]


def receipts(messages: Iterable[Wire]) -> dict[str, str]:
    return {message["Body"]: message["ReceiptHandle"] for message in messages}


def delete(backend: Backend, queue: str, receipt: str) -> None:
    backend.client.delete_message(QueueUrl=queue, ReceiptHandle=receipt)


def by_group(found: list[str]) -> dict[str, list[str]]:
    return {group: [b for b in found if b[0] == group] for group in sorted({b[0] for b in found})}


# Order


def test_a_message_tells_its_group_its_id_and_its_number(backend: Backend) -> None:
    queue = backend.create_fifo()
    first, second = send(backend, queue, "a1"), send(backend, queue, "a2")
    found = receive(backend, queue, MessageSystemAttributeNames=["All"])
    assert [message["Attributes"]["MessageGroupId"] for message in found] == ["a", "a"]
    assert [m["Attributes"]["MessageDeduplicationId"] for m in found] == ["id-a1", "id-a2"]
    numbers = [message["Attributes"]["SequenceNumber"] for message in found]
    assert numbers == [first["SequenceNumber"], second["SequenceNumber"]]
    assert [message["MessageId"] for message in found] == [first["MessageId"], second["MessageId"]]


def test_numbers_grow_within_a_group(backend: Backend) -> None:
    queue = backend.create_fifo()
    numbers = [int(send(backend, queue, f"a{at}")["SequenceNumber"]) for at in range(9)]
    assert numbers == sorted(numbers)


def test_the_order_of_each_group_is_kept(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "b1", "a2", "c1", "b2", "a3")
    found = bodies(receive(backend, queue))
    assert by_group(found) == {"a": ["a1", "a2", "a3"], "b": ["b1", "b2"], "c": ["c1"]}


def test_the_order_of_a_batch_is_kept(backend: Backend) -> None:
    queue = backend.create_fifo()
    entries = [
        {
            "Id": f"entry-{at}",
            "MessageBody": f"a{at}",
            "MessageGroupId": "a",
            "MessageDeduplicationId": str(at),
        }
        for at in range(10)
    ]
    answer = backend.client.send_message_batch(QueueUrl=queue, Entries=entries)
    numbers = [int(entry["SequenceNumber"]) for entry in answer["Successful"]]
    assert numbers == sorted(numbers)
    assert bodies(receive(backend, queue)) == [f"a{at}" for at in range(10)]


def test_one_receive_brings_as_many_of_a_group_as_it_can(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "b1", "a2", "a3")
    assert bodies(receive(backend, queue)) == ["a1", "a2", "a3", "b1"]


def test_what_is_in_flight_holds_up_its_group_and_no_other(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2", "a3", "a4", "b1")
    assert bodies(receive(backend, queue, MaxNumberOfMessages=2)) == ["a1", "a2"]
    assert bodies(receive(backend, queue)) == ["b1"]
    assert receive(backend, queue) == []
    send(backend, queue, "a5", "b2", "c1")
    assert bodies(receive(backend, queue)) == ["c1"]


def test_a_group_goes_on_when_all_that_was_in_flight_is_deleted(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2", "a3")
    held = receipts(receive(backend, queue, MaxNumberOfMessages=2))
    delete(backend, queue, held["a1"])
    assert receive(backend, queue) == []
    delete(backend, queue, held["a2"])
    assert bodies(receive(backend, queue)) == ["a3"]


def test_a_group_that_is_given_back_begins_again_at_its_first(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2", "a3")
    held = receipts(receive(backend, queue, MaxNumberOfMessages=2))
    for body in ("a2", "a1"):
        show(backend, queue, held[body])
    assert bodies(receive(backend, queue)) == ["a1", "a2", "a3"]


def test_of_a_group_what_comes_before_the_first_hidden_one_is_received(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2", "a3", "a4")
    held = receipts(receive(backend, queue, MaxNumberOfMessages=3))
    show(backend, queue, held["a1"])
    show(backend, queue, held["a3"])
    assert bodies(receive(backend, queue)) == ["a1"]


def test_behind_a_hidden_first_one_nothing_of_its_group_is_received(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2", "a3")
    held = receipts(receive(backend, queue, MaxNumberOfMessages=2))
    show(backend, queue, held["a2"])
    assert receive(backend, queue) == []


def test_a_receive_that_hides_nothing_holds_nothing_up(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "b1", "a2")
    for _ in range(2):
        found = bodies(receive(backend, queue, VisibilityTimeout=0))
        assert by_group(found) == {"a": ["a1", "a2"], "b": ["b1"]}


# Receipts


def test_what_is_visible_again_cannot_be_deleted(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1")
    receipt = receive_one(backend, queue)["ReceiptHandle"]
    show(backend, queue, receipt)
    assert refusal(lambda: delete(backend, queue, receipt)) == "InvalidParameterValue"
    assert counts(backend, queue) == ("1", "0")


def test_in_a_batch_only_what_is_visible_again_fails(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "b1")
    held = receipts(receive(backend, queue))
    show(backend, queue, held["a1"])
    answer = backend.client.delete_message_batch(
        QueueUrl=queue, Entries=[{"Id": body, "ReceiptHandle": r} for body, r in held.items()]
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["b1"]
    assert [(e["Id"], e["Code"], e["SenderFault"]) for e in answer["Failed"]] == [
        ("a1", "ReceiptHandleIsInvalid", True)
    ]


# Receives that are made again


def test_a_receive_that_is_made_again_brings_the_same(backend: Backend) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2", "b1", "b2")
    attempt = {"ReceiveRequestAttemptId": "attempt", "MaxNumberOfMessages": 3}
    first = receive(backend, queue, MessageSystemAttributeNames=["All"], **attempt)
    again = receive(backend, queue, MessageSystemAttributeNames=["All"], **attempt)
    assert len(first) == 3
    assert again == first


@pytest.mark.parametrize("touch", [delete, show])
def test_a_receive_cannot_be_made_again_once_its_messages_were_touched(
    backend: Backend, touch: Callable[[Backend, str, str], None]
) -> None:
    queue = backend.create_fifo()
    send(backend, queue, "a1", "a2")
    attempt = {"ReceiveRequestAttemptId": "attempt"}
    held = receipts(receive(backend, queue, **attempt))
    touch(backend, queue, held["a1"])
    assert refusal(lambda: receive(backend, queue, **attempt)) == "InvalidParameterValue"


def test_a_receive_that_brought_nothing_can_be_made_again(backend: Backend) -> None:
    queue = backend.create_fifo()
    attempt = {"ReceiveRequestAttemptId": "attempt"}
    assert receive(backend, queue, **attempt) == []
    send(backend, queue, "a1")
    assert bodies(receive(backend, queue, **attempt)) == ["a1"]


def test_a_standard_queue_knows_no_attempts(backend: Backend) -> None:
    queue = backend.create()
    code = refusal(lambda: receive(backend, queue, ReceiveRequestAttemptId="attempt"))
    assert code == "InvalidParameterValue"


# Duplicates


@pytest.mark.parametrize("deleted", [False, True], ids=["on-the-queue", "deleted"])
@pytest.mark.parametrize("by_content", [False, True], ids=["by-id", "by-content"])
def test_a_duplicate_is_accepted_and_not_received(
    backend: Backend, *, by_content: bool, deleted: bool
) -> None:
    queue = backend.create_fifo(ContentBasedDeduplication=str(by_content).lower())
    more = {} if by_content else {"MessageDeduplicationId": "id"}
    for group in ("a", "b"):
        backend.client.send_message(QueueUrl=queue, MessageBody="x", MessageGroupId=group, **more)
        if deleted and group == "a":
            delete(backend, queue, receive_one(backend, queue)["ReceiptHandle"])
    assert len(receive(backend, queue)) == (0 if deleted else 1)


def test_the_sender_of_a_duplicate_hears_of_the_first_one(backend: Backend) -> None:
    queue = backend.create_fifo()
    first, second = (send(backend, queue, "a1") for _ in range(2))
    assert second["MessageId"] == first["MessageId"]
    assert second["SequenceNumber"] == first["SequenceNumber"]


def test_attributes_do_not_count_as_content(backend: Backend) -> None:
    queue = backend.create_fifo(ContentBasedDeduplication="true")
    for value in "xy":
        attribute = {"a": {"DataType": "String", "StringValue": value}}
        backend.client.send_message(
            QueueUrl=queue, MessageBody="x", MessageGroupId="a", MessageAttributes=attribute
        )
    message = receive_one(backend, queue, MessageSystemAttributeNames=["All"])
    digest = hashlib.sha256(b"x").hexdigest()
    assert message["Attributes"]["MessageDeduplicationId"] == digest


def test_an_id_wins_over_the_content(backend: Backend) -> None:
    queue = backend.create_fifo(ContentBasedDeduplication="true")
    for number in range(2):
        backend.client.send_message(
            QueueUrl=queue,
            MessageBody="x",
            MessageGroupId="a",
            MessageDeduplicationId=f"id-{number}",
        )
    assert len(receive(backend, queue)) == 2


def test_duplicates_may_be_told_apart_by_group(backend: Backend) -> None:
    queue = backend.create_fifo(
        DeduplicationScope="messageGroup", FifoThroughputLimit="perMessageGroupId"
    )
    send(backend, queue, "a1", "b1", "a2", MessageDeduplicationId="id")
    assert sorted(bodies(receive(backend, queue))) == ["a1", "b1"]


# What is refused


@pytest.mark.parametrize(
    ("more", "code"),
    [
        pytest.param({"MessageDeduplicationId": "id"}, "MissingParameter", id="without-group"),
        pytest.param({"MessageGroupId": "a"}, "InvalidParameterValue", id="without-id"),
        pytest.param(
            {"MessageGroupId": "a", "MessageDeduplicationId": "id", "DelaySeconds": 2},
            "InvalidParameterValue",
            id="delay",
        ),
        pytest.param(
            {"MessageGroupId": "a", "MessageDeduplicationId": "x" * 129},
            "InvalidParameterValue",
            id="long-id",
        ),
        pytest.param(
            {"MessageGroupId": "a b", "MessageDeduplicationId": "id"},
            "InvalidParameterValue",
            id="group-with-a-space",
        ),
    ],
)
def test_a_message_that_a_fifo_queue_would_not_take_is_refused(
    backend: Backend, more: dict[str, Any], code: str
) -> None:
    queue = backend.create_fifo()

    def single() -> object:
        return backend.client.send_message(QueueUrl=queue, MessageBody="x", **more)

    assert refusal(single) == code


def test_in_a_batch_only_the_message_that_is_not_taken_fails(backend: Backend) -> None:
    queue = backend.create_fifo()
    good = {"MessageBody": "x", "MessageGroupId": "a", "MessageDeduplicationId": "id"}
    answer = backend.client.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": "bad", "DelaySeconds": 2, **good}, {"Id": "good", **good}],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"], e["SenderFault"]) for e in answer["Failed"]] == [
        ("bad", "InvalidParameterValue", True)
    ]


def test_a_standard_queue_takes_a_group_as_a_label_and_no_deduplication(backend: Backend) -> None:
    queue = backend.create()
    for body in ("1", "2"):
        backend.client.send_message(QueueUrl=queue, MessageBody=body, MessageGroupId="tenant")
        assert bodies(receive(backend, queue)) == [body]

    def duplicate() -> object:
        return backend.client.send_message(
            QueueUrl=queue, MessageBody="x", MessageDeduplicationId="id"
        )

    assert refusal(duplicate) == "InvalidParameterValue"


# Queues


def test_a_fifo_queue_has_attributes_of_its_own(backend: Backend) -> None:
    queue = backend.create_fifo()
    expected = {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "false",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }
    assert backend.attributes(queue, *expected) == expected
    backend.client.set_queue_attributes(
        QueueUrl=queue, Attributes={"ContentBasedDeduplication": "true"}
    )
    assert backend.attributes(queue, "ContentBasedDeduplication") == {
        "ContentBasedDeduplication": "true"
    }


def test_a_standard_queue_has_none_of_them(backend: Backend) -> None:
    assert not {"FifoQueue", "ContentBasedDeduplication"} & set(
        backend.attributes(backend.create())
    )


@pytest.mark.parametrize(
    ("suffix", "attributes", "code"),
    [
        pytest.param(".fifo", {}, "InvalidParameterValue", id="only-the-name"),
        pytest.param("", {"FifoQueue": "true"}, "InvalidParameterValue", id="only-the-attribute"),
        pytest.param(
            "", {"ContentBasedDeduplication": "true"}, "InvalidAttributeName", id="no-fifo-at-all"
        ),
        pytest.param(
            ".fifo",
            {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"},
            "InvalidAttributeValue",
            id="limit-by-group-of-ids-by-queue",
        ),
    ],
)
def test_a_queue_that_is_half_a_fifo_queue_is_refused(
    backend: Backend, suffix: str, attributes: dict[str, str], code: str
) -> None:
    def create() -> object:
        name = f"{new_name()}{suffix}"
        return backend.client.create_queue(QueueName=name, Attributes=attributes)

    assert refusal(create) == code


# Dead letters


def redrive_to(backend: Backend, target: str) -> str:
    """A policy that dead-letters after the first receive."""
    arn = backend.attributes(target)["QueueArn"]
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})


def test_a_dead_letter_no_longer_holds_up_its_group(backend: Backend) -> None:
    dead = backend.create_fifo()
    queue = backend.create_fifo(RedrivePolicy=redrive_to(backend, dead))
    send(backend, queue, "a1", "a2")
    show(backend, queue, receive_one(backend, queue, MaxNumberOfMessages=1)["ReceiptHandle"])
    assert bodies(receive(backend, queue)) == ["a2"]
    assert bodies(receive(backend, dead)) == ["a1"]


def test_a_dead_letter_keeps_its_group_and_is_a_duplicate_of_none(backend: Backend) -> None:
    dead = backend.create_fifo()
    queue = backend.create_fifo(RedrivePolicy=redrive_to(backend, dead))
    sent = send(backend, queue, "a1")
    show(backend, queue, receive_one(backend, queue)["ReceiptHandle"])
    receive(backend, queue)
    message = receive_one(backend, dead, MessageSystemAttributeNames=["All"])
    assert message["MessageId"] == sent["MessageId"]
    assert message["Attributes"]["MessageGroupId"] == "a"
    assert message["Attributes"]["MessageDeduplicationId"] == sent["MessageId"]


@pytest.mark.parametrize("fifo", [True, False], ids=["fifo-to-standard", "standard-to-fifo"])
def test_dead_letters_stay_with_their_kind_of_queue(backend: Backend, *, fifo: bool) -> None:
    queue, other = backend.create_fifo(), backend.create()
    source, target = (queue, other) if fifo else (other, queue)
    policy = redrive_to(backend, target)

    def redrive() -> object:
        return backend.client.set_queue_attributes(
            QueueUrl=source, Attributes={"RedrivePolicy": policy}
        )

    assert refusal(redrive) == "InvalidParameterValue"
