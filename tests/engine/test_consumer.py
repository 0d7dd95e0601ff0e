import asyncio
import json
from itertools import pairwise

import pytest
from building import profile, route, table
from scenario import Scenario, ScriptedLauncher, now, running, unavailable
from virtual_time import VirtualLoop

from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected, LaunchUnavailable, QueueRefused
from lambdo_router.core.message import Message
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.profile import Overrides
from lambdo_router.core.routing import Decision, Match, Queue, Route, RoutingTable, decide
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Retry
from lambdo_router.engine.router import Limits

BUSY = LaunchUnavailable("Machines API: 503", code="unavailable", ambiguous=False)
LOST = LaunchUnavailable("Machines API: no answer", code="connection", ambiguous=True)
REFUSED = LaunchRejected("Machines API: 400 bad image", code="bad_image")
SLOW_FLY = Limits(launch_rate=0.1, launch_burst=1)


def kind(name: str, **changes: object) -> Route:
    """A route for messages whose attribute `kind` is its name."""
    match = Match(attributes=compile_pattern({"kind": [name]}))
    return route(name, match=match, profile=profile(**changes))


# Batches


async def test_an_idle_system_launches_each_event_at_once() -> None:
    async with running(table(route())) as scenario:
        await asyncio.sleep(100)
        scenario.put("{}")
        await asyncio.sleep(50)
        scenario.put("{}")
        await asyncio.sleep(1)

    assert scenario.launched() == [(100.0, 1), (150.0, 1)]
    assert scenario.queue().inner.empty


async def test_a_window_is_waited_out() -> None:
    async with running(table(route(profile=profile(batch_window=2.0)))) as scenario:
        scenario.put("{}")
        await asyncio.sleep(1)
        scenario.put("{}")
        await asyncio.sleep(5)

    assert scenario.launched() == [(2.0, 2)]


async def test_a_full_batch_does_not_wait_for_its_window() -> None:
    async with running(table(route(profile=profile(batch_window=60.0, batch_size=2)))) as scenario:
        scenario.put("{}", "{}", "{}")
        await asyncio.sleep(70)

    assert scenario.launched() == [(0.0, 2), (60.0, 1)]


@pytest.mark.parametrize(
    ("messages", "launched"),
    [
        pytest.param(300, [(0.0, 100), (0.0, 100), (0.0, 100)], id="full-batches"),
        pytest.param(25, [(0.0, 25)], id="a-receive-that-is-not-full-ends-it"),
        pytest.param(20, [(0.1, 20)], id="a-tenth-of-a-second-after-the-last-full-receive"),
        pytest.param(9, [(0.0, 9)], id="no-full-receive"),
    ],
)
async def test_a_backlog_fills_batches_though_slots_are_free(
    messages: int, launched: list[tuple[float, int]]
) -> None:
    async with running(
        table(route(profile=profile(batch_size=100))), limits=Limits(launch_rate=100.0)
    ) as scenario:
        scenario.put(*["{}"] * messages)
        await asyncio.sleep(10)

    assert [(round(at, 2), events) for at, events in scenario.launched()] == launched


async def test_under_the_launch_limit_batches_grow_until_a_slot_is_free() -> None:
    async with running(table(route(profile=profile(batch_size=100)))) as scenario:
        for _ in range(40):
            scenario.put("{}")
            await asyncio.sleep(0.25)
        await asyncio.sleep(5)

    times = [at for at, _ in scenario.launched()]
    sizes = [size for _, size in scenario.launched()]
    assert sizes[:3] == [1, 1, 1]
    assert sum(sizes) == 40
    assert max(sizes) >= 4
    assert all(later - earlier >= 0.999 for earlier, later in pairwise(times[4:]))


async def test_a_flooding_route_does_not_starve_a_quiet_one() -> None:
    routes = kind("flood", batch_size=1), kind("quiet", batch_size=1)
    async with running(table(*routes), limits=Limits(launch_rate=1.0, launch_burst=1)) as scenario:
        scenario.put(*["{}"] * 50, kind="flood")
        await asyncio.sleep(10.5)
        scenario.put("{}", kind="quiet")
        await asyncio.sleep(5)

    quiet = [
        at
        for at, fact in scenario.facts
        if isinstance(fact, journal.Launched) and fact.batch.key.route.name == "quiet"
    ]
    assert quiet == [11.25]


async def test_a_sender_who_varies_an_override_gets_no_more_turns_than_a_quiet_route() -> None:
    varied = route(
        "varied",
        match=Match(attributes=compile_pattern({"kind": ["varied"]})),
        overrides=Overrides(image=("registry.fly.io/jobs:*",)),
    )
    async with running(
        table(varied, kind("quiet")), limits=Limits(launch_rate=1.0, launch_burst=1)
    ) as scenario:
        for number in range(20):
            scenario.put("{}", kind="varied", image=f"registry.fly.io/jobs:{number}")
        await asyncio.sleep(4.5)
        scenario.put("{}", kind="quiet")
        await asyncio.sleep(3)

    names = [fact.batch.key.route.name for fact in scenario.of(journal.Launched)]
    assert names[:7] == ["varied"] * 5 + ["quiet", "varied"]


async def test_an_event_that_can_never_fit_is_rejected_and_the_others_go_on() -> None:
    queues = Queue("q", url="q", reject_to="rejected"), Queue("rejected", url="r")
    big = '{"x":"' + "x" * 100 + '"}'
    async with running(table(route(profile=profile(batch_bytes=50)), queues=queues)) as scenario:
        large, small = scenario.put(big, "{}")
        await asyncio.sleep(1)

    settled = scenario.settled()
    assert isinstance(settled[large], Reject)
    assert settled[small] == Acknowledge("launched")


# Leases


async def test_leases_are_renewed_at_half_life_while_a_batch_waits() -> None:
    async with running(table(route(profile=profile(batch_window=100.0)))) as scenario:
        scenario.put("{}")
        await asyncio.sleep(110)

    assert scenario.queue().times("visibility") == [30.0, 60.0, 90.0]
    assert scenario.launched() == [(100.0, 1)]
    assert scenario.queue().times("delete") == [100.0]


async def test_leases_are_renewed_while_waiting_for_a_slot_and_while_launching() -> None:
    launcher = ScriptedLauncher(takes=45.0)
    async with running(
        table(route(profile=profile(batch_size=1))), launcher, limits=Limits(0.01, 1, 300.0)
    ) as scenario:
        first, second = scenario.put("{}", "{}")
        await asyncio.sleep(160)

    assert scenario.queue().times("visibility") == [30.0, 60.0, 90.0, 120.0]
    assert list(scenario.settled()) == [first, second]
    assert scenario.queue().times("delete") == [45.0, 145.25]


async def test_a_held_message_is_never_visible_to_another_consumer() -> None:
    async with running(table(route(profile=profile(batch_window=600.0)))) as scenario:
        scenario.put("{}")
        other = scenario.queue().inner
        for _ in range(50):
            await asyncio.sleep(10)
            assert await other.receive(10, 1.0) == [] or now() > 600.0


async def test_a_message_whose_lease_is_lost_while_it_waits_is_not_launched() -> None:
    async with running(table(route(profile=profile(batch_window=100.0)))) as scenario:
        (lost,) = scenario.put("{}")
        await asyncio.sleep(1)
        scenario.queue().refusing = True
        await asyncio.sleep(40)
        assert scenario.router.held == 0
        scenario.queue().refusing = False
        await asyncio.sleep(130)

    assert [fact.message_ids for fact in scenario.of(journal.LeaseLost)] == [(lost,)]
    assert scenario.when(journal.LeaseLost) == [30.0]
    assert scenario.launched() == [(160.0, 1)]  # SQS has delivered it again at 60


@pytest.mark.parametrize("name", ["q", "q.fifo"])
async def test_a_router_that_was_frozen_does_not_launch_what_others_may_have(name: str) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    made = table(route(queues=(name,)), queues=(Queue(name, url=name),))
    async with running(made, limits=SLOW_FLY) as scenario:
        for group in ("a", "b"):
            scenario.queue(name).inner.put("{}", group=group if name.endswith(".fifo") else None)
            await asyncio.sleep(2)
        loop.freeze(100.0)  # the second waits for its slot, which comes before the look at leases
        (taken,) = await scenario.queue(name).inner.receive(10, 50.0)
        await asyncio.sleep(0.5)
        after = scenario.launched()
        (lost,) = scenario.of(journal.LeaseLost)
        await asyncio.sleep(100)

    assert after == [(0.0, 1)]
    assert (lost.message_ids, lost.why) == ((taken.id,), "its lease expired")
    assert len(scenario.launched()) == 2
    assert scenario.queue(name).inner.empty


async def test_a_failed_renewal_is_tried_again_in_time() -> None:
    async with running(table(route(profile=profile(batch_window=100.0)))) as scenario:
        scenario.put("{}")
        await asyncio.sleep(29)
        scenario.queue().failing["visibility"] = unavailable()
        await asyncio.sleep(10)
        scenario.queue().failing.clear()
        await asyncio.sleep(70)

    assert scenario.of(journal.LeaseLost) == []
    assert scenario.queue().times("visibility")[:6] == [30.0, 32.0, 34.0, 36.0, 38.0, 40.0]
    assert scenario.launched() == [(100.0, 1)]


async def test_a_redelivery_of_a_held_message_only_replaces_its_receipt() -> None:
    async with running(table(route(profile=profile(batch_window=10.0)))) as scenario:
        (held,) = scenario.put("{}")
        await asyncio.sleep(1)
        scenario.queue().inner.show(held)
        await asyncio.sleep(20)

    assert [fact.message_id for fact in scenario.of(journal.Redelivered)] == [held]
    assert scenario.launched() == [(10.0, 1)]
    assert scenario.queue().inner.empty


# Back-pressure


async def test_no_more_is_received_than_may_wait() -> None:
    queues = (Queue("q", url="q", max_waiting=25),)
    async with running(
        table(route(profile=profile(batch_size=1)), queues=queues), limits=SLOW_FLY
    ) as scenario:
        scenario.put(*["{}"] * 100)
        most = 0
        for _ in range(30):
            await asyncio.sleep(1)
            most = max(most, scenario.router.held)
        taken = len(scenario.of(journal.Received))

    assert most == 25
    assert taken == 25 + len([at for at, _ in scenario.launched() if at < 30.0])


# Settlement


async def test_a_message_is_deleted_only_after_fly_has_accepted_its_machine() -> None:
    launcher = ScriptedLauncher(takes=7.0)
    async with running(table(route()), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)

    assert launcher.times == [0.0]
    assert scenario.queue().times("delete") == [7.0]


async def test_what_may_pass_is_tried_again_with_growing_pauses_under_one_name() -> None:
    launcher = ScriptedLauncher(script=[BUSY, BUSY, BUSY, None])
    async with running(table(route()), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(30)

    assert launcher.times == [0.0, 1.0, 3.0, 7.0]
    assert len({name for _, name in launcher.attempts}) == 1
    assert launcher.looked_up == []
    assert scenario.settled() == {sent: Acknowledge("launched")}


async def test_after_the_attempts_the_message_goes_back_with_a_delay() -> None:
    launcher = ScriptedLauncher(script=[BUSY] * 4)
    async with running(table(route()), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(11)
        assert scenario.settled() == {sent: Retry(5.0, str(BUSY))}
        await asyncio.sleep(10)

    assert launcher.times == [0.0, 1.0, 3.0, 7.0, 12.0]
    assert scenario.settled() == {sent: Acknowledge("launched")}


async def test_after_an_ambiguous_answer_the_machine_is_looked_up_and_not_created_twice() -> None:
    launcher = ScriptedLauncher(script=[LOST], created_all_the_same=True)
    async with running(table(route()), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(10)

    assert len(launcher.attempts) == 1
    assert launcher.looked_up == [1.0]
    assert scenario.of(journal.Launched)[0].machine.adopted
    assert scenario.settled() == {sent: Acknowledge("launched")}


async def test_an_ambiguous_answer_without_effect_is_followed_by_a_second_create() -> None:
    launcher = ScriptedLauncher(script=[LOST])
    async with running(table(route()), launcher) as scenario:
        scenario.put("{}")
        await asyncio.sleep(10)

    assert launcher.times == [0.0, 1.0]
    assert len(launcher.machines) == 1


async def test_a_rate_limit_holds_the_whole_app_back() -> None:
    limited = LaunchUnavailable("429", code="rate_limited", retry_after=20.0)
    launcher = ScriptedLauncher(script=[limited])
    async with running(table(kind("a"), kind("b")), launcher) as scenario:
        scenario.put("{}", kind="a")
        await asyncio.sleep(5)
        scenario.put("{}", kind="b")
        await asyncio.sleep(30)

    assert launcher.times[0] == 0.0
    assert min(launcher.times[1:]) == 20.0


async def test_a_request_that_fly_refuses_goes_back_without_further_attempts() -> None:
    launcher = ScriptedLauncher(script=[REFUSED])
    async with running(table(route()), launcher) as scenario:
        (sent,) = scenario.put("{}")
        await asyncio.sleep(4)
        assert scenario.settled() == {sent: Retry(5.0, str(REFUSED))}

    assert launcher.times == [0.0]


async def test_max_attempts_moves_the_message_aside_with_the_last_failure() -> None:
    queues = Queue("q", url="q", reject_to="rejected"), Queue("rejected", url="r")
    launcher = ScriptedLauncher(script=[REFUSED] * 9)
    async with running(
        table(route(profile=profile(max_attempts=2)), queues=queues), launcher
    ) as scenario:
        (sent,) = scenario.put('{"n":1}')
        await asyncio.sleep(30)

    (rejected,) = await scenario.queue("rejected").inner.receive(10, 1.0)
    reason = json.loads(str(rejected.attributes["lambdo_rejection"].value))
    assert launcher.times == [0.0, 15.0]  # a refused profile is probed, not hammered
    assert rejected.body == '{"n":1}'
    assert (reason["reason"], reason["message_id"], reason["attempts"]) == ("max_attempts", sent, 2)
    assert "400 bad image" in reason["detail"]
    assert scenario.queue().inner.empty


async def test_the_messages_of_a_failed_batch_go_back_in_one_call() -> None:
    launcher = ScriptedLauncher(script=[REFUSED])
    async with running(table(route()), launcher) as scenario:
        scenario.put("{}", "{}", "{}")
        await asyncio.sleep(1)

    backs = [receipts for _, call, receipts, seconds in scenario.queue().calls if seconds == 5.0]
    assert [len(receipts) for receipts in backs] == [3]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [("drop", Acknowledge("dropped")), ("leave", Leave("unmatched", "no route matches"))],
)
async def test_an_unmatched_message_is_dropped_or_left(policy: str, expected: object) -> None:
    queues = (Queue("q", url="q", on_unmatched=policy),)  # type: ignore[arg-type]
    async with running(table(kind("a"), queues=queues)) as scenario:
        (sent,) = scenario.put("{}", kind="b")
        await asyncio.sleep(50)
        assert scenario.settled() == {sent: expected}
        assert scenario.queue().inner.empty is (policy == "drop")
        assert scenario.queue().times("visibility") == []


async def test_a_left_message_comes_again_when_its_lease_has_run_out() -> None:
    async with running(table(kind("a"))) as scenario:
        scenario.put("{}", kind="b")
        await asyncio.sleep(130)

    assert scenario.when(journal.Received) == [0.0, 60.0, 120.0]


async def test_a_rejected_message_is_sent_first_and_deleted_then() -> None:
    queues = (
        Queue("q", url="q", reject_to="rejected", on_unmatched="reject"),
        Queue("rejected", url="r"),
    )
    async with running(table(kind("a"), queues=queues)) as scenario:
        scenario.put("not json", kind="a")
        scenario.put("{}", kind="b")
        await asyncio.sleep(1)

    bodies = [m.body for m in await scenario.queue("rejected").inner.receive(10, 1.0)]
    assert sorted(bodies) == ["not json", "{}"]
    assert scenario.queue().inner.empty


async def test_a_message_that_cannot_be_sent_to_the_reject_queue_stays_on_its_own() -> None:
    queues = Queue("q", url="q", reject_to="rejected"), Queue("rejected", url="r")

    def broken(scenario: Scenario) -> None:
        scenario.queue("rejected").failing["send"] = QueueRefused("denied", code="AccessDenied")

    async with running(table(kind("a"), queues=queues), prepare=broken) as scenario:
        (sent,) = scenario.put("not json")
        await asyncio.sleep(40)
        assert scenario.queue().times("delete") == []
        failed = scenario.of(journal.SettlementFailed)

    assert [(fact.message_ids, fact.action) for fact in failed] == [((sent,), "send to rejected")]
    assert not scenario.queue().inner.empty


async def test_a_delete_that_fails_is_tried_until_it_succeeds_and_nothing_is_launched_twice() -> (
    None
):
    async with running(table(route())) as scenario:
        (sent,) = scenario.put("{}")
        scenario.queue().failing["delete"] = unavailable()
        await asyncio.sleep(300)
        assert scenario.settled() == {}
        scenario.queue().failing.clear()
        await asyncio.sleep(60)

    assert len(scenario.launched()) == 1
    assert scenario.settled() == {sent: Acknowledge("launched")}
    assert scenario.queue().inner.empty


async def test_a_defect_costs_one_message_and_not_the_queue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken(
        table: RoutingTable, queue: Queue, message: Message, *, record: bool = False
    ) -> Decision:
        if message.body == '{"x":1}':
            raise KeyError("a bug")
        return decide(table, queue, message, record=record)

    monkeypatch.setattr("lambdo_router.core.admission.decide", broken)
    async with running(table(route())) as scenario:
        bad, good = scenario.put('{"x":1}', "{}")
        await asyncio.sleep(1)

    assert [fact.message_ids for fact in scenario.of(journal.InternalError)] == [(bad,)]
    assert scenario.settled() == {good: Acknowledge("launched")}


# Polls


async def test_a_queue_that_answers_nothing_at_once_is_not_polled_in_a_busy_loop() -> None:
    def impatient(scenario: Scenario) -> None:
        scenario.queue().inner.wait_time = 0.0

    async with running(table(route()), prepare=impatient) as scenario:
        await asyncio.sleep(10)

    assert scenario.queue().inner.receives <= 41


async def test_failing_polls_pause_longer_and_longer() -> None:
    def dead(scenario: Scenario) -> None:
        scenario.queue().failing["receive"] = unavailable()

    async with running(table(route()), prepare=dead) as scenario:
        await asyncio.sleep(20)

    assert scenario.when(journal.QueueFailed) == [0.0, 1.0, 3.0, 7.0, 15.0]
