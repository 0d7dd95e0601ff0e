"""What is remembered of parked messages, and in which order they are shown again."""

from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.core.parking import Group, Parked, ParkingLot

A, B = Group("a"), Group("b")


def parked(*ids: str, until: float = 600.0, weight: int = 1) -> list[Parked]:
    return [Parked(each, f"{each}#1", until, weight) for each in ids]


def ids(messages: tuple[Parked, ...]) -> list[str]:
    return [message.message_id for message in messages]


def test_the_longest_parked_is_recalled_first_and_only_once() -> None:
    lot = ParkingLot()
    lot.park(A, parked("1", "2", "3"))

    assert ids(lot.recall(A, 2, now=0.0)) == ["1", "2"]
    assert ids(lot.recall(A, 2, now=0.0)) == ["3"]
    assert lot.recall(A, 2, now=0.0) == ()
    assert lot.groups() == ()


def test_what_is_recalled_is_awaited_until_it_comes_or_for_a_minute() -> None:
    lot = ParkingLot()
    lot.park(A, parked("1", "2"))
    lot.recall(A, 2, now=0.0)
    before = lot.awaited(A, 1.0)
    lot.arrived("1")

    assert (before, lot.awaited(A, 1.0), lot.awaited(A, 60.0)) == (2, 1, 0)


def test_a_message_whose_time_is_nearly_up_is_left_to_come_by_itself() -> None:
    lot = ParkingLot()
    lot.park(A, parked("soon", until=100.0))
    lot.park(A, parked("later", until=700.0))

    assert ids(lot.recall(A, 2, now=99.0)) == ["later"]


def test_the_first_of_a_group_counts_for_all_that_come_with_it() -> None:
    lot = ParkingLot()
    lot.park(A, parked("1", "2", "3", weight=5))

    assert ids(lot.recall(A, 6, now=0.0)) == ["1", "2"]
    assert lot.awaited(A, 0.0) == 10


def test_what_could_not_be_shown_waits_for_its_next_turn() -> None:
    lot = ParkingLot()
    lot.park(A, parked("1", "2"))
    lot.park(A, lot.recall(A, 1, now=0.0))

    assert lot.awaited(A, 0.0) == 0
    assert ids(lot.recall(A, 2, now=0.0)) == ["2", "1"]


def test_no_more_than_ten_thousand_are_remembered() -> None:
    lot = ParkingLot()
    lot.park(A, parked(*map(str, range(9_999))))
    lot.park(B, parked("x", "y"))

    assert len(lot) == 10_000


@given(
    st.lists(
        st.tuples(st.sampled_from(["park", "recall", "arrive"]), st.integers(0, 9)), max_size=60
    )
)
def test_a_message_is_parked_or_awaited_or_neither_and_never_both(
    steps: list[tuple[str, int]],
) -> None:
    lot, waiting, shown = ParkingLot(), dict[str, None](), set[str]()
    for step, number in steps:
        match step:
            case "park":
                lot.park(A, parked(str(number)))
                waiting.setdefault(str(number))
                shown.discard(str(number))
            case "recall":
                taken = ids(lot.recall(A, number, now=0.0))
                assert taken == list(waiting)[:number]
                for each in taken:
                    del waiting[each]
                shown.update(taken)
            case _:
                lot.arrived(str(number))
                waiting.pop(str(number), None)
                shown.discard(str(number))
        assert (len(lot), lot.awaited(A, 0.0)) == (len(waiting), len(shown))
