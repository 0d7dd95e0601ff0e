"""
How much memory a router takes: idle, and with as many messages in hand as its queues may hold.

    python benchmarks/memory.py

A real `lambdo-router run`, a process of its own, reads the embedded SQS server. Fly takes one
create a second, and each Machine one message: so all that the router may hold waits in it. The
numbers are resident memory as /proc has it (Linux only); fly.toml and docs/deploy.md have them.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from lambdo_router.dev.machines_server import (
    Access,
    MachinesServer,
    ScriptedRunner,
    machines_app,
)
from lambdo_router.dev.sqs_server import Entry, Outgoing, Sqs, sqs_app
from lambdo_router.serving import serve

TOKEN = "a-token"  # noqa: S105 - of the server beside
SETTLING = 3.0
"""Seconds in which a router that is ready has made all its threads and clients."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    queues: int
    held: int
    """Messages that each queue may hold, and gets."""
    body_bytes: int


CASES = (
    Case("idle, 1 queue", 1, 0, 0),
    Case("idle, 10 queues", 10, 0, 0),
    Case("idle, 50 queues", 50, 0, 0),
    Case("10 queues, 1,000 messages of 1 kB each", 10, 1000, 1_000),
    Case("1 queue, 1,000 messages of 64 kB", 1, 1000, 64_000),
)


async def measure(case: Case, folder: Path) -> tuple[float, float]:
    """Resident megabytes when the router is idle, and at most."""
    names = [f"queue-{number}" for number in range(case.queues)]
    sqs = Sqs()
    enough = asyncio.Event()
    received: set[str] = set()

    def notice(entry: Entry) -> None:
        if entry.kind == "received":
            received.add(entry.message_id)
        if len(received) >= case.held * case.queues:
            enough.set()

    sqs.ledger.listeners.append(notice)
    if case.held == 0:
        enough.set()
    for name in names:
        sqs.create_queue(name, {}, time.time())
    machines = MachinesServer(ScriptedRunner(), Access({TOKEN: {"jobs"}}))
    (folder / "routes.yaml").write_text(json.dumps(routes(names)))
    async with (
        serve(sqs_app(sqs)) as sqs_url,
        machines.running(),
        serve(machines_app(machines)) as fly_url,
    ):
        port = free_port()
        router = await start(folder, sqs_url, fly_url, port)
        try:
            await ready(router, folder, port)
            await asyncio.sleep(SETTLING)
            idle = resident(router.pid)["VmRSS"]
            body = json.dumps({"text": "x" * case.body_bytes})
            for name in names:
                for _ in range(case.held):
                    sqs.send(name, Outgoing(body, {}), time.time())
            await enough.wait()
            return idle, resident(router.pid)["VmHWM"]
        finally:
            if router.returncode is None:
                router.terminate()
            await router.wait()


def routes(names: list[str]) -> dict[str, object]:
    return {
        "version": 1,
        "queues": {name: {"name": name} for name in names},
        "profiles": {"one": {"app": "jobs", "image": "registry.fly.io/jobs:1", "batch_size": 1}},
        "routes": [{"name": f"of-{name}", "queue": name, "profile": "one"} for name in names],
    }


async def ready(router: asyncio.subprocess.Process, folder: Path, port: int) -> None:
    async with httpx.AsyncClient() as client:
        while router.returncode is None:
            with suppress(httpx.TransportError):
                if (await client.get(f"http://localhost:{port}/readyz")).is_success:
                    return
            await asyncio.sleep(0.1)
    raise SystemExit((folder / "said").read_text())


async def start(folder: Path, sqs_url: str, fly_url: str, port: int) -> asyncio.subprocess.Process:
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": sqs_url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-key",
        "FLY_API_HOSTNAME": fly_url,
        "LAMBDO_FLY_TOKEN": TOKEN,
        "LAMBDO_ADMIN_PORT": str(port),
        "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
        "LAMBDO_GRACE": "5",
    }
    with (folder / "said").open("wb") as said:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lambdo_router", "run", "routes.yaml"),
            cwd=folder,
            env=environment,
            stdout=said,
            stderr=said,
        )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def resident(process: int) -> dict[str, float]:
    """VmRSS, and VmHWM, the most there was, in MB."""
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) * 1024 / 1e6 for name in ("VmRSS", "VmHWM")}


async def main() -> None:
    print(f"{'':42}{'idle':>8}{'most':>8}")
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            idle, most = await measure(case, Path(folder))
        print(f"{case.name:42}{idle:5.0f} MB{most:5.0f} MB")


if __name__ == "__main__":
    asyncio.run(main())
