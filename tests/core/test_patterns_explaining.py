"""Why an event does not match, in one line."""

import pytest

from lambdo_router.core.message import Undecodable
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.strict_json import WideNumber

ABSENT = {"exists": False}


@pytest.mark.parametrize(
    ("pattern", "event", "reason"),
    [
        pytest.param(
            {"amount": [{"numeric": [">", 10]}]}, {"amount": 5}, "amount: 5 is not > 10", id="limit"
        ),
        pytest.param(
            {"kind": ["image", {"prefix": "img-"}]},
            {"kind": "video"},
            'kind: "video" is not "image", nor does it start with "img-"',
            id="is-and-does",
        ),
        pytest.param({"bucket": ["x"]}, {}, "bucket: absent", id="absent"),
        pytest.param(
            {"bucket": ["x"]},
            {"bucket": {"name": "x"}},
            "bucket: absent (an object is not a value)",
            id="object",
        ),
        pytest.param(
            {"bucket": [{"exists": True}]},
            {"bucket": []},
            "bucket: absent ([] is not a value)",
            id="empty-list",
        ),
        pytest.param(
            {"a": {"b": [5]}}, {"a": [{"b": [6, 7]}, {}]}, "a.b: each of 6 and 7 is not 5", id="two"
        ),
        pytest.param(
            {"tags": list("abcdefgh")},
            {"tags": list("stuvwxyz")},
            'tags: each of "s", "t", "u", "v" and 4 more is not "a", "b", "c", "d" or 4 more',
            id="many",
        ),
        pytest.param(
            {"a": [{"suffix": "b"}, {"wildcard": "*c*"}, True, None]},
            {"a": "x"},
            'a: "x" is not true or null, nor does it end with "b", nor does it match the wildcard '
            '"*c*"',
            id="all-of-does",
        ),
        pytest.param(
            {"a": [{"prefix": x} for x in "abcdef"]},
            {"a": "x"},
            'a: "x" does not start with "a", nor does it start with "b", nor does it start with '
            '"c", nor does it start with "d", nor does it meet 2 more conditions',
            id="too-many-of-does",
        ),
        pytest.param(
            {
                "a": [
                    {"equals-ignore-case": "b"},
                    {"prefix": {"equals-ignore-case": "c"}},
                    {"suffix": {"equals-ignore-case": "d"}},
                ]
            },
            {"a": "x"},
            'a: "x" does not equal "b" in any case, nor does it start with "c" in any case, '
            'nor does it end with "d" in any case',
            id="cases",
        ),
        pytest.param(
            {"a": ["10.0.0.1", {"cidr": "10.0.1.0/24"}]},
            {"a": "10.0.0.2"},
            'a: "10.0.0.2" is not "10.0.0.1" or an IP address in 10.0.1.0/24',
            id="addresses",
        ),
        pytest.param(
            {"a": [{"numeric": [">=", 1, "<", 2.5]}, {"numeric": ["=", 7]}]},
            {"a": 3},
            "a: 3 is not >= 1 and < 2.5 or = 7",
            id="ranges",
        ),
        pytest.param(
            {"a": [{"numeric": ["<=", 1]}]},
            {"a": "1"},
            'a: "1" is not <= 1 (a string is not a number)',
            id="text-for-a-number",
        ),
        pytest.param(
            {"a": ["1"]},
            {"a": 1},
            'a: 1 is not "1" (a number is not a string)',
            id="number-for-text",
        ),
        pytest.param(
            {"a": [WideNumber("1e400")]},
            {"a": WideNumber("1e401")},
            "a: 1e401 is not 1e400",
            id="wide",
        ),
        pytest.param(
            {"a": [ABSENT]}, {"a": None}, "a: null is there and must be absent", id="there"
        ),
        pytest.param(
            {"a": [ABSENT, 5]}, {"a": None}, "a: null is not absent or 5", id="absent-or-5"
        ),
        pytest.param(
            {"a": [{"anything-but": ["x", "y"]}]},
            {"a": "x"},
            'a: "x" is excluded by anything-but "x" or "y"',
            id="excluded",
        ),
        pytest.param(
            {
                "a": [
                    {"anything-but": {"prefix": "x"}},
                    {"anything-but": {"suffix": "z"}},
                    {"anything-but": {"equals-ignore-case": "XYZ"}},
                    {"anything-but": {"wildcard": "*y*"}},
                ]
            },
            {"a": "xyz"},
            'a: "xyz" is excluded by anything-but prefix "x", anything-but suffix "z", '
            'anything-but equals-ignore-case "XYZ" and anything-but wildcard "*y*"',
            id="excluded-by-forms",
        ),
        pytest.param(
            {"tags": [{"exists": True}]},
            {"tags": Undecodable("String.Array")},
            "tags: (text that is not a String.Array) is not a readable value",
            id="unreadable",
        ),
        pytest.param(
            {"e": {"a": [1], "b": [2]}},
            {"e": [{"a": 1}, {"b": 2}]},
            "e.a and e.b: each is met, but not within the same element of an array",
            id="different-elements",
        ),
        pytest.param(
            {"a": [1], "b": [2], "c": [3]}, {"a": 1, "b": 3, "c": 4}, "b: 3 is not 2", id="first"
        ),
        pytest.param(
            {"$or": [{"a": [1], "b": [1]}, {"c": [1], "d": [1]}]},
            {"c": 1, "d": 2},
            "d: 2 is not 1 (the nearest of 2 alternatives)",
            id="nearest",
        ),
        pytest.param({"": [1]}, {}, '"": absent', id="empty-path"),
        pytest.param({"a\n": [1]}, {}, '"a\\n": absent', id="unprintable-path"),
        pytest.param({"x" * 500: [1]}, {}, f"{'x' * 60}...: absent", id="long-path"),
        pytest.param(
            {"a": ["b"]},
            {"a": "x\n\x1b[31m\u202e" + "y" * 1_000_000},
            f'a: "x\\n\\u001b[31m\\u202e{"y" * 52}..." is not "b"',
            id="hostile-text",
        ),
        pytest.param(
            {"a": [1]},
            {"a": WideNumber("9" * 1_000_000)},
            f"a: {'9' * 60}... is not 1",
            id="hostile-number",
        ),
    ],
)
def test_the_reason_names_path_value_and_condition(
    pattern: dict[str, object], event: dict[str, object], reason: str
) -> None:
    assert compile_pattern(pattern).why_not(event) == reason


def test_a_matching_event_has_no_reason() -> None:
    assert compile_pattern({"a": [1]}).why_not({"a": 1}) is None


def test_the_reason_is_short_however_large_the_event_is() -> None:
    event = {"a": [[{"b": str(at)}] for at in range(100_000)]}
    reason = compile_pattern({"a": {"b": ["x"]}}).why_not(event)

    assert reason == 'a.b: each of "0", "1", "2", "3" and 96 more is not "x"'


@pytest.mark.parametrize(
    ("pattern", "event", "path"),
    [
        pytest.param({"a": {"b": [1]}}, {"a": {"b": 2}}, ("a", "b"), id="nested"),
        pytest.param({"a.b": [1]}, {"a": {"b": 2}}, ("a.b",), id="dotted"),
        pytest.param({"c": [3], "a": [1], "b": [2]}, {"c": 3, "b": 2}, ("a",), id="absent"),
        pytest.param(
            {"x": [1], "$or": [{"a": {"b": [1]}, "c": [1]}, {"a": {"b": [2]}, "d": [1]}]},
            {"x": 1, "a": {"b": 2}},
            ("$or", 1, "d"),
            id="in-an-alternative",
        ),
        pytest.param(
            {"r": {"e": {"a": [1], "b": {"c": [2]}}}},
            {"r": {"e": [{"a": 1}, {"b": {"c": 2}}]}},
            ("r", "e"),
            id="not-in-one-element",
        ),
        pytest.param(
            {"e.a": [1], "e": {"b": [2]}}, {"e": [{"a": 1}, {"b": 2}]}, (), id="nothing-in-common"
        ),
    ],
)
def test_a_failure_leads_to_the_field_as_it_is_written(
    pattern: dict[str, object], event: dict[str, object], path: tuple[str | int, ...]
) -> None:
    unmet = compile_pattern(pattern).first_unmet(event)

    assert unmet is not None
    assert unmet.path == path


def test_where_a_field_is_written_makes_no_difference_to_a_pattern() -> None:
    one, two = compile_pattern({"a": {"b": [1]}}), compile_pattern({"a.b": [1]})

    assert one.sub_rules == two.sub_rules
    assert one.sub_rules[0][0].where != two.sub_rules[0][0].where
