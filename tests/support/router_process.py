"""`lambdo-router run` as a process, between an embedded SQS and an embedded Machines API."""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scripted_runner import ScriptedRunner

from lambdo_router.admin.serving import serve
from lambdo_router.core.machine import EVENTS_PATH
from lambdo_router.core.message import Attribute
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.sqs_server import NewMessage, Sqs, sqs_app

if TYPE_CHECKING:
    pass


TOKEN = "fm2_planted-token-0123456789"


KEY = "planted-secret-key"


ROUTES = """\
version: 1
queues:
  work: {name: work, visibility: 30s, reject_to: rejected}
  rejected: {name: rejected}
defaults: {app: jobs, acknowledge: launch, max_attempts: 5}
profiles:
  plain: {image: "registry.fly.io/jobs:1"}
routes:
  - {name: first, queue: work, match: {attributes: {kind: a}}, profile: plain}
"""


@dataclass
class World:
    """Both servers, and a router process in front of them."""

    folder: Path
    sqs: Sqs
    machines: MachinesServer
    environment: dict[str, str]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something has happened at one of the servers."""

    def __post_init__(self) -> None:
        self.sqs.ledger.listeners.append(lambda _: self.changed.set())
        self.machines.observers.append(lambda *_: self.changed.set())

    async def start(self, *arguments: str, **changes: str) -> asyncio.subprocess.Process:
        environment = {k: v for k, v in {**self.environment, **changes}.items() if v}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lambdo_router",
            "run",
            *arguments,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def end(self, process: asyncio.subprocess.Process) -> tuple[int, str]:
        """The exit code, and all that was printed: never a traceback, never a secret."""
        out, err = await asyncio.wait_for(process.communicate(), 30)
        text = (out + err).decode()
        assert "Traceback" not in text, text[max(0, text.index("Traceback") - 1000) :][:5000]
        assert TOKEN not in text
        assert "planted" not in text
        return process.returncode or 0, text

    def send(self, body: str, **attributes: str) -> str:
        typed = {name: Attribute("String", value) for name, value in attributes.items()}
        return self.sqs.send("work", NewMessage(body, typed), time.time())

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not wanted():
                self.changed.clear()
                await self.changed.wait()

    def settled(self) -> bool:
        """Whether the queue is empty: everything was deleted."""
        kinds = Counter(entry.kind for entry in self.sqs.ledger.entries if entry.queue == "work")
        return kinds["sent"] == kinds["deleted"]

    async def until_launched(self, count: int) -> list[list[object]]:
        """Wait for so many Machines; the events of each."""
        await self.until(lambda: len(self.machines.machines()) >= count)
        return [json.loads(m.files[EVENTS_PATH]) for m in self.machines.machines()]


@asynccontextmanager
async def world(folder: Path, routes: str | None = ROUTES) -> AsyncIterator[World]:
    if routes is not None:
        (folder / "routes.yaml").write_text(routes)
    sqs = Sqs()
    for name in ("work", "rejected"):
        sqs.create_queue(name, {}, time.time())
    machines = MachinesServer(
        ScriptedRunner(), Access({TOKEN: {"jobs"}}), limits=RateLimits(enabled=False)
    )
    async with (
        serve(sqs_app(sqs)) as sqs_url,
        machines.running(),
        serve(machines_app(machines)) as fly_url,
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": sqs_url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": KEY,
            "FLY_API_HOSTNAME": fly_url,
            "LAMBDO_FLY_TOKEN": f"FlyV1 {TOKEN}",
            "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
            "LAMBDO_LOG_FORMAT": "json",
            "LAMBDO_LOG_LEVEL": "debug",
            "LAMBDO_ADMIN_PORT": "0",
        }
        yield World(folder, sqs, machines, environment)
