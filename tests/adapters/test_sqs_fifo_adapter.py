"""The adapter over boto3 on FIFO queues: lost answers, expired receipts, groups and duplicates."""

import re
from collections.abc import Awaitable, Callable, Mapping
from hashlib import sha256
from typing import Any

import aiohttp
import pytest
from botocore.exceptions import NoCredentialsError
from sqs_backends import Backend, Connect, Embedded, new_name

from lambdo_router.adapters.http import NoAnswer
from lambdo_router.adapters.sqs import SqsQueue
from lambdo_router.adapters.sqs.attempts import Attempts
from lambdo_router.adapters.sqs.client import Reply
from lambdo_router.adapters.sqs.failures import ServiceError, UnreadableAnswer
from lambdo_router.core.errors import QueueRefused, QueueUnavailable
from lambdo_router.core.routing import Queue
from lambdo_router.local.faults import Cut, Fault, LoseAnswer, Throttle

pytest_plugins = ["sqs_backends"]
pytestmark = pytest.mark.usefixtures("no_pauses")

URL = "http://sqs/1/q.fifo"


class Script:
    """In the place of a client: each call takes the next outcome, then all succeed."""

    endpoint = "http://sqs"

    def __init__(self, *outcomes: Mapping[str, Any] | Exception) -> None:
        self.outcomes = list(outcomes)
        self.calls: list[Mapping[str, Any]] = []

    async def call(self, _: str, fields: Mapping[str, Any], **__: object) -> Reply:
        self.calls.append(fields)
        outcome = self.outcomes.pop(0) if self.outcomes else {}
        if isinstance(outcome, Exception):
            raise outcome
        return Reply(outcome, "")

    @property
    def attempts(self) -> list[str]:
        return [call["ReceiveRequestAttemptId"] for call in self.calls]


def scripted(*outcomes: Mapping[str, Any] | Exception, url: str = URL) -> tuple[SqsQueue, Script]:
    client: Any = Script(*outcomes)
    return SqsQueue("q", url, client, wait_seconds=0), client


def answered(code: str, status: int) -> ServiceError:
    return ServiceError("ReceiveMessage", status, code, "text", {})


TIMEOUT = NoAnswer(TimeoutError())
THROTTLED = answered("RequestThrottled", 403)
NOT_RETRYABLE = answered("InvalidParameterValue", 400)
MESSAGE = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}


# Queues


@pytest.mark.real_time
@pytest.mark.parametrize(("url", "fifo"), [(URL, True), ("http://sqs/1/q", False)])
async def test_the_name_at_sqs_says_that_a_queue_is_fifo(url: str, *, fifo: bool) -> None:
    queue, client = scripted(url=url)
    assert queue.fifo is fifo
    await queue.receive(10, 30.0)
    assert ("ReceiveRequestAttemptId" in client.calls[0]) is fifo


@pytest.mark.real_time
@pytest.mark.parametrize("by", ["url", "arn", "name"])
async def test_a_fifo_queue_is_found_by(backend: Backend, connect: Connect, by: str) -> None:
    url = backend.create_fifo()
    queue = {
        "url": Queue("orders", url=url),
        "arn": Queue("orders", url=backend.attributes(url)["QueueArn"]),
        "name": Queue("orders", lookup=url.rpartition("/")[2]),
    }[by]
    found = await connect(backend, 0).open(queue)
    assert (found.name, found.fifo, found.notes) == ("orders", True, ())
    message_id = await found.send("{}", {}, group="a")
    (message,) = await found.receive(10, 60.0)
    assert (message.id, message.system["MessageGroupId"]) == (message_id, "a")


# Receives whose answer was lost


@pytest.mark.real_time
async def test_each_receive_that_was_answered_has_an_attempt_id_of_its_own() -> None:
    queue, client = scripted({}, {"Messages": [MESSAGE]})
    for _ in range(3):
        await queue.receive(10, 30.0)
    assert len(set(client.attempts)) == 3
    assert all(re.fullmatch(r"[!-~]{1,128}", attempt) for attempt in client.attempts)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("failure", "again"),
    [
        pytest.param(TIMEOUT, True, id="timeout"),
        pytest.param(NoAnswer(aiohttp.ServerDisconnectedError()), True, id="closed"),
        pytest.param(NoAnswer(aiohttp.ConnectionTimeoutError()), False, id="unreachable"),
        pytest.param(UnreadableAnswer("broke off"), True, id="half-an-answer"),
        pytest.param(answered("InternalError", 500), True, id="500"),
        pytest.param(answered("503", 503), True, id="503"),
        pytest.param(answered("RequestTimeout", 408), True, id="408"),
        pytest.param(THROTTLED, False, id="throttled"),
        pytest.param(answered("OverLimit", 403), False, id="too-many-in-flight"),
        pytest.param(answered("AccessDenied", 403), False, id="denied"),
        pytest.param(NoCredentialsError(), False, id="no-keys"),
    ],
)
async def test_an_attempt_id_is_used_again_if_the_receive_may_have_had_its_effect(
    failure: Exception, *, again: bool
) -> None:
    queue, client = scripted(failure, {"Messages": [MESSAGE]})
    with pytest.raises((QueueUnavailable, QueueRefused)):
        await queue.receive(10, 30.0)
    assert len(await queue.receive(10, 30.0)) == 1
    await queue.receive(10, 30.0)
    first, second, third = client.attempts
    assert (second == first) is again
    assert third not in (first, second)


@pytest.mark.real_time
async def test_an_attempt_id_is_kept_until_its_receive_is_answered() -> None:
    queue, client = scripted(TIMEOUT, THROTTLED, TIMEOUT)
    for _ in range(3):
        with pytest.raises(QueueUnavailable):
            await queue.receive(10, 30.0)
    await queue.receive(10, 30.0)
    await queue.receive(10, 30.0)
    assert [attempt == client.attempts[0] for attempt in client.attempts] == [True] * 4 + [False]


@pytest.mark.real_time
async def test_if_sqs_does_not_take_an_id_again_a_new_one_is_tried_at_once() -> None:
    queue, client = scripted(TIMEOUT, NOT_RETRYABLE, {"Messages": [MESSAGE]})
    with pytest.raises(QueueUnavailable):
        await queue.receive(10, 30.0)
    assert len(await queue.receive(10, 30.0)) == 1
    first, second, third = client.attempts
    assert first == second != third


@pytest.mark.real_time
async def test_a_receive_with_a_new_id_that_is_refused_is_a_refusal() -> None:
    queue, client = scripted(TIMEOUT, NOT_RETRYABLE, NOT_RETRYABLE)
    with pytest.raises(QueueUnavailable):
        await queue.receive(10, 30.0)
    with pytest.raises(QueueRefused, match="InvalidParameterValue"):
        await queue.receive(10, 30.0)
    await queue.receive(10, 30.0)
    assert len(set(client.attempts)) == 3


@pytest.mark.parametrize(("waited", "again"), [(299.0, True), (300.0, False)])
async def test_an_attempt_id_is_used_for_five_minutes(waited: float, *, again: bool) -> None:
    time, used = [0.0], list[str]()
    attempts = Attempts(clock=lambda: time[0])

    async def lose(attempt: str) -> None:
        used.append(attempt)
        raise QueueUnavailable("lost")

    for time[0] in (0.0, 10.0, waited):
        with pytest.raises(QueueUnavailable):
            await attempts.make(lose)
    assert used[0] == used[1]
    assert (used[2] == used[0]) is again


# On a broken line


Opened = Callable[[], Awaitable[SqsQueue]]


@pytest.fixture
def opened(embedded: Embedded, connect: Connect) -> Opened:
    """Opens a new FIFO queue on our server."""

    async def open_queue() -> SqsQueue:
        name = f"{new_name()}.fifo"
        embedded.client.create_queue(QueueName=name, Attributes={"FifoQueue": "true"})
        return await connect(embedded, 0).open(Queue(name, lookup=name))

    return open_queue


@pytest.mark.real_time
@pytest.mark.parametrize("fault", [LoseAnswer(), LoseAnswer(halfway=True)], ids=["all", "half"])
async def test_what_a_lost_answer_had_brought_comes_with_the_next(
    embedded: Embedded, opened: Opened, fault: Fault
) -> None:
    queue = await opened()
    for body in ("1", "2", "3"):
        await queue.send(body, {}, group="a")
    embedded.plan.script("sqs", "ReceiveMessage", fault)
    with pytest.raises(QueueUnavailable):
        await queue.receive(2, 60.0)
    messages = await queue.receive(10, 60.0)
    assert [(message.body, message.receive_count) for message in messages] == [("1", 1), ("2", 1)]
    assert await queue.receive(10, 60.0) == []
    assert await queue.delete([message.receipt for message in messages]) == {}
    assert [message.body for message in await queue.receive(10, 60.0)] == ["3"]


@pytest.mark.real_time
async def test_what_others_got_of_a_lost_answer_is_theirs(
    embedded: Embedded, opened: Opened
) -> None:
    queue = await opened()
    await queue.send("1", {}, group="a")
    embedded.plan.script("sqs", "ReceiveMessage", LoseAnswer())
    with pytest.raises(QueueUnavailable):
        await queue.receive(10, 0.0)
    embedded.client.receive_message(QueueUrl=queue.url)
    await queue.send("2", {}, group="b")
    assert [message.body for message in await queue.receive(10, 60.0)] == ["2"]


# Sending and deleting


@pytest.mark.real_time
@pytest.mark.parametrize(
    "fault", [LoseAnswer(), Cut(), Throttle()], ids=["lost", "cut", "throttled"]
)
async def test_a_message_that_is_sent_again_after_a_fault_is_there_once(
    embedded: Embedded, opened: Opened, fault: Fault
) -> None:
    queue = await opened()
    embedded.plan.script("sqs", "SendMessage", fault)
    message_id = await queue.send("{}", {})
    assert [message.id for message in await queue.receive(10, 60.0)] == [message_id]


@pytest.mark.real_time
async def test_without_a_group_each_message_goes_by_itself(opened: Opened) -> None:
    queue = await opened()
    for _ in range(2):
        await queue.send("{}", {})
    first, second = [(await queue.receive(1, 60.0))[0] for _ in range(2)]
    assert first.system["MessageGroupId"] != second.system["MessageGroupId"]


@pytest.mark.real_time
async def test_a_duplicate_is_not_received(opened: Opened) -> None:
    queue = await opened()
    ids = [await queue.send("{}", {}, group="a", deduplication="m1-max_attempts") for _ in "ab"]
    (message,) = await queue.receive(10, 60.0)
    assert ids == [message.id, message.id]
    assert message.system["MessageDeduplicationId"] == "m1-max_attempts"


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("url", "given", "sent"),
    [
        pytest.param(
            URL,
            {"group": "a", "deduplication": "id"},
            {"MessageGroupId": "a", "MessageDeduplicationId": "id"},
            id="as-given",
        ),
        pytest.param(
            URL,
            {"group": "a b", "deduplication": "é"},
            {
                "MessageGroupId": sha256(b"a b").hexdigest(),
                "MessageDeduplicationId": sha256("é".encode()).hexdigest(),
            },
            id="not-as-sqs-takes-it",
        ),
        pytest.param(
            "http://sqs/1/q",
            {"group": "a", "deduplication": "id"},
            {"MessageGroupId": "a"},
            id="standard",
        ),
        pytest.param("http://sqs/1/q", {}, {}, id="standard-without"),
    ],
)
async def test_group_and_deduplication_id_are_sent(
    url: str, given: Mapping[str, str], sent: Mapping[str, str]
) -> None:
    queue, client = scripted(url=url)
    await queue.send("b", {}, **given)
    fixed = {"QueueUrl": url, "MessageBody": "b", "MessageAttributes": {}}
    assert client.calls == [{**fixed, **sent}]


@pytest.mark.real_time
async def test_an_expired_receipt_comes_back_with_its_reason_and_the_rest_is_deleted(
    opened: Opened,
) -> None:
    queue = await opened()
    for group in "ab":
        await queue.send(group, {}, group=group)
    messages = {message.body: message for message in await queue.receive(10, 60.0)}
    receipts = {body: message.receipt for body, message in messages.items()}
    assert await queue.set_visibility({receipts["a"]: 0}) == {}
    assert await queue.delete(list(receipts.values())) == {
        receipts["a"]: "ReceiptHandleIsInvalid: The receipt handle has expired"
    }
    assert [message.body for message in await queue.receive(10, 60.0)] == ["a"]
