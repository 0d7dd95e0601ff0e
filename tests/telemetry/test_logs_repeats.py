"""Repeated lines are folded."""

import math

import pytest

from lambdo_router.telemetry.logs.repeats import Episode, Repeats

UNIX = 1_700_000_000.0
TOPIC = {"queue": "q"}


def take(repeats: Repeats, now: float, pause: float = 0.0) -> Episode | None:
    return repeats.take("failed", TOPIC, pause, now, UNIX + now)


def taken(repeats: Repeats, *times: float, pause: float = 0.0) -> list[int | None]:
    """For each time: how often it has happened by then, if a line is written."""
    found = (take(repeats, now, pause) for now in times)
    return [episode.times if episode is not None else None for episode in found]


def over(repeats: Repeats, now: float) -> list[tuple[int, float, float]]:
    """How often, the first and the last time of what has ended."""
    ended = repeats.over(now)
    assert all((it.event, it.topic) == ("failed", TOPIC) for it in ended)
    return [(it.times, it.since - UNIX, it.until - UNIX) for it in ended]


def test_the_first_is_written_at_once_and_then_one_a_minute() -> None:
    written = taken(Repeats(), *range(0, 130, 10), pause=10.0)

    assert written == [1, None, None, None, None, None, 7, None, None, None, None, None, 13]


def test_a_line_says_since_when() -> None:
    repeats = Repeats()
    taken(repeats, 5.0, 30.0)
    episode = take(repeats, 65.0)

    assert episode is not None
    assert (episode.times, episode.since) == (3, UNIX + 5)


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
    assert over(repeats, over_at - 0.1) == []
    assert repeats.due == over_at
    assert over(repeats, over_at) == [(2, 0, 10)]
    assert over(repeats, over_at + 1000) == []
    assert repeats.due == math.inf


def test_what_happened_once_has_no_end() -> None:
    repeats = Repeats()
    taken(repeats, 0.0)
    assert over(repeats, 1000.0) == []


def test_what_comes_back_later_begins_anew() -> None:
    repeats = Repeats()

    assert taken(repeats, 0.0, 10.0, 500.0, 510.0) == [1, None, 1, None]
    assert over(repeats, 510.0) == [(2, 0, 10)]
    assert over(repeats, math.inf) == [(2, 500, 510)]


def test_topics_do_not_speak_for_each_other() -> None:
    repeats = Repeats()
    found = [
        repeats.take(event, topic, 0.0, 0.0, UNIX)
        for event, topic in [
            ("failed", {"queue": "q"}),
            ("failed", {"queue": "r"}),
            ("lost", {"queue": "q"}),
            ("lost", {"route": "q"}),
        ]
    ]
    assert [episode.times for episode in found if episode] == [1] * 4


def test_what_senders_write_does_not_fill_the_memory_and_still_has_its_last_line() -> None:
    repeats = Repeats()
    for _ in range(2):
        for number in range(1000):
            repeats.take("failed", {"code": str(number)}, 0.0, 0.0, UNIX)

    assert repeats.over(1.0) == []
    repeats.take("failed", {"code": "1000"}, 0.0, 1.0, UNIX)

    assert repeats.due < 1.0
    (ended,) = repeats.over(1.0)
    assert (ended.topic, ended.times) == ({"code": "0"}, 2)
    assert len(repeats.over(61.0)) == 999
