"""Finds the queues of a routes file and connects them."""

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from os import environ
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from lambdo_router.adapters.sqs.address import QueueAddress, address_of
from lambdo_router.adapters.sqs.clients import ClientMaker, Clients, SqsSettings, Way
from lambdo_router.adapters.sqs.failures import UnreadableAnswer, is_denied, translated
from lambdo_router.adapters.sqs.inspection import QueueFacts, inspect_queue
from lambdo_router.adapters.sqs.queue import MOST_CALLS, SqsQueue
from lambdo_router.adapters.sqs.threads import Threads
from lambdo_router.core.errors import QueueRefused
from lambdo_router.core.routing import Queue

if TYPE_CHECKING:  # the stubs are no dependency of the package
    from mypy_boto3_sqs import SQSClient

_DEFAULTS = SqsSettings()


class SqsConnector:
    """
    Opens queues; `open` is a QueueOpener.

    One boto3 session serves them all, and one more each role. Threads are not shared: each queue
    has at most MOST_POLLS (a FIFO queue one) for polls, and MOST_CALLS for everything else, from
    the look-up that opens it. A call that SQS does not answer keeps its thread for half a minute,
    and delays only calls to the same queue. `aclose` ends the threads without waiting for calls
    that are under way, and so does the end of the process.
    """

    def __init__(self, settings: SqsSettings = _DEFAULTS) -> None:
        self._settings = settings
        self._clients = ClientMaker(settings)
        self._threads: weakref.WeakValueDictionary[Queue, Threads] = weakref.WeakValueDictionary()
        """Of the queues that are being opened or are in use."""
        self._queues: weakref.WeakSet[SqsQueue] = weakref.WeakSet()

    async def open(self, queue: Queue) -> SqsQueue:
        """
        Look the queue up and make sure that it is there.

        Raises QueueRefused (no such queue, no rights, no or wrong keys, no region) or
        QueueUnavailable (no connection, throttled, a fault of SQS).
        """
        threads = self._threads_of(queue)
        opened = await threads.run(lambda: self._connect(queue, threads))
        self._queues.add(opened)
        return opened

    async def inspect(self, queue: Queue) -> QueueFacts:
        """Return the queue's attributes for the checks at the start. Raises as `open` does."""

        def look() -> QueueFacts:
            address, clients = self._way_to(queue)
            with _explained(queue, address, clients):
                url = address.url or _look_up(clients.calls, address)
                return inspect_queue(clients.calls, url, self._clients.caller(queue.role_arn))

        return await self._threads_of(queue).run(look)

    async def aclose(self) -> None:
        """End the threads and close idle connections."""
        for threads in tuple(self._threads.values()):
            threads.stop()
        for queue in tuple(self._queues):
            queue.stop()
        self._clients.close()

    def _threads_of(self, queue: Queue) -> Threads:
        threads = self._threads.get(queue)
        if threads is None:
            threads = self._threads[queue] = Threads(f"calls-{queue.name}", MOST_CALLS)
        return threads

    def _connect(self, queue: Queue, threads: Threads) -> SqsQueue:
        address, clients = self._way_to(queue)
        with _explained(queue, address, clients):
            url = address.url or _look_up(clients.calls, address)
            notes = _check(clients.calls, url)
        return SqsQueue(
            queue.name,
            url,
            poll=clients.poll,
            calls=clients.calls,
            threads=threads,
            wait_seconds=self._settings.wait_seconds,
            notes=notes,
        )

    def _way_to(self, queue: Queue) -> tuple[QueueAddress, Clients]:
        address = address_of(queue)
        region = address.region or self._settings.region or environ.get("AWS_REGION") or None
        # botocore raises ValueError for an endpoint URL that is none.
        with translated(f"queue `{queue.name}` ({address.shown})", ValueError):
            return address, self._clients.of(Way(region, queue.role_arn, queue.endpoint))


@contextmanager
def _explained(queue: Queue, address: QueueAddress, clients: Clients) -> Iterator[None]:
    """Raise boto3's errors as ours, with the queue, where it was looked for, and as whom."""
    endpoint = clients.calls.meta.endpoint_url
    role = f" as {queue.role_arn}" if queue.role_arn else ""
    try:
        with translated(f"queue `{queue.name}` ({address.shown}) at {endpoint}{role}"):
            yield
    except QueueRefused as refused:
        if elsewhere := _elsewhere(address, endpoint):
            raise QueueRefused(f"{refused}. {elsewhere}", code=refused.code) from refused
        raise


def _look_up(client: "SQSClient", address: QueueAddress) -> str:
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
