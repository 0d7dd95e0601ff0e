"""`acknowledge: success`: a message is done when its Machine has said so."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest
from building import profile, route, table
from scenario import FlownMachine, Scenario, ScriptedLauncher, now, running

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected, LaunchUnavailable
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.ports import MachineEnd
from lambdo_router.core.routing import Match, Queue, Route, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Retry
from lambdo_router.engine.router import Limits

FAST = Limits(launch_rate=1000.0, launch_burst=1000)


def careful(**changes: object) -> RoutingTable:
    return table(route(profile=profile(acknowledge="success", **changes)))


def kind(name: str, **changes: object) -> Route:
    match = Match(attributes=compile_pattern({"kind": [name]}))
    return route(name, match=match, profile=profile(name=name, acknowledge="success", **changes))


def events_of(machine: FlownMachine) -> int:
    return int(json.loads(machine.request.body)["config"]["env"]["LAMBDO_EVENT_COUNT"])


# The end of a Machine


async def test_a_message_is_deleted_when_its_machine_has_exited_with_0_and_not_before() -> None:
    async with running(careful(), ScriptedLauncher(runs_for=100.0)) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(99)
        assert scenario.queue().times("delete") == []
        await asyncio.sleep(10)

    assert scenario.settled() == {sent: Acknowledge("succeeded")}
    (deleted,) = scenario.queue().times("delete")
    assert 100.0 <= deleted <= 104.0


async def test_messages_that_end_alike_go_to_sqs_together() -> None:
    launcher = ScriptedLauncher(runs_for=20.0, ends=[MachineEnd(0), MachineEnd(1)])
    async with running(careful(batch_size=5, batch_window=1.0), launcher) as scenario:
        scenario.put(*["{}"] * 10)
        await asyncio.sleep(25)
        calls = [(call, len(ids)) for _, call, ids, _ in scenario.queue().calls]

    assert calls == [("delete", 5), ("visibility", 5)]


async def test_a_retry_that_sqs_refuses_is_no_settlement() -> None:
    launcher = ScriptedLauncher(runs_for=20.0, ends=[MachineEnd(1)])
    async with running(careful(), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)
        scenario.queue().refusing = True
        await asyncio.sleep(15)
        scenario.queue().refusing = False
        retried = [f for f in scenario.of(journal.Settled) if isinstance(f.settlement, Retry)]

    assert retried == []
    assert [fact.action for fact in scenario.of(journal.SettlementFailed)] == ["retry"]


@pytest.mark.parametrize(
    ("end", "said"),
    [
        pytest.param(MachineEnd(3), "exited with code 3", id="non-zero"),
        pytest.param(MachineEnd(137, oom_killed=True), "OOM", id="oom"),
        pytest.param(MachineEnd(None), "without having run", id="never-ran"),
        pytest.param(MachineEnd(0, requested_stop=True), "stopped from outside", id="stopped"),
    ],
)
async def test_a_machine_that_failed_gives_its_messages_back_and_is_launched_again(
    end: MachineEnd, said: str
) -> None:
    launcher = ScriptedLauncher(ends=[end])
    async with running(careful(), launcher) as scenario:
        first, second = scenario.put("{}", "{}")
        await asyncio.sleep(14)
        settled = scenario.settled()
        await asyncio.sleep(30)

    assert settled.keys() == {first, second}
    for settlement in settled.values():
        assert isinstance(settlement, Retry)
        assert settlement.delay == 5.0
        assert said in settlement.why
    assert len(launcher.flown) == 2
    assert scenario.settled() == dict.fromkeys([first, second], Acknowledge("succeeded"))
    assert scenario.queue().inner.empty


async def test_max_attempts_rejects_with_the_machines_own_failure() -> None:
    launcher = ScriptedLauncher(ends=[MachineEnd(1), MachineEnd(137, oom_killed=True)])
    made = route(profile=profile(acknowledge="success", max_attempts=2))
    queues = Queue("q", url="q", reject_to="rejected"), Queue("rejected", url="r")
    async with running(table(made, queues=queues), launcher) as scenario:
        scenario.put('{"n": 1}')
        await asyncio.sleep(60)

    (rejected,) = await scenario.queue("rejected").inner.receive(10, 1.0)
    reason = json.loads(str(rejected.attributes["lambdo_rejection"].value))
    assert rejected.body == '{"n": 1}'
    assert (reason["reason"], reason["attempts"]) == ("max_attempts", 2)
    assert "OOM" in reason["detail"]
    assert len(launcher.flown) == 2


async def test_leases_grow_while_a_machine_runs() -> None:
    launcher = ScriptedLauncher(runs_for=3000.0)
    async with running(careful(timeout=4000.0), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(3100)

    assert scenario.queue().times("visibility")[:6] == [30.0, 60.0, 120.0, 240.0, 480.0, 780.0]
    assert scenario.settled() == {sent: Acknowledge("succeeded")}
    assert scenario.of(journal.LeaseLost) == []


async def test_a_list_that_comes_back_empty_ends_no_machine() -> None:
    launcher = ScriptedLauncher(runs_for=100.0, hidden=True)
    async with running(careful(), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(90)
        assert scenario.settled() == {}
        await asyncio.sleep(20)

    assert scenario.settled() == {sent: Acknowledge("succeeded")}


async def test_while_fly_does_not_answer_nothing_is_settled_and_nothing_is_lost() -> None:
    launcher = ScriptedLauncher(runs_for=10.0)
    async with running(careful(), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(1)
        launcher.watch_failing = LaunchUnavailable("503", code="unavailable", ambiguous=True)
        await asyncio.sleep(300)
        assert scenario.settled() == {}
        asked = len(launcher.calls)
        launcher.watch_failing = None
        await asyncio.sleep(40)

    assert scenario.settled() == {sent: Acknowledge("succeeded")}
    assert asked < 30
    assert len(launcher.flown) == 1


async def test_a_machine_that_outlives_its_timeout_is_destroyed_and_its_messages_retried() -> None:
    launcher = ScriptedLauncher(runs_for=10_000.0)
    async with running(careful(timeout=60.0), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(70)
        settlement = scenario.settled()[sent]

    destroyed = launcher.flown[0].destroyed_at
    assert destroyed is not None
    assert 60.0 <= destroyed <= 64.0
    assert isinstance(settlement, Retry)
    assert settlement.why == "timed out and was destroyed"


async def test_what_was_launched_and_forgotten_is_destroyed_too() -> None:
    launcher = ScriptedLauncher(runs_for=10_000.0)
    async with running(table(route(profile=profile(timeout=60.0))), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(200)
        assert scenario.of(journal.MachineOverdue)

    assert launcher.flown[0].destroyed_at is not None


async def test_another_router_destroys_what_a_crashed_one_left_running() -> None:
    launcher = ScriptedLauncher(runs_for=10_000.0)
    async with running(table(route(profile=profile(timeout=60.0))), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(1)
    async with running(table(route(profile=profile(timeout=60.0))), launcher):
        await asyncio.sleep(150)

    assert launcher.flown[0].destroyed_at is not None


# Reports of single events


async def report(scenario: Scenario, batch_id: str, *failed: str) -> None:
    env = json.loads(scenario.launcher.machines[batch_id].body)["config"]["env"]
    assert env["LAMBDO_REPORT_URL"] == f"http://router/reports/{batch_id}"
    await scenario.reports.take(batch_id, env["LAMBDO_REPORT_TOKEN"], failed)


async def test_what_a_machine_reports_as_failed_is_retried_and_the_rest_deleted() -> None:
    async with running(careful(), report_url="http://router") as scenario:
        good, bad = scenario.put("{}", "{}")
        await asyncio.sleep(5)
        (batch_id,) = scenario.launcher.machines
        await report(scenario, batch_id, bad)
        await asyncio.sleep(9)
        settled = scenario.settled()
        await asyncio.sleep(30)

    assert settled[good] == Acknowledge("succeeded")
    assert isinstance(settled[bad], Retry)
    assert [events_of(machine) for machine in scenario.launcher.flown] == [2, 1]
    assert scenario.queue().inner.empty


async def test_a_report_does_not_save_a_machine_that_exits_with_1() -> None:
    launcher = ScriptedLauncher(ends=[MachineEnd(1)])
    async with running(careful(), launcher, report_url="http://router") as scenario:
        first, second = scenario.put("{}", "{}")
        await asyncio.sleep(5)
        (batch_id,) = launcher.machines
        await report(scenario, batch_id, first)
        await asyncio.sleep(9)
        settled = scenario.settled()

    assert isinstance(settled[first], Retry)
    assert isinstance(settled[second], Retry)


# Redelivery, and what a crashed router leaves behind


async def crash(made: RoutingTable, launcher: ScriptedLauncher, *bodies: str) -> Scenario:
    """Run a router for five seconds, and kill it."""
    found: list[Scenario] = []

    async def live() -> None:
        async with running(made, launcher) as scenario:
            found.append(scenario)
            scenario.put(*bodies)
            await asyncio.sleep(1000)

    task = asyncio.create_task(live())
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.wait({task})
    return found[0]


async def test_a_machine_that_runs_is_taken_over_and_not_launched_again() -> None:
    launcher = ScriptedLauncher(runs_for=200.0)
    crashed = await crash(careful(), launcher, "{}", "{}")
    async with running(careful(), launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(150)
        assert scenario.settled() == {}
        assert len(scenario.of(journal.MachineAdopted)) == 2
        await asyncio.sleep(70)

    assert len(launcher.flown) == 1
    assert set(scenario.settled().values()) == {Acknowledge("succeeded")}
    assert scenario.queue().inner.empty


async def test_what_ended_well_before_the_redelivery_is_deleted() -> None:
    launcher = ScriptedLauncher(runs_for=20.0)
    crashed = await crash(careful(), launcher, "{}")
    async with running(careful(), launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(70)

    assert len(launcher.flown) == 1
    assert set(scenario.settled().values()) == {Acknowledge("succeeded")}


async def test_what_failed_before_the_redelivery_is_launched_again() -> None:
    launcher = ScriptedLauncher(runs_for=20.0, ends=[MachineEnd(1)])
    crashed = await crash(careful(), launcher, "{}")
    async with running(careful(), launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(100)

    assert len(launcher.flown) == 2
    assert scenario.queue().inner.empty


async def test_with_acknowledge_launch_a_launched_message_is_only_deleted() -> None:
    launcher = ScriptedLauncher(runs_for=1.0)
    made = table(route())
    found: list[Scenario] = []

    async def live() -> None:
        async with running(made, launcher) as scenario:
            found.append(scenario)
            scenario.queue().delete_takes = 100.0
            scenario.put("{}")
            await asyncio.sleep(1000)

    task = asyncio.create_task(live())
    await asyncio.sleep(5)
    task.cancel()
    await asyncio.wait({task})
    found[0].queue().delete_takes = 0.0
    async with running(made, launcher, queues=found[0].queues) as scenario:
        await asyncio.sleep(70)

    assert len(launcher.flown) == 1
    assert scenario.queue().inner.empty


async def test_what_was_reported_as_failed_before_a_crash_is_launched_again_and_only_that() -> None:
    launcher = ScriptedLauncher(runs_for=30.0)
    found: list[Scenario] = []

    async def live() -> None:
        async with running(careful(), launcher, report_url="http://router") as scenario:
            found.append(scenario)
            scenario.put('{"n":1}', '{"n":2}')
            await asyncio.sleep(1000)

    task = asyncio.create_task(live())
    await asyncio.sleep(5)
    (batch_id,) = launcher.machines
    messages = [fact.message.id for fact in found[0].of(journal.Received)]
    await report(found[0], batch_id, messages[0])
    task.cancel()
    await asyncio.wait({task})
    async with running(careful(), launcher, queues=found[0].queues) as scenario:
        await asyncio.sleep(150)

    assert [events_of(machine) for machine in launcher.flown] == [2, 1]
    assert scenario.queue().inner.empty


async def test_while_fly_does_not_say_a_redelivered_message_is_not_launched() -> None:
    launcher = ScriptedLauncher(runs_for=20.0)
    crashed = await crash(careful(), launcher, "{}")
    launcher.watch_failing = LaunchUnavailable("503", code="unavailable", ambiguous=True)
    async with running(careful(), launcher, queues=crashed.queues) as scenario:
        await asyncio.sleep(200)
        assert len(launcher.flown) == 1
        assert len(scenario.of(journal.WatchFailed)) > 4
        launcher.watch_failing = None
        await asyncio.sleep(100)

    assert len(launcher.flown) == 1
    assert scenario.queue().inner.empty


# Stop


async def test_stop_hands_running_machines_over_with_a_short_delay() -> None:
    launcher = ScriptedLauncher(runs_for=100.0)
    async with running(careful(), launcher) as first:
        first.put("{}")
        await asyncio.sleep(10)
        first.stop.set()
        await asyncio.sleep(1)
        backs = [(at, seconds) for at, _, _, seconds in first.queue().calls]
        assert backs == [(10.0, 5.0)]
    async with running(careful(), launcher, queues=first.queues) as second:
        await asyncio.sleep(120)

    assert len(launcher.flown) == 1
    assert set(second.settled().values()) == {Acknowledge("succeeded")}


# Limits and neighbours


async def test_no_more_machines_run_than_max_machines() -> None:
    launcher = ScriptedLauncher(runs_for=30.0)
    most = 0
    async with running(careful(max_machines=3, batch_size=1), launcher, limits=FAST) as scenario:
        scenario.put(*["{}"] * 12)
        for _ in range(200):
            await asyncio.sleep(1)
            most = max(most, sum(not machine.ended() for machine in launcher.flown))

    assert most == 3
    assert len(launcher.flown) == 12
    assert scenario.queue().inner.empty


@pytest.mark.parametrize(("before", "after"), [(2, 20), (2, None), (20, 2)])
async def test_a_limit_that_a_reload_changes_counts_for_what_waits_too(
    before: int, after: int | None
) -> None:
    launcher = ScriptedLauncher(runs_for=30.0)
    old = careful(batch_size=1, max_machines=before)
    async with running(old, launcher, limits=FAST) as scenario:
        scenario.put(*["{}"] * 60)
        await asyncio.sleep(10)
        new = careful(batch_size=1, max_machines=after)
        scenario.swap(replace(new, generation="g2"))
        for _ in range(80):
            scenario.put("{}")
            await asyncio.sleep(5)
        await asyncio.sleep(2000)

    assert len(launcher.flown) == 140
    assert scenario.queue().inner.empty


async def test_with_max_machines_reached_no_more_is_received_than_a_batch() -> None:
    launcher = ScriptedLauncher(runs_for=1000.0)
    async with running(careful(max_machines=1, batch_size=5), launcher, limits=FAST) as scenario:
        scenario.put(*["{}"] * 100)
        await asyncio.sleep(100)
        held = scenario.router.held

    assert held <= 5 + 10
    assert len(launcher.flown) == 1


async def test_a_limit_for_the_app_holds_for_all_its_profiles() -> None:
    launcher = ScriptedLauncher(runs_for=30.0)
    limits = Limits(1000.0, 1000, machines_per_app=2)
    most = 0
    async with running(table(kind("a"), kind("b")), launcher, limits=limits) as scenario:
        for number in range(6):
            scenario.put("{}", kind="ab"[number % 2])
            await asyncio.sleep(1)
        for _ in range(150):
            await asyncio.sleep(1)
            most = max(most, sum(not machine.ended() for machine in launcher.flown))

    assert most == 2
    assert scenario.queue().inner.empty


async def test_a_bad_image_is_probed_with_growing_pauses_and_the_other_route_keeps_its_pace() -> (
    None
):
    refused = LaunchRejected("400 no such image", code="bad_image")

    class Picky(ScriptedLauncher):
        async def launch(self, request: object) -> object:  # type: ignore[override]
            self.script = [refused] if "bad" in request.name else []  # type: ignore[attr-defined]
            return await super().launch(request)  # type: ignore[arg-type]

    launcher = Picky(runs_for=1.0)
    async with running(table(kind("bad"), kind("good")), launcher) as scenario:
        for _ in range(60):
            scenario.put("{}", kind="bad")
            scenario.put("{}", kind="good")
            await asyncio.sleep(2)
        probes = [at for at, name in launcher.attempts if "bad" in name]
        good = Counter(fact.batch.key.route.name for fact in scenario.of(journal.Launched))

    assert probes == [0.0, 15.0, 45.0, 105.0]
    assert good == {"good": 60}
    assert len(scenario.of(journal.ProfileFailing)) == 4


async def test_a_refused_profile_recovers_by_itself() -> None:
    refused = LaunchRejected("400 no such image", code="bad_image")
    launcher = ScriptedLauncher(script=[refused, refused], runs_for=1.0)
    async with running(careful(), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(70)

    assert launcher.times == [0.0, 15.0, 45.0]
    assert len(scenario.of(journal.ProfileRecovered)) == 1
    assert scenario.queue().inner.empty


async def test_a_thousand_machines_are_watched_within_flys_limits() -> None:
    launcher = ScriptedLauncher(runs_for=600.0)
    queues = (Queue("q", url="q", max_waiting=100_000),)
    made = table(route(profile=profile(acknowledge="success", batch_size=1)), queues=queues)
    async with running(made, launcher, limits=FAST) as scenario:
        scenario.put(*["{}"] * 1000)
        await asyncio.sleep(700)

    lists = Counter(int(at) for at, call in launcher.calls if call == "list")
    assert len(launcher.flown) == 1000
    assert max(lists.values()) == 1
    assert Counter(call for _, call in launcher.calls)["events"] == 1000
    assert scenario.queue().inner.empty
    assert now() < 800.0
