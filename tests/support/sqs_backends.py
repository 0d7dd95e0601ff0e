"""
SQS servers for tests, each in threads of its own and once per session: ours, and moto's.

To be loaded with `pytest_plugins = ["sqs_backends"]`, so that the servers are shared by all files.
It may be imported before that, as it asserts nothing: PYTEST_DONT_REWRITE.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer

from lambdo_router.adapters.sqs import Keys, SqsConnector, SqsSettings
from lambdo_router.adapters.sqs.identities import Identities
from lambdo_router.admin.serving import serve
from lambdo_router.local.faults import FaultPlan
from lambdo_router.local.sqs_server import Sqs, sqs_app

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

REGION = "us-east-1"
Wire = dict[str, Any]
KEYS = Keys("local", "planted-secret")
_numbers = count(1)


def new_name() -> str:
    """A queue name that no other test uses."""
    return f"queue-{next(_numbers)}"


@dataclass
class Backend:
    """A server as the tests see it."""

    kind: str
    url: str
    client: Any = field(repr=False)
    """boto3's. Untyped: the stubs want every string to be one of their literals."""

    def create(self, **attributes: str) -> str:
        """A new queue; its URL."""
        url: str = self.client.create_queue(QueueName=new_name(), Attributes=attributes)["QueueUrl"]
        return url

    def create_fifo(self, **attributes: str) -> str:
        """A new FIFO queue; its URL."""
        name = f"{new_name()}.fifo"
        wanted = {"FifoQueue": "true", **attributes}
        url: str = self.client.create_queue(QueueName=name, Attributes=wanted)["QueueUrl"]
        return url

    def attributes(self, queue: str, *names: str) -> dict[str, str]:
        """Attributes of a queue, by default all."""
        wanted = list(names or ("All",))
        answer = self.client.get_queue_attributes(QueueUrl=queue, AttributeNames=wanted)
        found: dict[str, str] = answer.get("Attributes", {})
        return found


@dataclass
class Embedded(Backend):
    """Our server. Sqs and FaultPlan belong to its thread: look at them between calls only."""

    sqs: Sqs = field(repr=False)
    plan: FaultPlan = field(repr=False)


@contextmanager
def embedded_server() -> Iterator[Embedded]:
    sqs, plan = Sqs(), FaultPlan()
    started: list[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def main() -> None:
        stop = asyncio.Event()
        async with serve(sqs_app(sqs, plan)) as url:
            started.append((url, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), name="embedded-sqs")
    thread.start()
    ready.wait()
    url, loop, stop = started[0]
    client = raw_client(url)
    yield Embedded("embedded", url, client, sqs, plan)
    client.close()
    loop.call_soon_threadsafe(stop.set)
    thread.join()


def raw_client(url: str) -> "SQSClient":
    """boto3 without retries, as far from our adapter as can be."""
    return boto3.Session("key", "secret", region_name=REGION).client(
        "sqs",
        endpoint_url=url,
        config=Config(retries={"total_max_attempts": 1}, max_pool_connections=20, proxies={}),
    )


@pytest.fixture(scope="session")
def embedded() -> Iterator[Embedded]:
    with embedded_server() as server:
        yield server


@pytest.fixture(scope="session")
def moto() -> Iterator[Backend]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = raw_client(url)
    yield Backend("moto", url, client)
    client.close()
    server.stop()


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries of the adapter follow each other at once."""
    for module in ("client", "queue"):
        name = f"lambdo_router.adapters.sqs.{module}.backoff"
        monkeypatch.setattr(name, lambda *_, **__: 0.0)


@pytest.fixture(params=["embedded", "moto"])
def backend(request: pytest.FixtureRequest) -> Backend:
    """Each server in turn."""
    found: Backend = request.getfixturevalue(request.param)
    return found


def expect_difference(
    request: pytest.FixtureRequest, backend: Backend, differs: Mapping[str, tuple[str, str]]
) -> None:
    """Have a case fail on moto if it is in the table: (what moto does, what AWS does) by case."""
    case = request.node.name.removesuffix("]").partition("[")[0]
    parameters = request.node.callspec.id.removeprefix(backend.kind).strip("-")
    key = f"{case}[{parameters}]" if parameters else case
    if backend.kind == "moto" and key in differs:
        moto, aws = differs[key]
        reason = f"moto {moto}, AWS {aws}"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))


def receive(backend: Backend, queue: str, **more: object) -> list[Wire]:
    options = {"MaxNumberOfMessages": 10, **more}
    answer: Wire = backend.client.receive_message(QueueUrl=queue, **options)
    messages: list[Wire] = answer.get("Messages", [])
    return messages


def receive_one(backend: Backend, queue: str, **more: object) -> Wire:
    (message,) = receive(backend, queue, **more)
    return message


def show(backend: Backend, queue: str, receipt: str) -> None:
    backend.client.change_message_visibility(
        QueueUrl=queue, ReceiptHandle=receipt, VisibilityTimeout=0
    )


def counts(backend: Backend, queue: str) -> tuple[str, str]:
    """Visible messages and those in flight."""
    found = backend.attributes(queue)
    name = "ApproximateNumberOfMessages"
    return found[name], found[f"{name}NotVisible"]


def refusal(call: Callable[[], object]) -> str:
    """The code that boto3 shows for the refusal of this call."""
    with pytest.raises(ClientError) as refused:
        call()
    code: str = refused.value.response["Error"]["Code"]
    return code


Connect = Callable[[Backend, int], SqsConnector]


@pytest.fixture(scope="session")
def identities() -> Iterator[dict[tuple[str, int], Identities]]:
    """By server and wait: made once, as botocore takes its time."""
    made: dict[tuple[str, int], Identities] = {}
    yield made
    for each in made.values():
        each.close()


@pytest.fixture
def connect(
    identities: dict[tuple[str, int], Identities],
    at_end: list[Callable[[], Coroutine[None, None, None]]],
) -> Connect:
    """A connector to a server, with a poll's wait in seconds; a test has one of each."""
    made: dict[tuple[str, int], SqsConnector] = {}

    def connector(backend: Backend, wait_seconds: int) -> SqsConnector:
        key = (backend.url, wait_seconds)
        if key not in made:
            made[key] = SqsConnector(SqsSettings(backend.url, REGION, wait_seconds, KEYS))
            made[key]._identities = identities.setdefault(key, made[key]._identities)
            at_end.append(made[key].aclose)
        return made[key]

    return connector
