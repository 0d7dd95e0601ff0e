from collections.abc import Callable
from typing import Any

import pytest

from lambdo_router.local.machines_server import (
    AT_ONCE,
    Delays,
    Exit,
    Happened,
    MachineRecord,
    Mishap,
    Mishaps,
    Platform,
    RateLimits,
    by_route,
)
from lambdo_router.local.machines_server.identities import Identities
from lambdo_router.local.machines_server.platform import Run, Signal
from lambdo_router.local.machines_server.refusals import Refusal
from lambdo_router.local.machines_server.requests import CreateRequest

SLOW = Delays(start=2.0, restart=1.0, destroy=0.5, gone=0.25)
T0 = 1_790_000_000.0


def asked(name: str | None = "job-1", region: str = "", **more: object) -> CreateRequest:
    config = {"image": "nginx", "auto_destroy": True, "restart": {"policy": "no"}, **more}
    return CreateRequest(name, region, config)


def happened(record: MachineRecord) -> list[tuple[float, str, str, str]]:
    return [
        (event.at - T0, f"{event.type}/{event.status}", event.source, event.state)
        for event in record.events
    ]


def only(platform: Platform) -> MachineRecord:
    (record,) = platform.ledger()
    return record


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.http, caught.value.error


def test_a_one_shot_machine_leaves_six_events_in_order() -> None:
    platform = Platform(delays=SLOW)
    record = platform.create("jobs", asked(), T0)

    assert platform.next_due() == T0 + 2.0
    assert platform.advance(T0 + 1.9) == []
    (run,) = platform.advance(T0 + 2.0)
    assert isinstance(run, Run)
    assert run.record.state == "started"
    platform.ended(record.id, Exit(3), T0 + 7.0)
    assert platform.advance(T0 + 60.0) == []
    assert happened(only(platform)) == [
        (0.0, "launch/pending", "user", "created"),
        (0.0, "launch/created", "flyd", "created"),
        (2.0, "start/started", "flyd", "started"),
        (7.0, "exit/stopped", "flyd", "stopped"),
        (7.5, "destroy/destroying", "flyd", "destroying"),
        (7.75, "destroy/destroyed", "flyd", "destroyed"),
    ]
    assert only(platform).exit == Exit(3)
    assert platform.next_due() is None


def test_event_ids_are_ulids_in_the_order_of_the_events() -> None:
    platform = Platform(delays=AT_ONCE)
    record = platform.create("jobs", asked(), T0)
    platform.advance(T0)
    platform.ended(record.id, Exit(0), T0)
    platform.advance(T0)
    ids = [event.id for event in only(platform).events]

    assert ids == sorted(set(ids))
    assert {len(event_id) for event_id in ids} == {26}


def test_the_same_seed_makes_the_same_machines() -> None:
    first, second, other = Platform(seed=7), Platform(seed=7), Platform(seed=8)

    assert first.create("jobs", asked(None), T0) == second.create("jobs", asked(None), T0)
    assert other.create("jobs", asked(None), T0).id != only(first).id


@pytest.mark.parametrize(
    ("restart", "end", "runs"),
    [
        pytest.param(None, Exit(1), 11, id="no-policy-tries-a-failure-ten-times-more"),
        pytest.param(None, Exit(0), 1, id="no-policy-leaves-a-success"),
        pytest.param({"policy": "on-failure", "max_retries": 2}, Exit(1), 3, id="own-maximum"),
        pytest.param({"policy": "no"}, Exit(1), 1, id="no"),
    ],
)
def test_restarts_in_place(restart: dict[str, Any] | None, end: Exit, runs: int) -> None:
    platform = Platform(delays=AT_ONCE)
    record = platform.create("jobs", asked(restart=restart), T0)
    counted = 0
    while platform.advance(T0):
        counted += 1
        platform.ended(record.id, end, T0)

    exits = [event.request for event in only(platform).events if event.type == "exit"]
    assert counted == runs
    assert [exit_["restart_count"] for exit_ in exits if exit_] == list(range(runs))
    assert [exit_["exit_event"]["restarting"] for exit_ in exits if exit_] == [True] * (
        runs - 1
    ) + [False]
    assert only(platform).state == "destroyed"


def test_policy_always_restarts_until_it_is_stopped_even_between_two_runs() -> None:
    platform = Platform(delays=SLOW)
    record = platform.create("jobs", asked(restart={"policy": "always"}), T0)
    platform.advance(T0 + 2.0)
    platform.ended(record.id, Exit(0), T0 + 3.0)
    assert only(platform).state == "restarting"

    platform.stop("jobs", record.id, T0 + 3.5)
    assert platform.advance(T0 + 9.0) == []
    assert only(platform).state == "destroyed"


def test_a_stopped_machine_gets_its_signal_and_after_its_timeout_sigkill() -> None:
    platform = Platform(delays=AT_ONCE)
    stop_config = {"signal": "SIGTERM", "timeout": "10s"}
    record = platform.create("jobs", asked(stop_config=stop_config), T0)
    platform.advance(T0)

    platform.stop("jobs", record.id, T0 + 1.0)
    assert platform.advance(T0 + 1.0) == [Signal(record.id, "SIGTERM")]
    assert platform.next_due() == T0 + 11.0
    assert platform.advance(T0 + 11.0) == [Signal(record.id, "SIGKILL")]
    platform.ended(record.id, Exit(137, signal=9), T0 + 11.1)
    platform.advance(T0 + 12.0)
    (request,) = [event.request for event in only(platform).events if event.type == "exit"]
    assert request is not None
    assert request["exit_event"]["requested_stop"] is True
    assert request["exit_event"]["signal"] == 9
    assert only(platform).state == "destroyed"


def test_a_machine_that_stops_in_time_is_not_killed() -> None:
    platform = Platform(delays=AT_ONCE)
    record = platform.create("jobs", asked(auto_destroy=False), T0)
    platform.advance(T0)
    platform.stop("jobs", record.id, T0, timeout="10s")
    platform.advance(T0)
    platform.ended(record.id, Exit(0), T0 + 1.0)

    assert platform.next_due() is None
    assert only(platform).state == "stopped"
    assert platform.start("jobs", record.id, T0 + 2.0) == "stopped"
    assert [type(order) for order in platform.advance(T0 + 2.0)] == [Run]


def test_a_running_machine_is_destroyed_only_by_force_and_then_killed() -> None:
    platform = Platform(delays=AT_ONCE)
    record = platform.create("jobs", asked(), T0)
    platform.advance(T0)

    assert refusal(lambda: platform.destroy("jobs", record.id, T0, force=False)) == (
        412,
        "failed_precondition: unable to destroy machine from current state: 'started'",
    )
    platform.destroy("jobs", record.id, T0, force=True)
    platform.destroy("jobs", record.id, T0, force=True)
    assert platform.advance(T0) == [Signal(record.id, "SIGKILL")]
    assert only(platform).state == "destroying"
    platform.ended(record.id, Exit(137, signal=9), T0 + 1.0)
    platform.advance(T0 + 1.0)
    assert [event.status for event in only(platform).events][-3:] == [
        "destroying",
        "stopped",
        "destroyed",
    ]


def test_a_machine_destroyed_before_it_started_never_runs() -> None:
    platform = Platform(delays=SLOW)
    record = platform.create("jobs", asked(), T0)
    platform.destroy("jobs", record.id, T0 + 1.0, force=True)

    assert platform.advance(T0 + 60.0) == []
    assert [event.type for event in only(platform).events] == ["launch", "launch"] + 2 * ["destroy"]


def test_a_machine_created_unlaunched_waits_for_its_start() -> None:
    platform = Platform(delays=AT_ONCE)
    request = CreateRequest("job-1", "", {"image": "nginx"}, skip_launch=True)
    record = platform.create("jobs", request, T0)

    assert platform.next_due() is None
    assert platform.start("jobs", record.id, T0) == "created"
    assert [type(order) for order in platform.advance(T0)] == [Run]
    assert refusal(lambda: platform.start("jobs", record.id, T0)) == (
        412,
        "failed_precondition: unable to start machine from current state: 'started'",
    )


def test_a_name_is_taken_until_its_machine_is_destroyed() -> None:
    platform = Platform(delays=SLOW)
    record = platform.create("jobs", asked(), T0)

    error = f'machine ID {record.id} already exists with name "job-1"'
    assert refusal(lambda: platform.create("jobs", asked(), T0)) == (
        409,
        f"already_exists: unique machine name violation, {error}",
    )
    assert platform.create("others", asked(), T0).name == "job-1"
    platform.destroy("jobs", record.id, T0, force=True)
    platform.advance(T0 + 1.0)
    assert platform.create("jobs", asked(), T0 + 1.0).id != record.id


def test_a_destroyed_machine_can_be_read_for_48_hours_and_stays_in_the_ledger() -> None:
    platform = Platform(delays=AT_ONCE)
    record = platform.create("jobs", asked(), T0)
    platform.destroy("jobs", record.id, T0, force=True)
    platform.advance(T0)
    two_days = 48 * 3600.0

    assert platform.machine("jobs", record.id, T0 + two_days - 0.001).state == "destroyed"
    assert len(list(platform.machines("jobs", T0 + two_days - 0.001))) == 1
    assert refusal(lambda: platform.machine("jobs", record.id, T0 + two_days)) == (
        404,
        "not_found: machine not found",
    )
    assert list(platform.machines("jobs", T0 + two_days)) == []
    assert only(platform).id == record.id


def test_a_machine_is_unknown_in_another_app() -> None:
    platform = Platform()
    record = platform.create("jobs", asked(), T0)

    assert refusal(lambda: platform.machine("others", record.id, T0))[0] == 404


def test_full_regions_are_passed_over_and_full_everywhere_is_refused() -> None:
    platform = Platform()
    platform.full_regions |= {"iad", "ewr"}

    assert platform.create("jobs", asked("a", "iad,ewr,ord"), T0).region == "ord"
    assert platform.create("jobs", asked("b", "us"), T0).region == "dfw"
    with pytest.raises(Refusal) as caught:
        platform.create("jobs", asked("c", "iad"), T0)
    assert caught.value.http == 422
    assert caught.value.body == {
        "error": "could not find a candidate host",
        "status": "insufficient_capacity",
    }


def test_an_app_has_room_for_as_many_machines_as_its_limit() -> None:
    platform = Platform(delays=AT_ONCE)
    platform.machine_limit = 1
    record = platform.create("jobs", asked("a"), T0)

    assert refusal(lambda: platform.create("jobs", asked("b"), T0)) == (
        422,
        "You have reached the maximum number of machines for this app.",
    )
    platform.destroy("jobs", record.id, T0, force=True)
    platform.advance(T0)
    assert platform.create("jobs", asked("b"), T0).name == "b"


def test_ulids_grow_even_within_a_millisecond_and_when_the_clock_goes_back() -> None:
    identities = Identities(seed=1)
    ulids = [identities.ulid(moment) for moment in (T0, T0, T0, T0 - 5.0)]

    assert ulids == sorted(set(ulids))


def test_three_calls_at_once_and_one_a_second_per_action_and_identifier() -> None:
    limits = RateLimits()

    assert [limits.admits("create", "jobs", T0) for _ in range(4)] == [True, True, True, False]
    assert limits.admits("list", "jobs", T0)
    assert limits.admits("create", "others", T0)
    assert not limits.admits("create", "jobs", T0 + 0.9)
    assert limits.admits("create", "jobs", T0 + 1.0)
    assert not limits.admits("create", "jobs", T0 + 1.0)


def test_getting_a_machine_has_more_room_and_limits_can_be_switched_off() -> None:
    limits = RateLimits()

    assert [limits.admits("get", "jobs/1", T0) for _ in range(11)] == [True] * 10 + [False]
    assert limits.admits("get", "jobs/1", T0 + 0.2)
    limits.enabled = False
    assert all(limits.admits("create", "jobs", T0) for _ in range(100))


def test_mishaps_are_repeatable_and_each_of_its_own_action() -> None:
    shares: dict[Mishap, float] = {
        "late_answer": 0.3,
        "never_runs": 0.3,
        "stale_list": 0.3,
        "stale_events": 0.3,
    }
    record = Platform().create("jobs", asked(), T0)

    def met(seed: int) -> list[tuple[str | None, str | None, str | None]]:
        mishaps = Mishaps(seed, shares)
        return [
            (mishaps.on_create(record), mishaps.on_list(), mishaps.on_events(record.id))
            for _ in range(50)
        ]

    assert met(1) == met(1) != met(2)
    assert {create for create, _, _ in met(1)} == {None, "late_answer", "never_runs"}
    assert {list_ for _, list_, _ in met(1)} == {None, "stale_list"}
    assert {events for _, _, events in met(1)} == {None, "stale_events"}


def test_a_mishap_can_be_chosen_by_the_machine_itself_and_then_nothing_else_counts() -> None:
    mishaps = Mishaps(chosen=by_route({"doomed": "never_runs"}, None))
    mishaps.script("late_answer")
    platform = Platform()
    doomed = platform.create("jobs", asked("a", metadata={"lambdo_route": "doomed"}), T0)
    other = platform.create("jobs", asked("b", metadata={"lambdo_route": "other"}), T0)

    assert [mishaps.on_create(it) for it in (doomed, other, other)] == [
        "never_runs",
        "late_answer",
        None,
    ]
    assert mishaps.happened == [
        Happened("never_runs", 1, doomed.id),
        Happened("late_answer", 2, other.id),
    ]
