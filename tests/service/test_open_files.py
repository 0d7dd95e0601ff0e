"""With no file descriptor left: what fails passes again, in words, and nothing spins."""

import asyncio
import os
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.http import HttpSession
from lambdo_router.adapters.sqs import Keys, SqsConnector, SqsSettings
from lambdo_router.admin.serving import Bounds, serve
from lambdo_router.core.errors import LaunchUnavailable, QueueUnavailable
from lambdo_router.core.routing import Queue
from lambdo_router.local.sqs_server import Sqs, sqs_app
from lambdo_router.service.open_files import most_connections, raise_limit

SOFT, HARD = resource.getrlimit(resource.RLIMIT_NOFILE)


@contextmanager
def limited(soft: int) -> Iterator[None]:
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, HARD))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))


@contextmanager
def none_left() -> Iterator[None]:
    """What is open stays open, and nothing more can be opened."""
    fillers = [os.open(os.devnull, os.O_RDONLY)]
    with limited(fillers[0] + 1):  # lower ones may be free still
        try:
            while True:
                fillers.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        yield
    for filler in fillers:
        os.close(filler)


@pytest.mark.real_time
async def test_without_a_descriptor_a_queue_is_unavailable_says_why_and_comes_back() -> None:
    sqs = Sqs()
    sqs.create_queue("work", {}, time.time())
    async with serve(sqs_app(sqs)) as url:
        connector = SqsConnector(SqsSettings(url, "us-east-1", 0, Keys("key", "secret")))
        named = Queue("work", url=f"{url}/123456789012/work")
        with none_left(), pytest.raises(QueueUnavailable, match="Too many open files"):
            await connector.open(named)  # botocore's own files cannot be read
        queue = await connector.open(named)
        await connector.aclose()
        queue._client._session = HttpSession()  # so that the next call has to connect
        with none_left(), pytest.raises(QueueUnavailable, match=r"\(Too many open files\)"):
            await queue.receive(1, 30.0)
        assert await queue.receive(1, 30.0) == []
        await queue._client._session.aclose()


@pytest.mark.real_time
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_without_a_descriptor_fly_cannot_be_asked_and_nothing_was_sent(scheme: str) -> None:
    fly = FlyMachines(token="fm2_x", base_url=f"{scheme}://127.0.0.1:1", rate=1.0, burst=3)
    with none_left(), pytest.raises(LaunchUnavailable, match="Too many open files") as raised:
        await fly.check("jobs")
    await fly.aclose()

    assert (raised.value.code, raised.value.ambiguous) == ("connection", False)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    if scope["type"] == "lifespan":
        return
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.mark.real_time
async def test_without_a_descriptor_the_server_tries_once_a_second_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("asyncio.constants.ACCEPT_RETRY_DELAY", 0.01)
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    refused = asyncio.Event()

    def tell(_: object, context: dict[str, Any]) -> None:
        told.append(context)
        refused.set()

    loop.set_exception_handler(tell)
    async with serve(answer, bounds=Bounds(10)) as url:
        with socket.socket() as client:
            client.setblocking(False)
            with none_left():
                await loop.sock_connect(client, ("127.0.0.1", int(url.rpartition(":")[2])))
                await refused.wait()
                tries = len(told)
            await loop.sock_sendall(client, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            said = await loop.sock_recv(client, 12)

    assert tries <= 64  # asyncio goes through its whole backlog
    assert said == b"HTTP/1.1 204"


def test_the_limit_is_raised_to_what_is_allowed_and_a_quarter_is_for_the_server() -> None:
    with limited(256):
        assert most_connections() == 64
        raise_limit()
        raised, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        assert most_connections() == min(512, raised // 4)

    assert hard == HARD
    assert raised == (10_240 if HARD == resource.RLIM_INFINITY else min(HARD, 10_240))
