"""
Drain: how fast a backlog goes through, beside the floor of what SQS calls cost.

    python benchmarks/drain.py [MESSAGES [ROUNDS]]

The floor is a bare loop of boto3 on the same server in the same run: receive ten, delete ten. The
router does the same work and routes, checks, batches and launches besides, with `acknowledge:
launch` and no launch limit; Fly answers at once, after 0.3 s, or after 1 s. The router is a process
of its own, as is the floor; the servers are in this one. The clock runs from the first receive to
the last delete. The floor is measured anew before every drain, since a shared machine is not the
same a minute later, and the table has the medians: of the speeds, and of the ratios of such pairs.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Column, Table, Target, cpu_seconds_of, full_or_quick, median, tell
from real_router import APP, Services

from lambdo_router.local.sqs_server import LedgerEntry

MESSAGES = full_or_quick(20_000, 500)
ROUNDS = full_or_quick(2, 1)
BODY = json.dumps({"object": {"key": "uploads/2026/11/photo-0001.png", "size": 123_456}})
BATCH_SIZES = full_or_quick((10, 100, 1000), (10, 100))
LATENCIES = full_or_quick((0.0, 0.3, 1.0), (0.0, 0.3))
TARGETS = {10: 0.6, 100: 0.8, 1000: 0.8}
"""Part of the floor's speed, by batch size."""
_LONGEST = 300
"""Seconds that one drain may take."""


@dataclass(frozen=True, slots=True)
class Drained:
    """How one process emptied the queue."""

    speed: float
    """Messages a second."""
    cpu: float
    """Of the process, in seconds for each message."""
    events: float | None
    """In each create: without a window a batch goes as soon as there is a slot for it."""


@dataclass(frozen=True, slots=True)
class Case:
    """What the router is set to."""

    batch_size: int
    latency: float
    """Seconds that Fly takes for an answer."""


@dataclass(slots=True)
class Bench:
    """Both services, and what becomes of a backlog."""

    messages: int
    folder: Path
    services: Services = field(default_factory=Services)
    deleted: int = 0
    first_at: float = 0.0
    first_cpu: float = 0.0
    process: asyncio.subprocess.Process | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, entry: LedgerEntry) -> None:
        """Count; the clock runs from the first receive to the last delete."""
        if entry.kind == "received" and not self.first_at and self.process is not None:
            self.first_at = time.perf_counter()
            self.first_cpu = cpu_seconds_of(self.process.pid)
        if entry.kind == "deleted":
            self.deleted += 1
            if self.deleted == self.messages:
                self.done.set()

    async def drained(self, command: Sequence[str]) -> Drained:
        """Fill the queue, and let a process empty it."""
        self.services.send("work", BODY, self.messages)
        before = len(self.services.machines.machines())
        self.deleted, self.first_at = 0, 0.0
        self.done.clear()
        environment = self.services.environment(
            LAMBDO_ADMIN_PORT="0", LAMBDO_LAUNCH_RATE="1000", LAMBDO_LAUNCH_BURST="1000"
        )
        with (self.folder / "said").open("wb") as said:
            process = self.process = await asyncio.create_subprocess_exec(
                *command, cwd=self.folder, env=environment, stdout=said, stderr=said
            )
        ended = asyncio.create_task(process.wait())
        drained = asyncio.create_task(self.done.wait())
        # The floor ends by itself with the last answer: its CPU must be read before.
        waiting = asyncio.FIRST_COMPLETED
        await asyncio.wait({ended, drained}, return_when=waiting, timeout=_LONGEST)
        seconds = time.perf_counter() - self.first_at
        complete = self.done.is_set()
        cpu = cpu_seconds_of(process.pid) - self.first_cpu if process.returncode is None else 0.0
        drained.cancel()
        with suppress(ProcessLookupError):
            process.terminate()
        await ended
        if not complete:
            raise SystemExit((self.folder / "said").read_text()[-2000:])
        machines = len(self.services.machines.machines()) - before
        events = self.messages / machines if machines else None
        return Drained(self.messages / seconds, cpu / self.messages, events)


FLOOR = """
import boto3, sys, time
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
time.sleep(60)  # until it is looked at, and ended
"""


def routes(batch_size: int) -> dict[str, object]:
    """One route with a pattern and a schema."""
    return {
        "version": 1,
        "queues": {"work": {"name": "work", "visibility": "60s", "max_waiting": 5000}},
        "defaults": {"app": APP, "image": "registry.fly.io/jobs:1", "acknowledge": "launch"},
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

Pair = tuple[Drained, Drained]
"""The floor, and the router."""


async def measure(messages: int, rounds: int, folder: Path) -> dict[Case, list[Pair]]:
    """Of each case one pair a round."""
    bench = Bench(messages, folder)
    bench.services.sqs.ledger.listeners.append(bench.note)
    bench.services.create_queues(["work"])
    found: dict[Case, list[Pair]] = {
        Case(size, wait): [] for size in BATCH_SIZES for wait in LATENCIES
    }
    (folder / "event.schema.json").write_text(json.dumps(SCHEMA))
    router = (sys.executable, "-m", "lambdo_router", "run", "routes.yaml")
    async with bench.services.running():
        for _ in range(rounds):
            for case, pairs in found.items():
                floor = await bench.drained((sys.executable, "-c", FLOOR, str(messages)))
                (folder / "routes.yaml").write_text(json.dumps(routes(case.batch_size)))
                bench.services.plan.latency = case.latency
                pairs.append((floor, await bench.drained(router)))
    return found


def row(case: Case, pairs: Sequence[Pair]) -> tuple[object, ...]:
    """One line of the table."""
    floors, routers = zip(*pairs, strict=True)
    events = [it.events for it in routers if it.events is not None]
    cpu = [median([it.cpu for it in side]) * 1e6 for side in (floors, routers)]
    return (
        *(case.batch_size, median(events), case.latency),
        *(median([it.speed for it in side]) for side in (floors, routers)),
        *(ratio(pairs), *cpu, cpu[1] / cpu[0] if cpu[0] else None),
    )


def ratio(pairs: Sequence[Pair]) -> float:
    """Return the router's speed as a part of the floor's."""
    return median([router.speed / floor.speed for floor, router in pairs])


def main(messages: int, rounds: int) -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(messages, rounds, Path(folder)))
    columns = (
        Column("batch of", ","),
        Column("events a create", ",.0f"),
        Column("Fly answers in s", "g"),
        Column("floor msg/s", ",.0f"),
        Column("router msg/s", ",.0f"),
        Column("ratio", ".2f"),
        Column("floor CPU us", ",.0f"),
        Column("router CPU us", ",.0f"),
        Column("x floor", ".2f"),
    )
    targets = [
        Target(
            f"batches of {case.batch_size:,}, Fly answers in {case.latency:g} s: "
            f"{ratio(pairs):.2f} of the floor, at least {TARGETS[case.batch_size]:g}",
            ratio(pairs) >= TARGETS[case.batch_size],
        )
        for case, pairs in found.items()
    ]
    rows = [row(case, pairs) for case, pairs in found.items()]
    note = (
        f"{messages:,} messages, medians of {rounds} rounds. CPU is that of the process, for each "
        "message. The floor does neither routes nor launches."
    )
    title = "Drain of a backlog through the real adapters"
    return tell(Table("drain", title, columns, rows, note, targets))


if __name__ == "__main__":
    given = [int(it) for it in sys.argv[1:]]
    raise SystemExit(main(*(given + [MESSAGES, ROUNDS][len(given) :])))
