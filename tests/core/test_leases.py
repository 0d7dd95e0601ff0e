from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.lease import LeaseBook, Renewal


def book(*ids: str, at: float = 0.0, seconds: float = 60.0) -> LeaseBook:
    leases = LeaseBook()
    for message_id in ids:
        leases.hold(message_id, f"{message_id}#1", at, seconds)
    return leases


def test_a_lease_is_due_at_half_life() -> None:
    leases = book("a")

    assert leases.next_due() == 30.0
    assert leases.due(29.9, 10) == ()
    assert leases.due(30.0, 10) == (Renewal(("a",), 60.0),)


def test_a_renewed_lease_counts_from_the_asking() -> None:
    leases = book("a")
    leases.renewed(["a"], 31.0, 60.0)

    assert leases.next_due() == 61.0
    assert leases.margin(["a"], 31.0) == 60.0


def test_a_redelivery_replaces_the_receipt_and_is_not_new() -> None:
    leases = book("a")

    assert not leases.hold("a", "a#2", 20.0, 60.0)
    assert leases.receipts(["a"]) == {"a#2": "a"}
    assert leases.next_due() == 50.0


def test_a_released_lease_is_never_renewed() -> None:
    leases = book("a", "b")
    leases.release(["a", "unknown"])

    assert leases.due(30.0, 10) == (Renewal(("b",), 60.0),)
    assert len(leases) == 1


def test_renewals_are_cut_to_the_limit() -> None:
    renewals = book("a", "b", "c").due(30.0, 2)
    assert renewals == (Renewal(("a", "b"), 60.0), Renewal(("c",), 60.0))


def test_a_failed_renewal_is_tried_again_until_the_lease_runs_out() -> None:
    leases = book("a")
    leases.postpone(["a"], 32.0)
    assert leases.next_due() == 32.0

    leases.postpone(["a"], 90.0)
    assert leases.next_due() == 60.0
    assert leases.expire(60.0) == ("a",)
    assert leases.is_lost("a")
    assert leases.next_due() is None


def test_the_lease_of_a_running_machine_grows_at_each_renewal() -> None:
    leases = book("a", "b")
    leases.grow(["a"], 200.0)
    asked = []
    for now in (30.0, 90.0, 180.0, 280.0):
        for renewal in leases.due(now, 10):
            if "a" in renewal.message_ids:
                asked.append((now, renewal.seconds))
            leases.renewed(renewal.message_ids, now, renewal.seconds)

    assert asked == [(30.0, 60.0), (90.0, 120.0), (180.0, 200.0), (280.0, 200.0)]


def test_a_lost_lease_is_reported_once_and_a_redelivery_revives_it() -> None:
    leases = book("a")

    assert leases.lose(["a", "unknown"]) == ("a",)
    assert leases.lose(["a"]) == ()
    assert not leases.hold("a", "a#2", 70.0, 60.0)
    assert not leases.is_lost("a")


def test_renewals_ask_no_more_than_the_rest_of_sqs_twelve_hours() -> None:
    leases = book("a", seconds=600.0)
    leases.renewed(["a"], 42_500.0, 600.0)
    assert leases.next_due() == 42_800.0

    assert leases.due(42_800.0, 10) == (Renewal(("a",), 398.0),)
    leases.renewed(["a"], 42_800.0, 398.0)
    assert leases.next_due() == 43_198.0
    assert leases.due(43_197.0, 10) == ()
    assert leases.expire(43_198.0) == ("a",)


@given(
    seconds=st.sampled_from([10.0, 60.0, 600.0, 43_200.0]),
    answers=st.lists(st.sampled_from(["renewed", "failed"]), max_size=200),
)
def test_a_lease_never_outlives_twelve_hours_and_is_always_looked_at_again(
    seconds: float, answers: list[str]
) -> None:
    leases = book("a", seconds=seconds)
    now = 0.0
    for answer in answers:
        due = leases.next_due()
        if due is None:
            break
        assert due >= now
        now = due
        leases.expire(now)
        for renewal in leases.due(now, 10):
            assert 0 < renewal.seconds <= 43_200.0 - now
            if answer == "renewed":
                leases.renewed(renewal.message_ids, now, renewal.seconds)
            else:
                leases.postpone(renewal.message_ids, now + 1.0)
    assert leases.next_due() is not None or leases.is_lost("a")
    assert now + leases.margin(["a"], now) <= 43_200.0


@dataclass
class Step:
    """One thing that happens to a book, `pause` seconds after the one before."""

    pause: float
    act: str
    ids: list[str]


STEPS = st.builds(
    Step,
    st.integers(0, 40).map(float),
    st.sampled_from(["hold", "renew", "postpone", "release", "lose", "grow", "look"]),
    st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True),
)


@given(st.lists(STEPS, max_size=40))
def test_alarms_say_what_a_look_at_every_lease_would_say(steps: list[Step]) -> None:
    leases, now = LeaseBook(), 0.0
    for step in steps:
        now += step.pause
        for message_id in step.ids if step.act == "hold" else ():
            leases.hold(message_id, f"{message_id}@{now}", now, 60.0)
        match step.act:
            case "renew":
                leases.renewed(step.ids, now, 60.0)
            case "postpone":
                leases.postpone(step.ids, now + 2.0)
            case "release":
                leases.release(step.ids)
            case "lose":
                leases.lose(step.ids)
            case "grow":
                leases.grow(step.ids, 240.0)
        living = {i: held for i, held in leases._leases.items() if not held.lost}
        assert leases.next_due() == min(
            (min(held.renew_at, held.expires_at) for held in living.values()), default=None
        )
        over = {i for i, held in living.items() if held.expires_at <= now}
        assert set(leases.expire(now)) == over
        due = {i for i, held in living.items() if held.renew_at <= now and i not in over}
        assert {i for renewal in leases.due(now, 10) for i in renewal.message_ids} == due


def test_alarms_of_leases_that_ended_do_not_pile_up() -> None:
    leases = LeaseBook()
    for number in range(100_000):
        leases.hold(str(number), "r", number / 1000, 60.0)
        leases.release([str(number)])

    assert len(leases._alarms) <= 1001
