"""Arrays of objects: which values go together, and what it costs to find out."""

import itertools
import json
import random

import pytest
import reference_matcher

from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.patterns.arrays import MOST_TRIES, Search, Survey
from lambdo_router.core.patterns.compiling import compile_sub_rules
from lambdo_router.core.patterns.reading import walk_along
from lambdo_router.core.strict_json import parse_json


def matches(pattern: str, event: str) -> bool:
    parsed = parse_json(event)
    assert isinstance(parsed, dict)
    compiled = compile_pattern(parse_json(pattern))
    found = compiled.matches(parsed)
    assert found == reference_matcher.matches(pattern, event)
    assert (compiled.why_not(parsed) is None) == found
    return found


AB = '{"e": {"a": [1], "b": [2]}}'


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        pytest.param(AB, '{"e": [{"a": 1}, {"a": 1, "b": 2}]}', id="one-element-has-both"),
        pytest.param(AB, '{"e": [[{"a": 1}, {"a": 1, "b": 2}], {}]}', id="in-a-nested-array"),
        pytest.param(AB, '{"e": [{"a": [5, 1], "b": [2, 3]}, {}]}', id="plain-arrays-inside"),
        pytest.param(AB, '{"e": [{"a": 1}, {}], "e.b": [2, 3]}', id="one-outside"),
        pytest.param(AB, '{"e": {"a": [{}, 1], "b": [{}, 2]}}', id="siblings"),
        pytest.param(AB, '{"e": {"a": [[3], [1]], "b": [[2], [3]]}}', id="different-arrays"),
        pytest.param(
            '{"e": {"a": [1], "f": {"b": [2]}}}',
            '{"e": [{"a": 2, "f": [{"b": 2}]}, {"a": 1, "f": [{"b": 1}, {"b": 2}]}]}',
            id="an-array-in-the-element",
        ),
        pytest.param(
            '{"e": {"a": [1], "b": [2], "c": [3]}}',
            '{"e": [{"a": 1, "b": 2}, {"a": 1}], "e.c": 3}',
            id="two-in-an-array-one-not",
        ),
        pytest.param(
            '{"e": [1, 2], "f": [2]}', '{"e": [[1], [2]], "f": [[1], [2]]}', id="other-arrays"
        ),
        pytest.param(
            '{"a": {"b": {"x": [1], "y": [1], "z": [1]}}}',
            '{"a": {"b": [{"x": 1, "y": 1}, {"x": 1}]}, "a.b": [{"x": 1}, {"z": 1}, {"y": 1}]}',
            id="spread-over-two-spellings",
        ),
        pytest.param(
            '{"a": {"b": {"x": [1], "y": [1], "z": [1]}}}',
            '{"a": {"b": [{"y": 1}, {"x": 1}]}, "a.b": [{"x": 1}, {"z": 1, "y": 1}]}',
            id="spread-the-other-way",
        ),
    ],
)
def test_values_of_one_element_and_of_different_arrays_combine(pattern: str, event: str) -> None:
    assert matches(pattern, event)


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        pytest.param(AB, '{"e": [{"a": 1}, {"b": 2}]}', id="two-elements"),
        pytest.param(AB, '{"e": [[{"a": 1}], [{"b": 2}]]}', id="two-inner-arrays"),
        pytest.param(AB, '{"e": [[{"a": 1}, {"b": 2}], {}]}', id="two-elements-further-in"),
        pytest.param('{"e": [1], "e.a": [2]}', '{"e": [[1], {"a": 2}]}', id="array-and-object"),
        pytest.param(
            '{"e": {"a": [1], "f": {"b": [2]}}}',
            '{"e": [{"a": 1, "f": [{"b": 1}]}, {"a": 2, "f": [{"b": 2}, {}]}]}',
            id="the-outer-element-decides",
        ),
        pytest.param(
            '{"a": {"b": {"x": [1], "y": [1], "z": [1]}}}',
            '{"a": {"b": [{"x": 1}, {"y": 1}]}, "a.b": [{"x": 1}, {"y": 1}, {"z": 1}]}',
            id="two-arrays-for-three",
        ),
    ],
)
def test_values_of_different_elements_do_not_combine(pattern: str, event: str) -> None:
    assert not matches(pattern, event)


ABSENT = '{"exists": false}'


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        pytest.param(
            f'{{"e": {{"a": [{ABSENT}], "b": ["2"]}}}}',
            '{"e": [{"a": 1, "b": "1"}, {"b": "2"}]}',
            False,
            id="asked-before-an-element-is-chosen",
        ),
        pytest.param(
            f'{{"e": {{"z": [{ABSENT}], "b": ["2"]}}}}',
            '{"e": [{"z": 1, "b": "1"}, {"b": "2"}]}',
            True,
            id="asked-after-an-element-is-chosen",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}]}}}}',
            '{"e": [{"z": 1, "b": 2}, {"b": 1}]}',
            False,
            id="the-element-has-it",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}]}}}}',
            '{"e": [{"z": 1, "b": 2}, {"b": 2}]}',
            True,
            id="another-element-has-it-not",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}]}}}}',
            '{"e": [{"z": 1}, {"b": 1}], "e.b": 2}',
            False,
            id="chosen-outside-the-array",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}]}}}}',
            '{"e": [{"z": 1}, {"b": 2}], "e.b": 2}',
            True,
            id="may-be-chosen-inside-as-well",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}]}}}}',
            '{"e": [{"b": 2}, {"z": 1}], "e.z": 1}',
            False,
            id="there-outside-the-array",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "f": {{"z": [{ABSENT}]}}}}}}',
            '{"e": [{"b": 2, "f": [{"z": 1}, {"y": 1}]}, {}]}',
            False,
            id="in-an-inner-array-without-a-choice",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "f": {{"y": [1], "z": [{ABSENT}]}}}}}}',
            '{"e": [{"b": 2, "f": [{"z": 1}, {"y": 1}]}, {}]}',
            True,
            id="in-an-inner-array-with-a-choice",
        ),
        pytest.param(
            f'{{"e": {{"a": [{ABSENT}, 5], "b": [2]}}}}',
            '{"e": [{"a": 1, "b": 2}, {"a": 5, "b": 2}]}',
            True,
            id="absent-or-a-value-by-the-value",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}, 5]}}}}',
            '{"e": [{"z": 1, "b": 2}, {"b": 2}]}',
            True,
            id="absent-or-a-value-by-absence",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "z": [{ABSENT}, 5]}}}}',
            '{"e": [{"z": 1, "b": 2}, {"z": 5}]}',
            False,
            id="absent-or-a-value-by-neither",
        ),
        pytest.param(
            f'{{"e": {{"a": [{ABSENT}, 1], "z": [{ABSENT}]}}}}',
            '{"e": [{"a": 1}, {"z": 1}]}',
            True,
            id="a-value-makes-the-choice-for-the-next",
        ),
        pytest.param(
            f'{{"e": {{"b": [2], "f": {{"y": [1], "z": [{ABSENT}, 7]}}}}}}',
            '{"e": [{"b": 2, "f": [[{"z": 1}], [{"y": 1}], [{"z": 7}]]}, {}]}',
            True,
            id="left-open-further-in",
        ),
        pytest.param(
            f'{{"a": {{"b": {{"x": [1], "z": [{ABSENT}, 5]}}}}}}',
            '{"a": {"b": [{"x": 1}, {"z": 5}]}, "a.b": [{"z": 5}, {"z": 1, "x": 1}]}',
            True,
            id="open-in-two-arrays",
        ),
        pytest.param(
            f'{{"e": {{"a": [{ABSENT}, 1], "b": [{ABSENT}, 1], "c": [{ABSENT}, 1]}}}}',
            '{"e": [[{"b": 1, "c": 2}, {"a": 2, "c": 1}], [{"a": 1}, {"c": 1, "b": 2}]]}',
            True,
            id="all-open",
        ),
    ],
)
def test_absence_is_judged_in_the_order_of_the_paths(
    pattern: str,
    event: str,
    expected: bool,  # noqa: FBT001
) -> None:
    assert matches(pattern, event) is expected


@pytest.mark.parametrize("repeats", [1, 3])
def test_every_small_case_with_two_spellings_is_as_in_the_specification(repeats: int) -> None:
    elements = ["{}", '{"x": 1}', '{"y": 1}', '{"x": 2, "y": 1}', '{"x": 1, "y": 2}']
    lists = [f"[{one}, {two}]" for one, two in itertools.combinations(elements, 2)]
    values = ["[1]", f"[{ABSENT}]", f"[1, {ABSENT}]", "[2]"]
    chosen = random.Random(repeats)  # noqa: S311 (a sample of cases)
    for x, y in itertools.product(values, values):
        pattern = f'{{"a.b.x": {x}, "a.b.y": {y}}}'
        for left, right in chosen.sample(list(itertools.product(lists, lists)), 12):
            matches(pattern, f'{{"a": {{"b": {left}}}, "a.b": {right}}}')


# Cost, counted


def looks(pattern: dict[object, object], event: str) -> tuple[int, int, bool]:
    """Looks at elements in the search, the number of (different) elements, and the result."""
    [sub_rule] = compile_sub_rules(pattern, scalars=False)
    clauses = [(c.path, 1 << at, c.values) for at, c in enumerate(sub_rule)]
    value = parse_json(event)
    assert isinstance(value, dict)
    survey = Survey(value, walk_along(clauses))
    search = Search(survey)
    bits = [(1 << at, c.allows_absence, c.allows_values) for at, c in enumerate(sub_rule)]
    found = search.satisfies(
        sum(bit for bit, absence, _ in bits if not absence),
        sum(bit for bit, _, values in bits if not values),
        sum(bit for bit, absence, values in bits if absence and values),
    )
    return search.looks, survey.size, found


def test_elements_that_are_alike_are_looked_at_once() -> None:
    event = json.dumps({"e": [{"a": at % 2, "b": at % 3, "c": at} for at in range(10_000)]})

    count, size, found = looks({"e": {"a": [1], "b": [2], "c": [-1]}}, event)

    assert (size, found) == (5, False)
    assert count == 1  # no element has c, so none is looked at


def test_the_search_looks_at_each_element_at_most_once() -> None:
    keys = [f"k{at}" for at in range(14)]
    rows = [{key: at >> place & 1 for place, key in enumerate(keys)} for at in range(2**14 - 1)]
    pattern: dict[object, object] = {"e": {key: [1] for key in keys}}

    count, size, found = looks(pattern, json.dumps({"e": rows}))

    assert not found
    assert size == 2**14
    assert count <= size


def test_absence_does_not_multiply_the_looks() -> None:
    keys = [f"k{at}" for at in range(12)]
    rows = [{key: 2 for place, key in enumerate(keys) if at >> place & 1} for at in range(2**12)]
    pattern: dict[object, object] = {
        "e": {key: [{"exists": False}, 1] for key in keys} | {"z": [1]}
    }

    count, size, found = looks(pattern, json.dumps({"e": [*rows, {"z": 1, "k0": 2}]}))

    assert not found
    assert count <= size + MOST_TRIES


def hostile_event() -> str:
    """Two spellings of one path, and elements of which no two have all the keys."""
    chosen = random.Random(1)  # noqa: S311 (the same event each time)
    keys = [f"k{at}" for at in range(16)]

    def rows() -> list[dict[str, int]]:
        return [dict.fromkeys(chosen.sample(keys, 7), 1) for _ in range(2000)]

    return json.dumps({"a": {"b": rows()}, "a.b": rows()})


def test_tries_are_limited_when_an_event_spells_a_path_in_two_ways() -> None:
    pattern: dict[object, object] = {"a": {"b": {f"k{at}": [1] for at in range(16)}}}

    count, size, found = looks(pattern, hostile_event())

    assert not found
    assert MOST_TRIES < count <= size + MOST_TRIES + 2000  # it stops soon after the last try


def test_an_event_that_needs_too_many_tries_does_not_match_and_says_why() -> None:
    pattern = compile_pattern({"a": {"b": {f"k{at}": [1] for at in range(16)}}})
    event = parse_json(hostile_event())
    assert isinstance(event, dict)

    assert pattern.why_not(event) == (
        "a.b.k0, a.b.k1, a.b.k10, a.b.k11 and 12 more: "
        "their arrays can be combined in too many ways to try them all"
    )


def test_hundreds_of_paths_with_several_places_are_no_recursion_error() -> None:
    keys = [f"k{at}" for at in range(2000)]
    row = dict.fromkeys(keys, 1)
    event = {"a": {"b": [row, {}]}, "a.b": [row, {}]}

    compile_pattern({"a": {"b": {key: [1] for key in keys}}}).matches(event)


@pytest.mark.parametrize(
    "level", ["[[], ", '[{"c": 1}, ', '[{"b": 2}, ', '[{"a": 5}, {"b": 2, "a": 1}, ', "[1, [3], "]
)
def test_the_deepest_event_is_matched(level: str) -> None:
    event = parse_json(f'{{"e": {level * 120}{{"a": 1}}{"]" * 120}}}')
    assert isinstance(event, dict)

    assert compile_pattern({"e": {"a": [1], "b": [{"exists": False}, 3]}}).matches(event)
