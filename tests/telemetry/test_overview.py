"""What is known of a router, by what its journal has said."""

import asyncio
import dataclasses
import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from building import entry, message, profile, route, table
from scenario import WALL, ScriptedLauncher, running

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import (
    LaunchError,
    LaunchRejected,
    LaunchUnavailable,
    QueueRefused,
    QueueUnavailable,
)
from lambdo_router.core.machine import Machine, batch_id_of
from lambdo_router.core.ports import MachineEnd
from lambdo_router.core.routing import Queue, Refused, Routed, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Leave, Reject, Rejection, Retry
from lambdo_router.core.snapshot import MachinesSnapshot, QueueSnapshot, Snapshot
from lambdo_router.telemetry.status import Overview, Reload, Status, Trouble, json_text
from lambdo_router.telemetry.status import document as status_module

NOTHING = Snapshot("g1", (), ())
CAREFUL = profile(acknowledge="success")
BAD_IMAGE = LaunchRejected("400 manifest unknown", code="bad_image")
FULL = LaunchUnavailable("503 no capacity", code="region_capacity")


@dataclass
class Watched:
    """An Overview whose clock the test sets."""

    at: float = WALL
    overview: Overview = field(init=False)

    def __post_init__(self) -> None:
        self.overview = Overview(lambda: self.at, {"orders": "routes.yaml:9"})

    def after(self, seconds: float, *facts: journal.Fact) -> "Watched":
        self.at += seconds
        for fact in facts:
            self.overview.observe(fact)
        return self

    def status(self, levels: Snapshot = NOTHING) -> Status:
        return self.overview.status(levels)


def swapped(made: RoutingTable, previous: str | None = None) -> journal.TableActivated:
    return journal.TableActivated(made, previous)


def started(*routes: object, generation: str = "g1") -> Watched:
    made = table(*(routes or (route(profile=CAREFUL),)), generation=generation)  # type: ignore[arg-type]
    return Watched().after(0, swapped(made), journal.QueueOpened("q"))


def batch(name: str = "orders", message_id: str = "m1", **changes: object) -> Batch:
    made = replace(CAREFUL, **changes)  # type: ignore[arg-type]
    return Batch(BatchKey("q", route(name, profile=made), made), (entry(message_id),))


def launched(of: Batch, machine_id: str = "id-1") -> journal.Launched:
    return journal.Launched(
        of, Machine(machine_id, "lambdo-x", "iad"), 0.5, 1, 50.0, batch_id_of(of)
    )


def ended(of: Batch, failure: str = "", reported: int = 0) -> journal.MachineEnded:
    code, kind = (1, "failed") if failure else (0, "succeeded")
    return journal.MachineEnded(of, batch_id_of(of), "id-1", kind, code, failure, 9.5, reported)  # type: ignore[arg-type]


def launch_failed(of: Batch, error: LaunchError, pause: float | None) -> journal.LaunchFailed:
    return journal.LaunchFailed(of, error, 1, pause)


# The router


def test_before_the_first_table_it_is_starting_and_not_ready() -> None:
    status = Watched().status()

    assert (status.router.state, status.router.generation) == ("starting", "")
    assert not status.health.ready
    assert status.health.checks[0].detail == "starting: connecting to queues and apps"


def test_what_keeps_it_from_starting_is_said() -> None:
    watched = Watched()
    watched.overview.cannot_start("queue `work`: does not exist")
    health = watched.status().health

    assert health.checks[0].detail == "cannot start: queue `work`: does not exist"
    assert [(c.kind, c.why, c.fatal) for c in health.concerns] == [
        ("router", "queue `work`: does not exist", True)
    ]


def test_a_router_whose_queues_are_read_is_ready() -> None:
    status = started().status()

    assert status.health.ready
    assert status.health.concerns == ()
    assert [(check.name, check.detail) for check in status.health.checks] == [
        ("router", "running"),
        ("routes", "generation g1: 1 route, 1 queue"),
        ("queues", "reading: q"),
        ("fly", "healthy: jobs"),
    ]


def test_a_router_that_stops_is_not_ready_and_says_until_when() -> None:
    watched = started().after(10, journal.Stopping(25.0))
    status = watched.status()

    assert (status.router.state, status.router.since) == ("stopping", WALL + 10)
    assert status.router.stop_by == WALL + 35
    assert not status.health.ready
    assert watched.after(3, journal.Stopped(0)).status().router.state == "stopped"


# Queues


def test_a_queue_counts_what_came_and_what_became_of_it() -> None:
    made = route(profile=CAREFUL)
    watched = started(made)
    watched.at = 1_700_000_003.123  # the messages were sent three seconds earlier
    rejection = Rejection("max_attempts", "", "orders", "q", "m3", 5, 0.0)
    watched.after(
        0,
        journal.Polled("q", 10, 0.2),
        journal.Received("q", message("m1")),
        journal.Received("q", message("m2", receives=4)),
        journal.Redelivered("q", "m1"),
        journal.Decided("q", "m1", Routed(made, made.profile, entry().event)),
        journal.Decided("q", "m9", Refused("unmatched", "no route matches", "leave")),
        journal.Settled("q", "m1", "orders", Acknowledge("succeeded")),
        journal.Settled("q", "m2", "orders", Retry(5.0, "exited with code 1")),
        journal.Settled("q", "m3", "orders", Reject("rejected", rejection)),
        journal.Settled("q", "m9", None, Leave("unmatched", "no route matches")),
    )
    queue, orders = watched.status().queues[0], watched.status().routes[0]

    assert (queue.state, queue.last_poll, queue.more) == ("reading", watched.at, True)
    assert queue.lag == pytest.approx(3.0)
    assert queue.totals == {
        "received": 2, "redelivered": 1, "deleted": 1, "retried": 1, "rejected": 1, "left": 1
    }  # fmt: skip
    assert queue.reasons == {"unmatched": 1, "max_attempts": 1}
    assert queue.activity == (*[0] * 29, 2)
    assert {name: count for name, count in orders.totals.items() if count} == {
        "routed": 1, "deleted": 1, "retried": 1, "rejected": 1
    }  # fmt: skip


def test_rates_are_those_of_the_last_minute() -> None:
    watched = started()
    watched.at = 1_000_000_000.0
    watched.after(0, journal.Received("q", message()))
    for seconds, expected in ((0, 1), (59, 1), (1, 0)):
        queue = watched.after(seconds).status().queues[0]
        assert (queue.last_minute["received"], queue.totals["received"]) == (expected, 1)
    assert watched.status().queues[0].activity == (*[0] * 23, 1, *[0] * 6)


def test_the_levels_of_a_queue_are_part_of_its_status_also_while_its_address_changes() -> None:
    levels = Snapshot(
        "g1",
        (
            QueueSnapshot("q", "reading", 3, 2, {"orders": 2}, 57.0),
            QueueSnapshot("q", "stopping", 1, 0, {"orders": 1}, 12.0),
        ),
        (MachinesSnapshot("jobs", "worker", 1, 0),),
    )
    status = started().status(levels)
    queue = status.queues[0]

    assert (queue.held, queue.waiting, queue.lease_margin) == (4, 2, 12.0)
    assert queue.open_batches == {"orders": 3}
    assert status.routes[0].waiting == 3
    assert status.machines == levels.machines


def test_a_queue_that_fails_says_since_when_how_often_and_when_it_is_tried_again() -> None:
    error = QueueUnavailable("timed out", code="connection")
    watched = started().after(60, journal.QueueFailed("q", "receive", error, 1.0))
    watched.after(5, journal.QueueFailed("q", "receive", error, 2.0))
    status = watched.status()

    assert (status.queues[0].state, status.queues[0].since) == ("failing", WALL + 60)
    assert status.queues[0].trouble == Trouble(
        "receive", "timed out", "connection", WALL + 60, WALL + 65, 2, WALL + 67
    )
    assert [(f.kind, f.count, f.first, f.last) for f in status.failures] == [
        ("queue", 2, WALL + 60, WALL + 65)
    ]

    recovered = watched.after(2, journal.Polled("q", 0, 1.0)).status().queues[0]
    assert (recovered.state, recovered.since, recovered.trouble) == ("reading", WALL + 67, None)


@pytest.mark.parametrize(
    ("messages", "limit", "more"),
    [
        pytest.param(10, 10, True, id="a full answer"),
        pytest.param(9, 10, False, id="fewer than asked for"),
        pytest.param(2, 2, True, id="as many as there is room for"),
    ],
)
def test_an_answer_with_all_that_was_asked_for_says_that_there_may_be_more(
    messages: int, limit: int, *, more: bool
) -> None:
    watched = started().after(1, journal.Polled("q", messages, 0.1, limit))

    assert watched.status().queues[0].more is more


@pytest.mark.parametrize(
    ("error", "seconds", "ready"),
    [
        pytest.param(QueueUnavailable("503"), 30.0, True, id="may-pass"),
        pytest.param(QueueUnavailable("503"), 31.0, False, id="did-not-pass"),
        pytest.param(QueueRefused("no rights"), 0.0, False, id="refused"),
    ],
)
def test_a_queue_that_sqs_does_not_answer_for_makes_it_unready(
    error: QueueUnavailable, seconds: float, *, ready: bool
) -> None:
    watched = started().after(1, journal.Polled("q", 0, 1.0))
    watched.after(1, journal.QueueFailed("q", "receive", error, 1.0))

    assert watched.after(seconds).status().health.ready is ready


def test_a_queue_that_was_never_reached_is_opening() -> None:
    queues = (Queue("q", url="q"), Queue("later", url="later"))
    made = table(route(), route("other", queues=("later",)), queues=queues)
    watched = Watched().after(0, swapped(made), journal.QueueOpened("q"))
    status = watched.status()

    assert {queue.name: queue.state for queue in status.queues} == {
        "q": "reading",
        "later": "opening",
    }
    assert status.health.checks[2].detail == "later: SQS has not been reached yet"
    assert not status.health.ready


def test_a_reject_queue_that_takes_nothing_is_a_concern_until_it_takes_something() -> None:
    watched = started()
    watched.after(1, journal.QueueFailed("rejected", "send", QueueRefused("no rights"), 15.0))
    rejection = Rejection("unmatched", "", None, "q", "m1", 1, 0.0)
    (concern,) = watched.status().health.concerns

    assert (concern.kind, concern.name, concern.fatal) == ("queue", "rejected", False)
    watched.after(1, journal.Settled("q", "m1", None, Reject("rejected", rejection)))
    assert watched.status().health.concerns == ()


# Routes


def test_a_route_without_messages_is_idle_and_says_where_it_is_written() -> None:
    orders = started().after(1000).status().routes[0]

    assert (orders.name, orders.place, orders.queues) == ("orders", "routes.yaml:9", ("q",))
    assert (orders.state, orders.since, orders.last_event) == ("idle", WALL, None)


def test_a_route_is_ok_from_its_first_message_until_five_minutes_after_the_last_sign() -> None:
    made = route(profile=CAREFUL)
    decided = journal.Decided("q", "m1", Routed(made, made.profile, entry().event))
    watched = started(made).after(100, decided)
    watched.after(200, decided)

    states = [watched.after(seconds).status().routes[0] for seconds in (0, 300, 1)]
    assert [(orders.state, orders.since - WALL) for orders in states] == [
        ("ok", 100), ("ok", 100), ("idle", 300)
    ]  # fmt: skip


def test_a_machine_that_fails_makes_its_route_fail_until_one_succeeds() -> None:
    watched = started().after(1, launched(batch()))
    watched.after(10, ended(batch(), "exited with code 1"))
    watched.after(10, ended(batch(message_id="m2"), "exited with code 2"))
    status = watched.status()
    orders = status.routes[0]

    assert (orders.state, orders.since) == ("failing", WALL + 11)
    assert orders.trouble == Trouble("run", "exited with code 2", "", WALL + 11, WALL + 21, 2)
    assert orders.last_failure is not None
    assert orders.last_failure.machine_id == "id-1"
    assert orders.totals["failed"] == 2
    assert status.health.ready
    assert [(c.kind, c.name, c.why, c.place) for c in status.health.concerns] == [
        ("route", "orders", "run: exited with code 2", "routes.yaml:9")
    ]

    well = watched.after(9, ended(batch())).status().routes[0]
    assert (well.state, well.since, well.trouble) == ("ok", WALL + 30, None)
    assert well.last_failure == orders.last_failure


def test_a_failure_that_nobody_heard_of_for_half_an_hour_is_over() -> None:
    watched = started().after(0, ended(batch(), "exited with code 1"))

    assert watched.after(1800).status().routes[0].state == "failing"
    assert watched.after(1).status().routes[0].state == "idle"


def test_a_partial_failure_is_told_and_does_not_make_the_route_fail() -> None:
    orders = started().after(0, ended(batch(), reported=1)).status().routes[0]

    assert orders.state == "ok"
    assert orders.last_failure is not None
    assert orders.last_failure.text == "the Machine reported 1 of 1 as failed"


@pytest.mark.parametrize(
    ("error", "pause", "expected"),
    [
        pytest.param(FULL, 1.0, ("ok", "launching"), id="tried-again-at-once"),
        pytest.param(FULL, None, ("failing", "not_launched"), id="given-up"),
        pytest.param(BAD_IMAGE, None, ("failing", "not_launched"), id="refused"),
    ],
)
def test_a_launch_that_fails(
    error: LaunchError, pause: float | None, expected: tuple[str, str]
) -> None:
    watched = started().after(5, launch_failed(batch(), error, pause))
    status = watched.status()

    assert (status.routes[0].state, status.batches[0].state) == expected
    trouble = status.routes[0].trouble
    assert trouble is not None
    assert (trouble.error, trouble.since) == (str(error), WALL + 5)
    again = watched.after(1, launched(batch())).status()
    assert (again.routes[0].state, again.routes[0].trouble) == ("ok", None)
    assert (again.batches[0].state, again.batches[0].failure) == ("running", "")


def test_routes_that_share_a_profile_fail_and_recover_together_when_fly_refuses_it() -> None:
    others = profile(name="other")
    watched = started(
        route("orders", profile=CAREFUL),
        route("refunds", profile=CAREFUL),
        route("x", profile=others),
    )
    watched.after(
        5,
        launch_failed(batch(), BAD_IMAGE, None),
        journal.ProfileFailing("worker", "jobs", BAD_IMAGE, 15),
    )
    routes = watched.status().routes

    assert [route.state for route in routes] == ["failing", "failing", "idle"]
    assert [route.trouble and route.trouble.next_try for route in routes] == [
        WALL + 20, WALL + 20, None
    ]  # fmt: skip
    watched.after(15, launched(batch()))
    assert [route.trouble for route in watched.status().routes] == [None] * 3


def test_of_several_apps_one_may_refuse_while_the_others_take_machines() -> None:
    made = replace(CAREFUL, app="a", more_apps=("b",))
    watched = started(route("orders", profile=made), route("refunds", profile=made))
    gone = LaunchRejected("404 no such app", code="app_not_found")
    refused = batch(app="a", more_apps=("b",))
    watched.after(
        5, launch_failed(refused, gone, None), journal.ProfileFailing("worker", "a", gone, 15)
    )
    status = watched.status()

    assert [(app.name, app.state) for app in status.apps] == [("a", "failing"), ("b", "ok")]
    assert [(it.app, it.apps) for it in status.routes] == [("a", ("a", "b"))] * 2
    assert [it.state for it in status.routes] == ["failing", "failing"]
    assert [it.trouble and it.trouble.next_try for it in status.routes] == [None, None]
    status = watched.after(1, launched(batch(app="b", more_apps=("a",)))).status()
    assert [it.trouble for it in status.routes] == [None, None]
    assert [app.state for app in status.apps] == ["failing", "ok"]


def test_a_changed_route_has_a_clean_record_and_an_unchanged_one_keeps_its_own() -> None:
    kept, fixed = route("kept", profile=CAREFUL), route("fixed", profile=CAREFUL)
    watched = started(kept, fixed).after(
        5, ended(batch("kept"), "exited with code 1"), ended(batch("fixed"), "exited with code 1")
    )
    after = table(kept, route("fixed", profile=replace(CAREFUL, image="2")), generation="g2")
    loaded = journal.RoutesLoaded("g2", ("odd",), {"kept": "r.yaml:3"}, ("~ route `fixed`",))
    status = watched.after(5, loaded, swapped(after, "g1")).status()

    assert [(r.name, r.state, r.totals["failed"], r.place) for r in status.routes] == [
        ("kept", "failing", 1, "r.yaml:3"), ("fixed", "ok", 1, "")
    ]  # fmt: skip
    assert status.reloads == (
        Reload("accepted", WALL + 10, "g2", "g1", (), ("odd",), ("~ route `fixed`",)),
    )


def test_a_refused_file_is_told_until_it_is_mended_and_changes_nothing() -> None:
    watched = started().after(5, journal.ReloadFailed(("routes.yaml:3:1: bad [x]", "y", "z")))
    status = watched.status()

    assert status.refused_reload == status.reloads[0]
    assert (status.router.generation, status.health.ready) == ("g1", True)
    assert [(c.kind, c.why) for c in status.health.concerns] == [
        ("reload", "routes.yaml:3:1: bad [x] (and 2 more)")
    ]
    fixed = watched.after(5, journal.RoutesLoaded("g1", ())).status()
    assert (fixed.refused_reload, fixed.health.concerns) == (None, ())
    assert [reload.outcome for reload in fixed.reloads] == ["accepted", "refused"]


def test_a_queue_that_went_with_a_reload_is_there_until_it_is_drained() -> None:
    queues = (Queue("q", url="q"), Queue("old", url="old"))
    before = table(route(), route("other", queues=("old",)), queues=queues)
    watched = Watched().after(
        0, swapped(before), journal.QueueOpened("q"), journal.QueueOpened("old")
    )
    watched.after(5, swapped(table(route(), generation="g2"), "g1"))
    old = watched.status().queues[1]

    assert (old.name, old.state, old.since) == ("old", "stopping", WALL + 5)
    watched.after(5, journal.QueueClosed("old"))
    assert [queue.name for queue in watched.status().queues] == ["q"]


def test_a_queue_that_got_another_address_is_read_while_the_old_one_is_drained() -> None:
    moved = table(route(profile=CAREFUL), queues=(Queue("q", url="new"),), generation="g2")
    watched = started().after(5, swapped(moved, "g1"), journal.QueueOpened("q"))
    watched.after(5, journal.QueueClosed("q"))

    assert [(queue.name, queue.state) for queue in watched.status().queues] == [("q", "reading")]


def test_queues_are_there_until_they_are_drained_when_the_router_stops() -> None:
    watched = started().after(5, journal.Stopping(25.0))

    assert [queue.state for queue in watched.status().queues] == ["stopping"]
    assert watched.after(1, journal.QueueClosed("q")).status().queues == ()


def test_a_route_that_reads_several_queues_counts_its_messages_by_queue() -> None:
    queues = (Queue("a", url="a"), Queue("b", url="b"))
    several, single = route("several", queues=("a", "b")), route("single", queues=("a",))
    watched = Watched().after(0, swapped(table(several, single, queues=queues)))
    for made, queue in ((several, "a"), (several, "b"), (several, "b"), (single, "a")):
        decision = Routed(made, made.profile, entry().event)
        watched.after(0, journal.Decided(queue, "m1", decision))

    counts = [it.routed_by_queue for it in watched.status().routes]
    assert counts == [{"a": 1, "b": 2}, {"a": 1}]
    again = [it.routed_by_queue for it in watched.after(60).status().routes]
    assert again == [{"a": 0, "b": 0}, {"a": 0}]


# Apps


@pytest.mark.parametrize("code", ["bad_token", "forbidden"])
def test_a_refused_token_makes_the_router_unready_at_once(code: str) -> None:
    error = LaunchRejected("401 the token has expired", code=code)
    watched = started().after(1, journal.WatchFailed("jobs", None, error, 2.0))
    status = watched.status()

    assert status.apps[0].token_refused
    assert not status.health.ready
    assert status.health.checks[3].detail == "jobs: 401 the token has expired"
    assert watched.after(1, launched(batch())).status().health.ready


def test_an_app_of_which_no_further_failure_was_heard_is_well_again() -> None:
    error = LaunchUnavailable("no answer", code="connection")
    watched = started().after(1, journal.WatchFailed("jobs", None, error, 30.0))

    states = [watched.after(s).status() for s in (30, 1, 59, 1)]
    assert [status.health.ready for status in states] == [True, False, False, True]
    assert states[-1].apps[0].trouble is None


# Batches and failures


def test_what_fails_alike_is_one_failure_whatever_the_id_of_the_request() -> None:
    watched = started()
    for at in (1, 2):
        full = LaunchUnavailable(f"422 no room (request 01K{at}-iad)", code="region_capacity")
        watched.after(1, journal.LaunchFailed(batch(), full, at, 2.0))
    (failure,) = watched.status().failures

    assert (failure.count, failure.text) == (2, "422 no room (request 01K2-iad)")


def test_a_batch_is_followed_from_its_closing_to_the_end_of_its_machine() -> None:
    made = batch()
    watched = started().after(1, journal.BatchClosed(made, batch_id_of(made), 0.7))
    first = watched.status().batches[0]
    second = watched.after(1, launched(made)).status().batches[0]
    third = watched.after(9, ended(made)).status().batches[0]

    assert (first.state, first.closed, first.waited, first.event_count) == (
        "launching",
        WALL + 1,
        0.7,
        1,
    )
    assert [(event.message_id, event.receives) for event in first.events] == [("m1", 1)]
    assert (second.state, second.machine_id, second.region) == ("running", "id-1", "iad")
    assert (second.launched, second.launch_seconds) == (WALL + 2, 0.5)
    assert third == replace(second, state="succeeded", ended=WALL + 11, seconds=9.5, exit_code=0)


def test_nobody_waits_for_the_end_of_a_machine_with_acknowledge_launch() -> None:
    made = batch(acknowledge="launch")

    assert started().after(1, launched(made)).status().batches[0].state == "launched"


def test_a_defect_in_the_handling_of_a_batch_is_told_without_its_text() -> None:
    made = batch()
    watched = started().after(1, journal.BatchClosed(made, batch_id_of(made), 0.0))
    status = watched.after(1, journal.InternalError("q", ("m1",), ValueError("secret"))).status()

    assert status.batches[0].state == "not_launched"
    assert status.failures[0].text == "a defect of lambdo-router (ValueError); see its log"
    assert "secret" not in json_text(status)


def test_the_memory_is_bounded() -> None:
    watched = started()
    for number in range(1000):
        made = batch(message_id=f"m{number}")
        watched.after(1, launched(made), ended(made, f"failure {number} {'x' * 600}"))
        watched.after(1, journal.ReloadFailed((f"{number}",) * 100))
    status = watched.status()

    assert (len(status.batches), len(status.failures), len(status.reloads)) == (200, 50, 20)
    assert len(status.reloads[0].problems) == 50
    assert status.batches[0].events[0].message_id == "m999"
    assert len(status.failures[0].text) == 503


# The whole


def test_the_json_has_the_fields_as_keys() -> None:
    document = json.loads(json_text(started().after(1, launched(batch())).status()))

    assert list(document) == [
        "format_version", "at", "health", "router", "queues", "routes", "apps", "machines",
        "batches", "failures", "reloads", "refused_reload",
    ]  # fmt: skip
    assert document["batches"][0]["events"] == [{"message_id": "m1", "receives": 1}]


async def test_a_real_router_is_told_of_as_it_is() -> None:
    launcher = ScriptedLauncher(runs_for=5.0, ends=[MachineEnd(1), MachineEnd(0)])
    made = table(route(profile=replace(CAREFUL, batch_size=1)))
    watched = Watched()

    async with running(made, launcher) as scenario:
        seen = 0

        async def look_after(seconds: float) -> Status:
            nonlocal seen
            await asyncio.sleep(seconds)
            new, seen = scenario.facts[seen:], len(scenario.facts)
            for at, fact in new:
                watched.at = WALL + at
                watched.overview.observe(fact)
            return watched.status(scenario.router.snapshot())

        scenario.put("{}")
        busy, failed, well = await look_after(3), await look_after(5), await look_after(25)
    stopped = await look_after(0)

    assert (busy.queues[0].held, busy.machines[0].running, busy.batches[0].state) == (
        1,
        1,
        "running",
    )
    assert (failed.routes[0].state, failed.batches[0].failure) == ("failing", "exited with code 1")
    assert (well.routes[0].state, well.queues[0].totals["deleted"]) == ("ok", 1)
    assert [b.state for b in well.batches] == ["succeeded", "failed"]
    assert stopped.router.state == "stopped"


def test_every_fact_changes_the_status_but_those_that_another_fact_follows() -> None:
    followed = {
        journal.GivenBack,
        journal.MachineOverdue,
        journal.ReportTaken,
        journal.MachineAdopted,
        journal.ProfileRecovered,
    }

    assert set(journal.FACTS) - set(Overview._HANDLERS) == followed


def test_every_key_of_the_json_is_described() -> None:
    page = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
    kinds = [kind for kind in vars(status_module).values() if dataclasses.is_dataclass(kind)]
    keys = {made.name for kind in kinds for made in dataclasses.fields(kind)}

    assert {key for key in keys if f"`{key}`" not in page} == set()
