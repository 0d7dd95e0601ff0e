"""Reload, neighbours and stop, in every state that a message can be in."""

import asyncio
from dataclasses import dataclass, field

import pytest
from building import profile, route, table
from memory_queue import MemoryQueue
from scenario import Scenario, ScriptedLauncher, SpiedQueue, now, running, unavailable

from lambdo_router.core import journal
from lambdo_router.core.errors import (
    LaunchRejected,
    LaunchUnavailable,
    QueueRefused,
    QueueUnavailable,
)
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.ports import MachineSummary, MessageQueue
from lambdo_router.core.routing import Match, Queue, RoutingTable
from lambdo_router.core.settlement import Acknowledge
from lambdo_router.engine.router import Limits

BUSY = LaunchUnavailable("Machines API: 503", code="unavailable")
A, B = Queue("a", url="a"), Queue("b", url="b")
FIFO = Queue("f.fifo", url="f.fifo")


def both(**changes: object) -> RoutingTable:
    made = profile(**changes)
    routes = (route("a", queues=("a",), profile=made), route("b", queues=("b",), profile=made))
    return table(*routes, queues=(A, B))


# Reload


async def test_a_new_table_decides_what_is_received_from_then_on() -> None:
    old, new = profile(image="r/old:1"), profile(image="r/new:1")
    async with running(table(route(profile=old))) as scenario:
        scenario.put("{}")
        await asyncio.sleep(1)
        scenario.swap(table(route(profile=new), generation="g2"))
        await asyncio.sleep(1)
        scenario.put("{}")
        await asyncio.sleep(1)

    images = [fact.batch.key.profile.image for fact in scenario.of(journal.Launched)]
    assert images == ["r/old:1", "r/new:1"]
    assert [fact.generation for fact in scenario.of(journal.TableActivated)] == ["g1", "g2"]


async def test_an_unchanged_route_goes_on_filling_its_batch_over_a_reload() -> None:
    slow = profile(batch_window=10.0)
    async with running(table(route(profile=slow))) as scenario:
        scenario.put("{}")
        await asyncio.sleep(5)
        other = route("other", match=Match(attributes=compile_pattern({"x": ["y"]})))
        scenario.swap(table(other, route(profile=profile(batch_window=10.0)), generation="g2"))
        await asyncio.sleep(1)
        scenario.put("{}")
        await asyncio.sleep(10)

    assert scenario.launched() == [(10.0, 2)]


async def test_a_batch_of_a_changed_route_launches_as_its_events_were_routed() -> None:
    async with running(table(route(profile=profile(batch_window=10.0)))) as scenario:
        scenario.put("{}")
        await asyncio.sleep(5)
        changed = profile(batch_window=1.0, image="r/new:1")
        scenario.swap(table(route(profile=changed), generation="g2"))
        await asyncio.sleep(1)
        scenario.put("{}")
        await asyncio.sleep(10)

    assert [
        (at, fact.batch.key.profile.image)
        for at, fact in scenario.facts
        if isinstance(fact, journal.Launched)
    ] == [(7.0, "r/new:1"), (10.0, "registry.fly.io/jobs:1")]


async def test_messages_that_wait_for_a_slot_or_an_answer_finish_over_a_reload() -> None:
    launcher = ScriptedLauncher(takes=10.0)
    limits = Limits(launch_rate=0.1, launch_burst=1)
    async with running(table(route(profile=profile(batch_size=1))), launcher, limits=limits) as s:
        launching, waiting = s.put("{}", "{}")
        await asyncio.sleep(5)
        s.swap(table(route("another"), generation="g2"))
        await asyncio.sleep(30)

    assert s.settled() == {
        launching: Acknowledge("launched"),
        waiting: Acknowledge("launched"),
    }


async def test_a_queue_that_comes_with_a_reload_is_read_and_one_that_goes_drains() -> None:
    launcher = ScriptedLauncher(takes=5.0)
    only_a = table(route("a", queues=("a",)), queues=(A,))
    only_b = table(route("b", queues=("b",)), queues=(B,), generation="g2")

    def with_b(scenario: Scenario) -> None:
        scenario.queues["b"] = SpiedQueue(MemoryQueue("b"))

    async with running(only_a, launcher, prepare=with_b) as scenario:
        await asyncio.sleep(1)
        (under_way,) = scenario.put("{}", queue="a")
        await asyncio.sleep(1)
        scenario.swap(only_b)
        await asyncio.sleep(1)
        (in_b,) = scenario.put("{}", queue="b")
        (too_late,) = scenario.put("{}", queue="a")
        await asyncio.sleep(60)
        assert [fact.queue for fact in scenario.of(journal.QueueClosed)] == ["a"]

    assert set(scenario.settled()) == {under_way, in_b}
    (left,) = await scenario.queue("a").inner.receive(10, 1.0)
    assert (left.id, left.receive_count) == (too_late, 1)


async def test_a_reload_leaves_the_queues_it_does_not_touch_alone() -> None:
    async with running(both()) as scenario:
        await asyncio.sleep(1)
        scenario.swap(table(route("b", queues=("b",)), queues=(B,), generation="g2"))
        await asyncio.sleep(1)
        scenario.swap(both())
        await asyncio.sleep(60)
        opened = [fact.queue for fact in scenario.of(journal.QueueOpened)]

    assert sorted(opened) == ["a", "a", "b"]


async def test_a_queue_that_cannot_be_opened_after_a_reload_is_tried_again_and_hurts_nobody() -> (
    None
):
    def closed(scenario: Scenario) -> None:
        scenario.unopenable["a"] = QueueUnavailable("unreachable")

    async with running(both(), prepare=closed) as scenario:
        scenario.put("{}", queue="a")
        scenario.put("{}", queue="b")
        await asyncio.sleep(10)
        assert [fact.batch.key.queue for fact in scenario.of(journal.Launched)] == ["b"]
        scenario.unopenable.clear()
        await asyncio.sleep(60)

    assert [fact.batch.key.queue for fact in scenario.of(journal.Launched)] == ["b", "a"]


async def test_a_queue_that_was_never_opened_can_go_again() -> None:
    def closed(scenario: Scenario) -> None:
        scenario.unopenable["a"] = QueueRefused("no such queue")

    async with running(both(), prepare=closed) as scenario:
        await asyncio.sleep(1)
        scenario.swap(table(route("b", queues=("b",)), queues=(B,), generation="g2"))
        await asyncio.sleep(100)

    assert [fact.queue for fact in scenario.of(journal.QueueFailed)] == ["a"]


# Neighbours


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(QueueRefused("no such queue", code="QueueDoesNotExist"), id="dead"),
        pytest.param(
            QueueUnavailable("slow down", code="RequestThrottled", retry_after=5.0), id="throttled"
        ),
    ],
)
async def test_a_bad_queue_does_not_slow_the_other(error: QueueRefused | QueueUnavailable) -> None:
    def bad(scenario: Scenario) -> None:
        for call in ("receive", "delete", "visibility"):
            scenario.queue("a").failing[call] = error

    async with running(both(), prepare=bad) as scenario:
        for _ in range(20):
            scenario.put("{}", queue="b")
            await asyncio.sleep(2)
        calls = len(scenario.when(journal.QueueFailed))

    assert scenario.launched() == [(float(2 * n), 1) for n in range(20)]
    assert calls <= 10


# Stop


async def test_a_stop_waits_for_no_long_poll() -> None:
    async with running(table(route())) as scenario:
        await asyncio.sleep(1)
        scenario.stop.set()
        stopped_at = asyncio.get_running_loop().time()

    assert asyncio.get_running_loop().time() == stopped_at
    (late,) = scenario.put("{}")
    (message,) = await scenario.queue().inner.receive(10, 1.0)
    assert (message.id, message.receive_count) == (late, 1)


async def test_what_a_receive_brings_at_the_moment_of_the_stop_is_released() -> None:
    async with running(table(route())) as scenario:
        await asyncio.sleep(1)
        (just_now,) = scenario.put("{}")
        scenario.stop.set()

    assert [fact.message_ids for fact in scenario.of(journal.GivenBack)] == [(just_now,)]
    assert scenario.launched() == []


async def test_stop_gives_back_open_batches_at_once() -> None:
    async with running(table(route(profile=profile(batch_window=60.0)))) as scenario:
        waiting = scenario.put("{}", "{}")
        await asyncio.sleep(1)
        scenario.stop.set()
        await asyncio.sleep(0.1)
        back = await scenario.queue().inner.receive(10, 30.0)

    assert sorted(m.id for m in back) == sorted(waiting)
    assert now() <= 21.0


async def test_stop_gives_back_what_waits_for_a_slot_and_finishes_what_is_being_launched() -> None:
    launcher = ScriptedLauncher(takes=10.0)
    limits = Limits(launch_rate=0.01, launch_burst=1)
    async with running(table(route(profile=profile(batch_size=1))), launcher, limits=limits) as s:
        launching, waiting = s.put("{}", "{}")
        await asyncio.sleep(1)
        s.stop.set()

    assert s.settled() == {launching: Acknowledge("launched")}
    assert s.of(journal.GivenBack)[0].message_ids == (waiting,)
    assert s.of(journal.Stopped) == [journal.Stopped(0)]


async def test_stop_ends_the_pause_before_another_attempt_and_gives_back() -> None:
    launcher = ScriptedLauncher(script=[BUSY, BUSY, BUSY])
    async with running(table(route()), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(4)
        scenario.stop.set()
        await asyncio.sleep(0.1)
        assert scenario.of(journal.GivenBack)[0].message_ids == (sent,)

    assert launcher.times == [0.0, 1.0, 3.0]


async def test_stop_in_doubt_looks_the_machine_up_before_it_gives_back() -> None:
    lost = LaunchUnavailable("no answer", code="connection", ambiguous=True)
    launcher = ScriptedLauncher(takes=5.0, script=[lost], created_all_the_same=True)
    async with running(table(route()), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(1)
        scenario.stop.set()

    assert scenario.settled() == {sent: Acknowledge("launched")}


async def test_stop_waits_for_deletes_and_goes_on_renewing_meanwhile() -> None:
    queues = (Queue("q", url="q", visibility=10.0),)

    def slow(scenario: Scenario) -> None:
        scenario.queue().delete_takes = 12.0

    async with running(table(route(), queues=queues), prepare=slow) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(1)
        scenario.stop.set()

    assert scenario.settled() == {sent: Acknowledge("launched")}
    assert scenario.queue().times("visibility") == [5.0, 10.0]
    assert scenario.of(journal.LeaseLost) == []


async def test_the_grace_bounds_a_stop_and_says_what_was_abandoned() -> None:
    launcher = ScriptedLauncher(takes=500.0)
    async with running(table(route()), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)
        scenario.stop.set()

    assert now() == 35.0
    assert scenario.of(journal.Stopped) == [journal.Stopped(1)]
    assert scenario.settled() == {}


async def test_stop_with_a_dead_queue_is_quick() -> None:
    def dead(scenario: Scenario) -> None:
        scenario.queue("a").failing["receive"] = unavailable()
        scenario.unopenable["b"] = unavailable()

    async with running(both(), prepare=dead) as scenario:
        await asyncio.sleep(100)
        scenario.stop.set()

    assert now() == 100.0


async def test_cancelling_ends_at_once() -> None:
    async def run() -> None:
        async with running(table(route()), ScriptedLauncher(takes=500.0)) as scenario:
            scenario.put("{}")
            await asyncio.sleep(50)

    task = asyncio.create_task(run())
    await asyncio.sleep(10)
    task.cancel()
    await asyncio.wait({task})

    assert task.cancelled()
    assert now() == 10.0


# One table decides all that a receive brings


@pytest.mark.parametrize("steps", range(12))
async def test_a_message_that_comes_while_a_reload_takes_its_route_away_is_given_back(
    steps: int,
) -> None:
    """Wherever in the reload the receive returns: `on_unmatched: drop` would delete it."""
    dropping = Queue("q", url="q", on_unmatched="drop")
    before = table(route(), queues=(dropping,))
    async with running(before) as scenario:
        await asyncio.sleep(1)
        scenario.swap(table(queues=(dropping,), generation="g2"))
        for _ in range(steps):
            await asyncio.sleep(0)
        (sent,) = scenario.put("{}")
        await asyncio.sleep(60)

    assert scenario.settled().get(sent, Acknowledge("launched")) == Acknowledge("launched")
    assert scenario.launched() or not scenario.queue().inner.empty


async def test_an_envelope_that_changes_in_a_reload_is_that_of_the_routes_beside_it() -> None:
    """A poll is under way for 20 s: what it brings is unwrapped and routed by one table."""
    asking = Match(attributes=compile_pattern({"kind": ["order"]}))
    plain = table(route("plain"))
    wrapped = table(
        route("wrapped", match=asking),
        queues=(Queue("q", url="q", envelope="sns"),),
        generation="g2",
    )
    notification = (
        '{"Type":"Notification","Message":"{}",'
        '"MessageAttributes":{"kind":{"Type":"String","Value":"order"}}}'
    )
    async with running(plain) as scenario:
        await asyncio.sleep(1)
        scenario.swap(wrapped)
        await asyncio.sleep(1)
        (sent,) = scenario.put(notification)
        await asyncio.sleep(1)

    assert scenario.settled() == {sent: Acknowledge("launched")}
    assert [fact.batch.key.route.name for fact in scenario.of(journal.Launched)] == ["wrapped"]


async def test_in_fifo_queues_a_message_is_decided_by_the_table_it_came_under() -> None:
    async with running(table(route("old", queues=("f.fifo",)), queues=(FIFO,))) as scenario:
        queue = scenario.queue("f.fifo").inner
        queue.put("{}", group="g")
        await asyncio.sleep(1)

        scenario.launcher.takes = 30.0
        first = queue.put("{}", group="g")
        await asyncio.sleep(1)
        new = table(route("new", queues=("f.fifo",)), queues=(FIFO,), generation="g2")
        scenario.swap(new)
        await asyncio.sleep(1)
        queue.show(first)  # and so its group: SQS may deliver inside a lease
        queue.put("{}", group="g")
        await asyncio.sleep(120)

    names = [fact.batch.key.route.name for fact in scenario.of(journal.Launched)]
    assert names == ["old", "old", "new"]


# An app that goes


@dataclass
class _Listing(ScriptedLauncher):
    """Notes which apps are listed, and when."""

    listed: list[tuple[float, str]] = field(default_factory=list)

    async def living(self, app: str) -> list[MachineSummary]:
        self.listed.append((now(), app))
        return await super().living(app)


async def test_an_app_that_a_reload_drops_is_listed_until_the_last_of_its_machines_is_over() -> (
    None
):
    launcher = _Listing(runs_for=300.0)
    old, new = profile(app="old"), profile(app="new")
    async with running(table(route(profile=old)), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)
        scenario.swap(table(route(profile=new), generation="g2"))
        await asyncio.sleep(3600)
        last = max(at for at, app in launcher.listed if app == "old")
        scenario.swap(table(route(profile=old), generation="g3"))
        await asyncio.sleep(100)

    assert 300.0 < last <= 300.0 + 62.0
    assert any(at > 3600.0 for at, app in launcher.listed if app == "old")
    assert {app for at, app in launcher.listed if 1000.0 < at < 3600.0} == {"new"}


async def test_an_app_that_is_dropped_and_refuses_to_be_listed_is_let_be() -> None:
    class _Deleted(_Listing):
        async def living(self, app: str) -> list[MachineSummary]:
            found = await super().living(app)
            if app == "old" and now() > 10.0:
                raise LaunchRejected("404 app not found", code="not_found")
            return found

    launcher = _Deleted(runs_for=1e6)
    async with running(table(route(profile=profile(app="old"))), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)
        scenario.swap(table(route(profile=profile(app="new")), generation="g2"))
        await asyncio.sleep(3600)

    assert max(at for at, app in launcher.listed if app == "old") < 100.0


async def test_a_thousand_rejects_open_their_queue_once() -> None:
    queues = (Queue("q", url="q", reject_to="r"), Queue("r", url="r"))
    opened: list[str] = []

    def slow(scenario: Scenario) -> None:
        at_once = scenario.router._open_queue

        async def at_last(queue: Queue) -> MessageQueue:
            opened.append(queue.name)
            await asyncio.sleep(5)
            return await at_once(queue)

        scenario.router._open_queue = at_last

    async with running(table(route(), queues=queues), prepare=slow) as scenario:
        scenario.put(*["not JSON"] * 1000)
        await asyncio.sleep(60)

    assert opened == ["q", "r"]
    assert len(scenario.settled()) == 1000
