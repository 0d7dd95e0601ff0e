"""A profile with several apps: each takes creates of its own, and all are one for the rest."""

import asyncio
from collections import Counter

from building import profile, route, table
from routes_files import compiled
from scenario import Scenario, ScriptedLauncher, running

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected, LaunchUnavailable
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.core.settlement import Acknowledge
from lambdo_router.engine.router import Limits

SLOW = Limits(launch_rate=1.0, launch_burst=1)


def spread(*apps: str, **changes: object) -> RoutingTable:
    first, *more = apps
    made = profile(app=first, more_apps=tuple(more), batch_size=1, **changes)
    return table(route(profile=made), queues=(Queue("q", url="q", max_waiting=10_000),))


def by_app(launcher: ScriptedLauncher) -> Counter[str]:
    return Counter(machine.request.app for machine in launcher.flown)


async def test_three_apps_take_three_times_as_many_machines() -> None:
    launcher = ScriptedLauncher()
    async with running(spread("a", "b", "c"), launcher, limits=SLOW) as scenario:
        scenario.put(*["{}"] * 500)
        await asyncio.sleep(100.5)
        found = by_app(launcher)

    # One at once and one a second; the first bucket is taken for full 0.25 s later.
    assert found == {"a": 101, "b": 101, "c": 101}


async def test_a_routes_file_may_name_them() -> None:
    text = """
        version: 1
        queues: {q: {url: "https://sqs.us-east-1.amazonaws.com/123456789012/q"}}
        profiles: {worker: {app: [a, b], image: "nginx:1", batch_size: 1, acknowledge: launch}}
        routes: [{name: orders, queue: q, profile: worker}]
    """
    made = compiled(text)
    launcher = ScriptedLauncher()
    async with running(
        RoutingTable("g1", made.queues, made.routes), launcher, limits=SLOW
    ) as scenario:
        scenario.put(*["{}"] * 50)
        await asyncio.sleep(20.5)

    assert by_app(launcher) == {"a": 21, "b": 21}


async def test_what_is_launched_at_leisure_goes_round() -> None:
    launcher = ScriptedLauncher()
    limits = Limits(launch_rate=0.1, launch_burst=1)
    async with running(spread("a", "b"), launcher, limits=limits) as scenario:
        for _ in range(6):
            scenario.put("{}")
            await asyncio.sleep(6)

    assert by_app(launcher) == {"a": 3, "b": 3}


async def test_max_machines_counts_those_of_all_apps() -> None:
    launcher = ScriptedLauncher(runs_for=1000.0)
    made = spread("a", "b", acknowledge="success", max_machines=3)
    async with running(made, launcher, limits=SLOW) as scenario:
        scenario.put(*["{}"] * 20)
        await asyncio.sleep(60)

    assert sum(by_app(launcher).values()) == 3


async def test_an_app_that_is_full_is_passed_over() -> None:
    launcher = ScriptedLauncher(runs_for=1000.0)
    limits = Limits(launch_rate=1.0, launch_burst=1, machines_per_app=2)
    made = spread("a", "b", acknowledge="success")
    async with running(made, launcher, limits=limits) as scenario:
        scenario.put(*["{}"] * 20)
        await asyncio.sleep(60)

    assert by_app(launcher) == {"a": 2, "b": 2}


class _Refusing(ScriptedLauncher):
    """One of its apps takes nothing."""

    async def launch(self, request: MachineRequest) -> Machine:
        if request.app == "a":
            raise LaunchRejected("400 no such app", code="bad_app")
        return await super().launch(request)


async def test_an_app_that_refuses_does_not_stop_the_others() -> None:
    launcher = _Refusing()
    async with running(spread("a", "b"), launcher, limits=SLOW) as scenario:
        scenario.put(*["{}"] * 20)
        await asyncio.sleep(60)

    assert by_app(launcher) == {"b": 20}
    assert {fact.app for fact in scenario.of(journal.ProfileFailing)} == {"a"}
    assert scenario.queue().inner.empty


async def test_a_message_is_found_again_in_whichever_app_its_machine_is() -> None:
    launcher = ScriptedLauncher(runs_for=200.0)
    made = spread("a", "b", acknowledge="success")
    found: list[Scenario] = []

    async def live() -> None:
        async with running(made, launcher, limits=SLOW) as scenario:
            found.append(scenario)
            scenario.put("{}", "{}")
            await asyncio.sleep(1000)

    crashed = asyncio.create_task(live())
    await asyncio.sleep(5)
    crashed.cancel()
    await asyncio.wait({crashed})
    assert by_app(launcher) == {"a": 1, "b": 1}
    async with running(made, launcher, limits=SLOW, queues=found[0].queues) as scenario:
        await asyncio.sleep(300)

    assert by_app(launcher) == {"a": 1, "b": 1}
    assert list(scenario.settled().values()) == [Acknowledge("succeeded")] * 2
    assert scenario.queue().inner.empty


async def test_a_batch_that_waits_takes_whichever_app_has_room_first() -> None:
    """It waited 10,000 s for the app that it had chosen when both were full."""
    launcher = ScriptedLauncher(runs_for=10_000.0)
    limits = Limits(launch_rate=1.0, launch_burst=1, machines_per_app=1)
    made = spread("a", "b", acknowledge="success", timeout=30_000.0)
    async with running(made, launcher, limits=limits) as scenario:
        scenario.put("{}", "{}")
        await asyncio.sleep(5)
        launcher.flown[1].ends_at = 65.0
        scenario.put("{}")
        await asyncio.sleep(65)

    assert by_app(launcher) == {"a": 1, "b": 2}
    assert [fact.batch.key.profile.app for fact in scenario.of(journal.Launched)] == ["a", "b", "b"]


async def test_a_batch_that_waits_for_a_slot_of_a_closed_app_goes_to_another() -> None:
    class _Limiting(ScriptedLauncher):
        async def launch(self, request: MachineRequest) -> Machine:
            if request.app == "a":
                raise LaunchUnavailable("429", code="rate_limited", retry_after=300.0)
            return await super().launch(request)

    launcher = _Limiting(takes=1.0)
    async with running(spread("a", "b"), launcher, limits=SLOW) as scenario:
        scenario.put(*["{}"] * 10)
        await asyncio.sleep(30)

    # One went to `a`, which answered 429; the others were not to wait for it.
    assert by_app(launcher)["b"] >= 9
