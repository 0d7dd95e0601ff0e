"""Calls to SQS over real sockets, against a server that is a script."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Any

import pytest
from botocore.credentials import Credentials, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError
from scripted_server import Peer, serving

from lambdo_router.adapters.http import HttpSession, NoAnswer, server_at
from lambdo_router.adapters.sqs.client import Reply, SqsClient
from lambdo_router.adapters.sqs.credentials import CurrentKeys
from lambdo_router.adapters.sqs.failures import ServiceError, UnreadableAnswer, translated
from lambdo_router.adapters.sqs.identities import Access
from lambdo_router.core.errors import QueueRefused, QueueUnavailable

pytest_plugins = ["sqs_backends"]
pytestmark = [pytest.mark.real_time, pytest.mark.usefixtures("no_pauses")]

KEYS = Credentials("AKID", "planted-secret", "planted-token")


def answer(fields: object, status: str = "200 OK", *headers: str) -> bytes:
    body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


NO_QUEUE = answer(
    {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"},
    "400 Bad Request",
    "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender",
)


LONGER = b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"


@dataclass
class Script:
    """Answers requests in turn, the last answer again and again; None closes the connection."""

    answers: list[bytes | None]
    heads: list[dict[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    connections: int = 0

    async def serve(self, peer: Peer) -> None:
        self.connections += 1
        said: bytes | None = b""
        while said not in (None, LONGER):
            head, _, body = (await peer.request()).decode().partition("\r\n\r\n")
            first, *lines = head.splitlines()
            self.heads.append({"": first, **dict(line.split(": ", 1) for line in lines)})
            self.bodies.append(json.loads(body))
            said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            await peer.answer(said or b"")


@asynccontextmanager
async def scripted(
    *answers: bytes | None, keys: Credentials = KEYS, path: str = ""
) -> AsyncIterator[tuple[SqsClient, Script]]:
    script, session = Script(list(answers)), HttpSession()
    async with serving(script.serve) as server:
        to = server_at(server.url + path, direct=True)
        try:
            yield SqsClient(session, Access(to, "eu-west-1", CurrentKeys(keys))), script
        finally:
            await session.aclose()


# Requests


async def test_a_call_is_a_signed_json_request() -> None:
    async with scripted(answer({"QueueUrl": "u"}), path="/sqs") as (client, script):
        reply = await client.call("GetQueueUrl", {"QueueName": "orders"})
    assert reply == Reply({"QueueUrl": "u"}, "")
    (head,) = script.heads
    assert head[""] == "POST /sqs HTTP/1.1"
    assert head["X-Amz-Target"] == "AmazonSQS.GetQueueUrl"
    assert head["Content-Type"] == "application/x-amz-json-1.0"
    assert head["X-Amz-Security-Token"] == "planted-token"
    assert "Credential=AKID/" in head["Authorization"]
    assert "/eu-west-1/sqs/aws4_request" in head["Authorization"]
    assert head["Accept-Encoding"] == "identity"
    assert script.bodies == [{"QueueName": "orders"}]


async def test_calls_one_after_the_other_share_a_connection_and_keep_no_cookie() -> None:
    cookie = answer({}, "200 OK", "Set-Cookie: a=b")
    async with scripted(cookie) as (client, script):
        for _ in range(3):
            await client.call("ReceiveMessage", {})
    assert script.connections == 1
    assert not any("Cookie" in head for head in script.heads)


async def test_a_redirect_is_not_followed() -> None:
    moved = answer(b"", "307 Temporary Redirect", "Location: http://127.0.0.1:1/")
    async with scripted(moved) as (client, script):
        with pytest.raises(ServiceError) as raised:
            await client.call("ReceiveMessage", {})
    assert (raised.value.status, raised.value.code, len(script.heads)) == (307, "307", 1)


# Attempts


@pytest.mark.parametrize(
    "failed",
    [
        pytest.param(None, id="closed"),
        pytest.param(
            answer({"__type": "x#InternalFailure"}, "500 Internal Server Error"), id="500"
        ),
        pytest.param(answer(b"<html>", "502 Bad Gateway"), id="502-of-something-in-between"),
        pytest.param(answer({"__type": "x#RequestThrottled"}, "403 Forbidden"), id="throttled"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{", id="cut"
        ),
        pytest.param(b"nonsense\r\n\r\n", id="no-http"),
        pytest.param(answer(b"[]"), id="no-object"),
    ],
)
async def test_a_failure_that_may_pass_is_met_by_as_many_tries_as_are_asked_for(
    failed: bytes | None,
) -> None:
    async with scripted(failed, answer({"ok": 1})) as (client, script):
        assert (await client.call("DeleteMessageBatch", {})).fields == {"ok": 1}
        assert len(script.heads) == 2
    async with scripted(failed) as (client, script):
        with pytest.raises(QueueUnavailable), translated("receive"):
            await client.call("ReceiveMessage", {}, tries=1)
        assert len(script.heads) == 1
        with pytest.raises(QueueUnavailable), translated("delete"):
            await client.call("DeleteMessageBatch", {})
        assert len(script.heads) == 4


@pytest.mark.parametrize(
    "failed",
    [
        pytest.param(NO_QUEUE, id="refused"),
        pytest.param(
            answer({}, "429 Too Many Requests", "Retry-After: 60"), id="asked-to-wait-for-long"
        ),
    ],
)
async def test_a_failure_that_will_not_pass_soon_is_met_once(failed: bytes) -> None:
    async with scripted(failed) as (client, script):
        with pytest.raises(ServiceError):
            await client.call("DeleteMessageBatch", {})
    assert len(script.heads) == 1


async def test_a_connection_that_was_closed_while_idle_costs_a_poll_one_failure_at_most() -> None:
    # Nobody may repeat the request for us: it may have taken messages.
    last = answer({}, "200 OK")
    async with scripted(last, None, answer({})) as (client, script):
        await client.call("ReceiveMessage", {}, tries=1)
        with pytest.raises(NoAnswer) as lost:
            await client.call("ReceiveMessage", {}, tries=1)
        assert lost.value.sent
        assert len(script.heads) == 2


async def test_an_answer_that_does_not_come_is_given_up() -> None:
    async with scripted(b"") as (client, _):
        with pytest.raises(NoAnswer, match="no answer in time"):
            await client.call("ReceiveMessage", {}, patience=0.01, tries=1)


# Answers


@pytest.mark.parametrize(
    ("said", "status", "code", "message"),
    [
        pytest.param(
            NO_QUEUE,
            400,
            "AWS.SimpleQueueService.NonExistentQueue",
            "no such queue",
            id="with-the-older-code",
        ),
        pytest.param(
            answer({"__type": "com.amazonaws.sqs#OverLimit", "Message": "m"}, "403 Forbidden"),
            403,
            "OverLimit",
            "m",
            id="type",
        ),
        pytest.param(
            answer({"message": "m"}, "400 Bad Request", "x-amzn-errortype: ExpiredToken:http://x"),
            400,
            "ExpiredToken",
            "m",
            id="header",
        ),
        pytest.param(answer(b"<html>", "404 Not Found"), 404, "404", "Not Found", id="html"),
        pytest.param(answer(b"[1]", "418 "), 418, "418", "I'm a Teapot", id="no-object"),
        pytest.param(answer({"__type": 7, "message": 7}, "477 "), 477, "7", "", id="odd-fields"),
    ],
)
async def test_what_an_error_says(said: bytes, status: int, code: str, message: str) -> None:
    async with scripted(said) as (client, _):
        with pytest.raises(ServiceError) as raised:
            await client.call("ReceiveMessage", {}, tries=1)
    error = raised.value
    assert (error.operation, error.status, error.code, error.message) == (
        "ReceiveMessage",
        status,
        code,
        message,
    )


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(answer(b"\xff\xfe"), id="no-utf-8"),
        pytest.param(answer(b"[" * 100_000), id="nested-without-end"),
        pytest.param(answer(b"NaN"), id="no-json"),
        pytest.param(answer(b'{"Messages": [{'), id="half"),
        pytest.param(answer({"Messages": {}}), id="messages-that-are-no-list"),
        pytest.param(answer({"Failed": [None]}), id="an-entry-that-is-no-object"),
    ],
)
async def test_an_answer_that_is_no_json_object_is_none(said: bytes) -> None:
    async with scripted(said) as (client, _):
        with pytest.raises(UnreadableAnswer, match="is the endpoint SQS"):
            await client.call("ReceiveMessage", {}, tries=1)


@pytest.mark.parametrize("known", [True, False], ids=["with-its-length", "in-chunks"])
async def test_an_answer_without_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, *, known: bool
) -> None:
    monkeypatch.setattr("lambdo_router.adapters.sqs.client._MOST_IN_ANSWER", 100_000)
    head = "Content-Length: 9000000" if known else "Transfer-Encoding: chunked"
    piece = b" " * 65536 if known else b"10000\r\n" + b" " * 65536 + b"\r\n"
    endless = f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + piece * 20
    async with scripted(endless) as (client, _):
        with pytest.raises(NoAnswer, match="the answer is too long"):
            await client.call("ReceiveMessage", {}, tries=1)


# Clocks and keys


def dated(offset: float) -> str:
    return f"Date: {formatdate(time.time() + offset, usegmt=True)}"


def refused_for_its_date(offset: float) -> bytes:
    said = {"__type": "x#InvalidSignatureException", "message": "Signature expired: 2026 is old"}
    return answer(said, "403 Forbidden", dated(offset))


def ahead(head: dict[str, str]) -> float:
    signed = datetime.strptime(head["X-Amz-Date"], "%Y%m%dT%H%M%S%z")
    return signed.timestamp() - time.time()


async def test_a_clock_that_is_wrong_is_corrected_by_the_date_of_the_refusal() -> None:
    async with scripted(refused_for_its_date(3600), answer({})) as (client, script):
        await client.call("ReceiveMessage", {}, tries=1)
        await client.call("ReceiveMessage", {}, tries=1)
    assert [round(ahead(head) / 60) for head in script.heads] == [0, 60, 60]


@pytest.mark.parametrize("offset", [0.0, 3600.0], ids=["the-date-is-the-same", "still-refused"])
async def test_a_clock_that_is_not_the_reason_is_a_refusal(offset: float) -> None:
    async with scripted(refused_for_its_date(offset)) as (client, script):
        with pytest.raises(QueueRefused, match="this machine's clock"), translated("receive"):
            await client.call("ReceiveMessage", {}, tries=1)
    assert len(script.heads) == (2 if offset else 1)


@dataclass
class Renewed:
    """Keys that are good for an hour; a renewal waits until it may go on."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    asked: int = 0
    fails: bool = False
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def __call__(self) -> dict[str, str]:
        self.asked += 1
        assert self.may_go_on.wait(10)
        if self.fails:
            raise CredentialRetrievalError(provider="test", error_msg="planted")
        return {
            "access_key": f"key-{self.asked}",
            "secret_key": "planted-secret",
            "token": "planted-token",
            "expiry_time": (self.now + timedelta(hours=1)).isoformat(),
        }

    def source(self) -> RefreshableCredentials:
        self.may_go_on.set()
        first = self()
        source = RefreshableCredentials(
            first["access_key"],
            first["secret_key"],
            first["token"],
            self.now + timedelta(hours=1),
            self,
            "test",
            lambda: self.now,
        )
        self.may_go_on.clear()
        return source


def keys_of(script: Script) -> list[str]:
    return [head["Authorization"].split("Credential=")[1].split("/")[0] for head in script.heads]


@pytest.mark.parametrize("minutes", [59.5, 61, 600])
async def test_keys_that_have_run_out_are_renewed_once_for_all_who_wait(minutes: float) -> None:
    renewed = Renewed()
    async with scripted(answer({}), keys=renewed.source()) as (client, script):
        await client.call("ReceiveMessage", {})
        renewed.now += timedelta(minutes=minutes)
        calls = [asyncio.create_task(client.call("ReceiveMessage", {})) for _ in range(5)]
        await asyncio.wait(calls, timeout=0)
        renewed.may_go_on.set()
        await asyncio.gather(*calls)
    assert (renewed.asked, keys_of(script)) == (2, ["key-1", *["key-2"] * 5])


async def test_keys_that_will_run_out_are_used_while_they_are_renewed() -> None:
    renewed = Renewed()
    async with scripted(answer({}), keys=renewed.source()) as (client, script):
        await client.call("ReceiveMessage", {})
        renewed.now += timedelta(minutes=50)
        for _ in range(3):
            await client.call("ReceiveMessage", {})
        renewing = client._access.keys._renewing
        assert renewing is not None
        renewed.may_go_on.set()
        await renewing
        await client.call("ReceiveMessage", {})
    assert (renewed.asked, keys_of(script)) == (2, [*["key-1"] * 4, "key-2"])


async def test_a_renewal_that_fails_is_a_refusal_once_the_keys_have_run_out() -> None:
    renewed = Renewed()
    async with scripted(answer({}), keys=renewed.source()) as (client, _):
        renewed.fails = True
        renewed.may_go_on.set()
        await client.call("ReceiveMessage", {})
        renewed.now += timedelta(minutes=55)
        await client.call("ReceiveMessage", {})
        renewed.now += timedelta(minutes=55)
        with pytest.raises(QueueRefused, match="planted"), translated("receive"):
            await client.call("ReceiveMessage", {})
        renewed.fails = False
        await client.call("ReceiveMessage", {})


async def test_a_renewal_that_does_not_end_keeps_a_call_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lambdo_router.adapters.sqs.credentials._LONGEST_WAIT", 0.01)
    renewed = Renewed()
    async with scripted(answer({}), keys=renewed.source()) as (client, _):
        await client.call("ReceiveMessage", {})
        renewed.now += timedelta(hours=2)
        with pytest.raises(QueueRefused, match="nothing came within"), translated("receive"):
            await client.call("ReceiveMessage", {})
        renewed.may_go_on.set()
        await client.call("ReceiveMessage", {})
