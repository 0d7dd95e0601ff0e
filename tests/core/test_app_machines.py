import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.app_machines import AppMachines, Sweep
from lambdo_router.core.machine_metadata import read_label
from lambdo_router.core.ports import MachineSummary
from lambdo_router.core.throttle import CircuitBreaker


def seen(*ids: str, ended: bool = False, state: str = "started") -> list[MachineSummary]:
    return [MachineSummary(i, f"lambdo-x-{i}", "iad", 0.0, ended, state) for i in ids]


def fleet(*ids: str, deadline: float = 1000.0) -> AppMachines:
    made = AppMachines()
    for machine_id in ids:
        made.launched(machine_id, "p", deadline, 0.0)
    return made


def test_what_a_list_gives_reason_to_look_at() -> None:
    made = fleet("a", "b")
    assert made.swept(seen("b", "c"), 10.0) == Sweep(vanished=("a",), unknown=("c",), overdue=())


def test_a_machine_that_is_destroyed_in_the_list_has_vanished() -> None:
    assert fleet("a").swept(seen("a", ended=True), 10.0).vanished == ("a",)


def test_a_fresh_machine_may_be_missing_from_a_list_that_lags() -> None:
    made = fleet("a")
    assert made.swept([], 4.9).vanished == ()
    assert made.swept([], 5.0).vanished == ("a",)


@pytest.mark.parametrize(("now", "overdue"), [(1000.0, ()), (1000.5, ("a",))])
def test_a_machine_is_overdue_after_its_deadline(now: float, overdue: tuple[str, ...]) -> None:
    assert fleet("a").swept(seen("a"), now).overdue == overdue


def test_the_deadline_of_a_unknown_machine_is_in_its_metadata() -> None:
    made = AppMachines()
    made.learned("s", read_label({"lambdo_deadline": "500", "lambdo_profile": "p"}), 0.0)
    made.learned("t", read_label({"lambdo_deadline": "soon"}), 0.0)

    assert made.swept(seen("s", "t"), 600.0).overdue == ("s",)
    assert (made.running("p"), made.running()) == (1, 2)


def test_what_is_launched_here_is_not_overwritten_by_metadata() -> None:
    made = fleet("a", deadline=100.0)
    made.learned("a", read_label({"lambdo_deadline": "999999"}), 0.0)
    assert made.swept(seen("a"), 200.0).overdue == ("a",)


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param(["failed", "failed", "failed"], [(), ("a",), ("a",)], id="failed"),
        pytest.param(["stopped", "stopped"], [(), ("a",)], id="stopped-and-not-destroyed"),
        pytest.param(["replaced", "migrated"], [(), ("a",)], id="final"),
        pytest.param(["stopped", "destroying"], [(), ()], id="on-its-way"),
        pytest.param(["failed", "started", "failed"], [(), (), ()], id="not-in-a-row"),
        pytest.param(["suspended", "suspended"], [(), ()], id="suspended-goes-on"),
        pytest.param(["created", "created"], [(), ()], id="created-may-start"),
        pytest.param(["starting", "starting"], [(), ()], id="starting"),
        pytest.param(["launch_failed", "launch_failed"], [(), ()], id="passing"),
        pytest.param(["some-new-state", "some-new-state"], [(), ()], id="unknown"),
        pytest.param(["", ""], [(), ()], id="not-said"),
    ],
)
def test_a_machine_rests_that_two_lists_in_a_row_show_so(
    states: list[str], expected: list[tuple[str, ...]]
) -> None:
    made = fleet("a")
    assert [made.swept(seen("a", state=state), 10.0).resting for state in states] == expected
    assert made.running() == 1


def test_what_is_spent_lingers_until_lists_show_it_no_more() -> None:
    made = fleet("a", "b")
    made.spent("a")

    assert made.swept(seen("a", "b", state="failed"), 10.0) == Sweep((), (), (), (), ("a",))
    assert made.swept(seen("a", state="destroying"), 2.0) == Sweep((), (), ())
    assert made.running() == 1
    assert made.swept([], 3.0) == Sweep((), (), ())
    assert made.swept(seen("a"), 4.0).unknown == ("a",)


def test_what_is_spent_and_adopted_is_known_again() -> None:
    made = fleet("a")
    made.spent("a")
    made.launched("a", "p", 1000.0, 10.0)

    assert made.swept(seen("a", state="failed"), 20.0) == Sweep((), (), ())
    assert made.running() == 1


def test_what_has_ended_runs_no_more() -> None:
    made = fleet("a", "b")
    made.ended("a")
    made.ended("a")
    assert made.running() == 1


def test_a_circuit_probes_with_growing_pauses_until_a_create_is_accepted() -> None:
    circuit = CircuitBreaker()
    assert circuit.wait(0.0) == 0.0
    probes, now = [], 0.0
    for _ in range(7):
        now += circuit.wait(now)
        probes.append(now)
        circuit.probing(now)
        circuit.refused(now, jitter=1.0)
    assert probes == [0.0, 15.0, 45.0, 105.0, 225.0, 465.0, 765.0]

    circuit.accepted()
    assert not circuit.failing
    assert circuit.wait(now) == 0.0


def test_while_a_probe_is_under_way_others_wait() -> None:
    circuit = CircuitBreaker()
    circuit.refused(0.0, jitter=1.0)
    circuit.probing(15.0)
    assert circuit.wait(15.0) == 15.0


@given(st.lists(st.tuples(st.sampled_from("lewd"), st.sampled_from("abc")), max_size=60))
def test_running_is_what_was_launched_less_what_ended(steps: list[tuple[str, str]]) -> None:
    made, expected = AppMachines(), set()
    for step, machine_id in steps:
        match step:
            case "l":
                made.launched(machine_id, "p", 10.0, 0.0)
                expected.add(machine_id)
            case "w":
                made.learned(machine_id, read_label({"lambdo_profile": "p"}), 0.0)
                expected.add(machine_id)
            case "e":
                made.ended(machine_id)
                expected.discard(machine_id)
            case _:
                sweep = made.swept(seen(machine_id), 100.0)
                assert set(sweep.unknown) == {machine_id} - expected
                assert set(sweep.vanished) == expected - {machine_id}
    assert made.running("p") == made.running() == len(expected)
