"""
The real thing for measuring: a router process, and the servers that it talks to.

`lambdo-router run` is a process of its own, and knows of nothing but environment variables. SQS
and the Machines API are the embedded ones, in this process.
"""

import asyncio
import os
import socket
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

import httpx
from scripted_runner import ScriptedRunner

from lambdo_router.admin.serving import serve
from lambdo_router.local.faults import FaultPlan
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.sqs_server import Ledger, NewMessage, Sqs, sqs_app

TOKEN = "a-token"  # noqa: S105 - of the server beside
APP = "jobs"


@dataclass(slots=True)
class Services:
    """Both servers, of this process."""

    sqs: Sqs = field(default_factory=lambda: Sqs(ledger=Ledger(limit=1000)))
    plan: FaultPlan = field(default_factory=FaultPlan)
    """What befalls calls to Fly."""
    machines: MachinesServer = field(init=False)
    sqs_url: str = ""
    fly_url: str = ""
    unlimited: bool = True
    """Whether Fly takes any number of creates a second."""

    def __post_init__(self) -> None:
        limits = RateLimits(enabled=not self.unlimited)
        access = Access({TOKEN: {APP}})
        self.machines = MachinesServer(ScriptedRunner(), access, limits=limits)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen on free ports of the loopback interface."""
        async with (
            serve(sqs_app(self.sqs)) as self.sqs_url,
            self.machines.running(),
            serve(machines_app(self.machines, self.plan)) as self.fly_url,
        ):
            yield

    def create_queues(self, names: Sequence[str]) -> None:
        """Queues that are empty."""
        for name in names:
            self.sqs.create_queue(name, {}, time.time())

    def send(self, queue: str, body: str, count: int = 1) -> None:
        """Messages without attributes."""
        now = time.time()
        for _ in range(count):
            self.sqs.send(queue, NewMessage(body, {}), now)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment that points a process here."""
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.sqs_url,
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "a-key",
            "FLY_API_HOSTNAME": self.fly_url,
            "LAMBDO_FLY_TOKEN": TOKEN,
            "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
            "LAMBDO_GRACE": "5",
            **more,
        }


@asynccontextmanager
async def process(
    folder: Path, command: Sequence[str], environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Yield a process for the block; its output is in the file `said` of its folder."""
    with (folder / "said").open("wb") as said:
        started = await asyncio.create_subprocess_exec(
            *command, cwd=folder, env=environment, stdout=said, stderr=said
        )
    try:
        yield started
    finally:
        with suppress(ProcessLookupError):
            started.kill()
        await started.wait()


@asynccontextmanager
async def router(
    folder: Path, services: Services, **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`lambdo-router run` on the routes.yaml of a folder, once it is ready."""
    port = _free_port()
    async with starting(folder, services, LAMBDO_ADMIN_PORT=str(port), **more) as started:
        await _ready(started, folder, port)
        yield started


@asynccontextmanager
async def starting(
    folder: Path, services: Services, **more: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`lambdo-router run` on the routes.yaml of a folder, from its first moment."""
    command = (sys.executable, "-m", "lambdo_router", "run", "routes.yaml")
    async with process(folder, command, services.environment(**more)) as started:
        yield started


async def _ready(started: asyncio.subprocess.Process, folder: Path, port: int) -> None:
    async with httpx.AsyncClient() as client:
        while started.returncode is None:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://localhost:{port}/readyz")).is_success:
                    return
            await asyncio.sleep(0.1)
    raise SystemExit((folder / "said").read_text())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
