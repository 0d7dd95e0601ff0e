"""
Drain: how fast a backlog goes through, beside the floor of what SQS calls cost.

    python benchmarks/drain.py [MESSAGES]

The floor is a bare loop of boto3 on the same server in the same run: receive ten, delete ten. The
router does the same work and routes, checks, batches and launches besides, with `acknowledge:
launch` and no launch limit; Fly answers at once, after 0.3 s, or after 1 s. Servers, floor and
router are processes of their own. Each case is measured in rounds that alternate, and the table has
their medians.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lambdo_router.dev.faults import FaultPlan
from lambdo_router.dev.machines_server import (
    Access,
    MachinesServer,
    Platform,
    RateLimits,
    ScriptedRunner,
    machines_app,
)
from lambdo_router.dev.sqs_server import Outgoing, Sqs, sqs_app
from lambdo_router.dev.sqs_server.ledger import Entry, Ledger
from lambdo_router.serving import serve

TOKEN = "a-token"  # noqa: S105 - of the server beside
MESSAGES = 20_000
ROUNDS = 3
BODY = json.dumps({"object": {"key": "uploads/2026/11/photo-0001.png", "size": 123_456}})
BATCH_SIZES = (10, 100, 1000)
LATENCIES = (0.0, 0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Case:
    """What the router is set to."""

    batch_size: int
    latency: float
    """Seconds that Fly takes for an answer."""


class Server:
    """Both services, in this process; counts what is deleted."""

    def __init__(self, messages: int) -> None:
        self.messages = messages
        self.deleted = 0
        self.first_at = 0.0
        self.done = asyncio.Event()
        self.plan = FaultPlan()
        self.sqs = Sqs(ledger=Ledger(limit=1000))
        self.sqs.ledger.listeners.append(self.note)
        self.machines = MachinesServer(
            ScriptedRunner(),
            Access({TOKEN: {"jobs"}}),
            Platform(),
            RateLimits(enabled=False),
        )

    def note(self, entry: Entry) -> None:
        """Count; the clock runs from the first receive to the last delete."""
        if entry.kind == "received" and not self.first_at:
            self.first_at = time.perf_counter()
        if entry.kind == "deleted":
            self.deleted += 1
            if self.deleted == self.messages:
                self.done.set()

    def fill(self) -> None:
        """A new queue with all the messages in it."""
        self.sqs = self.sqs
        now = time.time()
        for _ in range(self.messages):
            self.sqs.send("work", Outgoing(BODY, {}), now)
        self.deleted, self.first_at = 0, 0.0
        self.done.clear()

    async def drained(self, command: list[str], folder: Path, env: dict[str, str]) -> float:
        """Messages per second of a process that empties the queue."""
        self.fill()
        with (folder / "said").open("wb") as said:
            process = await asyncio.create_subprocess_exec(
                *command, cwd=folder, env=env, stdout=said, stderr=said
            )
        ended = asyncio.create_task(process.wait())
        drained = asyncio.create_task(self.done.wait())
        await asyncio.wait({ended, drained}, return_when=asyncio.FIRST_COMPLETED, timeout=300)
        seconds = time.perf_counter() - self.first_at
        complete = self.done.is_set()
        drained.cancel()
        with suppress(ProcessLookupError):
            process.terminate()
        await ended
        if not complete:
            raise SystemExit((folder / "said").read_text()[-2000:])
        return self.messages / seconds


FLOOR = """
import boto3, sys
sqs = boto3.client("sqs")
url = sqs.get_queue_url(QueueName="work")["QueueUrl"]
left = int(sys.argv[1])
while left:
    got = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1,
        MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
    ).get("Messages", [])
    if got:
        sqs.delete_message_batch(QueueUrl=url, Entries=[
            {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)
        ])
    left -= len(got)
"""


def routes(batch_size: int) -> dict[str, object]:
    """One route with a pattern and a schema."""
    return {
        "version": 1,
        "queues": {"work": {"name": "work", "visibility": "60s", "max_waiting": 5000}},
        "defaults": {"app": "jobs", "image": "registry.fly.io/jobs:1", "acknowledge": "launch"},
        "profiles": {"one": {"batch_size": batch_size}},
        "routes": [
            {
                "name": "uploads",
                "queue": "work",
                "match": {"body": {"object": {"size": [{"numeric": [">", 0]}]}}},
                "schema": "event.schema.json",
                "profile": "one",
            }
        ],
    }


SCHEMA = {
    "type": "object",
    "required": ["object"],
    "properties": {"object": {"type": "object", "required": ["key", "size"]}},
}


async def measure(messages: int, folder: Path) -> list[tuple[Case, float, float]]:
    """Of each case the medians of the floor and of the router, in messages per second."""
    server = Server(messages)
    server.sqs.create_queue("work", {}, time.time())
    found = []
    async with (
        serve(sqs_app(server.sqs)) as sqs_url,
        server.machines.running(),
        serve(machines_app(server.machines, server.plan)) as fly_url,
    ):
        env = environment(sqs_url, fly_url)
        floor = [sys.executable, "-c", FLOOR, str(messages)]
        router = [sys.executable, "-m", "lambdo_router", "run", "routes.yaml"]
        (folder / "event.schema.json").write_text(json.dumps(SCHEMA))
        for case in (Case(size, wait) for size in BATCH_SIZES for wait in LATENCIES):
            (folder / "routes.yaml").write_text(json.dumps(routes(case.batch_size)))
            server.plan.latency = case.latency
            floors, routers = [], []
            for _ in range(ROUNDS):
                floors.append(await server.drained(floor, folder, env))
                routers.append(await server.drained(router, folder, env))
            found.append((case, statistics.median(floors), statistics.median(routers)))
            print(row(*found[-1]), flush=True)
    return found


def row(case: Case, floor: float, router: float) -> str:
    """One line of the table."""
    return (
        f"| {case.batch_size} | {case.latency:g} s | {floor:,.0f} | {router:,.0f} "
        f"| {router / floor:.2f} |"
    )


def environment(sqs_url: str, fly_url: str) -> dict[str, str]:
    """Of both: the floor's boto3 is configured alike."""
    return {
        "PATH": os.environ["PATH"],
        "AWS_ENDPOINT_URL": sqs_url,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "a-key",
        "FLY_API_HOSTNAME": fly_url,
        "LAMBDO_FLY_TOKEN": TOKEN,
        "LAMBDO_ADMIN_PORT": "0",
        "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
        "LAMBDO_LAUNCH_RATE": "1000",
        "LAMBDO_LAUNCH_BURST": "1000",
        "LAMBDO_GRACE": "5",
    }


def main() -> None:
    """Print the table."""
    messages = int(sys.argv[1]) if len(sys.argv) > 1 else MESSAGES
    print("| batch | Fly answers in | floor msg/s | router msg/s | ratio |")
    print("| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(messages, Path(folder)))


if __name__ == "__main__":
    main()
