"""The embedded stack: what exists in it, and that nothing of the environment leads out of it."""

import asyncio
import socket
from pathlib import Path

import pytest
from building import message, route, table

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.config.messages import Sample, SampleError
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchRejected
from lambdo_router.core.machine import entry_of, machine_request
from lambdo_router.core.message import Event
from lambdo_router.core.routing import Queue
from lambdo_router.engine.router import Limits
from lambdo_router.local.names import is_loopback, local_name
from lambdo_router.local.stack import Ports, StackError, local_stack

_ARN = "arn:aws:sqs:eu-west-1:123456789012:orders"
_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
_LIMITS = Limits()


@pytest.mark.parametrize(
    ("queue", "name"),
    [
        pytest.param(Queue("q", url=_URL), "orders", id="url"),
        pytest.param(Queue("q", url=_ARN), "orders", id="arn"),
        pytest.param(Queue("q", url="http://localhost:9324/queue/orders/"), "orders", id="slash"),
        pytest.param(Queue("q", lookup="orders"), "orders", id="name"),
        pytest.param(Queue("my.q", url="${ORDERS_URL}"), "my-q", id="unset-variable"),
        pytest.param(Queue("q", lookup="orders-${STAGE}"), "q", id="unset-part"),
    ],
)
def test_a_queue_is_called_here_as_in_sqs(queue: Queue, name: str) -> None:
    assert local_name(queue) == name


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:4566", True),
        ("http://localhost:4566", True),
        ("http://sqs.localhost:4566", True),
        ("http://[::1]:4566", True),
        ("https://sqs.us-east-1.amazonaws.com", False),
        ("http://localhost.example.com", False),
        ("http://192.168.0.7:4566", False),
        ("127.0.0.1", False),
    ],
)
def test_a_server_on_this_machine_is_known_by_its_host(url: str, *, here: bool) -> None:
    assert is_loopback(url) is here


@pytest.mark.real_time
async def test_a_fifo_queue_of_a_routes_file_is_one_here(tmp_path: Path) -> None:
    async with local_stack(tmp_path, limits=_LIMITS, poll_seconds=0) as stack:
        queue = await stack.open_queue(Queue("q", lookup="q.fifo"))
        await queue.send("{}", {})
        assert stack.sqs.queue("q.fifo").fifo
        (received,) = await queue.receive(10, 30)
    assert "SequenceNumber" in received.system


@pytest.mark.real_time
async def test_queues_apps_and_images_exist_whatever_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "HTTP_PROXY", "http_proxy", "FLY_API_HOSTNAME"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_PROFILE", "there-is-none")
    one = table(route(), queues=(Queue("q", url=_URL, reject_to="bad"), Queue("bad", lookup="bad")))
    two = table(route(), queues=(Queue("q", url=_URL), Queue("new", url="${NEW_QUEUE_URL}")))

    async with local_stack(tmp_path, limits=_LIMITS, poll_seconds=0) as stack:
        stack.create_queues(one)
        assert stack.sqs.names() == ["bad", "orders"]

        sent = await stack.send(one, [Sample("m.json", "q", '{"n": 1}', {})])
        stack.create_queues(two)
        assert stack.sqs.names() == ["bad", "new", "orders"]
        queue = await stack.open_queue(two.queues["q"])
        (received,) = await queue.receive(10, 30)
        assert (queue.name, received.body) == ("q", '{"n": 1}')
        assert list(sent) == [received.id]
        later = await stack.open_queue(Queue("later", lookup="later"))
        assert list(await later.receive(10, 30)) == []

        profile = one.routes[0].profile
        key = BatchKey("q", one.routes[0], profile)
        batch = Batch(key, (entry_of(received, Event(received.body, {}, {})),))
        machine = await stack.launcher.launch(machine_request(batch, generation="g"))
        assert [record.id for record in stack.machines.machines()] == [machine.id]
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.real_time
async def test_machines_are_only_created_with_the_token_of_the_stack(tmp_path: Path) -> None:
    key = BatchKey("q", route(), route().profile)
    batch = Batch(key, (entry_of(message(), Event("{}", {}, {})),))

    async with (
        local_stack(tmp_path, limits=_LIMITS) as stack,
        FlyMachines(token="guessed", base_url=stack.machines_url) as intruder,
    ):
        with pytest.raises(LaunchRejected):
            await intruder.launch(machine_request(batch, generation="g"))
        assert stack.token not in repr(stack)


@pytest.mark.real_time
async def test_two_queues_that_would_be_one_here_are_refused(tmp_path: Path) -> None:
    twins = table(route(queues=("a", "b")), queues=(Queue("a", url=_URL), Queue("b", url=_ARN)))

    async with local_stack(tmp_path, limits=_LIMITS) as stack:
        with pytest.raises(StackError, match="the queues `a` and `b` are both called orders"):
            stack.create_queues(twins)


@pytest.mark.real_time
async def test_a_message_to_an_unknown_queue_keeps_all_from_being_sent(tmp_path: Path) -> None:
    jobs = table(route(), queues=(Queue("q", url=_URL),))
    samples = [Sample("a.json", "q", "{}", {}), Sample("b.json", "qq", "{}", {})]

    async with local_stack(tmp_path, limits=_LIMITS) as stack:
        with pytest.raises(
            SampleError, match=r"b\.json: no queue is called `qq`; did you mean `q`"
        ):
            await stack.send(jobs, samples)
        assert stack.sqs.names() == []


@pytest.mark.real_time
@pytest.mark.parametrize("which", ["sqs", "machines"])
async def test_a_port_that_is_taken_is_said_and_nothing_stays_open(
    tmp_path: Path, which: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]

        with pytest.raises(StackError, match=f"cannot listen on port {port} of this machine"):
            async with local_stack(tmp_path, limits=_LIMITS, ports=Ports(**{which: port})):
                pytest.fail("it cannot start")
    assert asyncio.all_tasks() == {asyncio.current_task()}
