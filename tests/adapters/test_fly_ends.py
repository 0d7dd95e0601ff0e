from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from lambdo_router.adapters.fly.ends import machine_end, unix_time
from lambdo_router.core.ports import MachineEnd

T0 = 1_791_626_400_000
"""Milliseconds: 2026-10-10T10:00:00Z."""


def event(what: str, at: int, source: str = "flyd", **request: Any) -> dict[str, Any]:
    kind, _, status = what.partition("/")
    made = {"id": f"01J{at}", "type": kind, "status": status, "source": source}
    return made | {"timestamp": T0 + at, "request": request or None}


def exited(at: int = 8_900, *, restart_count: int = 0, **told: Any) -> dict[str, Any]:
    """An exit event as Fly shows it today, except for what is given; None leaves a field out."""
    exit_event = {
        "requested_stop": False,
        "restarting": False,
        "guest_exit_code": 0,
        "guest_signal": -1,
        "guest_error": "",
        "exit_code": 0,
        "signal": -1,
        "error": "",
        "oom_killed": False,
        "exited_at": "2026-10-10T10:00:08.850Z",
    } | told
    shown = {name: value for name, value in exit_event.items() if value is not None}
    return event("exit/stopped", at, exit_event=shown, restart_count=restart_count)


PENDING = event("launch/pending", 20, source="user")
CREATED = event("launch/created", 140)
STARTED = event("start/started", 1_900)
DESTROYING = event("destroy/destroying", 9_330)
DESTROYED = event("destroy/destroyed", 9_750)
BEFORE = (STARTED, CREATED, PENDING)
"""Newest first, as all lists here."""
AFTER = (DESTROYED, DESTROYING)


def one_shot(exit_: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (*AFTER, exit_, *BEFORE)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param((), None, id="nothing"),
        pytest.param((CREATED, PENDING), None, id="created"),
        pytest.param(BEFORE, None, id="started"),
        pytest.param((DESTROYING, *BEFORE), None, id="destroying-an-exit-may-still-come"),
        pytest.param(
            one_shot(exited(exit_code=3, guest_exit_code=3)),
            MachineEnd(3, seconds=6.95),
            id="a-whole-life",
        ),
        pytest.param((exited(), *BEFORE), MachineEnd(0, seconds=6.95), id="an-exit-is-enough"),
        pytest.param(
            (DESTROYED, DESTROYING, CREATED, PENDING), MachineEnd(None), id="it-never-ran"
        ),
        pytest.param(
            (*AFTER, *BEFORE), MachineEnd(None), id="it-was-started-and-its-exit-was-never-told"
        ),
        pytest.param(
            (exited(), STARTED, CREATED, PENDING)[::-1],
            MachineEnd(0, seconds=6.95),
            id="in-the-wrong-order",
        ),
    ],
)
def test_a_plain_life(events: Sequence[object], expected: MachineEnd | None) -> None:
    assert machine_end(events) == expected


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        pytest.param({}, MachineEnd(0), id="success"),
        pytest.param({"exit_code": 1, "guest_exit_code": 1}, MachineEnd(1), id="failure"),
        pytest.param({"exit_code": None}, MachineEnd(0), id="a-zero-may-be-left-out"),
        pytest.param(
            {"exit_code": 137, "oom_killed": True},
            MachineEnd(137, oom_killed=True),
            id="killed-for-its-memory-although-the-guest-says-0",
        ),
        pytest.param(
            {"exit_code": None, "oom_killed": True},
            MachineEnd(137, oom_killed=True),
            id="killed-for-its-memory-without-a-code",
        ),
        pytest.param(
            {"exit_code": 143, "signal": 15, "guest_signal": 15, "requested_stop": True},
            MachineEnd(143, requested_stop=True),
            id="stopped-by-a-call",
        ),
        pytest.param(
            {"requested_stop": True}, MachineEnd(0, requested_stop=True), id="stopped-and-said-0"
        ),
        pytest.param({"exit_code": None, "signal": 9}, MachineEnd(137), id="a-signal-is-no-0"),
        pytest.param({"guest_signal": 11}, MachineEnd(139), id="a-signal-in-the-guest-is-no-0"),
        pytest.param(
            {"exit_code": 1, "error": "boom", "guest_error": "guest"},
            MachineEnd(1, error="boom"),
            id="with-an-error",
        ),
        pytest.param(
            {"exit_code": 1, "guest_error": "exec format"},
            MachineEnd(1, error="exec format"),
            id="with-the-guests-error",
        ),
        pytest.param(
            {"exit_code": "0"},
            MachineEnd(None, error="its exit event does not tell its exit code"),
            id="a-code-that-is-none",
        ),
        pytest.param(
            {"exit_code": False, "error": "odd"},
            MachineEnd(None, error="odd"),
            id="false-is-no-code",
        ),
    ],
)
def test_what_an_exit_event_means(told: Mapping[str, Any], expected: MachineEnd) -> None:
    end = machine_end(one_shot(exited(**told)))

    assert end == MachineEnd(
        expected.exit_code,
        oom_killed=expected.oom_killed,
        requested_stop=expected.requested_stop,
        error=expected.error,
        seconds=6.95,
    )


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(
            {"MonitorEvent": {"exit_event": {"exit_code": 4}}, "exit_event": {"exit_code": 5}},
            MachineEnd(4),
            id="the-monitors-first",
        ),
        pytest.param(
            {"MonitorEvent": {}, "exit_event": {"exit_code": 5}}, MachineEnd(5), id="else-the-other"
        ),
        pytest.param(
            {"MonitorEvent": None, "exit_event": {"exit_code": 5}}, MachineEnd(5), id="null"
        ),
        pytest.param(
            {}, MachineEnd(None, error="its exit event does not tell its exit code"), id="neither"
        ),
        pytest.param(
            {"exit_event": {}},
            MachineEnd(None, error="its exit event does not tell its exit code"),
            id="empty",
        ),
        pytest.param(
            {"exit_event": "0"},
            MachineEnd(None, error="its exit event does not tell its exit code"),
            id="no-object",
        ),
    ],
)
def test_where_the_exit_is_told(request_: dict[str, Any], expected: MachineEnd) -> None:
    told_nowhere = event("exit/stopped", 8_900, **request_)

    assert machine_end((*AFTER, told_nowhere, CREATED, PENDING)) == expected


def test_an_exit_that_tells_nothing_is_no_end_before_the_machine_is_destroyed() -> None:
    assert machine_end((event("exit/stopped", 8_900), *BEFORE)) is None


@pytest.mark.parametrize(
    ("exited_at", "expected"),
    [
        pytest.param("2026-10-10T10:00:08.850Z", 6.95, id="rfc-3339"),
        pytest.param("2026-10-10T12:00:08.850123456+02:00", 6.95, id="with-nanoseconds-and-zone"),
        pytest.param(T0 + 8_850, 6.95, id="milliseconds-as-in-2022"),
        pytest.param(None, 7.0, id="left-out-then-the-events-own-time"),
        pytest.param("0001-01-01T00:00:00Z", 7.0, id="gos-zero"),
        pytest.param("soon", 7.0, id="no-time"),
        pytest.param("2026-10-10T09:00:00Z", 0.0, id="before-its-start"),
    ],
)
def test_how_long_it_ran(exited_at: object, expected: float) -> None:
    end = machine_end(one_shot(exited(exited_at=exited_at)))

    assert end is not None
    assert end.seconds == expected


def test_without_a_start_nobody_knows_how_long_it_ran() -> None:
    assert machine_end((*AFTER, exited(), CREATED, PENDING)) == MachineEnd(0)


RESTARTING = exited(3_000, exit_code=1, restarting=True)
AGAIN = event("start/started", 4_000)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param((RESTARTING, *BEFORE), None, id="about-to"),
        pytest.param((AGAIN, RESTARTING, *BEFORE), None, id="running"),
        pytest.param(
            (*AFTER, exited(restart_count=1), AGAIN, RESTARTING, *BEFORE),
            MachineEnd(0, seconds=4.85),
            id="and-then-well",
        ),
        pytest.param(
            (DESTROYED, DESTROYING, exited(3_000, restarting=True, exited_at=None), *BEFORE),
            MachineEnd(0, requested_stop=True, seconds=1.1),
            id="destroyed-instead",
        ),
        pytest.param(
            (DESTROYED, DESTROYING, AGAIN, RESTARTING, *BEFORE),
            MachineEnd(1, requested_stop=True, seconds=6.95),
            id="destroyed-while-it-ran-again",
        ),
        pytest.param(
            (event("launch/created", 9_100), exited(requested_stop=True), *BEFORE),
            None,
            id="moved-to-another-host",
        ),
        pytest.param(
            (event("start/starting", 9_100, source="user"), exited(), *BEFORE),
            None,
            id="started-by-hand",
        ),
    ],
)
def test_a_machine_that_runs_again(events: Sequence[object], expected: MachineEnd | None) -> None:
    assert machine_end(events) == expected


FAILED = MachineEnd(None, error="Fly says that the Machine has failed, and not why")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param((), FAILED, id="nothing"),
        pytest.param((CREATED, PENDING), FAILED, id="before-its-start"),
        pytest.param((event("launch/failed", 200), CREATED, PENDING), FAILED, id="as-it-may-say"),
        pytest.param(BEFORE, FAILED, id="while-it-ran"),
        pytest.param((RESTARTING, *BEFORE), FAILED, id="when-it-was-to-run-again"),
        pytest.param((exited(exit_code=3), *BEFORE), MachineEnd(3, seconds=6.95), id="exited"),
        pytest.param(
            (event("exit/stopped", 8_900), *BEFORE), FAILED, id="with-an-exit-that-tells-nothing"
        ),
        pytest.param((DESTROYED, CREATED, PENDING), MachineEnd(None), id="destroyed-meanwhile"),
    ],
)
def test_a_machine_that_failed(events: Sequence[object], expected: MachineEnd) -> None:
    assert machine_end(events, failed=True) == expected


STOPPING = event("stop/stopping", 5_000, source="user", reason="")
CALLED = event("destroy/destroying", 5_000, source="user")


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        pytest.param(
            (exited(), STOPPING, *BEFORE),
            MachineEnd(0, requested_stop=True, seconds=6.95),
            id="stop",
        ),
        pytest.param(
            (DESTROYED, exited(exit_code=137, signal=9), CALLED, *BEFORE),
            MachineEnd(137, requested_stop=True, seconds=6.95),
            id="destroy",
        ),
        pytest.param(
            (DESTROYED, CALLED, CREATED, PENDING),
            MachineEnd(None, requested_stop=True),
            id="destroyed-before-it-ran",
        ),
        pytest.param(
            (event("destroy/destroying", 9_000, source="user"), exited(), *BEFORE),
            MachineEnd(0, seconds=6.95),
            id="destroyed-after-it-had-ended",
        ),
        pytest.param(
            (exited(), event("start/started", 6_000), STOPPING, *BEFORE),
            MachineEnd(0, seconds=2.85),
            id="stopped-in-an-earlier-run",
        ),
    ],
)
def test_a_machine_that_was_stopped_by_a_call(
    events: Sequence[object], expected: MachineEnd
) -> None:
    assert machine_end(events) == expected


def test_events_of_the_same_millisecond_stay_in_the_order_of_the_list() -> None:
    at_once = [event(what, 0) for what in ("start/started", "exit/stopped", "launch/created")]
    at_once[1]["request"] = {"exit_event": {"exit_code": 2}}

    assert machine_end(at_once) is None
    assert machine_end([at_once[1], at_once[0], at_once[2]]) == MachineEnd(2, seconds=0.0)


def test_what_is_no_event_or_unknown_is_passed_over() -> None:
    strange = ["odd", None, {}, {"type": 7, "timestamp": "x"}, event("cordon/cordoned", 9_999)]

    assert machine_end([*strange, *one_shot(exited())]) == MachineEnd(0, seconds=6.95)


def test_without_their_times_events_are_newest_first() -> None:
    timeless = [
        {name: value for name, value in event_.items() if name != "timestamp"}
        for event_ in one_shot(exited(exited_at=None, exit_code=3))
    ]

    assert machine_end(timeless) == MachineEnd(3)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("2026-10-10T10:00:00Z", 1_791_626_400.0, id="seconds"),
        pytest.param("2026-10-10T10:00:00.25Z", 1_791_626_400.25, id="fraction"),
        pytest.param("2026-10-10T10:00:00", 1_791_626_400.0, id="no-zone-is-utc"),
        pytest.param(1_791_626_400_250, 1_791_626_400.25, id="milliseconds"),
        pytest.param("0001-01-01T00:00:00Z", None, id="gos-zero"),
        pytest.param(0, None, id="zero"),
        pytest.param(True, None, id="true"),
        pytest.param(float("inf"), None, id="infinite"),
        pytest.param("", None, id="empty"),
        pytest.param(None, None, id="null"),
        pytest.param(10**400, None, id="absurd"),
    ],
)
def test_times(value: object, expected: float | None) -> None:
    assert unix_time(value) == expected
