"""Finds the queues of a routes file and connects them."""

import asyncio
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from os import environ
from urllib.parse import urlsplit

from lambdo_router.adapters.daemon_thread import in_daemon_thread
from lambdo_router.adapters.http import HttpSession
from lambdo_router.adapters.sqs.address import QueueAddress, address_of
from lambdo_router.adapters.sqs.client import SqsClient
from lambdo_router.adapters.sqs.failures import (
    ServiceError,
    UnreadableAnswer,
    is_denied,
    translated,
)
from lambdo_router.adapters.sqs.identities import Identities, SqsSettings, Way
from lambdo_router.adapters.sqs.inspection import QueueFacts, inspect_queue
from lambdo_router.adapters.sqs.queue import SqsQueue
from lambdo_router.core.errors import QueueRefused, SettingsError
from lambdo_router.core.routing import Queue

_DEFAULTS = SqsSettings()


class SqsConnector:
    """
    Opens queues; `open` is a QueueOpener.

    All of them share one HTTP session, and those of one region, role and endpoint a client. A call
    that SQS does not answer delays nobody else.
    """

    def __init__(self, settings: SqsSettings = _DEFAULTS) -> None:
        self._settings = settings
        self._session = HttpSession()
        self._identities = Identities(settings)
        self._clients: dict[Way, asyncio.Task[SqsClient]] = {}
        self._queues: weakref.WeakSet[SqsQueue] = weakref.WeakSet()

    async def open(self, queue: Queue) -> SqsQueue:
        """
        Look the queue up and make sure that it is there.

        Raises QueueRefused (no such queue, no rights, no or wrong keys, no region) or
        QueueUnavailable (no connection, throttled, a fault of SQS).
        """
        address, client = await self._way_to(queue)
        with _explained(queue, address, client):
            url = address.url or await _look_up(client, address)
            notes = await _check(client, url)
        opened = SqsQueue(queue.name, url, client, self._settings.wait_seconds, notes)
        self._queues.add(opened)
        return opened

    async def inspect(self, queue: Queue) -> QueueFacts:
        """Return the queue's attributes for the checks at the start. Raises as `open` does."""
        address, client = await self._way_to(queue)
        asking = partial(self._identities.caller, queue.role_arn)
        with _explained(queue, address, client):
            url = address.url or await _look_up(client, address)
            caller = await in_daemon_thread(asking, f"caller-{queue.name}")
            return await inspect_queue(client, url, caller)

    async def aclose(self) -> None:
        """Close the connections, once what abandoned polls have brought is given back."""
        await asyncio.gather(*(queue.aclose() for queue in tuple(self._queues)))
        await self._session.aclose()
        self._identities.close()

    async def _way_to(self, queue: Queue) -> tuple[QueueAddress, SqsClient]:
        address = address_of(queue)
        region = address.region or self._settings.region or environ.get("AWS_REGION") or None
        doing = f"queue `{queue.name}` ({address.shown})"
        try:
            # botocore raises ValueError for an endpoint URL that is none.
            with translated(doing, ValueError):
                return address, await self._client_of(Way(region, queue.role_arn, queue.endpoint))
        except SettingsError as error:
            # A file that is reloaded may bring the first queue that needs what is set wrongly.
            raise QueueRefused(f"{doing}: {error}") from None

    async def _client_of(self, way: Way) -> SqsClient:
        making = self._clients.get(way)
        if making is None:
            making = self._clients[way] = asyncio.create_task(self._make_client(way))
            making.add_done_callback(partial(self._made, way))
        return await asyncio.shield(making)

    async def _make_client(self, way: Way) -> SqsClient:
        access = await in_daemon_thread(partial(self._identities.access, way), "identities")
        return SqsClient(self._session, access)

    def _made(self, way: Way, making: "asyncio.Task[SqsClient]") -> None:
        if making.cancelled() or making.exception() is not None:
            del self._clients[way]  # whoever asks next tries again


@contextmanager
def _explained(queue: Queue, address: QueueAddress, client: SqsClient) -> Iterator[None]:
    """Raise the errors of calls as ours, with the queue, where it was looked for, and as whom."""
    endpoint = client.endpoint
    role = f" as {queue.role_arn}" if queue.role_arn else ""
    try:
        with translated(f"queue `{queue.name}` ({address.shown}) at {endpoint}{role}"):
            yield
    except QueueRefused as refused:
        if elsewhere := _elsewhere(address, endpoint):
            raise QueueRefused(f"{refused}. {elsewhere}", code=refused.code) from refused
        raise


async def _look_up(client: SqsClient, address: QueueAddress) -> str:
    owner = {"QueueOwnerAWSAccountId": address.account} if address.account else {}
    reply = await client.call("GetQueueUrl", {"QueueName": address.name or "", **owner})
    url = reply.fields.get("QueueUrl")
    if not isinstance(url, str) or not url:
        raise UnreadableAnswer("the answer to GetQueueUrl has no QueueUrl")
    return url


async def _check(client: SqsClient, url: str) -> tuple[str, ...]:
    """Make sure that the queue is there, as well as our rights allow."""
    wanted = {"QueueUrl": url, "AttributeNames": ["QueueArn"]}
    try:
        await client.call("GetQueueAttributes", wanted)
    except ServiceError as error:
        if not is_denied(error):
            raise
        return ("sqs:GetQueueAttributes is not allowed, so the queue could not be checked",)
    return ()


def _elsewhere(address: QueueAddress, endpoint: str) -> str:
    """Return the likely reason of a refusal if a URL's host is not the one that was asked."""
    asked = urlsplit(endpoint)
    if address.foreign_host in (None, f"{asked.scheme}://{asked.netloc}"):
        return ""
    return (
        "Requests do not go to the host of a queue URL: to use "
        f"{address.foreign_host}, write `endpoint: {address.foreign_host}` in the queue, or set "
        f"AWS_ENDPOINT_URL={address.foreign_host}"
    )
