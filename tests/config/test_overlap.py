"""Whether one message could match two routes; a claim that it cannot is never wrong."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import EVENTS, KEYS, PATTERNS, SCALARS, json_object

from lambdo_router.config.lint.overlap import Overlap, overlap
from lambdo_router.core.patterns import Pattern, PatternError, compile_pattern
from lambdo_router.core.routing import Match
from lambdo_router.core.strict_json import parse_json


def pattern(source: Any) -> Pattern:
    return compile_pattern(source, scalars=True)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param({"a": "x"}, {"a": "x"}, "maybe", id="equal"),
        pytest.param({"a": "x"}, {"b": "x"}, "maybe", id="other-fields"),
        pytest.param({"a": "x"}, {"a": "y"}, "several", id="texts"),
        pytest.param({"a": ["x", "y"]}, {"a": ["y", "z"]}, "maybe", id="a-text-in-common"),
        pytest.param({"a": 1}, {"a": "1"}, "several", id="a-number-is-no-text"),
        pytest.param({"a": 1}, {"a": 1.0}, "maybe", id="one-number"),
        pytest.param({"a": True}, {"a": False}, "several", id="literals"),
        pytest.param({"a": "xy"}, {"a": [{"prefix": "x"}]}, "maybe", id="text-with-its-prefix"),
        pytest.param({"a": "xy"}, {"a": [{"prefix": "y"}]}, "several", id="text-without-it"),
        pytest.param({"a": [{"prefix": "x"}]}, {"a": [{"prefix": "xy"}]}, "maybe", id="prefixes"),
        pytest.param(
            {"a": [{"prefix": "x"}]}, {"a": [{"prefix": "y"}]}, "several", id="other-prefixes"
        ),
        pytest.param(
            {"a": [{"suffix": "x"}]}, {"a": [{"suffix": "y"}]}, "several", id="other-suffixes"
        ),
        pytest.param(
            {"a": [{"numeric": ["<", 5]}]},
            {"a": [{"numeric": [">=", 5]}]},
            "several",
            id="ranges-side-by-side",
        ),
        pytest.param(
            {"a": [{"numeric": ["<=", 5]}]},
            {"a": [{"numeric": [">=", 5]}]},
            "maybe",
            id="ranges-that-touch",
        ),
        pytest.param(
            {"a": [{"numeric": ["<", 5]}]}, {"a": [{"prefix": ""}]}, "several", id="number-or-text"
        ),
        pytest.param(
            {"a": [{"exists": False}]}, {"a": [{"exists": True}]}, "several", id="absent-or-there"
        ),
        pytest.param(
            {"a": [{"exists": False}, "x"]},
            {"a": [{"exists": False}, "y"]},
            "maybe",
            id="both-may-be-absent",
        ),
        pytest.param(
            {"a": "x", "$or": [{"b": "1"}, {"b": "2"}]},
            {"b": "3"},
            "several",
            id="no-alternative-goes",
        ),
        pytest.param(
            {"$or": [{"b": "1"}, {"b": "2"}]}, {"b": "2"}, "maybe", id="one-alternative-goes"
        ),
    ],
)
def test_two_patterns(one: object, other: object, expected: Overlap) -> None:
    first, second = Match(body=pattern(one)), Match(body=pattern(other))

    assert (overlap(first, second), overlap(second, first)) == (expected, expected)


def test_an_attribute_is_there_or_not_and_a_system_attribute_has_one_value() -> None:
    absent, there = pattern({"a": [{"exists": False}]}), pattern({"a": "x"})
    one, other = pattern({"a": "x"}), pattern({"a": "y"})

    assert overlap(Match(attributes=absent), Match(attributes=there)) == "never"
    assert overlap(Match(attributes=one), Match(attributes=other)) == "several"
    assert overlap(Match(system=one), Match(system=other)) == "never"


def test_one_part_that_excludes_is_enough() -> None:
    one = Match(attributes=pattern({"a": "x"}), system=pattern({"s": "x"}))
    other = Match(attributes=pattern({"a": "x"}), system=pattern({"s": "y"}))

    assert overlap(one, other) == "never"
    assert overlap(Match(), other) == "maybe"


def compiled(source: str) -> Pattern | None:
    try:
        return pattern(json.loads(source))
    except PatternError:
        return None


@settings(max_examples=60, deadline=None)
@given(PATTERNS, PATTERNS, EVENTS)
def test_what_never_meets_is_never_met_by_a_body(one: str, other: str, event: str) -> None:
    first, second = compiled(one), compiled(other)
    value = parse_json(event)
    if first is None or second is None or not isinstance(value, dict):
        return
    if first.matches(value) and second.matches(value):
        assert overlap(Match(body=first), Match(body=second)) != "never"


FLAT = st.dictionaries(KEYS, SCALARS, max_size=4).map(json_object)


@settings(max_examples=60, deadline=None)
@given(PATTERNS, PATTERNS, FLAT)
def test_single_values_meet_only_what_may_meet(one: str, other: str, event: str) -> None:
    first, second = compiled(one), compiled(other)
    value = parse_json(event)
    if first is None or second is None or not isinstance(value, dict):
        return
    if first.matches(value) and second.matches(value):
        assert overlap(Match(system=first), Match(system=second)) == "maybe"
        assert overlap(Match(attributes=first), Match(attributes=second)) == "maybe"
