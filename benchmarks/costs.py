"""
Calls and dollars for a million events, at low, medium and high load, beside two simpler ways.

    python benchmarks/costs.py [LOAD ...]

Events come at random, at an even rate. The router runs on virtual time between a queue and a Fly
in memory, whose calls are counted as SQS and Fly count them; so do two loops at the same queue:

- one message a call: receive one, create a Machine for it, delete it;
- the original Lambdo's way: receive up to ten, create a Machine for them, delete one by one.

All keep to Fly's pace of one create a second. A Machine runs for two seconds, and a tenth more for
each event; it is a shared-cpu-1x with 256 MB for all. Prices are those that the router's own
metrics have. What a router itself costs, an always-on Machine, is the same for all and left out.
"""

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from measuring import Column, Table, Target, full_or_quick, median, percentile, tell
from virtual import (
    FLY_TAKES,
    FLYS_PACE,
    Countdown,
    ForgetfulFly,
    LightQueue,
    on_virtual_time,
    profile,
    route,
    routing,
    table,
)

from lambdo_router.core import journal
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.message import Message
from lambdo_router.core.prices import read_prices
from lambdo_router.core.profile import SIZES
from lambdo_router.core.routing import Queue
from lambdo_router.core.throttle import TokenBucket
from lambdo_router.engine.permits import LaunchSlots

START = 2.0
"""Seconds that a Machine runs before it gets to its first event."""
EACH = 0.1
"""Seconds for an event."""
VISIBILITY = 60.0
BODY = json.dumps({"object": {"key": "uploads/2026/11/photo-0001.png", "size": 123_456}})


@dataclass(frozen=True, slots=True)
class Load:
    """Events that come at random."""

    name: str
    text: str
    every: float
    """Seconds between two, on average."""
    events: int

    def arrivals(self) -> list[float]:
        """When each comes."""
        drawn = random.Random(self.name)  # noqa: S311 - the same in every run
        at, times = 0.0, []
        for _ in range(self.events):
            at += drawn.expovariate(1 / self.every)
            times.append(at)
        return times


LOADS = (
    Load("low", "one a minute", 60.0, full_or_quick(1_440, 60)),
    Load("medium", "one a second", 1.0, full_or_quick(3_600, 200)),
    Load("high", "50 a second", 0.02, full_or_quick(15_000, 2_000)),
)


class PricedFly(ForgetfulFly):
    """A Machine runs for as long as its events take."""

    def __init__(self) -> None:
        super().__init__(takes=FLY_TAKES)
        self.machine_seconds = 0.0

    async def launch(self, request: MachineRequest) -> Machine:
        """Take it, and note how long it will run."""
        env = json.loads(request.body)["config"]["env"]
        self.runs(int(env["LAMBDO_EVENT_COUNT"]))
        return await super().launch(request)

    def runs(self, events: int) -> None:
        """Let the next Machine run for this number of events."""
        self.runs_for = START + EACH * events
        self.machine_seconds += self.runs_for


@dataclass(slots=True)
class Run:
    """Arrivals, and what becomes of them."""

    load: Load
    queue: LightQueue = field(default_factory=lambda: LightQueue("q"))
    fly: PricedFly = field(default_factory=PricedFly)
    sent: dict[str, float] = field(default_factory=dict)
    """When each event came, until it is launched."""
    waits: list[float] = field(default_factory=list)
    """Seconds from there to Fly's answer."""
    machines: int = 0

    async def arrive(self) -> None:
        """Send them all, each at its time."""
        loop = asyncio.get_running_loop()
        for at in self.load.arrivals():
            await asyncio.sleep(max(0.0, at - loop.time()))
            self.sent[self.queue.inner.put(BODY)] = loop.time()

    def launched(self, message_ids: Sequence[str]) -> None:
        """Note that a Machine was created for these messages."""
        now = asyncio.get_running_loop().time()
        self.machines += 1
        self.waits += [now - self.sent.pop(it) for it in message_ids]


# Ways


async def by_the_router(run: Run, *, window: float) -> None:
    """Batches of up to 100, and a delete when their Machine has ended well."""
    worker = profile(acknowledge="success", batch_size=100, batch_window=window)
    made = table(route(profile=worker), queues=(Queue("q", url="q", visibility=VISIBILITY),))
    countdown = Countdown(run.load.events, asyncio.Event())

    def observe(fact: journal.Fact) -> None:
        countdown.observe(fact)
        if isinstance(fact, journal.Launched):
            run.launched(fact.batch.message_ids)

    async with routing(made, run.fly, {"q": run.queue}, observe):
        await run.arrive()
        await countdown.done.wait()


async def by_a_loop(run: Run, *, at_once: int) -> None:
    """Receive, create, delete one by one; one after the other, as such programs do."""
    slots = LaunchSlots(TokenBucket(FLYS_PACE.launch_rate, FLYS_PACE.launch_burst))
    arriving = asyncio.create_task(run.arrive())
    done = 0
    while done < run.load.events:
        messages: Sequence[Message] = await run.queue.receive(at_once, VISIBILITY)
        if messages:
            await slots.acquire("")
            run.fly.runs(len(messages))
            run.fly.attempts.append((0.0, ""))
            await asyncio.sleep(FLY_TAKES)
            run.launched([message.id for message in messages])
        for message in messages:
            await run.queue.delete([message.receipt])
        done += len(messages)
    await arriving


WAYS: dict[str, Callable[[Run], Coroutine[Any, Any, None]]] = {
    "one message a call": partial(by_a_loop, at_once=1),
    "the original Lambdo": partial(by_a_loop, at_once=10),
    "router, batch_window 0s": partial(by_the_router, window=0.0),
    "router, batch_window 30s": partial(by_the_router, window=30.0),
}


# What it comes to


@dataclass(frozen=True, slots=True)
class Result:
    """What a million events would take. Amounts are US dollars."""

    load: Load
    way: str
    events_a_machine: float
    sqs_requests: float
    fly_calls: float
    machine_seconds: float
    sqs_dollars: float
    fly_dollars: float
    waits: tuple[float, float]
    """Seconds from an event to Fly's answer: median, and 99 %."""

    @property
    def dollars(self) -> float:
        """In all."""
        return self.sqs_dollars + self.fly_dollars

    def row(self) -> tuple[object, ...]:
        """As it stands in the table."""
        numbers = (self.events_a_machine, self.sqs_requests, self.fly_calls, self.machine_seconds)
        prices = (self.sqs_dollars, self.fly_dollars, self.dollars)
        return (f"{self.load.name}: {self.load.text}", self.way, *numbers, *prices, *self.waits)


def measure(load: Load, way: str) -> Result:
    """Run, and work it out for a million."""

    async def made() -> Run:
        run = Run(load)
        await WAYS[way](run)
        return run

    run = on_virtual_time(made())
    prices = read_prices()
    million = 1e6 / load.events
    requests = Counter(run.queue.counts).total() * million
    seconds = run.fly.machine_seconds * million
    second = prices.machine_second(SIZES["shared-cpu-1x"].guest, "iad")
    return Result(
        load,
        way,
        load.events / run.machines,
        requests,
        run.fly.counts.total() * million,
        seconds,
        requests * prices.sqs_request["standard"],
        seconds * second,
        (median(run.waits), percentile(run.waits, 0.99)),
    )


def targets(results: Sequence[Result]) -> list[Target]:
    """At no load the router costs more than the original's way did; a percent is by chance."""
    original = {it.load: it.dollars for it in results if it.way == "the original Lambdo"}
    return [
        Target(
            f"{it.load.name} load, {it.way}: ${it.dollars:.2f} for a million events, "
            f"at most the original's ${original[it.load]:.2f}",
            it.dollars <= original[it.load] * 1.01,
        )
        for it in results
        if it.way.startswith("router")
    ]


def main(names: Sequence[str]) -> int:
    """Print the table."""
    loads = [it for it in LOADS if not names or it.name in names]
    results = [measure(load, way) for load in loads for way in WAYS]
    columns = (
        Column("load"),
        Column("way"),
        Column("events a Machine", ",.1f"),
        Column("SQS requests", ",.0f"),
        Column("Fly calls", ",.0f"),
        Column("Machine seconds", ",.0f"),
        Column("$ SQS", ",.2f"),
        Column("$ Machines", ",.2f"),
        Column("$ in all", ",.2f"),
        Column("wait p50 s", ",.1f"),
        Column("p99 s", ",.1f"),
    )
    note = (
        f"For a million events; prices of {read_prices().date}. A wait is from the event's arrival "
        f"to Fly's answer. A way whose waits grow to hours does not keep up with the load. "
        "Calls to Fly cost nothing but their pace."
    )
    title = "Calls and dollars for a million events (virtual time)"
    rows = [it.row() for it in results]
    return tell(Table("costs", title, columns, rows, note, targets(results)))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
