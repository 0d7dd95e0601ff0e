"""
How much memory a router takes: idle, with as much in hand as its queues may hold, and in the long
run; and what its start takes, until SQS gives it the first message.

    python benchmarks/memory.py [MESSAGES]

A real `lambdo-router run`, a process of its own, reads the embedded SQS server. First Fly takes one
create a second, and each Machine one message: so all that the router may hold waits in it. Then
100,000 messages (or MESSAGES) go through without a limit, and memory is looked at on the way: what
grows then would grow for ever. The numbers are resident memory as /proc has it (Linux only);
fly.toml and docs/deploy.md have them. A start is compared, in turns, with an interpreter that only
imports the largest libraries.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from measuring import (
    Column,
    Table,
    Target,
    cpu_seconds_of,
    full_or_quick,
    in_turns,
    median,
    resident_of,
    tell,
)
from real_router import APP, Services, router, starting

from lambdo_router.local.sqs_server import LedgerEntry

SETTLING = 3.0
"""Seconds in which a router that is ready has made all its threads and clients."""
MESSAGES = 100_000
LOOKS = 5
"""At memory, on the way."""
_IN_HAND = 5_000
"""Messages that are in the queue at most, while all of them go through."""
GROWTH = 3.0
"""MB that it may grow by, from the first look to the last."""
IDLE_QUEUES = 10
IDLE = 70.0
"""MB that an idle router of so many queues may take."""
STARTS = 5
START = 2.2
"""Times the CPU of the libraries' import that a start may take."""
_LIBRARIES = """
import asyncio, time
import aiohttp, botocore.session, click, starlette.applications, structlog, uvicorn, yaml
print(time.process_time())
"""
_SAID_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Case:
    """What a router has to hold."""

    name: str
    queues: int
    held: int = 0
    """Messages that each queue may hold, and gets."""
    body_bytes: int = 0


CASES = full_or_quick(
    (
        Case("idle, 1 queue", 1),
        Case("idle, 10 queues", 10),
        Case("idle, 50 queues", 50),
        Case("idle, 100 queues", 100),
        Case("10 queues, 1,000 messages of 1 kB each", 10, 1000, 1_000),
        Case("1 queue, 1,000 messages of 64 kB", 1, 1000, 64_000),
        Case("1 queue, 1,000 messages of 256 kB", 1, 1000, 256_000),
    ),
    (Case("idle, 1 queue", 1), Case("1 queue, 100 messages of 1 kB", 1, 100, 1_000)),
)


@dataclass(slots=True)
class Account:
    """What becomes of the messages, by the server's ledger."""

    wanted: int
    received: set[str] = field(default_factory=set)
    deleted: int = 0
    enough: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when as many as wanted have been received."""

    def notice(self, entry: LedgerEntry) -> None:
        """Count."""
        if entry.kind == "received":
            self.received.add(entry.message_id)
            if len(self.received) >= self.wanted:
                self.enough.set()
        if entry.kind == "deleted":
            self.deleted += 1
            self.received.discard(entry.message_id)


async def held(case: Case, folder: Path) -> tuple[float, float]:
    """Resident megabytes when the router is idle, and at most."""
    services = Services(unlimited=False)
    names = [f"queue-{number}" for number in range(case.queues)]
    services.create_queues(names)
    account = Account(case.held * case.queues)
    services.sqs.ledger.listeners.append(account.notice)
    write_routes(folder, names, batch_size=1, acknowledge="success")
    async with services.running(), router(folder, services) as running:
        await asyncio.sleep(SETTLING)
        idle = resident_of(running.pid)["VmRSS"]
        if case.held:
            body = json.dumps({"text": "x" * case.body_bytes})
            for name in names:
                services.send(name, body, case.held)
            await account.enough.wait()
            await asyncio.sleep(1.0)  # what came last is parsed
        return idle, resident_of(running.pid)["VmHWM"]


@dataclass(frozen=True, slots=True)
class QueueBrowser:
    """At a router on its way."""

    messages: int
    """That have gone through."""
    megabytes: float
    cpu: float
    """Microseconds for each message since the last look."""


async def gone_through(messages: int, folder: Path) -> list[QueueBrowser]:
    """Memory while they go through, in as many looks as there are to be."""
    services = Services()
    services.create_queues(["queue-0"])
    account = Account(messages + 1)
    services.sqs.ledger.listeners.append(account.notice)
    write_routes(folder, ["queue-0"], batch_size=100, acknowledge="launch")
    body = json.dumps({"object": {"key": "x" * 900}})
    looks: list[QueueBrowser] = []
    pace = {"LAMBDO_LAUNCH_RATE": "1000", "LAMBDO_LAUNCH_BURST": "1000"}
    async with services.running(), router(folder, services, **pace) as running:
        sent, seen, cpu = 0, 0, cpu_seconds_of(running.pid)
        while len(looks) < LOOKS:
            if running.returncode is not None:
                raise SystemExit((folder / "said").read_text()[-_SAID_LIMIT:])
            more = min(_IN_HAND - (sent - account.deleted), messages - sent)
            services.send("queue-0", body, max(0, more))
            sent += max(0, more)
            await asyncio.sleep(0.1)
            if account.deleted >= messages * (len(looks) + 1) // LOOKS:
                now = cpu_seconds_of(running.pid)
                each = (now - cpu) / (account.deleted - seen) * 1e6
                seen, cpu = account.deleted, now
                looks.append(QueueBrowser(seen, resident_of(running.pid)["VmRSS"], each))
    return looks


@dataclass(frozen=True, slots=True)
class Start:
    """From exec to the first message, as the server sees it."""

    cpu: float
    wall: float


async def start(folder: Path) -> Start:
    """Start a router of ten queues, with a message in each."""
    services = Services(unlimited=False)
    names = [f"queue-{number}" for number in range(IDLE_QUEUES)]
    services.create_queues(names)
    write_routes(folder, names, batch_size=1, acknowledge="launch")
    first: asyncio.Future[tuple[float, float]] = asyncio.get_running_loop().create_future()
    async with services.running():
        for name in names:
            services.send(name, "{}")
        began = time.perf_counter()
        async with starting(folder, services, LAMBDO_ADMIN_PORT="0") as running:

            def notice(entry: LedgerEntry) -> None:
                if entry.kind == "received" and not first.done():
                    first.set_result((cpu_seconds_of(running.pid), time.perf_counter() - began))

            services.sqs.ledger.listeners.append(notice)
            return Start(*await first)


def router_start() -> Start:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(start(Path(folder)))


def libraries_start() -> Start:
    began = time.perf_counter()
    said = subprocess.run((sys.executable, "-c", _LIBRARIES), capture_output=True, check=True)
    return Start(float(said.stdout), time.perf_counter() - began)


def starts() -> Table:
    """Measure both in turns."""
    ways = {"lambdo-router run": router_start, "import of its libraries": libraries_start}
    found = in_turns(ways, full_or_quick(STARTS, 1))
    rows = [
        (
            name,
            median([it.cpu for it in each]),
            min(it.cpu for it in each),
            median([it.wall for it in each]),
        )
        for name, each in found.items()
    ]
    ratio = rows[0][1] / rows[1][1]
    target = Target(f"{ratio:.2f} times the CPU of the import, at most {START:g}", ratio <= START)
    return Table(
        "start",
        f"From exec to the first message, {IDLE_QUEUES} queues",
        (
            Column("what"),
            Column("CPU s", ".2f"),
            Column("least CPU s", ".2f"),
            Column("wall s", ".2f"),
        ),
        rows,
        targets=[target],
    )


def write_routes(folder: Path, names: Sequence[str], **profile: object) -> None:
    """One route for each queue."""
    routes = {
        "version": 1,
        "queues": {name: {"name": name} for name in names},
        "profiles": {"one": {"app": APP, "image": "registry.fly.io/jobs:1", **profile}},
        "routes": [{"name": f"of-{name}", "queue": name, "profile": "one"} for name in names],
    }
    (folder / "routes.yaml").write_text(json.dumps(routes))


def main(messages: int) -> int:
    """Print the tables."""
    rows = []
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            rows.append((case.name, *asyncio.run(held(case, Path(folder)))))
    with tempfile.TemporaryDirectory() as folder:
        looks = asyncio.run(gone_through(messages, Path(folder)))
    idle = next((most for name, most, _ in rows if name == f"idle, {IDLE_QUEUES} queues"), None)
    grown = looks[-1].megabytes - looks[0].megabytes
    target = Target(
        f"{grown:+.1f} MB from {looks[0].messages:,} to {looks[-1].messages:,} messages, "
        f"at most {GROWTH:g}",
        grown <= GROWTH,
    )
    return tell(
        Table(
            "memory",
            "Memory of a router (resident)",
            (Column("case"), Column("idle MB", ".0f"), Column("most MB", ".0f")),
            rows,
            targets=[]
            if idle is None
            else [
                Target(
                    f"{idle:.1f} MB idle with {IDLE_QUEUES} queues, at most {IDLE:g}", idle <= IDLE
                )
            ],
        ),
        starts(),
        Table(
            "memory_in_the_long_run",
            "Memory in the long run",
            (
                Column("messages gone through", ","),
                Column("MB", ".1f"),
                Column("CPU us a message", ".0f"),
            ),
            [(it.messages, it.megabytes, it.cpu) for it in looks],
            targets=[target],
        ),
    )


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else full_or_quick(MESSAGES, 2_000)))
