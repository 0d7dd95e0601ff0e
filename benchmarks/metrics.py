"""
What metrics cost: for each message, for the router's throughput, and at a scrape.

    python benchmarks/metrics.py [ROUNDS]

Throughput is that of a router in this process which reads the embedded SQS server and launches at
the embedded Machines server, both in a process of their own. Rounds without and with metrics take
turns; each round with metrics has one scrape. The best of each are compared, and as a machine that
does other things too is not as fast at every time, it is also measured what part of a round is
spent in metrics. Limit: 5 % of the CPU time, or the exit code is 1.
"""

import asyncio
import json
import secrets
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from scripted_runner import ScriptedRunner
from virtual import Countdown

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.admin.serving import serve
from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey, Entry
from lambdo_router.core.machine import Machine, entry_of
from lambdo_router.core.message import Event, Message
from lambdo_router.core.profile import SIZES, Profile
from lambdo_router.core.routing import Queue, Route, Routed, RoutingTable
from lambdo_router.core.settlement import Acknowledge
from lambdo_router.engine.router import Limits, Router
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.names import LOCAL_KEYS
from lambdo_router.local.sqs_server import NewMessage, Sqs, sqs_app
from lambdo_router.service.running import no_changes
from lambdo_router.telemetry.metrics import Metrics

MESSAGES = 2_000
"""In each round."""
LIMIT = 0.05
ROUTES = 1_000
FAST = Limits(launch_rate=1000.0, launch_burst=1000, grace=5.0)
BODY = json.dumps({"id": 1, "object": {"key": "a.png", "size": 12}, "text": "x" * 800})


def profile(name: str) -> Profile:
    size = "shared-cpu-1x"
    image = "registry.fly.io/jobs:1"
    return Profile(name, "jobs", image, size, SIZES[size].guest, acknowledge="launch")


# The servers, in a process of their own


async def run_servers(token: str) -> None:
    """Print where they are; then put a round of messages into the queue for each line of stdin."""
    sqs = Sqs()
    sqs.create_queue("q", {}, time.time())
    limits = RateLimits(enabled=False)
    machines = MachinesServer(ScriptedRunner(), Access({token: None}), limits=limits)
    async with (
        serve(sqs_app(sqs)) as sqs_url,
        machines.running(),
        serve(machines_app(machines)) as fly_url,
    ):
        print(json.dumps([sqs_url, sqs.account, fly_url]), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            for _ in range(MESSAGES):
                sqs.send("q", NewMessage(BODY, {}), time.time())
            print("sent", flush=True)


# Throughput


@dataclass(frozen=True, slots=True)
class Servers:
    process: asyncio.subprocess.Process
    token: str
    queue: Queue
    sqs_url: str
    fly_url: str

    async def line(self) -> str:
        if self.process.stdout is None:
            raise SystemExit("the servers have no output")
        return (await self.process.stdout.readline()).decode()

    async def send_a_round(self) -> None:
        if self.process.stdin is None:
            raise SystemExit("the servers have no input")
        self.process.stdin.write(b"\n")
        await self.line()


async def start_servers() -> Servers:
    token = secrets.token_urlsafe(24)
    pipe = asyncio.subprocess.PIPE
    arguments = (sys.executable, __file__, "--servers", token)
    process = await asyncio.create_subprocess_exec(*arguments, stdin=pipe, stdout=pipe)
    servers = Servers(process, token, Queue("q"), "", "")
    sqs_url, account, fly_url = json.loads(await servers.line())
    queue = Queue("q", url=f"{sqs_url}/{account}/q")
    return Servers(process, token, queue, sqs_url, fly_url)


@dataclass(frozen=True, slots=True)
class Taken:
    """What every round has."""

    cpu: float
    """CPU seconds of this process."""
    seconds: float


_R = TypeVar("_R", bound=Taken)


@dataclass(frozen=True, slots=True)
class Round(Taken):
    metrics: float
    """CPU seconds that were spent in metrics."""


@dataclass(slots=True)
class Timed:
    """Metrics, and the CPU seconds of this thread that they take."""

    metrics: Metrics
    spent: float = 0.0

    def observe(self, fact: journal.Fact) -> None:
        began = time.thread_time()
        self.metrics.observe(fact)
        self.spent += time.thread_time() - began

    def scrape(self) -> None:
        began = time.thread_time()
        self.metrics.exposition("application/openmetrics-text")
        self.spent += time.thread_time() - began


async def one_round(servers: Servers, with_metrics: bool) -> Round:  # noqa: FBT001 - a side
    """Return what a router takes for a round of messages."""
    await servers.send_a_round()
    route = Route("orders", ("q",), profile("worker"))
    table = RoutingTable("benchmark", {"q": servers.queue}, (route,))
    countdown = Countdown(MESSAGES, asyncio.Event())
    settings = SqsSettings(servers.sqs_url, "us-east-1", wait_seconds=1, keys=LOCAL_KEYS)
    connector = SqsConnector(settings)
    stop = asyncio.Event()
    timed = Timed(Metrics(None))
    observers = (timed.observe, countdown.observe) if with_metrics else (countdown.observe,)
    try:
        async with FlyMachines(
            token=servers.token, base_url=servers.fly_url, rate=1000.0, burst=1000
        ) as fly:
            observe = journal.Dispatch(*observers)
            router = Router(table, connector.open, fly, observe, limits=FAST)
            cpu, began = time.process_time(), time.perf_counter()
            running = asyncio.create_task(router.run(stop, no_changes()))
            await countdown.done.wait()
            if with_metrics:
                timed.scrape()
            spent, seconds = time.process_time() - cpu, time.perf_counter() - began
            stop.set()
            await running
    finally:
        await connector.aclose()
    return Round(spent, seconds, timed.spent)


async def compared(
    rounds: int,
    one_round: Callable[[Servers, bool], Awaitable[_R]],
    names: tuple[str, str],
) -> list[_R]:
    """
    Print rounds without something and with it, which take turns; those with it.

    `names` is what both are called. One more round comes first, after which everything is
    imported and warm.
    """
    servers = await start_servers()
    taken: dict[bool, list[_R]] = {False: [], True: []}
    try:
        await one_round(servers, True)
        for number in range(rounds):
            for side in (False, True) if number % 2 else (True, False):
                taken[side].append(await one_round(servers, side))
    finally:
        servers.process.terminate()
        await servers.process.wait()
    print(f"{'router on the embedded stack':32}{'CPU/message':>14}{'messages/s':>12}")
    for side, results in taken.items():
        cpu = min(it.cpu for it in results) / MESSAGES
        rate = MESSAGES / min(it.seconds for it in results)
        print(f"{names[side]:32}{cpu * 1e6:11.0f} us{rate:12,.0f}")
    best = {it: min(round_.cpu for round_ in results) for it, results in taken.items()}
    print(f"{'ratio':32}{best[True] / best[False]:14.3f}")
    return taken[True]


async def throughput(rounds: int) -> float:
    """Print both, and return what part of the CPU time goes into metrics."""
    taken = await compared(rounds, one_round, ("without metrics", "with metrics"))
    return statistics.median(it.metrics / it.cpu for it in taken)


# One message, and a scrape of a thousand routes


def facts_of(route: Route, number: int, events: int) -> Iterator[journal.Fact]:
    """All facts of one batch."""
    key = BatchKey("q", route, route.profile)
    entries = tuple(entry(f"{number}-{at}") for at in range(events))
    batch = Batch(key, entries)
    yield journal.Polled("q", events, 0.1)
    for it in entries:
        yield journal.Received("q", it.message)
        yield journal.Decided("q", it.message.id, Routed(route, route.profile, it.event))
    yield journal.BatchClosed(batch, "b", 0.1)
    yield journal.Launched(batch, Machine("id", "name", "iad"), 0.3, 1, 30.0, "b")
    yield journal.MachineEnded(batch, "b", "id", "succeeded", 0, "", 5.0)
    for it in entries:
        done = Acknowledge("succeeded")
        yield journal.Settled("q", it.message.id, route.name, done, it.message.sent_at, 3.0)


def entry(message_id: str) -> Entry:
    system = {"ApproximateReceiveCount": "1", "SentTimestamp": "1700000000123"}
    return entry_of(Message(message_id, "r", "{}", {}, system), Event("{}", {}, {}))


def at_a_thousand_routes(profiles: int) -> None:
    routes = tuple(
        Route(f"route-{number}", ("q",), profile(f"profile-{number % profiles}"))
        for number in range(ROUTES)
    )
    table = RoutingTable("benchmark", {"q": Queue("q")}, routes)
    metrics = Metrics(None)
    metrics.observe(journal.TableActivated(table, None))
    facts = [fact for n, route in enumerate(routes) for fact in facts_of(route, n, 10)]
    messages = sum(isinstance(fact, journal.Received) for fact in facts)
    spent = min(cpu_seconds(metrics, facts) for _ in range(4))
    began = time.process_time()
    body, _ = metrics.exposition("text/plain")
    scrape = time.process_time() - began
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    print(
        f"{f'{ROUTES:,} busy routes, {profiles:,} profiles':32}{spent / messages * 1e6:8.1f} us"
        f"{series:10,} series{len(body) / 1e6:7.1f} MB{scrape:8.2f} s CPU for a scrape"
    )


def cpu_seconds(metrics: Metrics, facts: list[journal.Fact]) -> float:
    began = time.process_time()
    for fact in facts:
        metrics.observe(fact)
    return time.process_time() - began


def main(rounds: int) -> int:
    print("metrics of one message, and a scrape")
    for profiles in (20, ROUTES):
        at_a_thousand_routes(profiles)
    print()
    part = asyncio.run(throughput(rounds))
    print(f"{'spent in metrics':32}{part:14.1%}   limit {LIMIT:.0%}")
    return part > LIMIT


if __name__ == "__main__":
    if sys.argv[1:2] == ["--servers"]:
        asyncio.run(run_servers(sys.argv[2]))
    else:
        raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else 5))
