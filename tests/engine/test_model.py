"""
Whatever happens, in any order: at the end each message is accounted for.

Hypothesis writes stories of sends, time, faults, crashes and restarts. A router on virtual time
lives through them, against SQS's own rules in memory and a Fly that fails as it is told. Then the
faults end, time passes, and the books are checked.
"""

import asyncio
import json
import math
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from building import profile, route, table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_queue import MemoryQueue
from scenario import WALL, Scenario, ScriptedLauncher, SpiedQueue, running, unavailable
from virtual_time import VirtualLoop

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected, LaunchUnavailable
from lambdo_router.core.machine_metadata import message_digest
from lambdo_router.core.ports import MachineEnd
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.engine.failure_reports import ReportError
from lambdo_router.engine.router import Limits

LOST = LaunchUnavailable("no answer", code="connection", ambiguous=True)
BUSY = LaunchUnavailable("busy", code="host_capacity")
REFUSED = LaunchRejected("400", code="bad_image")
LIMITS = Limits(launch_rate=10.0, launch_burst=10, grace=5.0)

STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 5)),
    st.tuples(st.just("wait"), st.sampled_from([0.5, 3.0, 20.0, 70.0, 200.0])),
    st.tuples(st.just("launch fails"), st.sampled_from([LOST, BUSY, REFUSED])),
    st.tuples(st.just("lost but created"), st.just(LOST)),
    st.tuples(st.just("machine fails"), st.sampled_from([MachineEnd(1), MachineEnd(None)])),
    st.tuples(st.just("report fails one"), st.just(None)),
    st.tuples(st.just("crash"), st.just(None)),
    st.tuples(st.just("restart"), st.just(None)),
    st.tuples(st.just("sqs fails"), st.sampled_from(["delete", "visibility", "receive"])),
    st.tuples(st.just("sqs heals"), st.just(None)),
    st.tuples(st.just("fly is silent"), st.just(None)),
    st.tuples(st.just("fly speaks"), st.just(None)),
)


@dataclass
class World:
    """A queue and a Fly that outlive the routers."""

    made: RoutingTable
    queue: SpiedQueue
    fly: ScriptedLauncher
    sent: list[str] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)
    lost_leases: set[str] = field(default_factory=set)
    scenario: Scenario | None = None
    task: asyncio.Task[None] | None = None

    def put(self) -> str:
        group = str(len(self.sent) % 2) if self.queue.fifo else None
        return self.queue.inner.put("{}", group=group)

    async def start(self) -> None:
        begun = asyncio.Event()

        async def live() -> None:
            queues = {self.queue.name: self.queue}
            async with running(
                self.made, self.fly, limits=LIMITS, queues=queues, report_url="http://router"
            ) as scenario:
                self.scenario = scenario
                begun.set()
                await asyncio.Event().wait()

        self.task = asyncio.create_task(live())
        await begun.wait()

    async def end(self, *, crash: bool) -> None:
        assert self.task is not None
        assert self.scenario is not None
        if not crash:
            self.scenario.stop.set()
            await asyncio.sleep(LIMITS.grace + 1)
        self.task.cancel()
        await asyncio.wait({self.task})
        for fact in self.scenario.of(journal.LaunchFailed):
            if getattr(fact.error, "ambiguous", False):
                self.in_doubt |= set(fact.batch.message_ids)
        for lost in self.scenario.of(journal.LeaseLost):
            self.lost_leases |= set(lost.message_ids)
        assert self.scenario.of(journal.InternalError) == []

    async def take(self, step: str, what: Any) -> None:
        match step:
            case "send":
                for _ in range(what):
                    self.sent.append(self.put())
            case "wait":
                await asyncio.sleep(what)
            case "report fails one":
                await self._report()
            case "crash" | "restart":
                await self.end(crash=step == "crash")
                await self.start()
            case _:
                self._change(step, what)

    def _change(self, step: str, what: Any) -> None:
        """Of the weather: what will fail from here on, or no more."""
        match step:
            case "launch fails":
                self.fly.script.append(what)
            case "lost but created":
                self.fly.script.append(what)
                self.fly.created_all_the_same = True
            case "machine fails":
                self.fly.ends.append(what)
            case "sqs fails":
                self.queue.failing[what] = unavailable()
            case "sqs heals":
                self.queue.failing.clear()
            case "fly is silent":
                self.fly.watch_failing = LOST
            case "fly speaks":
                self.fly.watch_failing = None

    async def _report(self) -> None:
        """The newest running Machine says that its first message failed."""
        assert self.scenario is not None
        alive = [machine for machine in self.fly.flown if not machine.ended()]
        if not alive or self.fly.watch_failing is not None:
            return
        env = json.loads(alive[-1].request.body)["config"]["env"]
        ids = [i for i in self.sent if message_digest(i) in alive[-1].metadata["lambdo_messages"]]
        token = env.get("LAMBDO_REPORT_TOKEN", "")
        with suppress(ReportError):  # it may be for a router that is gone
            await self.scenario.reports.take(env["LAMBDO_BATCH_ID"], token, ids[:1])

    async def settle_all(self) -> None:
        self.queue.failing.clear()
        self.fly.watch_failing = None
        self.fly.script.clear()
        self.fly.ends.clear()
        for _ in range(40):
            await asyncio.sleep(300)
            if self.queue.inner.empty:
                return


def good_runs(world: World) -> Counter[str]:
    """How many Machines ended well for each message."""
    runs: Counter[str] = Counter()
    for machine in world.fly.flown:
        failed = machine.metadata.get("lambdo_failed", "")
        if machine.end.exit_code == 0 and machine.destroyed_at is None:
            runs.update(
                i
                for i in world.sent
                if message_digest(i) in machine.metadata["lambdo_messages"]
                and message_digest(i) not in failed
            )
    return runs


def out_of_order(world: World) -> list[tuple[str, str]]:
    """Messages that were launched before an earlier one of their group was done."""
    found = []
    done: dict[str, float] = {}
    flown = sorted(world.fly.flown, key=lambda machine: machine.created_at)
    held = [
        [i for i in world.sent if message_digest(i) in m.metadata["lambdo_messages"]] for m in flown
    ]
    for machine, ids in zip(flown, held, strict=True):
        failed = machine.metadata.get("lambdo_failed", "")
        if machine.end.exit_code == 0:
            for message_id in ids:
                if message_digest(message_id) not in failed:
                    done.setdefault(message_id, WALL + machine.ends_at)
    for machine, ids in zip(flown, held, strict=True):
        for message_id in ids:
            at = world.sent.index(message_id)
            found += [
                (earlier, message_id)
                for earlier in world.sent[at % 2 : at : 2]
                if earlier not in ids and done.get(earlier, math.inf) > machine.created_at
            ]
    return found


@pytest.mark.parametrize("name", ["q", "q.fifo"], ids=["standard", "fifo"])
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=40))
def test_no_message_is_lost_and_none_succeeds_twice_without_a_cause(
    name: str, steps: list[tuple[str, object]]
) -> None:
    async def story() -> World:
        made = table(
            route(profile=profile(acknowledge="success", batch_size=3), queues=(name,)),
            queues=(Queue(name, url=name),),
        )
        world = World(made, SpiedQueue(MemoryQueue(name)), ScriptedLauncher(runs_for=30.0))
        await world.start()
        for step, what in steps:
            await world.take(step, what)
        await world.settle_all()
        await world.end(crash=False)
        return world

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        world = runner.run(story())

    assert world.queue.inner.empty
    runs = good_runs(world)
    deleted = {e.message_id for e in world.queue.inner.ledger.entries if e.kind == "deleted"}
    assert deleted == set(world.sent)
    assert [i for i in world.sent if runs[i] == 0] == []
    twice = {i for i, count in runs.items() if count > 1}
    assert twice <= world.in_doubt | world.lost_leases
    if world.queue.fifo:
        assert out_of_order(world) == []
