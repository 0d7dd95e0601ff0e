"""What is repeated is summed up."""

import pytest

from lambdo_router.telemetry.logs.repeats import Again, Moment, Over, Repeats

WALL = 1_700_000_000.0


def at(now: float) -> Moment:
    return Moment(now, WALL + now)


def taken(repeats: Repeats, *times: float, pause: float = 0.0) -> list[int | None]:
    """Of each time: how often it has happened by then, if that is worth a line."""
    found = [repeats.take("failed", {"queue": "q"}, pause, at(now)) for now in times]
    return [again.times if again is not None else None for again in found]


def test_the_first_is_told_at_once_and_then_one_a_minute() -> None:
    repeats = Repeats()

    told = taken(repeats, *range(0, 130, 10), pause=10.0)

    assert told == [1, None, None, None, None, None, 7, None, None, None, None, None, 13]


def test_a_line_tells_since_when() -> None:
    repeats = Repeats()
    taken(repeats, 5.0, 30.0)

    assert repeats.take("failed", {"queue": "q"}, 0.0, at(65.0)) == Again(3, WALL + 5)


@pytest.mark.parametrize(
    ("pause", "over_at"),
    [
        pytest.param(0.0, 70.0, id="a-minute"),
        pytest.param(20.0, 70.0, id="a-short-pause"),
        pytest.param(300.0, 610.0, id="twice-a-long-pause"),
    ],
)
def test_it_is_over_when_it_has_not_come_again(pause: float, over_at: float) -> None:
    repeats = Repeats()
    taken(repeats, 0.0, 10.0, pause=pause)

    assert repeats.due <= over_at
    assert repeats.over(over_at - 0.1) == []
    assert repeats.due == over_at
    assert repeats.over(over_at) == [Over("failed", {"queue": "q"}, 2, WALL, WALL + 10)]
    assert repeats.over(over_at + 1000) == []
    assert repeats.due == float("inf")


def test_what_happened_once_has_no_end() -> None:
    repeats = Repeats()
    taken(repeats, 0.0)
    assert repeats.over(1000.0) == []


def test_what_comes_back_later_begins_anew() -> None:
    repeats = Repeats()
    told = taken(repeats, 0.0, 10.0, 500.0, 510.0)

    assert told == [1, None, 1, None]
    assert repeats.over(510.0) == [Over("failed", {"queue": "q"}, 2, WALL, WALL + 10)]
    assert repeats.over(570.0) == [Over("failed", {"queue": "q"}, 2, WALL + 500, WALL + 510)]


def test_topics_do_not_speak_for_each_other() -> None:
    repeats = Repeats()
    told = [
        repeats.take(event, topic, 0.0, at(0.0))
        for event, topic in [
            ("failed", {"queue": "q"}),
            ("failed", {"queue": "r"}),
            ("lost", {"queue": "q"}),
            ("lost", {"route": "q"}),
        ]
    ]
    assert told == [Again(1, WALL)] * 4


def test_at_the_end_everything_is_over() -> None:
    repeats = Repeats()
    taken(repeats, 0.0, 10.0)
    assert repeats.all_over() == [Over("failed", {"queue": "q"}, 2, WALL, WALL + 10)]


def test_what_strangers_write_does_not_fill_the_memory_and_is_told_of_all_the_same() -> None:
    repeats = Repeats()
    for _ in range(2):
        for number in range(1000):
            repeats.take("failed", {"code": str(number)}, 0.0, at(0.0))

    assert repeats.over(1.0) == []
    repeats.take("failed", {"code": "1000"}, 0.0, at(1.0))

    assert repeats.due < 1.0
    assert repeats.over(1.0) == [Over("failed", {"code": "0"}, 2, WALL, WALL)]
    assert len(repeats.over(61.0)) == 999
