"""
SQS and the Machines API on this machine, and the adapters connected to them.

Whatever a routes file names exists here. Each of its queues becomes a local one with the same name
in SQS, which is the last part of its URL or ARN; every Fly app exists; and an image stands for a
folder, in which the command of a Machine runs as a process. The environment does not decide where
messages go: addresses, keys and token are given to the adapters, so that a test message never ends
up in a real queue, whatever AWS_ENDPOINT_URL or AWS_PROFILE say.

Both servers listen on the loopback interface only. Each stack has a new token, since whoever may
create Machines here runs commands with the rights of this process.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.admin import admin_app
from lambdo_router.admin.serving import serve
from lambdo_router.config.diagnostics import closest
from lambdo_router.config.messages import Sample, SampleError
from lambdo_router.core.errors import LambdoError
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.router import Limits
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    ProcessRunner,
    RateLimits,
    machines_app,
)
from lambdo_router.local.names import LOCAL_KEYS, LOCAL_REGION, local_name, stand_in
from lambdo_router.local.sqs_server import Ledger, Sqs, sqs_app


class StackError(LambdoError):
    """The stack cannot do what the routes file or the command line asks for."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the servers listen; 0 takes a free port."""

    sqs: int = 0
    machines: int = 0
    admin: int = 0
    """Of the router's own server."""


@dataclass(slots=True, eq=False)
class Stack:
    """Both running servers, and the adapters connected to them."""

    sqs: Sqs = field(repr=False)
    """All queues and messages; its ledger has what happened to each."""
    machines: MachinesServer = field(repr=False)
    sqs_url: str
    """Like `http://127.0.0.1:40123`: what AWS_ENDPOINT_URL would be."""
    machines_url: str
    """What FLY_API_HOSTNAME would be."""
    token: str = field(repr=False)
    """What FLY_API_TOKEN would be."""
    admin_url: str
    """The router's own server: status and page, and where Machines report."""
    launcher: FlyMachines
    reports: FailureReports = field(repr=False)
    """Where Machines report which of their events failed; for the router that launches them."""
    _connector: SqsConnector = field(repr=False)

    def create_queues(self, table: RoutingTable) -> None:
        """
        Create the queues of the table that do not exist yet; the others keep their messages.

        Raises StackError if two of them would be one queue here.
        """
        owners: dict[str, str] = {}
        for queue in table.queues.values():
            name = local_name(queue)
            owner = owners.setdefault(name, queue.name)
            if owner != queue.name:
                raise StackError(
                    f"the queues `{owner}` and `{queue.name}` are both called {name} in SQS, in "
                    "different accounts or regions; here each name exists once, so they would "
                    "get each other's messages. Give one of them another address for this "
                    "machine, with a variable such as ${QUEUE_URL:-...}"
                )
            self._create(name)

    async def open_queue(self, queue: Queue) -> MessageQueue:
        """Connect to a queue of a routes file, and create it if necessary: a QueueOpener."""
        name = local_name(queue)
        self._create(name)
        return await self._connector.open(stand_in(queue, url=self.queue_url(name)))

    async def send(self, table: RoutingTable, samples: Iterable[Sample]) -> dict[str, Sample]:
        """
        Send messages, one after the other; return them by their message ids.

        Raises SampleError before any is sent if the table lacks the queue of one.
        """
        samples = tuple(samples)
        for sample in samples:
            if sample.queue not in table.queues:
                hint = closest(sample.queue, table.queues)
                raise SampleError(f"{sample.name}: no queue is called `{sample.queue}`; {hint}")
        names = dict.fromkeys(sample.queue for sample in samples)
        queues = {name: await self.open_queue(table.queues[name]) for name in names}
        return {
            await queues[sample.queue].send(sample.body, sample.attributes): sample
            for sample in samples
        }

    def queue_url(self, name: str) -> str:
        """Return the URL of the local queue with this name in SQS."""
        return f"{self.sqs_url}/{self.sqs.account}/{name}"

    def _create(self, name: str) -> None:
        fifo = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        self.sqs.create_queue(name, fifo, time.time())


@asynccontextmanager
async def local_stack(
    folder: Path,
    *,
    images: Mapping[str, Path] | None = None,
    ports: Ports = Ports(),
    limits: Limits,
    poll_seconds: int = 1,
    admin: Callable[[FailureReports], ASGIApp] = admin_app,
) -> AsyncIterator[Stack]:
    """
    Run both servers while the block runs; then queues, messages and Machines are gone.

    `images` maps image references to the folders that stand for them; any other image stands for
    `folder`. `limits` is the rate that the Machines API allows. `poll_seconds` is the wait of one
    long poll, 0 to 20: a router that stops waits for its last one. `admin` makes the router's own
    server; by default it only takes reports. Raises StackError if a port is taken.
    """
    sqs = Sqs(LOCAL_REGION, ledger=Ledger(limit=100_000))  # a stack may run for days
    token = secrets.token_urlsafe(24)
    machines = MachinesServer(
        ProcessRunner(folder, images or {}),
        Access({token: None}),
        limits=RateLimits(rate=limits.launch_rate, burst=limits.launch_burst),
    )
    async with AsyncExitStack() as running:
        sqs_url = await _listen(running, sqs_app(sqs), ports.sqs)
        await running.enter_async_context(machines.running())
        machines_url = await _listen(running, machines_app(machines), ports.machines)
        settings = SqsSettings(sqs_url, sqs.region, wait_seconds=poll_seconds, keys=LOCAL_KEYS)
        connector = SqsConnector(settings)
        running.push_async_callback(connector.aclose)
        rate, burst = limits.launch_rate, limits.launch_burst
        launcher = FlyMachines(token=token, base_url=machines_url, rate=rate, burst=burst)
        await running.enter_async_context(launcher)
        reports = FailureReports(launcher)
        reports.base_url = admin_url = await _listen(running, admin(reports), ports.admin)
        yield Stack(
            *(sqs, machines, sqs_url, machines_url, token, admin_url),
            *(launcher, reports, connector),
        )


async def _listen(running: AsyncExitStack, app: ASGIApp, port: int) -> str:
    try:
        return await running.enter_async_context(serve(app, port=port))
    except OSError as error:
        raise StackError(
            f"cannot listen on port {port} of this machine ({error.strerror}); choose another, "
            "or 0 for a free one"
        ) from error
