"""An event that is put to many patterns: the same answers as for each alone, and soon."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import (
    ARRAY_EVENTS,
    ARRAY_PATTERNS,
    EVENTS,
    PATTERNS,
    all_conditions,
    all_values,
)

from lambdo_router.core.patterns import EventReader, PatternError, compile_pattern
from lambdo_router.core.patterns.operators import AnyOf
from lambdo_router.core.patterns.operators.many_values import ManyValues
from lambdo_router.core.strict_json import parse_json


def test_of_many_values_one_is_found_if_there_is_one() -> None:
    values = all_values()
    for condition in all_conditions():
        asked = AnyOf((condition,))
        for value in values:
            assert asked.holds_among(ManyValues([value])) is condition.holds(value), (
                condition,
                value,
            )
        others = [value for value in values if not condition.holds(value)]
        assert not asked.holds_among(ManyValues(others)), condition
        assert asked.holds_among(ManyValues(values)) is (len(others) < len(values)), condition


def test_of_several_conditions_one_is_enough() -> None:
    conditions = tuple(all_conditions())
    many = ManyValues(["xyz", 7])

    assert AnyOf(conditions).holds_among(many)
    assert not AnyOf(conditions[:20]).holds_among(many)
    assert AnyOf((*conditions[:20], conditions[-1])).holds_among(many)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(PATTERNS | ARRAY_PATTERNS, min_size=1, max_size=8),
    EVENTS | ARRAY_EVENTS,
    st.sampled_from(["a", "b", "e"]),
)
def test_patterns_that_share_a_reading_find_what_each_finds_alone(
    texts: list[str], event: str, crowded: str
) -> None:
    value = parse_json(event)
    assert isinstance(value, dict)
    value[crowded] = [*range(20), "x", value.get(crowded), {"a": 1}, {"a": ["y"]}]
    reading = EventReader(value)
    for text in texts:
        try:
            pattern = compile_pattern(parse_json(text))
        except PatternError:  # the same path twice
            continue
        alone = pattern.matches(value)
        assert [pattern.matches(reading) for _ in range(3)] == [alone] * 3
        assert pattern.why_not(reading) == pattern.why_not(value)


class Counted(str):
    """A text that counts how often it is compared with a beginning."""

    __slots__ = ()
    looks = 0

    def startswith(self, *arguments: object) -> bool:
        Counted.looks += 1
        return super().startswith(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", ["plain", "nested"])
def test_many_values_are_not_looked_at_again_for_every_pattern(shape: str) -> None:
    texts = [Counted(f"text-{at}") for at in range(1000)]
    event: dict[str, object] = {"a": texts if shape == "plain" else [{"b": t} for t in texts]}
    path = "a" if shape == "plain" else "a.b"
    reading = EventReader(event)
    Counted.looks = 0

    for at in range(500):
        pattern = compile_pattern({path: [{"prefix": f"none-{at}"}], "z": [1]})
        assert not pattern.matches(reading)
    assert Counted.looks < 3 * len(texts)


def test_an_event_that_is_no_object_cannot_be_read() -> None:
    with pytest.raises(ValueError, match=r"^an event is an object, not a list$"):
        EventReader([])  # type: ignore[arg-type]
