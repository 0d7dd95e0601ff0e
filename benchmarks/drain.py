"""
Drain: how fast a backlog goes through, beside the floor of what SQS calls cost.

    python benchmarks/drain.py [MESSAGES [ROUNDS]]

The floor is a bare loop of boto3 on the same server in the same run: receive ten, delete ten. A
second one, `own`, is the same loop over the router's own SQS client. The router does the same work
and routes, checks, batches and launches besides, with `acknowledge: launch` and no launch limit;
Fly answers at once, after 0.3 s, or after 1 s. The router is a process of its own, as are the
floors; the servers are in this one. The clock runs from the first receive to the last delete. The
floors are measured anew before every drain, since a shared machine is not the same a minute later,
and the table has medians: of CPU and speeds, and of the ratios within a round.

CPU for each message comes first: it is the figure that a shared machine disturbs least.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Column, Table, Target, cpu_seconds_of, full_or_quick, median, tell
from real_router import APP, Services

from lambdo_router.local.sqs_server import LedgerEntry

MESSAGES = full_or_quick(20_000, 500)
ROUNDS = full_or_quick(3, 1)
BODY = json.dumps({"object": {"key": "uploads/2026/11/photo-0001.png", "size": 123_456}})
BATCH_SIZES = full_or_quick((10, 100, 1000), (10, 100))
LATENCIES = full_or_quick((0.0, 0.3, 1.0), (0.0, 0.3))
CPU_TARGETS = {10: 0.85, 100: 0.65, 1000: 0.65}
"""Part of the floor's CPU for a message at most, by batch size, where Fly answers at once."""
SPEED_TARGETS = {10: 1.3, 100: 1.6, 1000: 1.6}
"""Part of the floor's speed at least, by batch size, where Fly answers at once."""
LATENCY_TARGET = 0.9
"""Part of the ratio where Fly answers at once that is left where it takes its time."""
ORIGINAL = (
    "The original Lambdo (fly-apps/lambdo, in Go), measured in November 2026 beside a boto3 loop, "
    "with one SQS and one Machines server that were neither's own, 10,000 messages and batches of "
    "10: 1,150 to 1,615 msg/s at 400 to 430 us of CPU a message with Fly at once, 32 msg/s with "
    "Fly in 0.3 s; the loop 1,670 to 1,880 msg/s at 470 us."
)
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


OWN = """
import asyncio, sys, time
from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.core.routing import Queue
async def main(left):
    connector = SqsConnector(SqsSettings(wait_seconds=1))
    queue = await connector.open(Queue("work", lookup="work"))
    while left:
        got = await queue.receive(10, 30.0)
        if got:
            await queue.delete([message.receipt for message in got])
        left -= len(got)
    await asyncio.sleep(60)  # until it is looked at, and ended
asyncio.run(main(int(sys.argv[1])))
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


@dataclass(frozen=True, slots=True)
class Round:
    """One after the other, on the same machine in the same minute."""

    floor: Drained
    own: Drained
    router: Drained

    @property
    def speed(self) -> float:
        """The router's, as a part of the floor's."""
        return self.router.speed / self.floor.speed

    @property
    def cpu(self) -> float:
        """The router's for a message, as a part of the floor's."""
        return self.router.cpu / self.floor.cpu


async def measure(messages: int, rounds: int, folder: Path) -> dict[Case, list[Round]]:
    """Measure so many rounds of each case."""
    bench = Bench(messages, folder)
    bench.services.sqs.ledger.listeners.append(bench.note)
    bench.services.create_queues(["work"])
    found: dict[Case, list[Round]] = {
        Case(size, wait): [] for size in BATCH_SIZES for wait in LATENCIES
    }
    (folder / "event.schema.json").write_text(json.dumps(SCHEMA))
    router = (sys.executable, "-m", "lambdo_router", "run", "routes.yaml")
    async with bench.services.running():
        for _ in range(rounds):
            for case, measured in found.items():
                floor = await bench.drained((sys.executable, "-c", FLOOR, str(messages)))
                own = await bench.drained((sys.executable, "-c", OWN, str(messages)))
                (folder / "routes.yaml").write_text(json.dumps(routes(case.batch_size)))
                bench.services.plan.latency = case.latency
                measured.append(Round(floor, own, await bench.drained(router)))
    return found


def row(case: Case, rounds: Sequence[Round]) -> tuple[object, ...]:
    """One line of the table."""
    sides = [[getattr(it, side) for it in rounds] for side in ("floor", "own", "router")]
    events = [it.router.events for it in rounds if it.router.events is not None]
    return (
        *(case.batch_size, case.latency),
        *(median([it.cpu for it in side]) * 1e6 for side in sides),
        median([it.cpu for it in rounds]),
        *(median([it.speed for it in side]) for side in sides),
        median([it.speed for it in rounds]),
        median(events),
    )


def targets(found: Mapping[Case, Sequence[Round]]) -> list[Target]:
    """Compare with what is aimed at."""
    aims = []
    for size in BATCH_SIZES:
        at_once = found[Case(size, 0.0)]
        cpu, speed = (median([getattr(it, of) for it in at_once]) for of in ("cpu", "speed"))
        aims += [
            Target(
                f"batches of {size:,}: {cpu:.2f} of the floor's CPU, at most {CPU_TARGETS[size]:g}",
                cpu <= CPU_TARGETS[size],
            ),
            Target(
                f"batches of {size:,}: {speed:.2f} of its speed, at least {SPEED_TARGETS[size]:g}",
                speed >= SPEED_TARGETS[size],
            ),
        ]
        for latency in LATENCIES[1:]:
            late = median([it.speed for it in found[Case(size, latency)]]) / speed
            aims.append(
                Target(
                    f"batches of {size:,}, Fly in {latency:g} s: {late:.2f} of that, at least "
                    f"{LATENCY_TARGET:g}",
                    late >= LATENCY_TARGET,
                )
            )
    return aims


def main(messages: int, rounds: int) -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(messages, rounds, Path(folder)))
    columns = (
        Column("batch of", ","),
        Column("Fly answers in s", "g"),
        Column("floor CPU us", ",.0f"),
        Column("own CPU us", ",.0f"),
        Column("router CPU us", ",.0f"),
        Column("x floor", ".2f"),
        Column("floor msg/s", ",.0f"),
        Column("own msg/s", ",.0f"),
        Column("router msg/s", ",.0f"),
        Column("x floor", ".2f"),
        Column("events a create", ",.0f"),
    )
    note = (
        f"{messages:,} messages, medians of {rounds} rounds. CPU is that of the process, for each "
        f"message. The floors do neither routes nor launches. {ORIGINAL}"
    )
    title = "Drain of a backlog through the real adapters"
    rows = [row(case, rounds) for case, rounds in found.items()]
    return tell(Table("drain", title, columns, rows, note, targets(found)))


if __name__ == "__main__":
    given = [int(it) for it in sys.argv[1:]]
    raise SystemExit(main(*(given + [MESSAGES, ROUNDS][len(given) :])))
