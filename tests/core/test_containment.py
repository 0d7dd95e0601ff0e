"""What is known of patterns without an event: never wrong, and right where people look."""

import itertools
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import (
    ABSENT,
    ARRAY_EVENTS,
    CHOICES,
    EVENTS,
    PATHS,
    PATTERNS,
    PRESENT,
    all_conditions,
    all_values,
    fold,
    json_object,
)

from lambdo_router.core.patterns import (
    Clause,
    Pattern,
    PatternError,
    Unmet,
    compile_pattern,
    covers,
    example_of,
    impossible,
)
from lambdo_router.core.patterns.operators import AnyOf, disjoint, read_condition
from lambdo_router.core.patterns.operators.condition import TextCondition
from lambdo_router.core.strict_json import WideNumber, parse_json


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        pytest.param(["x"], ["x"], id="the-same"),
        pytest.param(["x", "y"], ["y"], id="more-values"),
        pytest.param([{"prefix": "im"}], ["image", {"prefix": "img-"}], id="prefix"),
        pytest.param([{"suffix": "g"}], [{"suffix": "ng"}, "dog"], id="suffix"),
        pytest.param([{"prefix": ""}], [{"suffix": "ng"}, fold("prefix", "x")], id="any-string"),
        pytest.param([{"wildcard": "*"}], ["::1", {"cidr": "10.0.0.0/8"}], id="any-address"),
        pytest.param(
            [{"wildcard": "a*c*e"}],
            ["abcde", {"wildcard": "a*xcx*e"}, {"wildcard": "ac*de"}],
            id="wildcard-in-wildcard",
        ),
        pytest.param([{"wildcard": "*b*"}], [{"prefix": "ab"}, {"suffix": "bc"}], id="wildcard"),
        pytest.param([{"prefix": "a"}], [{"wildcard": "ab*c"}], id="wildcard-in-prefix"),
        pytest.param([{"suffix": "c"}], [{"wildcard": "ab*bc"}], id="wildcard-in-suffix"),
        pytest.param(["a*"], [{"wildcard": r"a\*"}], id="wildcard-without-star"),
        pytest.param(
            [{"equals-ignore-case": "Ab"}], ["aB", {"equals-ignore-case": "aB"}], id="ignoring-case"
        ),
        pytest.param(
            [fold("prefix", "Ab")],
            [{"prefix": "aBc"}, {"equals-ignore-case": "abX"}, fold("prefix", "ABC")],
            id="ignoring-case-in-a-prefix",
        ),
        pytest.param(
            [fold("suffix", "Ab")],
            [{"suffix": "caB"}, {"equals-ignore-case": "xAB"}, {"wildcard": "*ab"}],
            id="ignoring-case-in-a-suffix",
        ),
        pytest.param(["5-1"], [{"equals-ignore-case": "5-1"}], id="nothing-to-ignore"),
        pytest.param([{"wildcard": "*-1"}], [fold("suffix", "img-1")], id="end-without-case"),
        pytest.param(["10.0.0.1"], ["10.0.0.01"], id="another-spelling"),
        pytest.param(
            [{"cidr": "10.0.0.0/8"}], ["10.1.2.3", {"cidr": "10.1.0.0/16"}], id="in-a-network"
        ),
        pytest.param([1], [1.0], id="number"),
        pytest.param([WideNumber("1e400")], [WideNumber("1e400")], id="wide-number"),
        pytest.param([5], [{"numeric": ["=", 5]}], id="equal-number"),
        pytest.param([{"numeric": [">", 0]}], [5, {"numeric": [">", 0, "<=", 5]}], id="range"),
        pytest.param([{"numeric": [">=", 0]}], [{"numeric": [">", 0]}], id="range-with-its-end"),
        pytest.param([PRESENT], ["x", 1, None, {"anything-but": "x"}, PRESENT], id="present"),
        pytest.param([ABSENT], [ABSENT], id="absent"),
        pytest.param(["x", ABSENT], [ABSENT], id="absent-or-a-value"),
        pytest.param(
            [{"anything-but": ["x", "y"]}],
            ["z", 5, None, {"anything-but": ["y", "z", "x"]}, {"prefix": "z"}],
            id="anything-but",
        ),
        pytest.param(
            [{"anything-but": {"prefix": "img-"}}],
            [
                {"prefix": "vid-"},
                fold("prefix", "Vid"),
                {"anything-but": {"prefix": "im"}},
                {"numeric": [">", 0]},
            ],
            id="anything-but-a-prefix",
        ),
        pytest.param([{"anything-but": [1, 2]}], [{"numeric": [">", 2]}, "1"], id="but-numbers"),
        pytest.param(
            [{"anything-but": {"suffix": ".tmp"}}], [{"suffix": ".png"}], id="anything-but-a-suffix"
        ),
    ],
)
def test_what_is_contained_is_known_to_be(outer: list[object], inner: list[object]) -> None:
    assert covers(compile_pattern({"a": outer}), compile_pattern({"a": inner}))


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        pytest.param(["x"], ["x", "y"], id="more-values"),
        pytest.param([{"prefix": "img-"}], [{"prefix": "img"}], id="shorter-prefix"),
        pytest.param([{"prefix": "10."}], ["10.0.0.1"], id="other-spellings-of-an-address"),
        pytest.param([{"anything-but": "10.0.0.1"}], ["10.0.0.1"], id="but-the-address"),
        pytest.param(["SS"], [{"equals-ignore-case": "ß"}], id="only-one-of-the-cases"),
        pytest.param([{"equals-ignore-case": "SS"}], [{"equals-ignore-case": "ß"}], id="sharp-s"),
        pytest.param([{"wildcard": "a*b"}], [{"prefix": "a"}], id="open-end"),
        pytest.param([{"wildcard": "*a*a*"}], [{"wildcard": "*a*"}], id="two-of-one"),
        pytest.param([{"numeric": [">", 0]}], [{"numeric": [">=", 0]}], id="end-of-a-range"),
        pytest.param([{"numeric": [">", 0]}], ["5"], id="text-is-no-number"),
        pytest.param([True], [1], id="true-is-not-one"),
        pytest.param([PRESENT], [ABSENT], id="present-is-not-absent"),
        pytest.param([ABSENT], ["x"], id="absent-is-not-present"),
        pytest.param(["x"], [PRESENT], id="a-value-is-not-all"),
        pytest.param([{"anything-but": "x"}], [PRESENT], id="nearly-all-is-not-all"),
        pytest.param([{"anything-but": "x"}], ["x"], id="the-excluded"),
        pytest.param([{"cidr": "::/0"}], [{"cidr": "0.0.0.0/0"}], id="families"),
        pytest.param([{"cidr": "10.1.0.0/16"}], [{"cidr": "10.0.0.0/8"}], id="larger-network"),
    ],
)
def test_what_is_not_contained_is_not_said_to_be(outer: list[object], inner: list[object]) -> None:
    assert not covers(compile_pattern({"a": outer}), compile_pattern({"a": inner}))


X = ["x"]


@pytest.mark.parametrize(
    ("outer", "inner", "expected"),
    [
        pytest.param({"a": X}, {"a": X, "b": X}, True, id="fewer-fields"),
        pytest.param({"a": X, "b": X}, {"a": X}, False, id="more-fields"),
        pytest.param({"a": {"b": X}}, {"a.b": X, "c": X}, True, id="spelled-otherwise"),
        pytest.param({"a": X}, {"$or": [{"a": X, "b": X}, {"a": X, "c": X}]}, True, id="each"),
        pytest.param({"a": X}, {"$or": [{"a": X}, {"b": X}]}, False, id="not-each"),
        pytest.param({"$or": [{"a": X}, {"b": X}]}, {"b": X, "c": X}, True, id="one-of"),
        pytest.param(
            {"$or": [{"a": X}, {"b": X}]},
            {"$or": [{"b": X}, {"a": X, "c": X}]},
            True,
            id="one-of-each",
        ),
        pytest.param({"e.b": [ABSENT]}, {"e": {"a": X, "b": [ABSENT]}}, False, id="absent-in-one"),
        pytest.param({"f.b": [ABSENT]}, {"e.a": X, "f.b": [ABSENT]}, True, id="absent-elsewhere"),
        pytest.param({"e.b": [ABSENT]}, {"e": {"c": X, "b": [ABSENT]}}, True, id="absent-before"),
        pytest.param(
            {"e": {"a": [PRESENT], "b": [ABSENT]}},
            {"e": {"a": X, "b": [ABSENT], "c": X}},
            True,
            id="absent-with-the-same-before",
        ),
    ],
)
def test_all_fields_count(
    outer: dict[str, object], inner: dict[str, object], *, expected: bool
) -> None:
    assert covers(compile_pattern(outer), compile_pattern(inner)) is expected


def test_a_pattern_that_asks_nothing_covers_all_and_is_covered_by_its_like() -> None:
    pattern = compile_pattern({"a": X})

    assert covers(None, pattern)
    assert covers(None, None)
    assert not covers(pattern, None)


def test_two_very_long_lists_of_alternatives_are_not_compared() -> None:
    long = compile_pattern({"$or": [{"a": [at]} for at in range(200)]})

    assert not covers(long, long)
    assert covers(long, compile_pattern({"a": [7]}))


# Conditions, each against each, on all values


def test_no_two_conditions_are_said_to_be_what_they_are_not() -> None:
    conditions, values = all_conditions(), all_values()
    held = {
        id(condition): {at for at, value in enumerate(values) if condition.holds(value)}
        for condition in conditions
    }
    known = 0
    for one, other in itertools.product(conditions, repeat=2):
        if one.contains(other):
            known += 1
            assert held[id(one)] >= held[id(other)], (one, other)
        if disjoint(one, other):
            assert not held[id(one)] & held[id(other)], (one, other)
        assert disjoint(one, other) == disjoint(other, one)
    assert known > 2 * len(conditions)


class _AtLeastThree(TextCondition):
    """A condition that describes itself neither by holes nor by a range."""

    text = ""
    claim = "have three characters"

    def holds(self, value: object) -> bool:
        return isinstance(value, str) and len(value) >= 3

    def example(self) -> str:
        return "abc"


def test_nothing_is_claimed_of_a_condition_that_does_not_describe_itself() -> None:
    prefix = read_condition({"prefix": "ab"}, ())

    assert not _AtLeastThree().contains(prefix)
    assert not prefix.contains(_AtLeastThree())
    assert not disjoint(prefix, _AtLeastThree())


# Patterns, on events


def parsed(text: str) -> dict[str, object]:
    value = parse_json(text)
    assert isinstance(value, dict)
    return value


def compiled(text: str) -> Pattern:
    try:
        return compile_pattern(parse_json(text))
    except PatternError:  # the same path twice
        return compile_pattern({"a": [ABSENT]})


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(PATHS, CHOICES, min_size=1, max_size=5),
    st.sets(PATHS),
    st.dictionaries(PATHS, CHOICES, max_size=2),
    ARRAY_EVENTS,
)
def test_what_is_covered_matches_no_event_that_the_other_does_not_in_arrays(
    fields: dict[str, str], dropped: set[str], changed: dict[str, str], event: str
) -> None:
    inner = compiled(json_object(fields))
    outer = compiled(
        json_object({k: v for k, v in fields.items() if k not in dropped} | changed or fields)
    )
    if covers(outer, inner) and inner.matches(parsed(event)):
        assert outer.matches(parsed(event))


@settings(max_examples=60, deadline=None)
@given(PATTERNS, PATTERNS, st.lists(EVENTS, min_size=1, max_size=3))
def test_what_is_covered_matches_no_event_that_the_other_does_not(
    one: str, other: str, events: list[str]
) -> None:
    outer, inner = compiled(one), compiled(other)
    both = compiled(f'{{"$or": [{one}, {other}]}}')
    for larger, smaller in ((outer, inner), (inner, outer), (both, inner)):
        if covers(larger, smaller):
            for event in events:
                assert larger.matches(parsed(event)) or not smaller.matches(parsed(event))


@settings(max_examples=40, deadline=None)
@given(PATTERNS)
def test_every_sub_rule_that_is_not_impossible_matches_its_example(text: str) -> None:
    pattern = compiled(text)
    for sub_rule in pattern.sub_rules:
        alone = Pattern("", (sub_rule,))
        assert alone.matches(example_of(sub_rule)) is (impossible(alone) is None)


def test_an_example_is_found_for_every_condition_alone() -> None:
    for condition in all_conditions():
        [sub_rule] = Pattern("", ((Clause("a", AnyOf((condition,))),),)).sub_rules
        assert Pattern("", (sub_rule,)).matches(example_of(sub_rule)), condition


# Patterns that can never match

AFTER_ONE = 1 + sys.float_info.epsilon


@pytest.mark.parametrize(
    ("pattern", "path", "text"),
    [
        pytest.param(
            {"a": {"b": [{"numeric": [">", 1, "<", AFTER_ONE]}]}},
            ("a", "b"),
            "a.b: no number that a double represents lies between these limits",
            id="no-number-between",
        ),
        pytest.param(
            {"a": [{"numeric": [">", sys.float_info.max]}]},
            ("a",),
            "a: no number that a double represents lies between these limits",
            id="no-number-beyond",
        ),
        pytest.param(
            {"x": [1], "a": [{"prefix": "\udc00"}, "\ud800"]},
            ("a",),
            "a: no event has half of a surrogate pair in it",
            id="half-a-pair",
        ),
        pytest.param(
            {"\ud800": [1]},
            ("\ud800",),
            '"\\ud800": no event has half of a surrogate pair in it',
            id="half-a-pair-in-a-key",
        ),
        pytest.param(
            {"$or": [{"a": ["\ud800"]}, {"b": ["\ud800"]}]},
            ("$or", 0, "a"),
            "a: no event has half of a surrogate pair in it",
            id="each-alternative",
        ),
    ],
)
def test_a_pattern_that_can_never_match_is_known(
    pattern: dict[str, object], path: tuple[str | int, ...], text: str
) -> None:
    assert impossible(compile_pattern(pattern)) == Unmet(path, text)


@pytest.mark.parametrize(
    "pattern",
    [
        pytest.param({"a": [{"numeric": [">=", 1, "<", AFTER_ONE]}]}, id="one-number"),
        pytest.param({"a": [{"numeric": [">=", sys.float_info.max]}]}, id="the-largest"),
        pytest.param({"a": ["\ud800", "x"]}, id="another-value"),
        pytest.param({"a": ["\ud800", ABSENT]}, id="absence"),
        pytest.param({"$or": [{"a": ["\ud800"]}, {"b": [1]}]}, id="another-alternative"),
        pytest.param({"a": [ABSENT], "a.b": [1]}, id="an-object-is-no-value"),
        pytest.param({"a": [{"anything-but": {"wildcard": "*"}}]}, id="no-string"),
    ],
)
def test_what_can_match_is_not_said_to_be_impossible(pattern: dict[str, object]) -> None:
    assert impossible(compile_pattern(pattern)) is None


def test_absence_at_a_path_and_a_value_below_it_go_together() -> None:
    assert compile_pattern({"a": [ABSENT], "a.b": [1]}).matches({"a": {"b": 1}})
