"""
Calls to SQS: signed requests of AWS's JSON protocol 1.0, on the event loop.

botocore says where SQS is and as whom to ask (identities.py); the rest it would do at three to five
times the CPU, in a thread for each call. A request is a POST to the endpoint's root with the
operation in a header; an answer is a JSON object, whatever its status.
"""

import asyncio
import json
import random
import time
from collections.abc import Mapping
from http import HTTPStatus
from http.client import responses
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp

from lambdo_router import __version__
from lambdo_router.adapters.clock_skew import ahead_of
from lambdo_router.adapters.http import FAILURES, HttpSession, NoAnswer, payload, read_within
from lambdo_router.adapters.sqs.address import without_password
from lambdo_router.adapters.sqs.failures import (
    FOREIGN,
    ServiceError,
    UnreadableAnswer,
    passes,
    retry_after,
    says_clock,
)
from lambdo_router.adapters.sqs.identities import Access
from lambdo_router.adapters.sqs.signing import signature_headers
from lambdo_router.core.backoff import backoff

CALL_TIMEOUT: Final = 10.0
"""Seconds for an answer to anything but a poll."""
CALL_TRIES: Final = 3
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries; whoever is asked to wait longer leaves it to the caller."""
_MOST_IN_ANSWER: Final = 64 * 1024 * 1024
"""Bytes: ten messages of 1 MiB, each byte of them as an escape of six."""
_CONNECTING: Final = aiohttp.ClientTimeout(total=None, sock_connect=5)
_SKEW_TO_CORRECT: Final = 60.0
"""Seconds; AWS accepts five minutes, and refuses for other reasons by the same codes."""
_USER_AGENT: Final = f"lambdo-router/{__version__}"
_ENCODER: Final = json.JSONEncoder(separators=(",", ":"))
_LISTS: Final = ("Messages", "Successful", "Failed")
"""Fields of answers that are lists of objects."""


class Reply(NamedTuple):
    """What SQS answers to a call."""

    fields: Mapping[str, Any]
    date: str
    """The Date header."""


class SqsClient:
    """
    Calls to one endpoint as one identity. Its queues share it.

    Errors are those of failures.FOREIGN: `failures.translated` makes ours of them.
    """

    def __init__(self, session: HttpSession, access: Access) -> None:
        self._session = session
        self._access = access
        url = without_password(access.server.url)
        parts = urlsplit(url)
        self._url = url
        self._path = parts.path or "/"
        self._host = parts.netloc
        if parts.port == {"http": 80, "https": 443}.get(parts.scheme):
            self._host = self._host.rpartition(":")[0]
        self._ahead = 0.0
        """Seconds that this machine's clock is ahead of AWS's, where that had to be corrected."""

    @property
    def endpoint(self) -> str:
        """Where requests go, for messages."""
        return self._url

    async def call(
        self,
        operation: str,
        fields: Mapping[str, Any],
        *,
        patience: float = CALL_TIMEOUT,
        tries: int = CALL_TRIES,
    ) -> Reply:
        """
        Return the answer to a call, made up to `tries` times while its failure may pass.

        A try takes `patience` seconds at most. Raises what is in FOREIGN.
        """
        body = _ENCODER.encode(fields).encode()
        for attempt in range(1, tries + 1):
            try:
                return await self._exchange(operation, body, patience)
            except FOREIGN as error:
                pause = backoff(attempt, first=0.5, longest=_LONGEST_PAUSE, jitter=random.random())  # noqa: S311 # no secret
                pause = max(pause, retry_after(error) or 0.0)
                if attempt == tries or pause > _LONGEST_PAUSE or not passes(error):
                    raise
            await asyncio.sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def _exchange(self, operation: str, body: bytes, patience: float) -> Reply:
        """One request, repeated once if it is only this machine's clock that AWS refuses."""
        started = time.time()
        try:
            return await self._request(operation, body, patience)
        except ServiceError as error:
            if not says_clock(error):
                raise
            ahead = ahead_of(error.headers.get("date", ""), started, time.time())
            if abs(ahead - self._ahead) < _SKEW_TO_CORRECT:
                raise
            self._ahead = ahead
        return await self._request(operation, body, patience)

    async def _request(self, operation: str, body: bytes, patience: float) -> Reply:
        headers = {
            "Host": self._host,
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"AmazonSQS.{operation}",
            # Errors come with the codes that they had before this protocol, too.
            "x-amzn-query-mode": "true",
        }
        signature = signature_headers(
            headers,
            body,
            path=self._path,
            keys=await self._access.keys.get(),
            scope=(self._access.region, "sqs"),
            now=time.time() - self._ahead,
        )
        headers |= signature
        headers["Accept-Encoding"] = "identity"
        headers["User-Agent"] = _USER_AGENT
        server = self._access.server
        try:
            async with (
                asyncio.timeout(patience),
                self._session.open().post(
                    self._url,
                    data=payload(body),
                    headers=headers,
                    allow_redirects=False,
                    ssl=server.context,
                    proxy=server.proxy,
                    timeout=_CONNECTING,
                ) as response,
            ):
                content = await read_within(response, _MOST_IN_ANSWER)
        except tuple(FAILURES) as error:
            raise NoAnswer(error) from error
        return _read(operation, response.status, response.headers, content)


def _read(operation: str, status: int, headers: Mapping[str, str], content: bytes) -> Reply:
    fields = _fields(content)
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise _error(operation, status, headers, fields or {})
    if fields is None:
        raise UnreadableAnswer("the answer is no JSON object; is the endpoint SQS?")
    return Reply(fields, headers.get("Date", ""))


def _fields(content: bytes) -> Mapping[str, Any] | None:
    """Return the JSON object of a body, or None if it is something else; nothing is empty."""
    try:
        value = json.loads(content.decode()) if content.strip() else {}
    except UnicodeDecodeError:  # as when it is packed, though nobody asked for that
        raise UnreadableAnswer("the answer is no text; is the endpoint SQS?") from None
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not all(_is_list(value.get(name)) for name in _LISTS):
        return None
    return {name: each for name, each in value.items() if each is not None}


def _is_list(value: object) -> bool:
    """Return whether it is a list of objects, or nothing."""
    if value is None:
        return True
    return isinstance(value, list) and all(isinstance(each, dict) for each in value)


def _error(
    operation: str, status: int, headers: Mapping[str, str], fields: Mapping[str, Any]
) -> ServiceError:
    """`AWS.SimpleQueueService.NonExistentQueue` where SQS gives that, else `QueueDoesNotExist`."""
    said = str(fields.get("__type") or headers.get("x-amzn-errortype") or status)
    code = said.partition(":")[0].rpartition("#")[2]
    legacy = headers.get("x-amzn-query-error", "").partition(";")[0]
    message = fields.get("message") or fields.get("Message")
    if not isinstance(message, str):
        message = responses.get(status, "")
    return ServiceError(operation, status, legacy or code, message, headers)
