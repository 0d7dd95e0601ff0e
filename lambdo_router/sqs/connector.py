"""
Finds the queues of a routes file and connects them.

Clients are made once for each region, in a thread and under a lock: making one takes long, may
ask the network for credentials, and is not thread-safe in boto3 (using one is).
"""

import threading
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import devnull, environ
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from lambdo_router import __version__
from lambdo_router.errors import QueueRefused
from lambdo_router.routing import Queue
from lambdo_router.sqs.address import Address, address_of
from lambdo_router.sqs.failures import UnreadableAnswer, is_denied, translated
from lambdo_router.sqs.queue import SqsQueue
from lambdo_router.sqs.threads import Threads

if TYPE_CHECKING:  # the stubs are no dependency of the package
    from mypy_boto3_sqs import SQSClient

_LONGEST_WAIT = 20
_POLL_MARGIN = 10
"""Seconds that a poll's answer may take beyond its wait."""
_CALL_TIMEOUT = 10
_CALL_THREADS = 8
_MOST_POLLS = 256
"""Connections that polls may keep open; they are opened as they are needed."""
_NOTHING_ELSE = Config(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False)


@dataclass(frozen=True, slots=True)
class Keys:
    """
    A key pair for a local server. With one, nothing else of this machine's AWS configuration
    counts: no profile, no file, no proxy, so that a request cannot end up elsewhere.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SqsSettings:
    """How to reach SQS. What is None is left to boto3, and so to its variables and files."""

    endpoint_url: str | None = None
    """None: AWS_ENDPOINT_URL_SQS or AWS_ENDPOINT_URL, else AWS itself."""
    region: str | None = None
    """Of queues whose address does not tell; None: AWS_REGION or AWS_DEFAULT_REGION."""
    wait_seconds: int = _LONGEST_WAIT
    """How long a poll waits for a message, 0 to 20 seconds."""
    keys: Keys | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.wait_seconds <= _LONGEST_WAIT:
            raise ValueError(f"wait_seconds is {self.wait_seconds}; SQS allows 0 to 20")


@dataclass(frozen=True, slots=True)
class _Clients:
    """Of one region: one for polls, and one for all the other calls."""

    poll: "SQSClient"
    calls: "SQSClient"


class SqsConnector:
    """
    Opens queues; `open` is a QueueOpener.

    One boto3 session serves them all. `aclose` ends its threads without waiting for polls that are
    under way, and so does the end of the process.
    """

    def __init__(self, settings: SqsSettings = SqsSettings()) -> None:
        self._settings = settings
        self._threads = Threads("sqs", _CALL_THREADS)
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None
        self._clients: dict[str | None, _Clients] = {}
        self._queues: weakref.WeakSet[SqsQueue] = weakref.WeakSet()

    async def open(self, queue: Queue) -> SqsQueue:
        """
        Look the queue up and make sure that it is there.

        Raises QueueRefused (no such queue, no rights, no or wrong keys, no region) or
        QueueUnavailable (no connection, throttled, a fault of SQS).
        """
        opened = await self._threads.run(lambda: self._connect(queue))
        self._queues.add(opened)
        return opened

    async def aclose(self) -> None:
        """End the threads and close idle connections."""
        self._threads.stop()
        for queue in tuple(self._queues):
            queue.stop()
        with self._lock:
            for clients in self._clients.values():
                clients.poll.close()
                clients.calls.close()
            self._clients.clear()

    def _connect(self, queue: Queue) -> SqsQueue:
        address = address_of(queue)
        region = address.region or self._settings.region or environ.get("AWS_REGION") or None
        # botocore raises ValueError for an endpoint URL that is none.
        with translated(f"queue `{queue.name}` ({address.shown})", ValueError):
            clients = self._of_region(region)
        endpoint = clients.calls.meta.endpoint_url
        doing = f"queue `{queue.name}` ({address.shown}) at {endpoint}"
        try:
            with translated(doing):
                url = address.url or _look_up(clients.calls, address)
                notes = _check(clients.calls, url)
        except QueueRefused as refused:
            if elsewhere := _elsewhere(address, endpoint):
                raise QueueRefused(f"{refused}. {elsewhere}", code=refused.code) from refused
            raise
        return SqsQueue(
            queue.name,
            url,
            poll=clients.poll,
            calls=clients.calls,
            threads=self._threads,
            wait_seconds=self._settings.wait_seconds,
            notes=notes,
        )

    def _of_region(self, region: str | None) -> _Clients:
        with self._lock:
            if region not in self._clients:
                wait = self._settings.wait_seconds
                self._clients[region] = _Clients(
                    # A repeated poll could hide ten more messages with each try.
                    poll=self._client(region, wait + _POLL_MARGIN, _MOST_POLLS, attempts=1),
                    calls=self._client(region, _CALL_TIMEOUT, _CALL_THREADS, attempts=3),
                )
            return self._clients[region]

    def _client(
        self, region: str | None, timeout: int, connections: int, *, attempts: int
    ) -> "SQSClient":
        if self._session is None:
            self._session = _session(self._settings.keys)
        config = Config(
            connect_timeout=5,
            read_timeout=timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=connections,
            tcp_keepalive=True,
            user_agent_extra=f"lambdo-router/{__version__}",
        )
        if self._settings.keys is not None:
            config = config.merge(_NOTHING_ELSE)
        client = self._session.client(
            "sqs", region_name=region, endpoint_url=self._settings.endpoint_url, config=config
        )
        client.meta.events.register("response-received.sqs", _refuse_torn_answers)
        return client


def _session(keys: Keys | None) -> boto3.Session:
    if keys is None:
        return boto3.Session()
    nothing = (None, None, devnull, None)
    unconfigured = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nothing,
            "credentials_file": nothing,
        }
    )
    return boto3.Session(keys.access_key_id, keys.secret_access_key, botocore_session=unconfigured)


def _look_up(client: "SQSClient", address: Address) -> str:
    owner = {"QueueOwnerAWSAccountId": address.account} if address.account else {}
    url = client.get_queue_url(QueueName=address.name or "", **owner).get("QueueUrl")
    if not url:
        raise UnreadableAnswer("the answer to GetQueueUrl has no QueueUrl")
    return url


def _check(client: "SQSClient", url: str) -> tuple[str, ...]:
    """Make sure that the queue is there, as well as our rights allow."""
    try:
        client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    except ClientError as error:
        if not is_denied(error):
            raise
        return ("sqs:GetQueueAttributes is not allowed, so the queue could not be checked",)
    return ()


def _elsewhere(address: Address, endpoint: str) -> str:
    """The likely reason of a refusal where a URL's host is not the one that was asked."""
    asked = urlsplit(endpoint)
    if address.foreign_host in (None, f"{asked.scheme}://{asked.netloc}"):
        return ""
    return (
        "Requests do not go to the host of a queue URL: to use "
        f"{address.foreign_host}, set AWS_ENDPOINT_URL={address.foreign_host}"
    )


def _refuse_torn_answers(response_dict: Mapping[str, Any] | None, **_: object) -> None:
    """boto3 takes a body that broke off for an empty answer, and so for success. Not here."""
    if response_dict is None or response_dict["status_code"] >= 300:  # noqa: PLR2004
        return
    body: bytes = response_dict["body"]
    headers = response_dict["headers"]
    length = headers.get("content-length", "")
    if length.isdecimal() and "content-encoding" not in headers and len(body) < int(length):
        raise UnreadableAnswer(f"the answer broke off after {len(body)} of {length} bytes")
    if body.strip() and not (body.strip().startswith(b"{") and body.strip().endswith(b"}")):
        raise UnreadableAnswer("the answer is no JSON object; is the endpoint SQS?")
