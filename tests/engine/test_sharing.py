"""Profiles of one queue: none can take what another needs to launch."""

import asyncio
import json
from dataclasses import replace

import pytest
from building import profile, route, table
from scenario import ScriptedLauncher, running

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.profile import Overrides
from lambdo_router.core.routing import Match, Queue, Route, RoutingTable
from lambdo_router.core.settlement import Acknowledge, park_delay
from lambdo_router.engine.router import Limits

FAST = Limits(launch_rate=1000.0, launch_burst=1000)
HOUR = 3600.0


def kind(name: str, queue: str = "q", **changes: object) -> Route:
    match = Match(body=compile_pattern({"kind": [name]}))
    made = profile(name=name, acknowledge="success", **changes)
    return route(name, queues=(queue,), match=match, profile=made)


def beside(*routes: Route, name: str = "q", max_waiting: int = 1000) -> RoutingTable:
    return table(*routes, queues=(Queue(name, url=name, max_waiting=max_waiting),))


class LongJobs(ScriptedLauncher):
    """Machines of profile `a` run for ten hours, the others for ten seconds."""

    def _create(self, request: object) -> None:
        super()._create(request)  # type: ignore[arg-type]
        machine = self.flown[-1]
        if machine.metadata["lambdo_profile"] == "a":
            machine.ends_at += 10 * HOUR


def bodies(name: str, count: int) -> list[str]:
    return [json.dumps({"kind": name})] * count


def launched_of(launcher: ScriptedLauncher, name: str) -> int:
    return sum(machine.metadata["lambdo_profile"] == name for machine in launcher.flown)


@pytest.mark.parametrize("name", ["q", "q.fifo"])
async def test_a_full_profile_does_not_starve_its_neighbour_on_the_queue(name: str) -> None:
    """600 messages of `a` filled what the intake took, and in an hour `b` launched nothing."""
    launcher = LongJobs()
    made = beside(
        kind("a", name, max_machines=1, timeout=11 * HOUR),
        kind("b", name, max_machines=20),
        name=name,
    )
    async with running(made, launcher, limits=FAST) as scenario:
        queue = scenario.queue(name).inner
        for number, body in enumerate((*bodies("a", 600), *bodies("b", 40))):
            queue.put(body, group=f"g{number}" if queue.fifo else None)
        await asyncio.sleep(60)
        soon = launched_of(launcher, "b")
        await asyncio.sleep(HOUR)
        events = [
            len(machine.metadata["lambdo_messages"]) // 11
            for machine in launcher.flown
            if machine.metadata["lambdo_profile"] == "b"
        ]
        held = scenario.router.held

    assert soon > 0
    assert sum(events) == 40
    assert launched_of(launcher, "a") == 1
    assert held <= 500 + 10


async def test_a_full_profile_beside_an_unbounded_one_costs_its_messages_few_receives() -> None:
    """In an hour 620 of 1,200 messages reached their eleventh receive, and never ran."""
    launcher = LongJobs()
    made = beside(kind("a", max_machines=1, timeout=11 * HOUR), kind("b"))
    async with running(made, launcher, limits=FAST) as scenario:
        queue = scenario.queue()
        scenario.put(*bodies("a", 1200))
        for _ in range(60):
            scenario.put(*bodies("b", 1))
            await asyncio.sleep(60)
        counts = receives(scenario.facts)

    assert launched_of(launcher, "b") == 60
    assert max(counts.values()) <= 4
    assert queue.inner.empty is False


def receives(facts: list[tuple[float, journal.Fact]]) -> dict[str, int]:
    return {
        fact.message.id: fact.message.receive_count
        for _, fact in facts
        if isinstance(fact, journal.Received)
    }


async def test_what_is_parked_runs_as_soon_as_its_profile_may_launch_again() -> None:
    launcher = ScriptedLauncher(runs_for=100.0)
    made = beside(kind("a", max_machines=2), kind("b"), max_waiting=40)
    async with running(made, launcher, limits=FAST) as scenario:
        sent = scenario.put(*bodies("a", 200))
        # 20 launches of 10 events, two at a time, each for 100 s: no pause of a parked message.
        await asyncio.sleep(1100)
        settled = scenario.settled()
        counts = receives(scenario.facts)

    assert settled.keys() >= set(sent)
    assert set(settled.values()) == {Acknowledge("succeeded")}
    assert max(counts.values()) <= 3


async def test_a_profile_that_may_launch_no_more_while_it_holds_everything_makes_room() -> None:
    launcher = LongJobs()

    def limited(most: int | None, generation: str) -> RoutingTable:
        slow = kind("a", batch_size=100, batch_window=10.0, max_machines=most, timeout=11 * HOUR)
        return replace(beside(slow, kind("b"), max_waiting=100), generation=generation)

    async with running(limited(None, "g1"), launcher, limits=FAST) as scenario:
        scenario.put(*bodies("a", 1))
        await asyncio.sleep(20)
        scenario.put(*bodies("a", 150))
        await asyncio.sleep(1)
        scenario.put(*bodies("a", 150))
        scenario.swap(limited(1, "g2"))
        await asyncio.sleep(60)
        (sent,) = scenario.put(*bodies("b", 1))
        await asyncio.sleep(60)
        settled = scenario.settled().get(sent)

    assert settled == Acknowledge("succeeded")


async def test_an_image_that_a_sender_chose_and_fly_refuses_leaves_the_others_their_room() -> None:
    class Picky(ScriptedLauncher):
        async def launch(self, request: object) -> object:  # type: ignore[override]
            if "r/bad:1" in request.body:  # type: ignore[attr-defined]
                raise LaunchRejected("400 no such image", code="bad_image")
            return await super().launch(request)  # type: ignore[arg-type]

    choosing = route(
        profile=profile(acknowledge="success"), overrides=Overrides(image=("r/*", "docker.io/r/*"))
    )
    async with running(beside(choosing, max_waiting=40), Picky(), limits=FAST) as scenario:
        scenario.put(*["{}"] * 200, image="docker.io/r/bad:1")
        await asyncio.sleep(60)
        (good,) = scenario.put("{}")
        await asyncio.sleep(60)
        settled = scenario.settled().get(good)

    assert settled == Acknowledge("succeeded")


@pytest.mark.parametrize(
    ("after", "holding"),
    [pytest.param(60.0, 20, id="parked"), pytest.param(1.0, 30, id="being-parked")],
)
async def test_at_a_stop_what_is_parked_is_shown_to_others(after: float, holding: int) -> None:
    launcher = LongJobs()
    made = beside(kind("a", max_machines=1, timeout=11 * HOUR), kind("b"), max_waiting=20)
    async with running(made, launcher, limits=FAST) as scenario:
        scenario.queue().hiding_takes = 3.0
        scenario.put(*bodies("a", 100))
        await asyncio.sleep(after)
        held = scenario.router.held
        scenario.stop.set()
        await asyncio.sleep(30)
        visible = 0
        while received := await scenario.queue().inner.receive(10, HOUR):
            visible += len(received)

    assert held == holding
    assert visible == 100


@pytest.mark.parametrize("after", [0.5, 2.5, 5.5], ids=["before", "amid", "after"])
async def test_at_a_stop_amid_making_room_nothing_stays_hidden(after: float) -> None:
    def limited(most: int | None, generation: str) -> RoutingTable:
        slow = kind("a", batch_size=100, batch_window=10.0, max_machines=most, timeout=11 * HOUR)
        return replace(beside(slow, kind("b"), max_waiting=100), generation=generation)

    async with running(limited(None, "g1"), LongJobs(), limits=FAST) as scenario:
        scenario.put(*bodies("a", 1))
        await asyncio.sleep(20)
        scenario.put(*bodies("a", 150))
        await asyncio.sleep(1)
        scenario.put(*bodies("a", 150))
        scenario.queue().hiding_takes = 3.0
        scenario.swap(limited(1, "g2"))
        await asyncio.sleep(after)
        scenario.stop.set()
        await asyncio.sleep(40)
        visible = 0
        while received := await scenario.queue().inner.receive(10, HOUR):
            visible += len(received)

    assert visible == 301


def test_a_parked_message_is_hidden_for_longer_with_each_receive_within_sqs_s_12_hours() -> None:
    delays = [park_delay(count, held_for=0.0) for count in (1, 2, 3, 7, 8, 1000)]
    assert delays == [600.0, 1200.0, 2400.0, 38_400.0, 43_198.0, 43_198.0]
    assert park_delay(8, held_for=43_000.0) == 198.0


async def test_groups_of_a_full_profile_are_fetched_one_by_one_and_in_order() -> None:
    """Parking hides the first of a group; what a receive brings with it must have its place too."""
    launcher = ScriptedLauncher(runs_for=30.0)
    name = "q.fifo"
    made = beside(kind("a", name, max_machines=1), kind("b", name), name=name, max_waiting=100)
    async with running(made, launcher, limits=FAST) as scenario:
        queue = scenario.queue(name).inner
        sent = [
            queue.put(body, group=f"g{number % 60}") for number, body in enumerate(bodies("a", 300))
        ]
        await asyncio.sleep(2100)
        settled = scenario.settled()
        counts = receives(scenario.facts)
        order = [fact.message_id for fact in scenario.of(journal.Settled)]

    assert {i for i in sent if settled.get(i) == Acknowledge("succeeded")} == set(sent)
    assert max(counts.values()) <= 4
    done = [i for i in order if settled[i] == Acknowledge("succeeded")]
    for group in range(60):
        ids = sent[group::60]
        assert sorted(ids, key=done.index) == ids
