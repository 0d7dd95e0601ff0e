"""
A backlog under Fly's real limit of one create a second and app: do batches grow, is it fair?

    python benchmarks/limit.py [MESSAGES]

The real router on virtual time, with `batch_window: 0s`, a receive of 20 ms and a create of 0.3 s.
A backlog of 50,000 messages goes through, of five routes. The ideal is messages / batch size
creates, at Fly's pace. Fairness is Jain's index over the creates that the five routes got for as
long as all of them had a backlog: 1 if all got the same, 0.2 if one got all.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from measuring import Column, Table, Target, full_or_quick, spent, tell
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
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match, Queue, RoutingTable

MESSAGES = 50_000
ROUTES = 5
EVEN = (1,) * ROUTES
SLOWEST = 1.1
"""How many times the ideal it may take."""
FAIR = 0.95
FLOOD = (16, 1, 1, 1, 1)
"""One route has four fifths of all messages."""


@dataclass(frozen=True, slots=True)
class Case:
    """Five routes with a backlog."""

    title: str
    batch_size: int
    shares: Sequence[int] = EVEN
    """Of the messages, by route."""
    shared: bool = True
    """Whether all read one queue; else each has its own."""
    max_waiting: int = 1000

    @property
    def roomy(self) -> bool:
        """Whether a full batch of every route may wait, and the mix lets it come together."""
        own = self.max_waiting // (ROUTES if self.shared else 1)
        return own >= self.batch_size and (self.shares == EVEN or not self.shared)

    def backlog(self, messages: int) -> list[int]:
        """How many messages each route has."""
        return [messages * share // sum(self.shares) for share in self.shares]


CASES = (
    Case("one queue, batches of 10", 10),
    Case("one queue, batches of 100", 100),
    Case("one queue, batches of 1,000, max_waiting 10,000", 1000, max_waiting=10_000),
    Case("one queue, batches of 1,000, max_waiting 1,000", 1000),
    Case("a queue each, batches of 100", 100, shared=False),
    Case("one queue, one route has 80 %", 100, FLOOD, max_waiting=10_000),
    Case("a queue each, one route has 80 %", 100, FLOOD, shared=False),
)


@dataclass(slots=True)
class Launches:
    """What was launched, in order."""

    routes: list[str] = field(default_factory=list)
    events: list[int] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def observe(self, fact: journal.Fact) -> None:
        """Note a launch."""
        if isinstance(fact, journal.Launched):
            self.routes.append(fact.batch.key.route.name)
            self.events.append(len(fact.batch.entries))
            self.at.append(asyncio.get_running_loop().time())


def routes_of(case: Case) -> RoutingTable:
    """Return the table of a case."""
    names = ["q"] if case.shared else [f"q{number}" for number in range(ROUTES)]
    worker = profile(acknowledge="launch", batch_size=case.batch_size)
    routes = [
        route(
            f"route-{number}",
            queues=(names[number % len(names)],),
            profile=worker,
            match=Match(body=compile_pattern({"kind": [f"kind-{number}"]})),
        )
        for number in range(ROUTES)
    ]
    queues = tuple(Queue(name, url=name, max_waiting=case.max_waiting) for name in names)
    return table(*routes, queues=queues)


def fill(backlog: Sequence[int], queues: dict[str, LightQueue]) -> None:
    """Put the messages there, those of one queue well mixed."""
    names = list(queues)
    order = [
        (position / count, number)
        for number, count in enumerate(backlog)
        for position in range(count)
    ]
    for _, number in sorted(order):
        body = json.dumps({"kind": f"kind-{number}", "key": "uploads/2026/11/photo-0001.png"})
        queues[names[number % len(names)]].inner.put(body)


async def drained(case: Case, messages: int) -> Launches:
    """All launches that it takes."""
    made = routes_of(case)
    queues = {name: LightQueue(name) for name in made.queues}
    backlog = case.backlog(messages)
    fill(backlog, queues)
    launches, countdown = Launches(), Countdown(sum(backlog), asyncio.Event())
    observe = journal.Dispatch(launches.observe, countdown.observe)
    async with routing(made, ForgetfulFly(takes=FLY_TAKES), queues, observe):
        await countdown.done.wait()
    return launches


def jain(values: Sequence[int]) -> float:
    """1 if all are equal, 1/n if one has all."""
    squares = sum(value * value for value in values)
    return sum(values) ** 2 / (len(values) * squares) if squares else 1.0


def fairness(launches: Launches, backlog: Sequence[int]) -> float:
    """Jain's index of the creates, until the first route has no backlog any more."""
    left = {f"route-{number}": count for number, count in enumerate(backlog)}
    got: Counter[str] = Counter()
    for name, events in zip(launches.routes, launches.events, strict=True):
        left[name] -= events
        if left[name] <= 0:
            break
        got[name] += 1
    return jain([got[name] for name in left])


@dataclass(frozen=True, slots=True)
class Result:
    """How a case went."""

    case: Case
    events_a_create: float
    seconds: float
    ideal: float
    """Seconds."""
    jain: float
    cpu: float
    """Seconds a message."""

    def row(self) -> tuple[object, ...]:
        """As it stands in the table."""
        fullness = self.events_a_create / self.case.batch_size
        slower, microseconds = self.seconds / self.ideal, self.cpu * 1e6
        shown = (self.case.title, self.events_a_create, fullness, self.seconds)
        return (*shown, slower, self.jain, microseconds)


def measure(case: Case, messages: int) -> Result:
    """Drain, and compare with the ideal."""
    with spent() as taken:
        launches = on_virtual_time(drained(case, messages))
    backlog = case.backlog(messages)
    creates = sum(-(-count // case.batch_size) for count in backlog)
    ideal = max(0.0, (creates - FLYS_PACE.launch_burst) / FLYS_PACE.launch_rate) + FLY_TAKES
    sent = sum(backlog)
    fair = fairness(launches, backlog)
    in_each = sent / len(launches.events)
    return Result(case, in_each, launches.at[-1], ideal, fair, taken.cpu / sent)


def targets(results: Sequence[Result]) -> list[Target]:
    """Quick where the queue may hold enough for a full batch of each route; fair everywhere."""
    quick = [
        Target(
            f"{it.case.title}: {it.seconds / it.ideal:.2f} of the ideal time, at most {SLOWEST}",
            it.seconds <= SLOWEST * it.ideal,
        )
        for it in results
        if it.case.roomy
    ]
    fair = [
        Target(f"{it.case.title}: Jain's index {it.jain:.3f}, at least {FAIR}", it.jain >= FAIR)
        for it in results
    ]
    return quick + fair


def main(messages: int) -> int:
    """Print the table."""
    results = [measure(case, messages) for case in CASES]
    columns = (
        Column("case"),
        Column("events a create", ",.1f"),
        Column("of batch_size", ".0%"),
        Column("drained in s", ",.0f"),
        Column("x ideal", ".2f"),
        Column("Jain", ".3f"),
        Column("CPU us a message", ".0f"),
    )
    return tell(
        Table(
            "limit",
            f"{messages:,} messages at one create a second (virtual time)",
            columns,
            [it.row() for it in results],
            "CPU is that of the router without its calls to SQS and Fly.",
            targets(results),
        )
    )


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else full_or_quick(MESSAGES, 5_000)))
