"""Redelivered messages: how they are looked up, what decides for them, and at what cost."""

import asyncio
import gc
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from building import entry, key, message, profile, route, table
from memory_queue import MemoryQueue
from scenario import WALL, Scenario, ScriptedLauncher, SpiedQueue, now, running

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable, MachineGone
from lambdo_router.core.machine import Machine, MachineRequest, machine_request
from lambdo_router.core.message import Event, Message
from lambdo_router.core.ports import MachineEnd, MachineSummary
from lambdo_router.core.routing import Queue, Route, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Retry
from lambdo_router.engine.previous_launches import PreviousLaunches
from lambdo_router.engine.router import Limits

FAST = Limits(launch_rate=1000.0, launch_burst=1000)


@dataclass
class SlowFly(ScriptedLauncher):
    """Fly with what makes look-ups hard: long lists, late metadata, names that outlive Machines."""

    list_takes: float = 0.0
    metadata_takes: float = 0.0
    unknown_for: dict[str, float] = field(default_factory=dict)
    """By call: seconds after a Machine's creation in which Fly does not know it."""
    names_last: float | None = None
    """Seconds for which a name outlives its Machine; None: names are never taken."""
    refusing: dict[str, LaunchError] = field(default_factory=dict)
    """The apps whose lists fail."""
    listed: list[tuple[float, str]] = field(default_factory=list)
    """The lists of look-ups."""

    async def launch(self, request: MachineRequest) -> Machine:
        for machine in reversed(self.flown):
            held = self.names_last is not None and now() < machine.ends_at + self.names_last
            if held and machine.request.name == request.name:
                return Machine(machine.id, request.name, "iad", adopted=True)
        return await super().launch(request)

    async def launched_since(self, app: str, since: float) -> list[MachineSummary]:
        self.listed.append((now(), app))
        seen = await super().launched_since(app, since)
        await asyncio.sleep(self.list_takes)
        if app in self.refusing:
            raise self.refusing[app]
        return seen

    async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
        await asyncio.sleep(self.metadata_takes)
        self._is_known("metadata", machine_id)
        return await super().metadata(app, machine_id)

    async def end_of(
        self, app: str, machine_id: str, *, at_rest: bool = False
    ) -> MachineEnd | None:
        self._is_known("events", machine_id)
        return await super().end_of(app, machine_id, at_rest=at_rest)

    def count(self, call: str) -> int:
        return Counter(name for _, name in self.calls)[call]

    def _is_known(self, call: str, machine_id: str) -> None:
        created_at = self._machine(machine_id).created_at
        if WALL + now() < created_at + self.unknown_for.get(call, 0.0):
            raise MachineGone("404 machine not found", code="machine_gone")


def careful(route_name: str = "orders", **changes: Any) -> Route:
    return route(route_name, profile=profile(acknowledge="success", **changes))


async def crash(
    made: RoutingTable,
    launcher: ScriptedLauncher,
    *bodies: str,
    after: float = 5.0,
    **more: Any,
) -> Scenario:
    """Run a router for some seconds, and kill it."""
    found: list[Scenario] = []

    async def live() -> None:
        async with running(made, launcher, limits=FAST, **more) as scenario:
            found.append(scenario)
            scenario.put(*bodies)
            await asyncio.sleep(1_000_000)

    task = asyncio.create_task(live())
    await asyncio.sleep(after)
    task.cancel()
    await asyncio.wait({task})
    return found[0]


# Whose Machine it is


async def test_a_renamed_route_takes_over_what_was_launched_under_its_old_name() -> None:
    launcher = SlowFly(runs_for=200.0)
    crashed = await crash(table(careful("orders")), launcher, "{}")
    made = table(careful("purchases"))
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(300)

    assert len(launcher.flown) == 1
    assert set(scenario.settled().values()) == {Acknowledge("succeeded")}


async def test_a_profile_with_another_app_takes_over_what_runs_in_an_app_of_the_table() -> None:
    launcher = SlowFly(runs_for=200.0)
    neighbour = careful("others", name="other", app="jobs-1")
    crashed = await crash(table(careful(app="jobs-1")), launcher, "{}")
    made = table(careful(app="jobs-2"), neighbour)
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(300)

    assert [machine.request.app for machine in launcher.flown] == ["jobs-1"]
    assert set(scenario.settled().values()) == {Acknowledge("succeeded")}


@dataclass
class Forgetful(SpiedQueue):
    """Refuses the first delete: the message comes again."""

    refused: bool = False

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        if self.refused:
            return await super().delete(receipts)
        self.refused = True
        return dict.fromkeys(receipts, "InternalError")


async def test_a_message_launched_before_a_reload_is_found_in_the_app_of_that_table() -> None:
    launcher = SlowFly(runs_for=1.0)
    queues: dict[str, SpiedQueue] = {"q": Forgetful(MemoryQueue("q"))}
    before = table(route(profile=profile(app="jobs-1")))
    async with running(before, launcher, queues=queues) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)
        scenario.swap(table(route(profile=profile(app="jobs-2")), generation="g2"))
        await asyncio.sleep(90)

    assert [machine.request.app for machine in launcher.flown] == ["jobs-1"]
    assert scenario.queue().inner.empty


async def test_apps_of_tables_before_are_asked_as_long_as_a_message_may_be_hidden() -> None:
    recall = PreviousLaunches(ScriptedLauncher(), now)
    recall.serve(["a", "b"])
    assert recall.apps() == ["a", "b"]
    recall.serve(["b", "c"])
    await asyncio.sleep(43_000)
    recall.serve(["c"])
    assert recall.apps() == ["a", "b", "c"]
    await asyncio.sleep(300)
    assert recall.apps() == ["b", "c"]
    recall.serve(["a", "c"])
    await asyncio.sleep(100_000)
    assert recall.apps() == ["c", "a"]


async def test_the_newest_machine_decides_whatever_app_it_is_in() -> None:
    launcher = SlowFly(runs_for=20.0, ends=[MachineEnd(1), MachineEnd(0)])
    one, two = careful(app="jobs-1"), careful(app="jobs-2")
    others = (careful("a", name="a", app="jobs-1"), careful("b", name="b", app="jobs-2"))
    crashed = await crash(table(one, *others), launcher, "{}", after=23.0)
    launcher.runs_for = 500.0
    crashed = await crash(table(two, *others), launcher, after=30.0, queues=crashed.queues)
    async with running(table(one, *others), launcher, queues=crashed.queues):
        await asyncio.sleep(900)

    assert [machine.request.app for machine in launcher.flown] == ["jobs-1", "jobs-2"]
    assert crashed.queue().inner.empty


async def test_an_app_of_others_that_fly_refuses_does_not_stop_redeliveries() -> None:
    launcher = SlowFly(runs_for=200.0, ends=[MachineEnd(1)])
    made = table(careful(), careful("others", name="other", app="forbidden"))
    launcher.refusing["forbidden"] = LaunchRejected("403 unauthorized", code="forbidden")
    crashed = await crash(made, launcher, "{}")
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(600)

    assert len(launcher.flown) == 2
    assert set(scenario.settled().values()) >= {Acknowledge("succeeded")}
    assert scenario.queue().inner.empty


# What it was launched with decides


@pytest.mark.parametrize(
    ("before", "after", "exits", "launches"),
    [
        pytest.param("success", "launch", 1, 2, id="failed-although-launch-would-do-now"),
        pytest.param("success", "launch", 0, 1, id="succeeded-and-launch-would-do-now"),
        pytest.param("launch", "success", 1, 1, id="was-done-by-its-launch"),
    ],
)
async def test_the_condition_under_which_a_machine_was_launched_holds_for_its_messages(
    before: str, after: str, exits: int, launches: int
) -> None:
    launcher = SlowFly(runs_for=20.0, ends=[MachineEnd(exits)])
    queues: dict[str, SpiedQueue] = {"q": SpiedQueue(MemoryQueue("q"), delete_takes=1000.0)}
    made = table(route(profile=profile(acknowledge=before)))
    crashed = await crash(made, launcher, "{}", queues=queues)
    crashed.queue().delete_takes = 0.0
    made = table(route(profile=profile(acknowledge=after)))
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(120)

    assert len(launcher.flown) == launches
    assert scenario.queue().inner.empty


# What is kept while a Machine that was taken over runs


@pytest.mark.parametrize(("name", "sent"), [("q", 600), ("q.fifo", 100)])
async def test_the_bodies_of_what_is_taken_over_are_let_go(name: str, sent: int) -> None:
    launcher = SlowFly(runs_for=3000.0)
    made = table(
        replace(careful(timeout=4000.0, batch_size=100), queues=(name,)),
        queues=(Queue(name, url=name, max_waiting=100),),
    )
    queue = SpiedQueue(MemoryQueue(name))
    for number in range(sent):
        group = f"g{number}" if queue.fifo else None
        queue.inner.put('{"marked": true}', group=group)
    crashed = await crash(made, launcher, after=50.0, queues={name: queue})
    crashed.facts.clear()
    launched = len(launcher.flown)
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(1000)
        taken = len(scenario.of(journal.MachineAdopted))
        scenario.facts.clear()
        kept = marked()

    assert taken == sent
    assert len(launcher.flown) == launched
    assert kept == 0


def marked() -> int:
    """Messages and events in memory that have their bodies still."""
    gc.collect()
    found = [known for known in gc.get_objects() if isinstance(known, Message | Event)]
    texts = [known.body if isinstance(known, Message) else known.text for known in found]
    return sum("marked" in text for text in texts)


async def test_a_body_that_a_reject_may_need_is_kept() -> None:
    launcher = SlowFly(runs_for=200.0, ends=[MachineEnd(1)])
    queues = Queue("q", url="q", reject_to="rejected"), Queue("rejected", url="r")
    made = table(careful(max_attempts=2), queues=queues)
    crashed = await crash(made, launcher, '{"marked": true}')
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(300)
        (rejected,) = await scenario.queue("rejected").inner.receive(10, 1.0)

    assert rejected.body == '{"marked": true}'
    assert len(launcher.flown) == 1


# What it costs


@pytest.mark.parametrize("sent", [100, 1000])
async def test_look_ups_share_a_list_that_takes_long(sent: int) -> None:
    launcher = SlowFly(runs_for=100_000.0)
    made = table(careful(timeout=200_000.0, batch_size=10), queues=(Queue("q", url="q"),))
    crashed = await crash(made, launcher, *["{}"] * sent, after=20.0)
    machines = len(launcher.flown)
    launcher.list_takes, launcher.listed = 4.0, []
    launcher.calls.clear()
    async with running(made, launcher, limits=FAST, queues=crashed.queues) as scenario:
        await asyncio.sleep(600)
        taken = scenario.when(journal.MachineAdopted)
        received = scenario.when(journal.Received)

    assert [at for at, _ in launcher.listed] == received[:1]
    assert set(taken) == {received[0] + 4.0}
    assert len(taken) == sent
    assert len(launcher.flown) == machines
    # Once for the look-ups, and once for the sweep.
    assert launcher.count("metadata") == 2 * machines
    assert launcher.count("events") == machines


async def test_look_ups_share_a_list_that_fails() -> None:
    launcher = SlowFly(runs_for=1000.0)
    crashed = await crash(table(careful(batch_size=10)), launcher, *["{}"] * 100)
    launcher.list_takes = 4.0
    launcher.refusing["jobs"] = LaunchUnavailable("503", code="unavailable")
    launcher.listed = []
    async with running(table(careful()), launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(100)
        retried = set(map(type, scenario.settled().values()))

    assert retried == {Retry}
    assert len(launcher.listed) <= 12


def received(message_id: str, at: float) -> Message:
    return message(message_id, system={"ApproximateFirstReceiveTimestamp": str(round(at * 1000))})


async def test_a_list_is_good_for_what_was_received_before_it_was_begun_and_for_no_more() -> None:
    launcher = SlowFly(list_takes=20.0)
    recall = PreviousLaunches(launcher, lambda: WALL + now())

    async def looked_up(received_at: float) -> bool:
        return await recall.holder_of("jobs", received("m1", WALL), received_at) is not None

    assert not await looked_up(0.0)
    await launcher.launch(machine_request(Batch(key(), (entry("m1"),)), generation="g"))
    await asyncio.sleep(1000)
    assert not await looked_up(3.0)
    assert await looked_up(3.5)
    assert [at for at, _ in launcher.listed] == [0.0, 1020.0]


async def test_one_list_goes_back_far_enough_for_all_that_wait_for_it() -> None:
    launcher = SlowFly(list_takes=4.0)
    recall = PreviousLaunches(launcher, lambda: WALL + now())
    looking = [recall.holder_of("jobs", received(f"m{n}", WALL - n), 0.0) for n in range(100)]
    await asyncio.gather(*looking)

    assert [at for at, _ in launcher.listed] == [0.0, 4.0]


async def test_a_stop_does_not_wait_for_the_list_of_a_look_up() -> None:
    launcher = SlowFly(runs_for=500.0)
    made = table(careful())
    crashed = await crash(made, launcher, "{}")
    launcher.list_takes = 300.0
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(70)
        assert scenario.router.held == 1
        scenario.stop.set()
        began = now()

    assert scenario.when(journal.Stopped) == [began]
    assert scenario.of(journal.Stopped) == [journal.Stopped(0)]
    assert len(launcher.flown) == 1


# A Machine that Fly does not know yet


@pytest.mark.parametrize("call", ["metadata", "events"])
async def test_a_machine_that_fly_does_not_know_yet_is_not_taken_for_one_that_holds_nothing(
    call: str,
) -> None:
    launcher = SlowFly(runs_for=500.0, unknown_for={call: 35.0})
    queue = Queue("q", url="q", visibility=60.0)
    made = table(careful(), queues=(queue,))
    crashed = await crash(made, launcher, "{}", after=1.0)
    launcher.flown[0].created_at = WALL + 30.0
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(700)

    assert len(launcher.flown) == 1
    assert scenario.of(journal.WatchFailed)
    assert scenario.queue().inner.empty


async def test_a_machine_that_fly_lists_and_never_knows_stops_look_ups_for_two_minutes_only() -> (
    None
):
    launcher = SlowFly(runs_for=20.0, unknown_for={"metadata": 1e9})
    made = table(careful())
    crashed = await crash(made, launcher, "{}")
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(600)

    assert len(launcher.flown) == 2
    assert launcher.times[1] - launcher.times[0] > 120.0
    assert scenario.queue().inner.empty


async def test_nobody_is_taken_for_done_whose_report_cannot_be_read() -> None:
    launcher = SlowFly(runs_for=20.0)
    made = table(careful())
    crashed = await crash(made, launcher, "{}", report_url="http://router")
    (batch_id,) = launcher.machines
    env = json.loads(launcher.machines[batch_id].body)["config"]["env"]
    (sent,) = (fact.message.id for fact in crashed.of(journal.Received))
    await crashed.reports.take(batch_id, env["LAMBDO_REPORT_TOKEN"], [sent])
    reads: list[float] = []

    class Dropping(SlowFly):
        async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
            reads.append(now())
            if len(reads) == 3:  # the sweep, the look-up, and then what it reported
                raise MachineGone("404", code="machine_gone")
            return await super().metadata(app, machine_id)

    dropping = Dropping(runs_for=20.0, flown=launcher.flown)
    async with running(made, dropping, queues=crashed.queues) as scenario:
        await asyncio.sleep(600)

    assert len(dropping.flown) == 2
    assert scenario.queue().inner.empty


# A name that is taken


async def test_an_adopted_machine_of_an_earlier_delivery_is_believed_what_it_reported() -> None:
    launcher = SlowFly(runs_for=20.0, names_last=65.0)
    made = table(careful())
    crashed = await crash(made, launcher, "{}", report_url="http://router")
    (batch_id,) = launcher.machines
    env = json.loads(launcher.machines[batch_id].body)["config"]["env"]
    (sent,) = (fact.message.id for fact in crashed.of(journal.Received))
    await crashed.reports.take(batch_id, env["LAMBDO_REPORT_TOKEN"], [sent])
    async with running(
        made, launcher, queues=crashed.queues, report_url="http://router"
    ) as scenario:
        await asyncio.sleep(300)
        first = next(iter(scenario.of(journal.Settled)))

    assert isinstance(first.settlement, Retry)
    assert first.settlement.why == "the Machine reported it as failed"
    assert len(launcher.flown) == 2
    assert scenario.queue().inner.empty


async def test_what_an_adopted_machine_reported_is_asked_again_if_fly_does_not_say() -> None:
    launcher = SlowFly(runs_for=100.0, names_last=0.0)
    launcher.hidden = True
    made = table(careful())
    crashed = await crash(made, launcher, "{}", report_url="http://router")
    launcher.flown[0].metadata["lambdo_failed"] = launcher.flown[0].metadata["lambdo_messages"]

    class Silent(SlowFly):
        async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
            if now() < 115.0:
                raise LaunchUnavailable("503", code="unavailable")
            return await super().metadata(app, machine_id)

    silent = Silent(runs_for=20.0, names_last=0.0, flown=launcher.flown, hidden=True)
    async with running(made, silent, queues=crashed.queues) as scenario:
        await asyncio.sleep(75)
        silent.hidden = False
        await asyncio.sleep(500)
        whys = [getattr(fact.settlement, "why", "") for fact in scenario.of(journal.Settled)]

    assert whys == ["503", "succeeded"]
    assert len(silent.flown) == 2
    assert scenario.queue().inner.empty


async def test_an_adopted_machine_keeps_the_deadline_that_it_was_created_with() -> None:
    launcher = SlowFly(runs_for=10_000.0, names_last=0.0, hidden=True)
    made = table(careful(timeout=100.0))
    crashed = await crash(made, launcher, "{}")
    async with running(made, launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(80)
        assert len(scenario.of(journal.Launched)) == 1
        launcher.hidden = False
        await asyncio.sleep(60)
        destroyed = launcher.flown[0].destroyed_at

    assert destroyed is not None
    assert 100.0 <= destroyed <= 104.0
