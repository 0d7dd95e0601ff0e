"""What the router says that it holds, and what it lets go."""

import asyncio
import gc

import pytest
from building import profile, route, table
from memory_queue import MemoryQueue
from scenario import ScriptedLauncher, now, running

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.ports import QueueOpener
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.core.snapshot import MachinesSnapshot, QueueSnapshot, Snapshot
from lambdo_router.engine.router import Limits, Router
from lambdo_router.service.running import no_changes

FAST = Limits(launch_rate=1000.0, launch_burst=1000)


def careful(**changes: object) -> RoutingTable:
    return table(route(profile=profile(acknowledge="success", **changes)))


async def test_levels_say_what_waits_what_runs_and_how_long_the_leases_last() -> None:
    limits = Limits(launch_rate=0.1, launch_burst=1)
    async with running(careful(batch_size=1), ScriptedLauncher(), limits=limits) as scenario:
        scenario.put("{}", "{}", "{}")
        await asyncio.sleep(3)
        levels = scenario.router.snapshot()

    assert levels.queues == (QueueSnapshot("q", "reading", 3, 2, {"orders": 2}, 57.0),)
    assert levels.machines == (MachinesSnapshot("jobs", "worker", 1, 1),)
    assert levels.generation == "g1"


async def test_a_queue_that_is_not_reached_yet_is_opening() -> None:
    queues = (Queue("q", url="q"), Queue("later", url="later"))
    made = table(route(), route("other", queues=("later",)), queues=queues)

    async def never(queue: Queue) -> MemoryQueue:
        if queue.name == "later":
            await asyncio.Event().wait()
        return MemoryQueue(queue.name)

    router = Router(made, never, ScriptedLauncher(), lambda _: None)
    stop = asyncio.Event()
    running_router = asyncio.create_task(router.run(stop, no_changes()))
    await asyncio.sleep(1)
    states = {level.queue: level.state for level in router.snapshot().queues}
    stop.set()
    await running_router

    assert states == {"later": "opening", "q": "reading"}
    assert router.snapshot() == Snapshot("g1", (), ())


async def test_facts_tell_of_polls_waits_renewals_and_the_age_of_messages() -> None:
    launcher = ScriptedLauncher(runs_for=100.0)
    limits = Limits(launch_rate=0.1, launch_burst=1)
    async with running(careful(batch_size=1), launcher, limits=limits) as scenario:
        scenario.put("{}", "{}")
        await asyncio.sleep(150)

    assert [fact.messages for fact in scenario.of(journal.Polled)][:1] == [2]
    assert [fact.waited for fact in scenario.of(journal.BatchClosed)] == [0.0, 10.25]
    first = scenario.of(journal.LeasesRenewed)[0]
    assert (first.queue, first.messages, first.margin) == ("q", 2, 30.0)
    ended = scenario.of(journal.MachineEnded)
    assert [(fact.kind, fact.failure) for fact in ended] == [("succeeded", "")] * 2
    launched = scenario.of(journal.Launched)
    assert {fact.batch_id for fact in launched} == {fact.batch_id for fact in ended}
    settled = scenario.of(journal.Settled)
    assert [fact.held for fact in settled] == [100.0, 112.0]
    assert [fact.sent_at for fact in settled] == [0.0, 0.0]


@pytest.mark.parametrize("name", ["q", "q.fifo"])
async def test_the_bodies_of_a_batch_are_let_go_while_its_machine_runs(name: str) -> None:
    queue = MemoryQueue(name)
    launcher = ScriptedLauncher(runs_for=600.0)
    made = table(
        route(queues=(name,), profile=profile(acknowledge="success")),
        queues=(Queue(name, url=name),),
    )
    router = Router(made, _opening(queue), launcher, lambda _: None, limits=FAST)
    stop = asyncio.Event()
    running_router = asyncio.create_task(router.run(stop, no_changes()))
    for number in range(20):
        queue.put('{"marked": true}', group=f"g{number}" if queue.fifo else None)
        await asyncio.sleep(1)
    gc.collect()
    batches = [found for found in gc.get_objects() if isinstance(found, Batch)]
    bodies = [entry.message.body for batch in batches for entry in batch.entries]
    kept = [body for body in bodies if "marked" in body]
    stop.set()
    await running_router

    assert len(launcher.flown) == 20
    assert kept == []
    assert bodies.count("") >= 20


class _Defective(ScriptedLauncher):
    """Its client has a bug that shows itself once."""

    async def launch(self, request: MachineRequest) -> Machine:
        if not self.attempts:
            self.attempts.append((now(), request.name))
            raise KeyError("bug")
        return await super().launch(request)


async def test_a_defect_in_a_launch_keeps_no_place_under_max_machines() -> None:
    launcher = _Defective(runs_for=5.0)
    async with running(careful(max_machines=1), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(80)

    assert len(scenario.of(journal.InternalError)) == 1
    assert len(launcher.flown) == 1
    assert scenario.queue().inner.empty


def _opening(queue: MemoryQueue) -> QueueOpener:
    async def opened(_: Queue) -> MemoryQueue:
        return queue

    return opened
