"""
One suite over our SQS server and over moto, with plain boto3 as the client.

Where moto is known to differ from AWS the case is in `MOTO_DIFFERS` with what AWS does, which is
what the case claims; there it must fail on moto, so that the table cannot grow stale.
"""

import hashlib
import json
import threading
import time
from collections.abc import Callable
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

_BATCH_RULES = "test_a_batch_that_breaks_the_rules_is_refused_as_a_whole"
_CONTENTS = "test_a_message_that_sqs_would_not_take_is_refused"
MOTO_DIFFERS: dict[str, tuple[str, str]] = {
    # case: (what moto 5.2.5 does, what AWS does)
    f"{_CONTENTS}[not-xml]": ("takes it", "InvalidMessageContents"),
    f"{_CONTENTS}[eleven-attributes]": ("takes them", "InvalidParameterValue, ten are the limit"),
    f"{_CONTENTS}[empty-attribute]": ("takes it", "InvalidParameterValue"),
    "test_a_receipt_that_a_later_receive_replaced_deletes_nothing": (
        "deletes the message",
        "answers 200 and may not delete it",
    ),
    "test_the_visibility_of_a_deleted_message_cannot_be_changed": (
        "says ReceiptHandleIsInvalid",
        "InvalidParameterValue",
    ),
    f"{_BATCH_RULES}[none-change_message_visibility_batch]": (
        "answers 200",
        "EmptyBatchRequest",
    ),
    **{
        f"{_BATCH_RULES}[{rule}-{call}]": ("does not check it", code)
        for rule, code in (
            ("eleven", "TooManyEntriesInBatchRequest"),
            ("same-id", "BatchEntryIdsNotDistinct"),
            ("wrong-id", "InvalidBatchEntryId"),
        )
        for call in ("delete_message_batch", "change_message_visibility_batch")
    },
    "test_two_entries_may_have_the_same_receipt": (
        "says BatchEntryIdsNotDistinct, for the receipts",
        "wants distinct ids only",
    ),
    "test_a_dead_letter_tells_where_it_comes_from": (
        "has no such attribute",
        "DeadLetterQueueSourceArn",
    ),
}


@pytest.fixture(autouse=True)
def _known_differences(request: pytest.FixtureRequest, backend: Backend) -> None:
    expect_difference(request, backend, MOTO_DIFFERS)


# Sending and receiving


def test_a_message_arrives_as_it_was_sent(backend: Backend) -> None:
    queue = backend.create()
    sent = backend.client.send_message(
        QueueUrl=queue,
        MessageBody='{"x": "é"}',
        MessageAttributes={
            "text": {"DataType": "String.label", "StringValue": "a"},
            "number": {"DataType": "Number", "StringValue": "1.50"},
            "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
        },
    )
    message = receive_one(
        backend, queue, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )
    assert message["MessageId"] == sent["MessageId"]
    assert message["Body"] == '{"x": "é"}'
    assert message["MessageAttributes"] == {
        "text": {"DataType": "String.label", "StringValue": "a"},
        "number": {"DataType": "Number", "StringValue": "1.50"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SenderId", "SentTimestamp", "ApproximateFirstReceiveTimestamp"} <= set(
        message["Attributes"]
    )


def test_checksums_are_the_same_at_both_ends(backend: Backend) -> None:
    queue = backend.create()
    sent = backend.client.send_message(
        QueueUrl=queue,
        MessageBody="é",
        MessageAttributes={
            "b": {"DataType": "String", "StringValue": "x"},
            "a": {"DataType": "Binary", "BinaryValue": b"\x00"},
        },
    )
    message = receive_one(backend, queue, MessageAttributeNames=["All"])
    assert sent["MD5OfMessageBody"] == message["MD5OfBody"] == hashlib.md5("é".encode()).hexdigest()  # noqa: S324 # SQS's
    # Computed with the algorithm of the AWS developer guide.
    assert sent["MD5OfMessageAttributes"] == message["MD5OfMessageAttributes"]
    assert sent["MD5OfMessageAttributes"] == MD5_OF_ATTRIBUTES


MD5_OF_ATTRIBUTES = hashlib.md5(  # noqa: S324 # SQS's
    b"\0\0\0\1a" + b"\0\0\0\6Binary" + b"\2" + b"\0\0\0\1\0"
    b"\0\0\0\1b" + b"\0\0\0\6String" + b"\1" + b"\0\0\0\1x"
).hexdigest()


def test_what_is_not_asked_for_is_not_told(backend: Backend) -> None:
    queue = backend.create()
    attribute = {"DataType": "String", "StringValue": "x"}
    backend.client.send_message(
        QueueUrl=queue, MessageBody="x", MessageAttributes={"a": attribute, "b": attribute}
    )
    bare = receive_one(backend, queue, VisibilityTimeout=0)
    assert "Attributes" not in bare
    assert "MessageAttributes" not in bare
    some = receive_one(
        backend,
        queue,
        MessageAttributeNames=["b"],
        MessageSystemAttributeNames=["SentTimestamp"],
    )
    assert set(some["MessageAttributes"]) == {"b"}
    assert set(some["Attributes"]) == {"SentTimestamp"}


def test_a_receive_brings_no_more_than_asked_for(backend: Backend) -> None:
    queue = backend.create()
    for number in range(3):
        backend.client.send_message(QueueUrl=queue, MessageBody=str(number))
    assert len(receive(backend, queue, MaxNumberOfMessages=2)) == 2
    assert counts(backend, queue) == ("1", "2")


@pytest.mark.parametrize(
    ("option", "value"),
    [("MaxNumberOfMessages", 0), ("MaxNumberOfMessages", 11), ("WaitTimeSeconds", 21)],
)
def test_a_receive_out_of_range_is_refused(backend: Backend, option: str, value: int) -> None:
    queue = backend.create()
    assert refusal(lambda: receive(backend, queue, **{option: value})) == "InvalidParameterValue"


def test_a_long_poll_wakes_when_a_message_is_sent(backend: Backend) -> None:
    queue = backend.create()
    found: list[Any] = []
    polling = threading.Thread(
        target=lambda: found.extend(receive(backend, queue, WaitTimeSeconds=20))
    )
    started = time.monotonic()
    polling.start()
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    polling.join()
    assert [message["Body"] for message in found] == ["x"]
    assert time.monotonic() - started < 10


def test_the_trace_header_and_the_group_are_told(backend: Backend) -> None:
    queue = backend.create()
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    backend.client.send_message(
        QueueUrl=queue,
        MessageBody="x",
        MessageGroupId="tenant",
        MessageSystemAttributes={
            "AWSTraceHeader": {"DataType": "String", "StringValue": trace},
        },
    )
    message = receive_one(backend, queue, MessageSystemAttributeNames=["All"])
    assert message["Attributes"]["AWSTraceHeader"] == trace
    assert message["Attributes"]["MessageGroupId"] == "tenant"


@pytest.mark.parametrize(
    ("body", "attributes", "code"),
    [
        pytest.param("\x01", {}, "InvalidMessageContents", id="not-xml"),
        pytest.param("x" * 1_048_577, {}, "InvalidParameterValue", id="too-large"),
        pytest.param(
            "x",
            {f"a{i}": {"DataType": "String", "StringValue": "x"} for i in range(11)},
            "InvalidParameterValue",
            id="eleven-attributes",
        ),
        pytest.param(
            "x",
            {"a": {"DataType": "String", "StringValue": ""}},
            "InvalidParameterValue",
            id="empty-attribute",
        ),
        pytest.param(
            "x",
            {"a b": {"DataType": "String", "StringValue": "x"}},
            "InvalidParameterValue",
            id="attribute-name",
        ),
        pytest.param(
            "x",
            {"a": {"DataType": "Text", "StringValue": "x"}},
            "InvalidParameterValue",
            id="attribute-type",
        ),
    ],
)
def test_a_message_that_sqs_would_not_take_is_refused(
    backend: Backend, body: str, attributes: dict[str, Any], code: str
) -> None:
    queue = backend.create()

    def send() -> object:
        return backend.client.send_message(
            QueueUrl=queue, MessageBody=body, MessageAttributes=attributes
        )

    assert refusal(send) == code


def test_ten_attributes_are_taken(backend: Backend) -> None:
    queue = backend.create()
    attributes: dict[str, Any] = {
        f"a{i}": {"DataType": "String", "StringValue": "x"} for i in range(10)
    }
    backend.client.send_message(QueueUrl=queue, MessageBody="x", MessageAttributes=attributes)
    message = receive_one(backend, queue, MessageAttributeNames=[".*"])
    assert set(message["MessageAttributes"]) == set(attributes)


def test_a_batch_is_sent_entry_by_entry(backend: Backend) -> None:
    queue = backend.create()
    answer = backend.client.send_message_batch(
        QueueUrl=queue,
        Entries=[{"Id": str(at), "MessageBody": str(at)} for at in range(10)],
    )
    assert [entry["Id"] for entry in answer["Successful"]] == [str(at) for at in range(10)]
    assert {message["Body"] for message in receive(backend, queue)} == set("0123456789")


def test_a_delayed_message_is_not_visible_yet(backend: Backend) -> None:
    queue = backend.create()
    backend.client.send_message(QueueUrl=queue, MessageBody="x", DelaySeconds=900)
    assert receive(backend, queue) == []
    assert backend.attributes(queue)["ApproximateNumberOfMessagesDelayed"] == "1"


# Leases


def test_after_its_visibility_a_message_may_be_deleted_hidden_or_received_anew(
    backend: Backend,
) -> None:
    queue, clock = backend.create(), backend.create()
    for body in "abc":
        backend.client.send_message(QueueUrl=queue, MessageBody=body)
    found = {m["Body"]: m for m in receive(backend, queue, VisibilityTimeout=1)}
    backend.client.send_message(QueueUrl=clock, MessageBody="a second later", DelaySeconds=1)
    receive_one(backend, clock, WaitTimeSeconds=20)
    backend.client.delete_message(QueueUrl=queue, ReceiptHandle=found["a"]["ReceiptHandle"])
    backend.client.change_message_visibility(
        QueueUrl=queue, ReceiptHandle=found["b"]["ReceiptHandle"], VisibilityTimeout=60
    )
    again = receive_one(backend, queue, MessageSystemAttributeNames=["All"])
    assert again["MessageId"] == found["c"]["MessageId"]
    assert again["ReceiptHandle"] != found["c"]["ReceiptHandle"]
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    assert counts(backend, queue) == ("0", "2")


def test_a_message_given_back_is_visible_at_once(backend: Backend) -> None:
    queue = backend.create()
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    first = receive_one(backend, queue)
    assert receive(backend, queue) == []
    show(backend, queue, first["ReceiptHandle"])
    assert receive_one(backend, queue)["MessageId"] == first["MessageId"]


def test_a_receipt_that_a_later_receive_replaced_deletes_nothing(backend: Backend) -> None:
    queue = backend.create()
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    stale = receive_one(backend, queue)["ReceiptHandle"]
    show(backend, queue, stale)
    receive_one(backend, queue)
    backend.client.delete_message(QueueUrl=queue, ReceiptHandle=stale)
    assert counts(backend, queue) == ("0", "1")


def test_deleting_twice_does_no_harm(backend: Backend) -> None:
    queue = backend.create()
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    receipt = receive_one(backend, queue)["ReceiptHandle"]
    for _ in range(2):
        backend.client.delete_message(QueueUrl=queue, ReceiptHandle=receipt)
    assert counts(backend, queue) == ("0", "0")


def test_the_visibility_of_a_deleted_message_cannot_be_changed(backend: Backend) -> None:
    queue = backend.create()
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    receipt = receive_one(backend, queue)["ReceiptHandle"]
    backend.client.delete_message(QueueUrl=queue, ReceiptHandle=receipt)
    assert refusal(lambda: show(backend, queue, receipt)) == "InvalidParameterValue"


def test_garbage_is_no_receipt(backend: Backend) -> None:
    queue = backend.create()
    code = refusal(lambda: backend.client.delete_message(QueueUrl=queue, ReceiptHandle="garbage"))
    assert code == "ReceiptHandleIsInvalid"


def test_twelve_hours_more_than_have_passed_are_refused(backend: Backend) -> None:
    queue, clock = backend.create(), backend.create()
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    receipt = receive_one(backend, queue)["ReceiptHandle"]
    # Time must pass, however little: moto counts whole milliseconds.
    receive(backend, clock, WaitTimeSeconds=0)

    def change() -> object:
        return backend.client.change_message_visibility(
            QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=43_200
        )

    assert refusal(change) == "InvalidParameterValue"


# Batches

DELETE, CHANGE = "delete_message_batch", "change_message_visibility_batch"


def batch(backend: Backend, call: str, queue: str, *entries: tuple[str, str]) -> Wire:
    """Delete, or give back, by (id, receipt)."""
    more = {"VisibilityTimeout": 0} if call == CHANGE else {}
    wire = [{"Id": entry_id, "ReceiptHandle": receipt, **more} for entry_id, receipt in entries]
    answer: Wire = getattr(backend.client, call)(QueueUrl=queue, Entries=wire)
    return answer


def held(backend: Backend, queue: str, number: int) -> list[str]:
    """Receipts of so many messages that were sent and received."""
    for at in range(number):
        backend.client.send_message(QueueUrl=queue, MessageBody=str(at))
    return [message["ReceiptHandle"] for message in receive(backend, queue)]


@pytest.mark.parametrize("call", [DELETE, CHANGE])
def test_ten_entries_are_done_at_once(backend: Backend, call: str) -> None:
    queue = backend.create()
    receipts = held(backend, queue, 10)
    answer = batch(backend, call, queue, *((str(at), r) for at, r in enumerate(receipts)))
    assert {entry["Id"] for entry in answer["Successful"]} == set("0123456789")
    assert not answer.get("Failed")
    assert counts(backend, queue) == (("0", "0") if call == DELETE else ("10", "0"))


@pytest.mark.parametrize("call", [DELETE, CHANGE])
def test_a_bad_receipt_fails_alone_and_as_the_senders_fault(backend: Backend, call: str) -> None:
    queue = backend.create()
    (receipt,) = held(backend, queue, 1)
    answer = batch(backend, call, queue, ("good", receipt), ("bad", "garbage"))
    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    assert [(e["Id"], e["Code"], e["SenderFault"]) for e in answer["Failed"]] == [
        ("bad", "ReceiptHandleIsInvalid", True)
    ]


LEGACY = "AWS.SimpleQueueService."


@pytest.mark.parametrize("call", [DELETE, CHANGE])
@pytest.mark.parametrize(
    ("entries", "code"),
    [
        pytest.param([], f"{LEGACY}EmptyBatchRequest", id="none"),
        pytest.param(
            [(str(at), f"r{at}") for at in range(11)],
            f"{LEGACY}TooManyEntriesInBatchRequest",
            id="eleven",
        ),
        pytest.param([("a", "r1"), ("a", "r2")], f"{LEGACY}BatchEntryIdsNotDistinct", id="same-id"),
        pytest.param([("a b", "r1")], f"{LEGACY}InvalidBatchEntryId", id="wrong-id"),
    ],
)
def test_a_batch_that_breaks_the_rules_is_refused_as_a_whole(
    backend: Backend, call: str, entries: list[tuple[str, str]], code: str
) -> None:
    queue = backend.create()
    assert refusal(lambda: batch(backend, call, queue, *entries)) == code


def test_two_entries_may_have_the_same_receipt(backend: Backend) -> None:
    queue = backend.create()
    (receipt,) = held(backend, queue, 1)
    answer = batch(backend, DELETE, queue, ("0", receipt), ("1", receipt))
    assert len(answer["Successful"]) == 2


@pytest.mark.parametrize(
    ("bodies", "code"),
    [
        pytest.param(["x"] * 11, f"{LEGACY}TooManyEntriesInBatchRequest", id="eleven"),
        pytest.param(["x" * 600_000] * 2, f"{LEGACY}BatchRequestTooLong", id="too-large"),
    ],
)
def test_a_batch_to_be_sent_that_breaks_the_rules_is_refused_as_a_whole(
    backend: Backend, bodies: list[str], code: str
) -> None:
    queue = backend.create()

    def send() -> object:
        return backend.client.send_message_batch(
            QueueUrl=queue,
            Entries=[{"Id": str(at), "MessageBody": body} for at, body in enumerate(bodies)],
        )

    assert refusal(send) == code


# Dead letters


def test_a_message_received_too_often_is_dead_lettered_by_the_next_receive(
    backend: Backend,
) -> None:
    dead = backend.create()
    target = backend.attributes(dead)["QueueArn"]
    policy = {"deadLetterTargetArn": target, "maxReceiveCount": 2}
    queue = backend.create(RedrivePolicy=json.dumps(policy))
    sent = backend.client.send_message(
        QueueUrl=queue,
        MessageBody="x",
        MessageAttributes={"a": {"DataType": "String", "StringValue": "x"}},
    )
    for _ in range(2):
        show(backend, queue, receive_one(backend, queue)["ReceiptHandle"])
        assert counts(backend, dead) == ("0", "0")
    assert receive(backend, queue) == []
    message = receive_one(
        backend, dead, MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"]
    )
    assert message["MessageId"] == sent["MessageId"]
    assert message["MessageAttributes"]["a"]["StringValue"] == "x"
    assert message["Attributes"]["ApproximateReceiveCount"] == "3"


def test_a_dead_letter_tells_where_it_comes_from(backend: Backend) -> None:
    dead, queue = backend.create(), backend.create()
    target, source = (backend.attributes(url)["QueueArn"] for url in (dead, queue))
    policy = json.dumps({"deadLetterTargetArn": target, "maxReceiveCount": 1})
    backend.client.set_queue_attributes(QueueUrl=queue, Attributes={"RedrivePolicy": policy})
    (receipt,) = held(backend, queue, 1)
    show(backend, queue, receipt)
    receive(backend, queue)
    message = receive_one(backend, dead, MessageSystemAttributeNames=["All"])
    assert message["Attributes"]["DeadLetterQueueSourceArn"] == source


# Queues


def test_a_queue_is_found_by_its_name(backend: Backend) -> None:
    name = new_name()
    created = backend.client.create_queue(QueueName=name)["QueueUrl"]
    assert backend.client.get_queue_url(QueueName=name)["QueueUrl"] == created
    listed = backend.client.list_queues(QueueNamePrefix=name)["QueueUrls"]
    assert created in listed


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda b: b.client.get_queue_url(QueueName="none"), id="get-url"),
        pytest.param(lambda b: receive(b, f"{b.url}/000000000000/none"), id="receive"),
        pytest.param(
            lambda b: batch(b, DELETE, f"{b.url}/000000000000/none", ("0", "r")), id="delete"
        ),
        pytest.param(
            lambda b: b.client.send_message(QueueUrl=f"{b.url}/000000000000/none", MessageBody="x"),
            id="send",
        ),
    ],
)
def test_a_queue_that_does_not_exist_is_refused_by_every_call(
    backend: Backend, call: Callable[[Backend], object]
) -> None:
    assert refusal(lambda: call(backend)) == f"{LEGACY}NonExistentQueue"


def test_the_host_of_a_queue_url_does_not_matter(backend: Backend) -> None:
    name = new_name()
    account = backend.client.create_queue(QueueName=name)["QueueUrl"].split("/")[-2]
    url = f"https://sqs.us-east-1.amazonaws.com/{account}/{name}"
    backend.client.send_message(QueueUrl=url, MessageBody="x")
    assert receive_one(backend, url)["Body"] == "x"


def test_attributes_of_a_queue_can_be_set_and_read(backend: Backend) -> None:
    queue = backend.create(VisibilityTimeout="7")
    backend.client.set_queue_attributes(QueueUrl=queue, Attributes={"DelaySeconds": "3"})
    found = backend.attributes(queue, "VisibilityTimeout", "DelaySeconds")
    assert found == {"VisibilityTimeout": "7", "DelaySeconds": "3"}


def test_the_attributes_of_a_new_queue_are_sqss_defaults(backend: Backend) -> None:
    queue = backend.create()
    found = backend.attributes(queue)
    defaults = {
        "VisibilityTimeout": "30",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
    }
    assert {name: found.get(name) for name in defaults} == defaults


def test_an_unknown_attribute_of_a_queue_is_refused(backend: Backend) -> None:
    queue = backend.create()
    assert refusal(lambda: backend.attributes(queue, "Colour")) == "InvalidAttributeName"


def test_a_purged_queue_is_empty_and_cannot_be_purged_again_at_once(backend: Backend) -> None:
    queue = backend.create()
    held(backend, queue, 2)
    backend.client.send_message(QueueUrl=queue, MessageBody="x")
    backend.client.purge_queue(QueueUrl=queue)
    assert counts(backend, queue) == ("0", "0")
    code = refusal(lambda: backend.client.purge_queue(QueueUrl=queue))
    assert code == f"{LEGACY}PurgeQueueInProgress"


def test_a_deleted_queue_is_gone(backend: Backend) -> None:
    queue = backend.create()
    backend.client.delete_queue(QueueUrl=queue)
    assert refusal(lambda: receive(backend, queue)) == f"{LEGACY}NonExistentQueue"


def test_creating_a_queue_again_with_other_attributes_is_refused(backend: Backend) -> None:
    name = new_name()
    backend.client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "7"})
    code = refusal(
        lambda: backend.client.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "8"})
    )
    assert code == "QueueAlreadyExists"
