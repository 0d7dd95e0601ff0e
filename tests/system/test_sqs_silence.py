"""
Queues whose SQS takes requests and never answers, beside one that is well.

A call waits for ten seconds and is made three times. Here it waits for ten minutes, so that the
server decides when the silence is over.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.exceptions import NoCredentialsError
from botocore.session import Session
from sqs_backends import KEYS, REGION, Embedded, new_name

from lambdo_router.adapters.sqs import SqsConnector, SqsQueue, SqsSettings
from lambdo_router.adapters.sqs.client import SqsClient
from lambdo_router.adapters.sqs.queue import MOST_CALLS
from lambdo_router.core.errors import QueueRefused, QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Queue

pytest_plugins = ["sqs_backends"]
pytestmark = [pytest.mark.usefixtures("no_pauses", "_long_silence"), pytest.mark.real_time]

PATIENCE = 30.0
"""Seconds until a test that waits behind a silent queue has failed."""


@pytest.fixture
def _long_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = {"patience": 600.0, "tries": 3}
    monkeypatch.setattr(SqsClient.call, "__kwdefaults__", patient)
    monkeypatch.setattr(SqsQueue._ask, "__kwdefaults__", patient)
    monkeypatch.setattr("lambdo_router.adapters.sqs.identities._ASK_TIMEOUT", 600)


class _Server(ThreadingHTTPServer):
    request_queue_size = 256
    """Connections at once; of a shorter queue the last ones would be made a second later."""


class Silent:
    """An SQS that says that every queue is there and, until the end, nothing more."""

    def __init__(self, *, opens: bool = True) -> None:
        silent = self
        self.over = threading.Event()
        self.asked = threading.Semaphore(0)
        """Released for each request that waits for an answer."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                about = self.headers.get("X-Amz-Target", "").endswith(".GetQueueAttributes")
                if opens and about:
                    self.send_response(200)
                    self.send_header("Content-Length", "2")
                    self.end_headers()
                    self.wfile.write(b"{}")
                    return
                silent.asked.release()
                silent.over.wait()

            def log_message(self, *_: object) -> None:
                """Keep the test's output clean."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator["Silent"]:
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.over.set()
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    async def hears(self, requests: int) -> None:
        """Return when so many more requests wait for an answer."""
        for _ in range(requests):
            assert await asyncio.to_thread(self.asked.acquire, timeout=PATIENCE)


@contextmanager
def silence(endpoints: int, *, opens: bool = True) -> Iterator[list[Silent]]:
    with ExitStack() as ends:
        yield [ends.enter_context(Silent(opens=opens).serving()) for _ in range(endpoints)]


def of(server: Silent, name: str) -> Queue:
    return Queue(name, url=f"{server.url}/000000000000/{name}", endpoint=server.url)


@asynccontextmanager
async def beside(embedded: Embedded) -> AsyncIterator[tuple[SqsConnector, SqsQueue, Message]]:
    """A connector, a queue that is well, and a message received from it."""
    connector = SqsConnector(SqsSettings(None, REGION, 0, KEYS))
    name = new_name()
    embedded.client.create_queue(QueueName=name)
    try:
        queue = await connector.open(Queue("well", lookup=name, endpoint=embedded.url))
        await queue.send("{}", {})
        (message,) = await queue.receive(10, 60.0)
        yield connector, queue, message
    finally:
        await connector.aclose()


async def renewed(queue: SqsQueue) -> None:
    await queue.set_visibility({f"receipt-{number}": 60.0 for number in range(100)})


async def rejected_to(queue: SqsQueue) -> None:
    await asyncio.gather(*(queue.send("{}", {}) for _ in range(100)))


@pytest.mark.parametrize("doing", [renewed, rejected_to])
@pytest.mark.parametrize(
    ("queues", "endpoints"),
    [
        pytest.param(1, 1, id="one"),
        pytest.param(6, 6, id="six"),
        pytest.param(6, 1, id="six-on-one-endpoint"),
    ],
)
async def test_however_many_queues_are_silent_another_is_served_at_once(
    embedded: Embedded, doing: Callable[[SqsQueue], Awaitable[None]], queues: int, endpoints: int
) -> None:
    async with beside(embedded) as (connector, well, message):
        with silence(endpoints) as servers:
            silent = [
                await connector.open(of(servers[number % endpoints], new_name()))
                for number in range(queues)
            ]
            hanging = [asyncio.ensure_future(doing(queue)) for queue in silent]
            async with asyncio.timeout(PATIENCE):
                for server in servers:
                    await server.hears(MOST_CALLS * queues // endpoints)
                assert await well.set_visibility({message.receipt: 60.0}) == {}
                assert await well.delete([message.receipt]) == {}
            assert not any(server.over.is_set() for server in servers)
            assert not any(task.done() for task in hanging)
        outcomes = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {QueueUnavailable}


async def test_queues_that_cannot_be_opened_delay_no_other(embedded: Embedded) -> None:
    async with beside(embedded) as (connector, well, _):
        with silence(1, opens=False) as (server,):
            hanging = [
                asyncio.ensure_future(asking(of(server, new_name())))
                for asking in [connector.open, connector.inspect] * 6
            ]
            async with asyncio.timeout(PATIENCE):
                await server.hears(len(hanging))
                other = Queue("other", url=well.url, endpoint=embedded.url)
                assert (await connector.open(other)).url == well.url
                assert (await connector.inspect(other)).url == well.url
            assert not server.over.is_set()
            assert not any(task.done() for task in hanging)
        outcomes = await asyncio.gather(*hanging, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {QueueUnavailable}


async def test_a_stop_waits_for_no_queue(embedded: Embedded) -> None:
    async with beside(embedded) as (connector, _, _):
        with silence(1) as (server,):
            silent = await connector.open(of(server, new_name()))
            hanging = asyncio.ensure_future(renewed(silent))
            async with asyncio.timeout(PATIENCE):
                await server.hears(MOST_CALLS)
                hanging.cancel()
                await asyncio.wait([hanging])
                await connector.aclose()


async def test_a_stop_does_not_wait_for_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program that a profile names may hang, and so may the address of a cloud's metadata."""
    asked, over = threading.Event(), threading.Event()

    def hang(_: object) -> Session:
        asked.set()
        over.wait()
        raise NoCredentialsError

    monkeypatch.setattr("lambdo_router.adapters.sqs.identities._own_session", hang)
    connector = SqsConnector(SqsSettings(region=REGION))
    opening = asyncio.ensure_future(connector.open(Queue("q", lookup="q")))
    assert await asyncio.to_thread(asked.wait, PATIENCE)
    async with asyncio.timeout(PATIENCE):
        await connector.aclose()
    over.set()
    with pytest.raises(QueueRefused):
        await opening


async def test_who_the_caller_is_is_asked_without_delaying_anybody(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "local")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "planted-secret")
    name = new_name()
    embedded.client.create_queue(QueueName=name)
    with silence(1) as (sts,):
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        connector = SqsConnector(SqsSettings(embedded.url, REGION, 0))
        looking = [
            asyncio.ensure_future(connector.inspect(Queue(each, lookup=name))) for each in "ab"
        ]
        async with asyncio.timeout(PATIENCE):
            await sts.hears(1)
            assert (await connector.open(Queue("c", lookup=name))).name == "c"
        assert not any(task.done() for task in looking)
    assert [facts.caller for facts in await asyncio.gather(*looking)] == [None, None]
    assert not sts.asked.acquire(blocking=False)  # it was asked once for both
    await connector.aclose()
