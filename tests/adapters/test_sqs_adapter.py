"""
The adapter: finding queues, translating failures, and what a broken line does.

What is special to FIFO queues is in test_sqs_fifo_adapter.py.
"""

import asyncio
import gzip
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest
from botocore.exceptions import BotoCoreError
from sqs_backends import KEYS, REGION, Backend, Connect, Embedded, new_name

from lambdo_router.adapters.retry_after import LONGEST
from lambdo_router.adapters.sqs import SqsConnector, SqsQueue, SqsSettings
from lambdo_router.adapters.sqs.address import address_of
from lambdo_router.adapters.sqs.client import Reply
from lambdo_router.adapters.sqs.failures import _CLASSES, ServiceError, translated
from lambdo_router.core.errors import QueueError, QueueRefused, QueueUnavailable
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.routing import Queue
from lambdo_router.local.faults import (
    Cut,
    ErrorAnswer,
    Fault,
    LoseAnswer,
    Partial,
    Silence,
    Throttle,
)
from lambdo_router.local.sqs_server import LedgerEntry

pytest_plugins = ["sqs_backends"]
pytestmark = pytest.mark.usefixtures("no_pauses")

NOWHERE = "http://127.0.0.1:9"
"""Nobody listens on the discard port."""


@asynccontextmanager
async def connected(settings: SqsSettings) -> AsyncIterator[SqsConnector]:
    connector = SqsConnector(settings)
    try:
        yield connector
    finally:
        await connector.aclose()


def local(url: str, wait_seconds: int = 0) -> SqsSettings:
    return SqsSettings(url, REGION, wait_seconds, KEYS)


# Where a queue is


@pytest.mark.parametrize(
    ("host", "region"),
    [
        pytest.param("sqs.us-east-1.amazonaws.com", "us-east-1", id="usual"),
        pytest.param("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1", id="china"),
        pytest.param("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1", id="fips"),
        pytest.param("sqs.eu-west-3.api.aws", "eu-west-3", id="dual-stack"),
        pytest.param("vpce-1-a.sqs.ap-south-2.vpce.amazonaws.com", "ap-south-2", id="private"),
        pytest.param("eu-central-1.queue.amazonaws.com", "eu-central-1", id="old"),
        pytest.param("queue.amazonaws.com", "us-east-1", id="oldest"),
    ],
)
def test_the_host_of_a_queue_url_tells_the_region(host: str, region: str) -> None:
    address = address_of(Queue("q", url=f"https://{host}/123456789012/orders"))
    assert (address.region, address.foreign_host) == (region, None)


@pytest.mark.parametrize(
    ("url", "foreign_host"),
    [
        ("http://127.0.0.1:4566/000000000000/orders", "http://127.0.0.1:4566"),
        ("https://sqs.example.com/0/orders", "https://sqs.example.com"),
        ("https://sqs.us-east-1.amazonaws.com.evil.example/0/q", None),
    ],
)
def test_a_host_that_is_not_awss_tells_no_region(url: str, foreign_host: str | None) -> None:
    address = address_of(Queue("q", url=url))
    assert address.region is None
    assert address.foreign_host == (
        foreign_host or "https://sqs.us-east-1.amazonaws.com.evil.example"
    )


def test_an_arn_tells_region_account_and_name() -> None:
    address = address_of(Queue("q", url="arn:aws-cn:sqs:cn-north-1:123456789012:orders"))
    assert (address.region, address.account, address.name, address.url) == (
        "cn-north-1",
        "123456789012",
        "orders",
        None,
    )


@pytest.mark.parametrize(
    "url",
    ["orders", "arn:aws:sns:us-east-1:123456789012:t", "sqs://a/b", "https://a", "http://[/q"],
)
def test_what_is_no_address_is_refused_with_what_is_one(url: str) -> None:
    with pytest.raises(QueueRefused, match="neither a queue URL such as https://sqs"):
        address_of(Queue("q", url=url))


@pytest.mark.real_time
@pytest.mark.parametrize("by", ["url", "arn", "name", "awss-own-url"])
async def test_a_queue_is_found_by(backend: Backend, connect: Connect, by: str) -> None:
    name = new_name()
    url: str = backend.client.create_queue(QueueName=name)["QueueUrl"]
    arn = backend.attributes(url)["QueueArn"]
    account = arn.split(":")[4]
    queue = {
        "url": Queue("orders", url=url),
        "arn": Queue("orders", url=arn),
        "name": Queue("orders", lookup=name),
        "awss-own-url": Queue("orders", url=f"https://sqs.{REGION}.amazonaws.com/{account}/{name}"),
    }[by]
    found = await connect(backend, 0).open(queue)
    message_id = await found.send("{}", {})
    (message,) = await found.receive(10, 60.0)
    assert (found.name, found.url.rpartition("/")[2], found.notes) == ("orders", name, ())
    assert message.id == message_id


@pytest.mark.real_time
@pytest.mark.parametrize(
    "queue",
    [
        pytest.param(Queue("orders", url="http://elsewhere:1/000000000000/none"), id="url"),
        pytest.param(Queue("orders", lookup="none"), id="name"),
        pytest.param(Queue("orders", url="arn:aws:sqs:us-east-1:000000000000:none"), id="arn"),
    ],
)
async def test_a_queue_that_is_not_there_is_refused_by_name_and_endpoint(
    backend: Backend, connect: Connect, queue: Queue
) -> None:
    with pytest.raises(QueueRefused) as refused:
        await connect(backend, 0).open(queue)
    text = str(refused.value)
    assert text.startswith(f"queue `orders` ({queue.url or 'none'}) at {backend.url}: ")
    assert "The specified queue does not exist; check the queue's name, account" in text
    assert refused.value.code == "AWS.SimpleQueueService.NonExistentQueue"
    assert ("set AWS_ENDPOINT_URL=http://elsewhere:1" in text) is (
        queue.lookup is None and "elsewhere" in str(queue.url)
    )


@pytest.mark.real_time
async def test_the_region_of_the_address_is_the_one_that_is_asked(
    moto: Backend, connect: Connect
) -> None:
    name = new_name()
    url = moto.client.create_queue(QueueName=name)["QueueUrl"]
    there = moto.attributes(url)["QueueArn"]
    await connect(moto, 0).open(Queue("q", url=there))
    with pytest.raises(QueueRefused):
        await connect(moto, 0).open(Queue("q", url=there.replace(REGION, "eu-west-1")))


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("variable", "region"),
    [("AWS_ENDPOINT_URL", "AWS_REGION"), ("AWS_ENDPOINT_URL_SQS", "AWS_DEFAULT_REGION")],
)
async def test_endpoint_region_and_keys_may_come_from_the_environment(
    moto: Backend, monkeypatch: pytest.MonkeyPatch, variable: str, region: str
) -> None:
    for key, value in {
        variable: moto.url,
        region: REGION,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "NO_PROXY": "*",
    }.items():
        monkeypatch.setenv(key, value)
    name = new_name()
    moto.client.create_queue(QueueName=name)
    async with connected(SqsSettings(wait_seconds=0)) as connector:
        found = await connector.open(Queue("q", lookup=name))
        assert await found.send("{}", {})


@pytest.mark.real_time
async def test_with_keys_of_its_own_nothing_of_the_machines_configuration_counts(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in {
        "AWS_PROFILE": "there-is-no-such-profile",
        "AWS_ENDPOINT_URL": NOWHERE,
        "HTTP_PROXY": NOWHERE,
        "http_proxy": NOWHERE,
        "AWS_USE_FIPS_ENDPOINT": "true",
    }.items():
        monkeypatch.setenv(key, value)
    name = new_name()
    embedded.client.create_queue(QueueName=name)
    async with connected(local(embedded.url)) as connector:
        await connector.open(Queue("q", lookup=name))


# What cannot be opened


@pytest.fixture
def _no_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No keys anywhere, and no looking for them on the network."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


ARN = "arn:aws:sqs:us-east-1:123456789012:orders"


@pytest.mark.real_time
@pytest.mark.usefixtures("_no_configuration")
@pytest.mark.parametrize(
    ("url", "endpoint", "environment", "said"),
    [
        pytest.param(
            ARN,
            NOWHERE,
            {},
            "Unable to locate credentials; check AWS_ACCESS_KEY_ID",
            id="no-keys",
        ),
        pytest.param(
            ARN, NOWHERE, {"AWS_ACCESS_KEY_ID": "k"}, "Partial credentials found", id="half-a-key"
        ),
        pytest.param(
            f"{NOWHERE}/0/orders",
            NOWHERE,
            {},
            "must specify a region; check the AWS_ variables",
            id="no-region",
        ),
        pytest.param(ARN, "nonsense", {}, "Invalid endpoint: nonsense", id="no-endpoint"),
        pytest.param(
            ARN,
            "https://sqs.example",
            {"HTTPS_PROXY": "socks5://me:planted-secret@proxy"},
            "the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names",
            id="no-proxy",
        ),
        pytest.param(
            ARN,
            "https://sqs.example",
            {"AWS_CA_BUNDLE": "/nowhere/ca.pem"},
            "no certificates can be read from /nowhere/ca.pem",
            id="no-certificates",
        ),
        pytest.param(
            ARN, NOWHERE, {"AWS_PROFILE": "gone"}, "(gone) could not be found", id="no-profile"
        ),
    ],
)
async def test_what_a_person_must_mend_is_refused_and_said(
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    endpoint: str,
    environment: Mapping[str, str],
    said: str,
) -> None:
    if endpoint.startswith("https:"):
        environment = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", **environment}
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    async with connected(SqsSettings(endpoint)) as connector:
        with pytest.raises(QueueRefused) as refused:
            await connector.open(Queue("orders", url=url))
    assert str(refused.value).startswith("queue `orders` (")
    assert said in str(refused.value)


@pytest.mark.real_time
async def test_an_endpoint_that_nobody_answers_at_may_pass() -> None:
    async with connected(local(NOWHERE)) as connector:
        with pytest.raises(QueueUnavailable) as unavailable:
            await connector.open(Queue("orders", url=ARN))
    assert str(unavailable.value) == (
        f"queue `orders` ({ARN}) at {NOWHERE}: cannot connect "
        "([Errno 111] Connect call failed ('127.0.0.1', 9))"
    )


@pytest.mark.parametrize("wait_seconds", [-1, 21])
def test_a_wait_that_sqs_does_not_have_is_a_mistake_at_once(wait_seconds: int) -> None:
    with pytest.raises(ValueError, match="0 to 20"):
        SqsSettings(wait_seconds=wait_seconds)


# Translation


def answered(code: str, status: int = 400, text: str = "text", **headers: str) -> ServiceError:
    return ServiceError("ReceiveMessage", status, code, text, headers)


def translation(error: Exception) -> QueueError:
    with pytest.raises(QueueError) as raised, translated("queue `q`: receive"):
        raise error
    return raised.value


LEGACY = "AWS.SimpleQueueService."


@pytest.mark.parametrize(
    ("code", "status", "remedy"),
    [
        pytest.param("RequestThrottled", 403, None, id="throttled-with-403"),
        pytest.param("OverLimit", 403, None, id="too-many-in-flight"),
        pytest.param("ThrottlingException", 400, None, id="throttled"),
        pytest.param("KmsThrottled", 400, None, id="kms-throttled"),
        pytest.param("KMS.ThrottlingException", 400, None, id="kms-throttled-old-code"),
        pytest.param("InternalError", 500, None, id="internal"),
        pytest.param("AccessDenied", 503, None, id="status-above-500-wins"),
        pytest.param("502", 502, None, id="a-proxys"),
        pytest.param("429", 429, None, id="a-proxys-throttling"),
        pytest.param(f"{LEGACY}NonExistentQueue", 400, "queue's name", id="no-queue"),
        pytest.param("QueueDoesNotExist", 400, "queue's name", id="no-queue-new-code"),
        pytest.param("InvalidAddress", 404, "queue's name", id="address"),
        pytest.param("AccessDenied", 403, "allow sqs:", id="denied"),
        pytest.param("AccessDeniedException", 403, "allow sqs:", id="denied-too"),
        pytest.param("ExpiredToken", 403, "AWS_SESSION_TOKEN", id="expired"),
        pytest.param("InvalidClientTokenId", 403, "AWS_ACCESS_KEY_ID", id="unknown-key"),
        pytest.param("SignatureDoesNotMatch", 403, "AWS_SECRET_ACCESS_KEY", id="wrong-secret"),
        pytest.param("KmsAccessDenied", 400, "kms:Decrypt", id="kms-denied"),
        pytest.param("KMS.NotFoundException", 400, "KMS key", id="kms-not-found"),
        pytest.param("InvalidParameterValue", 400, "not SQS", id="our-own-mistake"),
        pytest.param("404", 404, "not SQS", id="another-service"),
    ],
)
def test_answers_by_their_code(code: str, status: int, remedy: str | None) -> None:
    failure = translation(answered(code, status))
    assert failure.code == code
    if remedy is None:
        assert isinstance(failure, QueueUnavailable)
        assert str(failure) == f"queue `q`: receive: {code}: text"
    else:
        assert isinstance(failure, QueueRefused)
        assert str(failure).startswith(f"queue `q`: receive: {code}: text; ")
        assert remedy in str(failure)


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        pytest.param("7", 7.0, id="seconds"),
        pytest.param("86400", LONGEST, id="a-day-is-minutes"),
        pytest.param("9" * 400, None, id="more-than-a-number-can-be"),
        pytest.param("Fri, 31 Dec 1999 23:59:59 GMT", 0.0, id="a-date-gone-by"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST, id="a-date"),
        pytest.param("soon", None, id="no-time"),
    ],
)
def test_a_wish_for_time_travels_along(after: str, seconds: float | None) -> None:
    throttled = translation(answered("RequestThrottled", 403, **{"retry-after": after}))
    assert isinstance(throttled, QueueUnavailable)
    assert throttled.retry_after == seconds


NOT_OF_SQS = frozenset(
    {
        "AliasConflictParameterError",
        "ApiVersionNotFoundError",
        "AwsChunkedWrapperError",
        "BotoCoreError",
        "ClientError",
        "DataNotFoundError",
        "EventStreamError",
        "InvalidExpressionError",
        "MD5UnavailableError",
        "MissingParametersError",
        "MissingServiceIdError",
        "OperationNotPageableError",
        "PaginationError",
        "ParamValidationError",
        "RangeError",
        "StubAssertionError",
        "StubResponseError",
        "UnStubbedResponseError",
        "UndefinedModelAttributeError",
        "UnknownClientMethodError",
        "UnknownKeyError",
        "UnknownParameterError",
        "UnknownServiceError",
        "UnknownServiceStyle",
        "UnseekableStreamError",
        "UnsupportedOutpostResourceError",
        "UnsupportedS3AccesspointConfigurationError",
        "UnsupportedS3ArnError",
        "UnsupportedS3ConfigurationError",
        "UnsupportedS3ControlArnError",
        "UnsupportedS3ControlConfigurationError",
        "ValidationError",
        "WaiterConfigError",
        "WaiterError",
    }
)
"""Base classes, and what only other services, waiters, paginators or mistakes of ours raise."""


def test_every_exception_of_botocore_is_in_the_table_or_known_not_to_matter() -> None:
    classes = {
        name
        for name, value in vars(botocore.exceptions).items()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and not issubclass(value, Warning)
        and value.__module__ == "botocore.exceptions"
    }
    assert classes - set(_CLASSES) == NOT_OF_SQS
    assert not NOT_OF_SQS & set(_CLASSES)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(
            botocore.exceptions.ReadTimeoutError(endpoint_url="http://x"),
            QueueUnavailable,
            id="timeout",
        ),
        pytest.param(
            botocore.exceptions.ConnectionClosedError(endpoint_url="http://x"),
            QueueUnavailable,
            id="closed",
        ),
        pytest.param(botocore.exceptions.NoCredentialsError(), QueueRefused, id="no-keys"),
        pytest.param(botocore.exceptions.NoRegionError(), QueueRefused, id="no-region"),
        pytest.param(
            botocore.exceptions.ParamValidationError(report="x"), QueueRefused, id="our-mistake"
        ),
        pytest.param(OSError(24, "Too many open files"), QueueUnavailable, id="no-file-is-left"),
        pytest.param(FileNotFoundError(2, "No such file"), QueueRefused, id="no-token-of-a-role"),
        pytest.param(type("Next", (BotoCoreError,), {})(), QueueRefused, id="unheard-of"),
        pytest.param(
            type("Next", (botocore.exceptions.ConnectionError,), {"fmt": "x {error}"})(error="x"),
            QueueUnavailable,
            id="unheard-of-connection",
        ),
    ],
)
def test_failures_on_the_way_by_their_class(error: Exception, kind: type[QueueError]) -> None:
    assert type(translation(error)) is kind


def test_no_secret_is_in_a_text_or_a_traceback() -> None:
    text = (
        "The request signature we calculated does not match. Check your key.\n\nThe Canonical "
        "String for this request should have been\n'POST\n/\nx-amz-security-token:planted-secret'"
    )
    failure = translation(answered("SignatureDoesNotMatch", 403, text))
    assert "planted-secret" not in "".join(traceback.format_exception(failure))
    url = translation(
        botocore.exceptions.EndpointConnectionError(endpoint_url="http://me:planted-secret@host/")
    )
    assert "http://host/" in str(url)
    assert "planted-secret" not in repr(SqsSettings(keys=KEYS))
    with pytest.raises(QueueRefused) as refused:
        address_of(Queue("q", url="ftp://me:planted-secret@host/0/q"))
    assert "planted-secret" not in str(refused.value)


# On a broken line


Opened = Callable[..., Awaitable[tuple[SqsQueue, list[Message]]]]


@pytest.fixture
def opened(embedded: Embedded, connect: Connect) -> Opened:
    """Opens a new queue on our server; also so many messages, received from it."""

    async def open_queue(
        messages: int = 0, wait_seconds: int = 0
    ) -> tuple[SqsQueue, list[Message]]:
        name = new_name()
        embedded.client.create_queue(QueueName=name)
        queue = await connect(embedded, wait_seconds).open(Queue(name, lookup=name))
        for body in range(messages):
            await queue.send(str(body), {})
        held: list[Message] = []
        while len(held) < messages:
            held += await queue.receive(10, 60.0)
        return queue, held

    return open_queue


def left(server: Embedded, queue: SqsQueue) -> int:
    return len(server.sqs.queue(queue.name).messages())


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("fault", "code", "retry_after"),
    [
        pytest.param(ErrorAnswer(500), "InternalFailure", None, id="500"),
        pytest.param(ErrorAnswer(503), "ServiceUnavailable", None, id="503"),
        pytest.param(Throttle(), "RequestThrottled", None, id="throttled"),
        pytest.param(Throttle(7), "RequestThrottled", 7.0, id="throttled-with-a-wish"),
        pytest.param(Cut(), "", None, id="cut"),
        pytest.param(LoseAnswer(), "", None, id="answer-lost"),
        pytest.param(LoseAnswer(halfway=True), "", None, id="half-an-answer"),
    ],
)
async def test_a_poll_that_fails_is_not_repeated(
    embedded: Embedded, opened: Opened, fault: Fault, code: str, retry_after: float | None
) -> None:
    queue, _ = await opened()
    before = embedded.plan.calls["sqs", "ReceiveMessage"]
    embedded.plan.script("sqs", "ReceiveMessage", fault)
    await queue.send("{}", {})
    with pytest.raises(QueueUnavailable) as unavailable:
        await queue.receive(10, 60.0)
    assert (unavailable.value.code, unavailable.value.retry_after) == (code, retry_after)
    assert embedded.plan.calls["sqs", "ReceiveMessage"] == before + 1
    assert len(await queue.receive(10, 60.0)) == (0 if isinstance(fault, LoseAnswer) else 1)


@pytest.mark.real_time
@pytest.mark.parametrize("status", ["200 OK", "403 Forbidden", "503 Service Unavailable"])
async def test_a_packed_answer_of_something_in_between_may_pass(status: str) -> None:
    body = gzip.compress(b"<html>")
    head = f"HTTP/1.1 {status}\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, connected(local(url)) as connector:
        with pytest.raises(QueueUnavailable, match="the answer is no text; is the endpoint SQS"):
            await connector.open(Queue("q", lookup="orders"))


@pytest.mark.real_time
async def test_a_server_that_never_answers_a_poll_is_given_up(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdo_router.adapters.sqs.queue._POLL_MARGIN", 0.05)
    name = new_name()
    embedded.client.create_queue(QueueName=name)
    async with connected(local(embedded.url)) as connector:
        queue = await connector.open(Queue("q", lookup=name))
        embedded.plan.script("sqs", "ReceiveMessage", Silence())
        with pytest.raises(QueueUnavailable, match="no answer in time"):
            await queue.receive(10, 60.0)


@pytest.mark.real_time
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ErrorAnswer(500), id="500"),
        pytest.param(Throttle(), id="throttled"),
        pytest.param(Cut(), id="cut"),
        pytest.param(LoseAnswer(), id="answer-lost"),
        pytest.param(LoseAnswer(halfway=True), id="half-an-answer"),
    ],
)
async def test_other_calls_are_repeated(embedded: Embedded, opened: Opened, fault: Fault) -> None:
    queue, held = await opened(messages=2)
    receipts = [message.receipt for message in held]
    for action in ("ChangeMessageVisibilityBatch", "DeleteMessageBatch"):
        embedded.plan.script("sqs", action, fault)
    assert await queue.set_visibility(dict.fromkeys(receipts, 90)) == {}
    assert await queue.delete(receipts) == {}
    assert left(embedded, queue) == 0


@pytest.mark.real_time
async def test_half_an_answer_is_not_taken_for_success(embedded: Embedded, opened: Opened) -> None:
    # `{"Successful": [{"Id"` must not be read as an empty answer, in which nothing has failed.
    queue, (message,) = await opened(messages=1)
    lost = LoseAnswer(halfway=True)
    for call, action in (
        (queue.delete([message.receipt]), "DeleteMessageBatch"),
        (queue.set_visibility({message.receipt: 0}), "ChangeMessageVisibilityBatch"),
        (queue.send("{}", {}), "SendMessage"),
    ):
        embedded.plan.script("sqs", action, lost, lost, lost)
        with pytest.raises(QueueUnavailable, match="the answer broke off"):
            await call


@pytest.mark.real_time
@pytest.mark.parametrize("action", ["DeleteMessageBatch", "ChangeMessageVisibilityBatch"])
async def test_entries_that_sqs_failed_are_tried_again_and_only_those(
    embedded: Embedded, opened: Opened, action: str
) -> None:
    queue, held = await opened(messages=10)
    receipts = [message.receipt for message in held]
    embedded.plan.script("sqs", action, Partial(0.5))
    failing = embedded.plan.injected
    before = embedded.plan.calls["sqs", action]
    refused = await (
        queue.delete(receipts)
        if action == "DeleteMessageBatch"
        else queue.set_visibility(dict.fromkeys(receipts, 0))
    )
    assert refused == {}
    assert embedded.plan.calls["sqs", action] == before + 2
    failed = failing[-1].entries(10)
    kind = "deleted" if action == "DeleteMessageBatch" else "visibility"
    effects = [e.receipt for e in embedded.sqs.ledger.entries if e.kind == kind][-10:]
    # First what did not fail, then the rest: nothing twice.
    assert effects == [r for at, r in enumerate(receipts) if at not in failed] + [
        r for at, r in enumerate(receipts) if at in failed
    ]


@pytest.mark.real_time
async def test_entries_that_go_on_failing_make_the_call_fail(
    embedded: Embedded, opened: Opened
) -> None:
    queue, held = await opened(messages=3)
    receipts = [message.receipt for message in held]
    embedded.plan.script("sqs", "DeleteMessageBatch", *[Partial(1.0)] * 4)
    with pytest.raises(QueueUnavailable, match="3 of 3 entries failed 4 times") as failed:
        await queue.delete(receipts)
    assert failed.value.code == "InternalError"
    assert await queue.delete(receipts) == {}


@pytest.mark.real_time
async def test_of_many_tens_one_that_fails_does_not_keep_the_others(
    embedded: Embedded, opened: Opened
) -> None:
    queue, held = await opened(messages=30)
    receipts = [message.receipt for message in held]
    embedded.plan.script("sqs", "DeleteMessageBatch", Throttle(60))
    with pytest.raises(QueueUnavailable):
        await queue.delete(receipts)
    assert left(embedded, queue) == 10


# What arrives


class Answers:
    """In the place of a client: gives one answer to every call."""

    endpoint = "http://endpoint"

    def __init__(self, answer: Mapping[str, Any]) -> None:
        self.answer = answer
        self.calls: list[Mapping[str, Any]] = []

    async def call(self, _: str, fields: Mapping[str, Any], **__: object) -> Reply:
        self.calls.append(fields)
        return Reply(self.answer, "")


def answering(answer: Mapping[str, Any]) -> tuple[SqsQueue, Answers]:
    client: Any = Answers(answer)
    return SqsQueue("q", "url", client, wait_seconds=20), client


@pytest.mark.real_time
async def test_a_poll_asks_for_everything_and_rounds_the_visibility_up() -> None:
    queue, client = answering({})
    assert await queue.receive(10, 30.2) == []
    await queue.receive(99, 1e9)
    assert client.calls[0] == {
        "QueueUrl": "url",
        "MaxNumberOfMessages": 10,
        "VisibilityTimeout": 31,
        "WaitTimeSeconds": 20,
        "MessageSystemAttributeNames": ["All"],
        "MessageAttributeNames": ["All"],
    }
    assert client.calls[1]["MaxNumberOfMessages"] == 10
    assert client.calls[1]["VisibilityTimeout"] == 43_200


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("wire", "expected"),
    [
        pytest.param(
            {"MessageId": "m", "ReceiptHandle": "r", "Body": "b", "Attributes": {"New": "x"}},
            Message("m", "r", "b", {}, {"New": "x"}),
            id="unknown-system-attribute",
        ),
        pytest.param({"ReceiptHandle": "r"}, Message("", "r", "", {}, {}), id="next-to-nothing"),
        pytest.param(
            {
                "MessageId": "m",
                "ReceiptHandle": "r",
                "Body": "b",
                "MessageAttributes": {"a": {"DataType": "String"}, "b": {"BinaryValue": "AA=="}},
            },
            Message(
                "m", "r", "b", {"a": Attribute("String", ""), "b": Attribute("String", b"\x00")}, {}
            ),
            id="attributes-cut-short",
        ),
        pytest.param(
            {"ReceiptHandle": "r", "Body": None, "MessageAttributes": None, "Attributes": None},
            Message("", "r", "", {}, {}),
            id="nulls",
        ),
        pytest.param(
            {"MessageId": "m", "ReceiptHandle": "r", "Body": "\ud800"},
            Message("m", "r", "\ud800", {}, {}),
            id="half-a-surrogate-pair",
        ),
    ],
)
async def test_odd_messages_are_received_all_the_same(
    wire: Mapping[str, Any], expected: Message
) -> None:
    queue, _ = answering({"Messages": [wire]})
    assert await queue.receive(10, 30.0) == [expected]


@pytest.mark.real_time
async def test_a_message_that_did_not_arrive_as_it_was_sent_counts_as_not_received() -> None:
    good = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}
    sound = {**good, "MD5OfBody": "92eb5ffee6ae2fec3ad71c777531578f"}
    wrong: list[dict[str, object]] = [
        {**good, "MD5OfBody": "0" * 32},
        {**good, "ReceiptHandle": ""},
        {**good, "Body": 7},
        {**good, "MessageAttributes": ["a"]},
        {**good, "MessageAttributes": {"a": {"BinaryValue": "AAA"}}},
        {**good, "Attributes": {"ApproximateReceiveCount": 1}},
        {},
    ]
    q, _ = answering({"Messages": [*wrong, sound]})
    assert await q.receive(10, 30.0) == [Message("m", "r", "b", {}, {})]
    assert q.corrupt == len(wrong)


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        pytest.param({"Successful": [{"Id": "0"}, {"Id": "1"}]}, {}, id="all-done"),
        pytest.param(
            {
                "Successful": [{"Id": "0"}],
                "Failed": [{"Id": "1", "SenderFault": True, "Code": "C", "Message": "why"}],
            },
            {"r1": "C: why"},
            id="one-refused",
        ),
        pytest.param(
            {"Failed": [{"Id": i, "SenderFault": True, "Code": "C"} for i in "01"]},
            {"r0": "C", "r1": "C"},
            id="all-refused-without-a-text",
        ),
    ],
)
async def test_a_batch_answer_is_read_entry_by_entry(
    answer: Mapping[str, Any], refused: Mapping[str, str]
) -> None:
    queue, client = answering(answer)
    assert await queue.delete(["r0", "r1"]) == refused
    (call,) = client.calls
    assert call["Entries"] == [
        {"Id": "0", "ReceiptHandle": "r0"},
        {"Id": "1", "ReceiptHandle": "r1"},
    ]


@pytest.mark.real_time
async def test_an_entry_that_the_answer_does_not_mention_has_not_succeeded() -> None:
    queue, client = answering({"Successful": [{"Id": "0"}]})
    with pytest.raises(QueueUnavailable, match="SQS does not say how it went"):
        await queue.delete(["r0", "r1", "r2", "r3", "r4"])
    assert [len(call["Entries"]) for call in client.calls] == [5, 4, 3, 2]


# Polls


async def polled(server: Embedded, before: int) -> None:
    """Return when the server has heard of another poll."""
    while server.plan.calls["sqs", "ReceiveMessage"] == before:  # noqa: ASYNC110 # it is in another thread
        await asyncio.sleep(0.001)


@pytest.mark.real_time
async def test_polls_of_many_queues_hold_up_no_other_call(
    embedded: Embedded, opened: Opened
) -> None:
    queue, (message,) = await opened(wait_seconds=20, messages=1)
    before = embedded.plan.calls["sqs", "ReceiveMessage"]
    polls = [asyncio.create_task(queue.receive(10, 60.0))]
    await polled(embedded, before)
    async with asyncio.timeout(10):
        assert await queue.delete([message.receipt]) == {}
        await queue.send("{}", {})
        assert len(await polls[0]) == 1


@contextmanager
def given_back(server: Embedded) -> Iterator[Callable[[], list[tuple[str, float | None]]]]:
    """
    Yields what waits for a change of visibility on the server, and then tells what happened to
    the message: each effect, and for how many seconds it hides the message.
    """
    changed = threading.Event()
    entries: list[LedgerEntry] = []

    def listen(entry: LedgerEntry) -> None:
        entries.append(entry)
        if entry.kind == "visibility":
            changed.set()

    def wait() -> list[tuple[str, float | None]]:
        assert changed.wait(timeout=10)
        return [(entry.kind, entry.seconds) for entry in entries]

    server.sqs.ledger.listeners.append(listen)
    yield wait
    server.sqs.ledger.listeners.remove(listen)


async def abandoned_poll(server: Embedded, queue: SqsQueue) -> None:
    """Begin a poll that hides what it brings for an hour, and wait for it no more."""
    before = server.plan.calls["sqs", "ReceiveMessage"]
    poll = asyncio.create_task(queue.receive(10, 3600.0))
    await polled(server, before)
    poll.cancel()
    await asyncio.wait([poll])


GIVEN_BACK = [("sent", 0), ("received", 3600), ("visibility", 0)]


@pytest.mark.real_time
async def test_what_a_cancelled_poll_brings_is_given_back(
    embedded: Embedded, opened: Opened
) -> None:
    queue, _ = await opened(wait_seconds=20)
    await abandoned_poll(embedded, queue)
    with given_back(embedded) as happened:
        await queue.send("{}", {})
        assert await asyncio.to_thread(happened) == GIVEN_BACK


@pytest.mark.real_time
async def test_what_an_abandoned_poll_brings_at_the_end_is_given_back_before_the_end(
    embedded: Embedded, opened: Opened
) -> None:
    queue, _ = await opened(wait_seconds=20)
    await abandoned_poll(embedded, queue)
    with given_back(embedded) as happened:
        closing = asyncio.create_task(queue.aclose())
        await queue.send("{}", {})
        await closing
        assert happened() == GIVEN_BACK


@pytest.mark.real_time
async def test_an_abandoned_poll_that_brings_nothing_is_cut_at_the_end(
    embedded: Embedded, opened: Opened
) -> None:
    queue, _ = await opened(wait_seconds=20)
    await abandoned_poll(embedded, queue)
    async with asyncio.timeout(10):
        await queue.aclose()
    assert not any("SqsQueue._poll" in repr(task) for task in asyncio.all_tasks())
