"""Routes that changed places: as few as possible, and only where it can matter."""

from itertools import combinations

import pytest
from building import route
from hypothesis import given
from hypothesis import strategies as st

from lambdo_router.config.explain.reorder import MOST_OTHERS, Move, moves
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match, Route


def routes(names: str, queues: tuple[str, ...] = ("q",)) -> list[Route]:
    return [route(name, queues=queues) for name in names]


def asking(name: str, value: str) -> Route:
    return route(name, match=Match(system=compile_pattern({"s": [value]})))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        pytest.param("abc", "abc", [], id="as-before"),
        pytest.param("abc", "adbc", [], id="one-is-new"),
        pytest.param("abc", "ac", [], id="one-is-gone"),
        pytest.param("abcd", "dabc", [Move("d", "before", ("a", "b", "c"))], id="to-the-front"),
        pytest.param("abcd", "bcda", [Move("a", "after", ("b", "c", "d"))], id="to-the-end"),
        pytest.param("abcd", "acbd", [Move("c", "before", ("b",))], id="neighbours"),
        pytest.param(
            "abc",
            "cba",
            [Move("c", "before", ("b", "a")), Move("b", "before", ("a",))],
            id="the-other-way-round",
        ),
    ],
)
def test_the_fewest_routes_move(old: str, new: str, expected: list[Move]) -> None:
    assert list(moves(routes(old), routes(new))) == expected


def test_the_order_of_routes_that_read_other_queues_does_not_matter() -> None:
    a, b = routes("a"), routes("b", queues=("other",))

    assert list(moves([*a, *b], [*b, *a])) == []


def test_the_order_of_routes_that_never_meet_does_not_matter() -> None:
    a, b = asking("a", "1"), asking("b", "2")

    assert list(moves([a, b], [b, a])) == []


def test_an_order_that_only_matters_to_lists_is_told_with_a_doubt() -> None:
    a = route("a", match=Match(body=compile_pattern({"kind": ["x"]})))
    b = route("b", match=Match(body=compile_pattern({"kind": ["y"]})))

    assert list(moves([a, b], [b, a])) == [Move("b", "before", ("a",), certain=False)]


def test_of_many_passed_routes_some_are_named() -> None:
    names = "abcdefghijklmnopqrst"
    (move,) = moves(routes(names), routes("t" + names[:-1]))

    assert (move.route, "".join(move.others)) == ("t", names[:MOST_OTHERS])


@given(st.permutations("abcdef"))
def test_every_pair_that_changed_places_is_told_by_one_of_the_fewest(new: list[str]) -> None:
    told = list(moves(routes("abcdef"), routes("".join(new))))

    pairs = {frozenset((move.route, other)) for move in told for other in move.others}
    inverted = {
        frozenset(pair)
        for pair in combinations("abcdef", 2)
        if new.index(pair[0]) > new.index(pair[1])
    }
    longest = max(
        len(run) for size in range(7) for run in combinations(new, size) if list(run) == sorted(run)
    )
    assert pairs == inverted
    assert len({move.route for move in told}) == 6 - longest
    for move in told:
        for other in move.others:
            before = new.index(move.route) < new.index(other)
            assert (move.where == "before") == before
