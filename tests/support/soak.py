"""
Two real router processes on standard and FIFO queues, under every fault at once, and the books.

    python tests/support/soak.py [--seeds FIRST..LAST] [--messages N]

For each seed: the embedded servers with a fault plan, two `lambdo-router run` processes that are
stopped, killed, frozen and given new routes while messages come in, then quiet until all is done.
The embedded servers' own ledgers then say what became of each message. A seed can be run again by
its number. Ends with 1 if a message was lost, or run twice without a cause in the ledgers.
"""

import argparse
import asyncio
import json
import math
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from processes import free_ports, peak_rss
from scripted_runner import ScriptedRunner
from soak_books import HEAD, Account, Books
from soak_evidence import Evidence, Freeze

from lambdo_router.admin.serving import serve
from lambdo_router.core.machine import BATCH_PATH
from lambdo_router.core.message import Attribute
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE
from lambdo_router.local.faults import (
    Cut,
    Delay,
    ErrorAnswer,
    FaultPlan,
    LoseAnswer,
    Partial,
    Rate,
    Silence,
    Throttle,
)
from lambdo_router.local.machines_server import (
    Access,
    Exit,
    MachineRecord,
    MachinesServer,
    Mishaps,
    RateLimits,
    machines_app,
)
from lambdo_router.local.sqs_server import LedgerEntry, NewMessage, Sqs, sqs_app

VISIBILITY = 4
CHAOS = 12.0
"""Seconds in which messages come and everything goes wrong."""
PATIENCE = 300.0
"""Seconds of quiet after which what is not settled counts as left."""
SOURCES = ("work", "orders.fifo")
TOKEN = "soak-token"
_UNLUCKY = 3
"""Receives after which the code in a Machine fails no more: back-off grows past our patience."""

ROUTES = f"""\
version: 1
queues:
  work: {{name: work, visibility: {VISIBILITY}s, reject_to: rejected}}
  orders: {{name: orders.fifo, visibility: {VISIBILITY}s}}
  rejected: {{name: rejected}}
defaults: {{app: jobs, image: "registry.fly.io/jobs:1", timeout: 60s}}
profiles:
  careful: {{acknowledge: success, batch_size: 10}}
  quick: {{acknowledge: launch, batch_size: 10}}
routes:
  - {{name: careful, queue: work, match: {{attributes: {{kind: careful}}}}, profile: careful}}
  - {{name: quick, queue: work, match: {{attributes: {{kind: quick}}}}, profile: quick}}
  - {{name: orders, queue: orders, profile: careful}}
"""

RATES = (
    Rate(LoseAnswer(), 0.02, "sqs", "ReceiveMessage"),
    Rate(Cut(), 0.02, "sqs", "ReceiveMessage"),
    Rate(ErrorAnswer(500), 0.01, "sqs", "ReceiveMessage"),
    Rate(Throttle(), 0.01, "sqs", "ReceiveMessage"),
    Rate(Silence(), 0.002, "sqs", "ReceiveMessage"),
    Rate(LoseAnswer(), 0.05, "sqs", "DeleteMessageBatch"),
    Rate(Partial(0.5), 0.10, "sqs", "DeleteMessageBatch"),
    Rate(LoseAnswer(halfway=True), 0.03, "sqs", "DeleteMessageBatch"),
    Rate(LoseAnswer(), 0.03, "sqs", "ChangeMessageVisibilityBatch"),
    Rate(Partial(0.5), 0.03, "sqs", "ChangeMessageVisibilityBatch"),
    Rate(ErrorAnswer(500), 0.05, "sqs", "SendMessage"),
    Rate(Delay(0.0, 0.2), 0.05, "sqs"),
    Rate(LoseAnswer(), 0.06, "machines", "create"),
    Rate(ErrorAnswer(503), 0.05, "machines", "create"),
    Rate(ErrorAnswer(409), 0.03, "machines", "create"),
    Rate(Throttle(), 0.02, "machines", "create"),
    Rate(Cut(), 0.03, "machines", "create"),
    Rate(ErrorAnswer(500), 0.05, "machines", "list"),
    Rate(ErrorAnswer(500), 0.05, "machines", "events"),
    Rate(Cut(), 0.05, "machines", "metadata"),
    Rate(Delay(0.0, 0.2), 0.05, "machines"),
)
MISHAPS = {
    "late_answer": 0.03,
    "never_runs": 0.02,
    "out_of_memory": 0.02,
    "fails": 0.01,
    "empty_list": 0.02,
    "stale_list": 0.05,
}


@dataclass
class Router:
    """One router process, and how it is treated."""

    number: int
    folder: Path
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    peak_rss: int = 0
    frozen: bool = False

    @property
    def log(self) -> Path:
        return self.folder / f"router-{self.number}.log"

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "lambdo_router",
                "run",
                "routes.yaml",
                cwd=self.folder,
                env=self.environment,
                stdout=log,
                stderr=log,
            )

    def opened(self) -> int:
        return self.log.read_text(errors="replace").count('"queue.opened"')

    async def reading(self) -> None:
        """Wait until it reads both queues: a busy machine may take longer than the chaos lasts."""
        async with asyncio.timeout(60):
            # Another process: there is no event to wait for.
            while self.opened() < len(SOURCES):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def send(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            self.process.send_signal(number)

    async def end(self, number: int) -> None:
        self.measure()
        self.send(number)
        if self.process is not None:
            await self.process.wait()

    def measure(self) -> None:
        if self.process is None or self.process.returncode is not None:
            return
        self.peak_rss = max(self.peak_rss, peak_rss(self.process.pid))


@dataclass
class Soak:
    """One seed."""

    seed: int
    messages: int
    folder: Path
    sqs: Sqs = field(default_factory=Sqs)
    good: set[str] = field(default_factory=set)
    kinds: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unsettled: int = 0
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    evidence: Evidence = field(default_factory=Evidence)

    def __post_init__(self) -> None:
        # Each its own: what is sent must not depend on how far the torment has got.
        self.dice = random.Random(f"{self.seed}/messages")  # noqa: S311 - repeatable, no secret
        self.fate = random.Random(f"{self.seed}/torment")  # noqa: S311 - as above
        self.plan = FaultPlan(self.seed, RATES)
        self.mishaps = Mishaps(self.seed, MISHAPS, stale_by=2.0)  # type: ignore[arg-type]
        self.account = Account(self.seed)

        self.machines = MachinesServer(
            ScriptedRunner(seconds=self.seconds, act=self.act),
            Access({TOKEN: {"jobs"}}),
            limits=RateLimits(enabled=False),
            mishaps=self.mishaps,
        )
        self.sqs.create_queue("work", {}, time.time())
        self.sqs.create_queue("rejected", {}, time.time())
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
        self.sqs.create_queue("orders.fifo", fifo, time.time())
        self.sqs.ledger.listeners.append(self.note)

    def note(self, entry: LedgerEntry) -> None:
        if entry.queue in SOURCES:
            self.unsettled += {"sent": 1, "deleted": -1}.get(entry.kind, 0)
            if self.unsettled == 0:
                self.quiet.set()

    def seconds(self, job: MachineRecord) -> float:
        """Half of the jobs take less than 0.8 seconds, a few far longer, none more than 8."""
        dice = random.Random(f"{self.seed}/{job.id}")  # noqa: S311 - as above
        return min(8.0, dice.lognormvariate(math.log(0.8), 0.5))

    async def act(self, job: MachineRecord) -> Exit:
        """What the code in a Machine does: mostly well, at times badly, at times in part."""
        messages = json.loads(job.files[BATCH_PATH])["messages"]
        if max(message["receive_count"] for message in messages) > _UNLUCKY:
            return Exit(0)
        dice = random.Random(f"{self.seed}/{job.id}/act")  # noqa: S311 - as above
        lot = dice.random()
        if lot < 0.06:
            return Exit(1)
        if lot < 0.14 and "LAMBDO_REPORT_URL" in job.env:
            failed = [{"itemIdentifier": messages[0]["message_id"]}]
            return Exit(0) if await report(job.env, {"batchItemFailures": failed}) else Exit(1)
        return Exit(0)

    async def run(self) -> Account:
        began = time.monotonic()
        (self.folder / "routes.yaml").write_text(ROUTES)
        async with AsyncExitStack() as running:
            sqs_url = await running.enter_async_context(serve(sqs_app(self.sqs, self.plan)))
            await running.enter_async_context(self.machines.running())
            fly_url = await running.enter_async_context(
                serve(machines_app(self.machines, self.plan))
            )
            routers = [
                Router(number, self.folder, environment(sqs_url, fly_url, port))
                for number, port in enumerate(free_ports(2), 1)
            ]
            for router in routers:
                running.push_async_callback(router.end, signal.SIGKILL)  # whatever happens here
                await router.start()
            for router in routers:
                await router.reading()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.send_all())
                tasks.create_task(self.torment(routers))
            await self.until_quiet(routers)
            for router in routers:
                await router.end(signal.SIGTERM)
            self.account.peak_rss = max(router.peak_rss for router in routers)
            self.account.seconds = time.monotonic() - began
            self.books(routers).close()
        return self.account

    async def send_all(self) -> None:
        for number in range(self.messages):
            self.send(number)
            await asyncio.sleep(CHAOS / self.messages)

    def send(self, number: int) -> None:
        kind = self.dice.choice(["careful", "careful", "quick", "fifo", "fifo", "bad"])
        body = json.dumps({"n": number}) if kind != "bad" else "not json"
        attributes = {"kind": Attribute("String", kind)}
        self.quiet.clear()
        if kind == "fifo":
            group = f"g{self.dice.randrange(5)}"
            outgoing = NewMessage(body, attributes, group=group)
            message_id = self.sqs.send("orders.fifo", outgoing, time.time())
            self.groups[group].append(message_id)
        else:
            message_id = self.sqs.send("work", NewMessage(body, attributes), time.time())
        self.kinds[message_id] = kind

    async def torment(self, routers: list[Router]) -> None:
        """Until the time is up: stop, kill or freeze a router, or change its routes."""
        until = time.monotonic() + CHAOS
        while time.monotonic() < until:
            await asyncio.sleep(self.fate.uniform(1.0, 2.5))
            router = self.fate.choice(routers)
            deed = self.fate.choice(["stop", "kill", "kill", "freeze", "reload", "break"])
            self.account.chaos[deed] += 1
            router.measure()
            match deed:
                case "stop" | "kill":
                    await router.end(signal.SIGTERM if deed == "stop" else signal.SIGKILL)
                    await router.start()
                case "freeze":
                    begun = time.time()
                    router.send(signal.SIGSTOP)
                    await asyncio.sleep(self.fate.uniform(0.5, VISIBILITY * 1.5))
                    router.send(signal.SIGCONT)
                    self.evidence.freezes.append(Freeze(router.number, begun, time.time()))
                case "reload":
                    size = self.fate.randrange(5, 15)
                    changed = ROUTES.replace("batch_size: 10", f"batch_size: {size}")
                    (self.folder / "routes.yaml").write_text(changed)
                case _:
                    (self.folder / "routes.yaml").write_text(ROUTES[: len(ROUTES) // 2])
                    await asyncio.sleep(1.5)
                    (self.folder / "routes.yaml").write_text(ROUTES)

    async def until_quiet(self, routers: list[Router]) -> None:
        """Both routers run, the faults end, and all that is on the way gets to its end."""
        self.plan.rates = ()
        self.mishaps.shares = {}
        (self.folder / "routes.yaml").write_text(ROUTES)
        for router in routers:
            if router.process is None or router.process.returncode is not None:
                await router.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await self.quiet.wait()
        except TimeoutError:
            pass  # what is left is counted

    def books(self, routers: list[Router]) -> Books:
        """All that is known now, to be judged."""
        account = self.account
        account.faults = len(self.plan.injected) + len(self.mishaps.happened)
        account.calls = self.plan.calls.total() / max(1, len(self.kinds))
        for router in routers:
            forbidden = ("Traceback", TOKEN, "unit.failed")
            self.evidence.read(router.number, router.log, forbidden)
        return Books(
            account,
            self.kinds,
            self.groups,
            list(self.sqs.ledger.entries),
            self.machines.machines(),
            self.mishaps.happened,
            self.rejected(),
            self.evidence,
        )

    def rejected(self) -> set[str]:
        """What is in the reject queue; each must say why it is there."""
        found: set[str] = set()
        while deliveries := self.sqs.receive("rejected", 10, 600, time.time()):
            for delivery in deliveries:
                reason = json.loads(str(delivery.attributes[REJECTION_ATTRIBUTE].value))
                assert reason["reason"] == "not_json"
                found.add(reason["message_id"])
        return found


async def report(env: dict[str, str], body: object) -> bool:
    headers = {"Authorization": f"Bearer {env['LAMBDO_REPORT_TOKEN']}"}
    try:
        async with httpx.AsyncClient(timeout=15, trust_env=False) as client:
            answer = await client.post(env["LAMBDO_REPORT_URL"], json=body, headers=headers)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


def environment(sqs_url: str, fly_url: str, port: int) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "AWS_ENDPOINT_URL": sqs_url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "soak",
        "AWS_SECRET_ACCESS_KEY": "soak",
        "FLY_API_HOSTNAME": fly_url,
        "LAMBDO_FLY_TOKEN": TOKEN,
        "LAMBDO_ADMIN_PORT": str(port),
        "LAMBDO_REPORT_URL": f"http://127.0.0.1:{port}",
        "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
        "LAMBDO_LAUNCH_RATE": "50",
        "LAMBDO_LAUNCH_BURST": "50",
        "LAMBDO_GRACE": "8",
        "LAMBDO_LOG_FORMAT": "json",
        "LAMBDO_LOG_LEVEL": "debug",
    }


async def account_of(seed: int, messages: int) -> Account:
    """Run one seed."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        return await Soak(seed, messages, Path(folder)).run()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", default="1..20", help="FIRST..LAST")
    parser.add_argument("--messages", type=int, default=1000, help="for each seed")
    arguments = parser.parse_args()
    first, _, last = arguments.seeds.partition("..")
    fine, total = True, Counter[str]()
    sys.stdout.write(HEAD + "\n")
    for seed in range(int(first), int(last or first) + 1):
        account = asyncio.run(account_of(seed, arguments.messages))
        sys.stdout.write(account.row() + "\n")
        sys.stdout.flush()
        for name in Account.WRONG:
            if wrong := getattr(account, name):
                sys.stdout.write(f"     {name}: {wrong[:5]}\n")
        for line in account.stories:
            sys.stdout.write(f"     {line}\n")
        fine = fine and account.fine
        total += Counter(sent=account.sent, machines=account.machines, faults=account.faults)
        total += account.twice
    sys.stdout.write(f"{dict(total)}\n")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
