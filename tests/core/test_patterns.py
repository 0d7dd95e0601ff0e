"""What matches: values, operators, paths, `$or`."""

import pytest
import reference_matcher

from lambdo_router.core.message import Undecodable
from lambdo_router.core.patterns import PatternError, compile_pattern
from lambdo_router.core.strict_json import parse_json


def matches(pattern: str, event: str) -> bool:
    compiled = compile_pattern(parse_json(pattern))
    parsed = parse_json(event)
    assert isinstance(parsed, dict)
    found = compiled.matches(parsed)
    assert (compiled.why_not(parsed) is None) == found
    assert reference_matcher.matches(pattern, event) == found
    return found


# One value, one condition


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        # strings
        ('"a"', '"a"'),
        ('""', '""'),
        ('"a\\u0000"', '"a\\u0000"'),
        # numbers
        ("1", "1.0"),
        ("1", "1e0"),
        ("1.0", "1"),
        ("0", "-0.0"),
        ("-0", "0"),
        ("100000000000000000000000", "1e23"),
        ("1e23", "100000000000000000000000"),
        ("0.1", "0.10"),
        ("9007199254740993", "9007199254740993"),
        ("12345678901234567890", "12345678901234567890"),
        ("1e400", "1e400"),
        ("0.1000000000000000000001", "0.1000000000000000000001"),
        # literals
        ("true", "true"),
        ("false", "false"),
        ("null", "null"),
        # addresses are equal in every spelling
        ('"10.0.0.1"', '"10.0.0.01"'),
        ('"010.000.0.1"', '"10.0.0.1"'),
        ('"::1"', '"0:0:0:0:0:0:0:1"'),
        ('"0:0:0:0:0:0:0:1"', '"::0001"'),
        ('"FE80::a"', '"fe80::A"'),
        ('"1:2:3:4:5:6:7::"', '"1:2:3:4:5:6:7:0"'),
        ('"256.0.0.1"', '"256.0.0.1"'),
        ('"::ffff:10.0.0.1"', '"::ffff:10.0.0.1"'),
        ('"12:30:45"', '"12:30:45"'),
        # exactly
        ('{"exactly": "a"}', '"a"'),
        ('{"exactly": "10.0.0.1"}', '"10.0.0.1"'),
        # prefix and suffix
        ('{"prefix": "ab"}', '"abc"'),
        ('{"prefix": "ab"}', '"ab"'),
        ('{"prefix": ""}', '""'),
        ('{"suffix": "bc"}', '"abc"'),
        ('{"suffix": ""}', '"x"'),
        ('{"prefix": {"equals-ignore-case": "aB"}}', '"Abc"'),
        ('{"prefix": {"equals-ignore-case": "ß"}}', '"SSx"'),
        ('{"prefix": {"equals-ignore-case": ""}}', '"x"'),
        ('{"suffix": {"equals-ignore-case": "Bc"}}', '"abC"'),
        ('{"suffix": {"equals-ignore-case": "aß"}}', '"xASS"'),
        ('{"suffix": {"equals-ignore-case": ""}}', '""'),
        # equals-ignore-case
        ('{"equals-ignore-case": "straße"}', '"STRASSE"'),
        ('{"equals-ignore-case": "straße"}', '"Straße"'),
        ('{"equals-ignore-case": "ς"}', '"Σ"'),
        ('{"equals-ignore-case": "ς"}', '"ς"'),
        ('{"equals-ignore-case": "ⱥ"}', '"Ⱥ"'),
        ('{"equals-ignore-case": "İ"}', '"i̇"'),
        ('{"equals-ignore-case": "[a.*"}', '"[A.*"'),
        ('{"equals-ignore-case": "\U00010400"}', '"\U00010400"'),
        # wildcard
        ('{"wildcard": "*"}', '""'),
        ('{"wildcard": "*"}', '"a\\nb"'),
        ('{"wildcard": "a*b"}', '"ab"'),
        ('{"wildcard": "a*b"}', '"a*b"'),
        ('{"wildcard": "a*b"}', '"aXbb"'),
        ('{"wildcard": "*a*a"}', '"aa"'),
        ('{"wildcard": "*ab*ab*"}', '"xabyabz"'),
        ('{"wildcard": "a\\\\*b"}', '"a*b"'),
        ('{"wildcard": "a\\\\\\\\b"}', '"a\\\\b"'),
        ('{"wildcard": "\\\\**"}', '"*x"'),
        ('{"wildcard": "*\\\\*"}', '"x*"'),
        ('{"wildcard": "a?b.["}', '"a?b.["'),
        ('{"wildcard": ""}', '""'),
        ('{"wildcard": "plain"}', '"plain"'),
        # numeric
        ('{"numeric": ["=", 5]}', "5.0"),
        ('{"numeric": ["<", 5]}', "4.999"),
        ('{"numeric": ["<=", 5]}', "5"),
        ('{"numeric": [">", 5]}', "5.000000000000001"),
        ('{"numeric": [">=", -5]}', "-5e0"),
        ('{"numeric": [">", 0, "<=", 5]}', "5"),
        ('{"numeric": [">=", 0, "<", 5]}', "-0.0"),
        ('{"numeric": [">", 1e300]}', "1.7976931348623157e308"),
        ('{"numeric": ["=", 1e23]}', "100000000000000000000000"),
        # cidr
        ('{"cidr": "10.0.0.0/24"}', '"10.0.0.255"'),
        ('{"cidr": "10.0.0.0/24"}', '"10.0.0.0"'),
        ('{"cidr": "10.0.0.77/24"}', '"10.0.0.1"'),
        ('{"cidr": "10.0.0.0/31"}', '"10.0.0.001"'),
        ('{"cidr": "0.0.0.0/0"}', '"255.255.255.255"'),
        ('{"cidr": "fd00::/8"}', '"FDff::1"'),
        ('{"cidr": "::/0"}', '"::"'),
        ('{"cidr": "2001:db8::5/127"}', '"2001:db8::4"'),
        # exists
        ('{"exists": true}', "null"),
        ('{"exists": true}', "0"),
        ('{"exists": true}', '""'),
        ('{"exists": true}', '[{}, [], "a"]'),
        ('{"exists": false}', "{}"),
        ('{"exists": false}', "[]"),
        ('{"exists": false}', "[{}, [[]]]"),
        ('{"exists": false}', '{"b": 1}'),
        ('{"exists": false}', '[{"b": 1}]'),
        # anything-but
        ('{"anything-but": "a"}', '"b"'),
        ('{"anything-but": "a"}', "null"),
        ('{"anything-but": "a"}', "true"),
        ('{"anything-but": "1"}', "1"),
        ('{"anything-but": 1}', '"1"'),
        ('{"anything-but": 1}', "1e400"),
        ('{"anything-but": ["a", "b"]}', '"c"'),
        ('{"anything-but": [1, 2]}', "3"),
        ('{"anything-but": "a"}', '["a", "b"]'),
        ('{"anything-but": "10.0.0.1"}', '"10.0.0.01"'),
        ('{"anything-but": ""}', '" "'),
        ('{"anything-but": {"prefix": "a"}}', '"ba"'),
        ('{"anything-but": {"prefix": ["a", "b"]}}', '"c"'),
        ('{"anything-but": {"suffix": "a"}}', '"ab"'),
        ('{"anything-but": {"suffix": ["a", "b"]}}', "5"),
        ('{"anything-but": {"equals-ignore-case": "A"}}', '"b"'),
        ('{"anything-but": {"equals-ignore-case": ["A", "b"]}}', "null"),
        ('{"anything-but": {"wildcard": "a*c"}}', '"ab"'),
        ('{"anything-but": {"wildcard": ["a*", "*b"]}}', '"c"'),
        # a list is met by any of its values
        ('"b"', '["a", "b"]'),
        ("2", "[1, [2]]"),
        ('{"numeric": ["=", 2]}', '["x", null, {}, 2]'),
    ],
)
def test_the_condition_holds(condition: str, value: str) -> None:
    assert matches(f'{{"a": [{condition}]}}', f'{{"a": {value}}}')
    assert matches(f'{{"a": ["-", {condition}, 77]}}', f'{{"b": 1, "a": [{value}, {{}}]}}')


@pytest.mark.parametrize(
    ("condition", "value"),
    [
        ('"a"', '"A"'),
        ('"é"', '"e\u0301"'),
        ('"1"', "1"),
        ("1", '"1"'),
        ("1", "true"),
        ("0", "false"),
        ("0", '""'),
        ('"null"', "null"),
        ("null", '"null"'),
        ("null", "[]"),
        ("true", "1"),
        ('""', "null"),
        ('""', '" "'),
        ("9007199254740993", "9007199254740992"),
        ("9007199254740993", "9007199254740993.0"),
        ("9007199254740992", "9007199254740993"),
        ("18446744073709551616", "18446744073709552000"),
        ("18446744073709551616", "1.8446744073709552e19"),
        ("1e400", "1E400"),
        ("1e400", "1e401"),
        ("0.1", "0.1000000000000000000001"),
        ('"10.0.0.1"', '"10.0.0.1 "'),
        ('"10.0.0.1"', '"10.0.0.1.0"'),
        ('"10.0.0.1"', '"0000000010.0.0.1"'),
        ('"10.0.0.1"', '"::ffff:a00:1"'),
        ('"::ffff:a00:1"', '"10.0.0.1"'),
        ('"::1"', '"00000::1"'),
        ('{"exactly": "10.0.0.1"}', '"10.0.0.01"'),
        ('{"exactly": "1"}', "1"),
        ('{"prefix": "ab"}', '"a"'),
        ('{"prefix": "ab"}', '"Ab"'),
        ('{"prefix": ""}', "null"),
        ('{"prefix": "1"}', "12"),
        ('{"suffix": ""}', "5"),
        ('{"suffix": "b"}', '"B"'),
        ('{"prefix": {"equals-ignore-case": "SS"}}', '"ß"'),
        ('{"suffix": {"equals-ignore-case": "abc"}}', '"BC"'),
        ('{"suffix": {"equals-ignore-case": "ß"}}', '"S"'),
        ('{"equals-ignore-case": "ς"}', '"\u03c3"'),
        ('{"equals-ignore-case": "SS"}', '"ß"'),
        ('{"equals-ignore-case": "ǅ"}', '"ǅ"'),
        ('{"equals-ignore-case": "a"}', '"a\\n"'),
        ('{"equals-ignore-case": "\U00010400"}', '"\U00010428"'),
        ('{"equals-ignore-case": "1"}', "1"),
        ('{"wildcard": "*"}', "null"),
        ('{"wildcard": "*"}', "5"),
        ('{"wildcard": "a*"}', '"ba"'),
        ('{"wildcard": "a*a"}', '"a"'),
        ('{"wildcard": "*ab*ab*"}', '"abxb"'),
        ('{"wildcard": "ab*bc"}', '"abc"'),
        ('{"wildcard": "A*"}', '"ab"'),
        ('{"wildcard": "a\\\\*b"}', '"axb"'),
        ('{"wildcard": "a?b"}', '"axb"'),
        ('{"wildcard": "plain"}', '"plain "'),
        ('{"numeric": ["=", 5]}', '"5"'),
        ('{"numeric": [">", 5]}', "5"),
        ('{"numeric": [">", -1]}', "true"),
        ('{"numeric": [">", -1]}', "null"),
        ('{"numeric": [">", 5]}', "1e400"),
        ('{"numeric": [">", 5]}', "12345678901234567890"),
        ('{"numeric": [">", 0, "<", 5]}', "5"),
        ('{"numeric": [">", 0, "<", 5]}', "0"),
        ('{"cidr": "10.0.0.0/24"}', '"10.0.1.0"'),
        ('{"cidr": "10.0.0.0/8"}', '"10.0.0"'),
        ('{"cidr": "10.0.0.0/8"}', "10"),
        ('{"cidr": "::/0"}', '"10.0.0.1"'),
        ('{"cidr": "0.0.0.0/0"}', '"::1"'),
        ('{"cidr": "0.0.0.0/0"}', '"::ffff:10.0.0.1"'),
        ('{"cidr": "::/0"}', '"12:30"'),
        ('{"exists": true}', "{}"),
        ('{"exists": true}', "[]"),
        ('{"exists": true}', '[{"b": 1}]'),
        ('{"exists": false}', "null"),
        ('{"exists": false}', "[[1]]"),
        ('{"anything-but": "a"}', '"a"'),
        ('{"anything-but": "a"}', "[]"),
        ('{"anything-but": "a"}', '["a", "a"]'),
        ('{"anything-but": 1}', "1.0"),
        ('{"anything-but": [1, 2]}', "2e0"),
        ('{"anything-but": ["a", "b"]}', '"b"'),
        ('{"anything-but": {"prefix": ["a", "b"]}}', '"bc"'),
        ('{"anything-but": {"suffix": "b"}}', '"ab"'),
        ('{"anything-but": {"equals-ignore-case": ["A", "b"]}}', '"B"'),
        ('{"anything-but": {"wildcard": ["a*", "*b"]}}', '"xb"'),
    ],
)
def test_the_condition_does_not_hold(condition: str, value: str) -> None:
    assert not matches(f'{{"a": [{condition}]}}', f'{{"a": {value}}}')
    assert not matches(f'{{"a": ["-", {condition}, 77]}}', f'{{"b": "-", "a": [{value}, {{}}]}}')


@pytest.mark.parametrize(
    ("condition", "expected"),
    [('{"exists": false}', True), ('{"exists": true}', False), ('{"anything-but": "x"}', False)],
)
def test_a_missing_field_is_only_absent(condition: str, expected: bool) -> None:  # noqa: FBT001
    assert matches(f'{{"a": [{condition}]}}', '{"b": 1}') is expected


def test_no_two_cases_of_a_character_share_their_first_or_last_letter() -> None:
    # What keeps the expressions of equals-ignore-case from ever having to try again.
    for character in map(chr, range(0x10000)):
        lower, upper = character.lower(), character.upper()
        assert lower == upper or (lower[0] != upper[0] and lower[-1] != upper[-1])


# Paths


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        pytest.param('{"a": {"b": [1]}}', '{"a": {"b": 1, "c": 2}}', id="nested"),
        pytest.param('{"a.b": [1]}', '{"a": {"b": 1}}', id="dotted-pattern"),
        pytest.param('{"a": {"b": [1]}}', '{"a.b": 1}', id="dotted-event"),
        pytest.param('{"a": {"b.c": [1]}}', '{"a.b": {"c": 1}}', id="cut-elsewhere"),
        pytest.param('{"a": {"b": [1]}}', '{"a": {"b": 2}, "a.b": 1}', id="either-spelling"),
        pytest.param('{"a": {"b": [1]}}', '{"a": [{"c": 1}, {"b": [2, [1]]}]}', id="arrays"),
        pytest.param('{"": [1]}', '{"": 1}', id="empty-key"),
        pytest.param('{"": {"": [1]}}', '{".": 1}', id="two-empty-keys"),
        pytest.param('{"a.": [1]}', '{"a": {"": 1}}', id="ends-with-a-period"),
        pytest.param('{"prefix": ["x"]}', '{"prefix": "x"}', id="named-like-an-operator"),
        pytest.param('{"a": {"numeric": [">", 5]}}', '{"a": {"numeric": 5}}', id="not-a-range"),
        pytest.param('{"a": [1], "b": [2]}', '{"b": 2, "a": 1}', id="all-fields"),
        pytest.param('{"$OR": [1]}', '{"$OR": 1}', id="only-lower-case-or-is-special"),
    ],
)
def test_a_path_is_its_keys_joined_with_periods(pattern: str, event: str) -> None:
    assert matches(pattern, event)


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        pytest.param('{"a": [1]}', "{}", id="empty-event"),
        pytest.param('{"A": [1]}', '{"a": 1}', id="case"),
        pytest.param('{"a": {"b": [1]}}', '{"a": 1}', id="value-on-the-way"),
        pytest.param('{"a": [1]}', '{"a": {"b": 1}}', id="object-at-the-end"),
        pytest.param('{"a": [1], "b": [2]}', '{"a": 1}', id="one-is-missing"),
        pytest.param('{"": [1]}', "{}", id="empty-key"),
        pytest.param('{"a": {"0": [1]}}', '{"a": [1]}', id="no-indexes"),
    ],
)
def test_another_path_is_not_found(pattern: str, event: str) -> None:
    assert not matches(pattern, event)


@pytest.mark.parametrize("event", [[], "x", 5, None, [{"a": 1}]])
def test_an_event_that_is_no_object_is_an_error(event: object) -> None:
    pattern = compile_pattern({"a": [1]})

    with pytest.raises(ValueError, match=r"^an event is an object, not a "):
        pattern.matches(event)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^an event is an object, not a "):
        pattern.why_not(event)  # type: ignore[arg-type]


def test_an_attribute_that_cannot_be_read_meets_no_condition() -> None:
    event = {"tags": Undecodable("String.Array")}
    conditions: list[object] = [{"exists": True}, {"exists": False}, {"anything-but": "x"}, "x"]

    assert [compile_pattern({"tags": [c]}).matches(event) for c in conditions] == [False] * 4


# $or


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        pytest.param(
            '{"s": [1], "$or": [{"a": [1]}, {"b": [1], "c": [1]}]}',
            ['{"s": 1, "a": 1}', '{"s": 1, "b": 1, "c": 1}'],
            ['{"s": 1, "b": 1}', '{"a": 1}', '{"s": 1}'],
            id="beside-a-field",
        ),
        pytest.param(
            '{"x": {"$or": [{"a": [1]}, {"b": [1]}]}}',
            ['{"x": {"a": 1}}', '{"x.b": 1}'],
            ['{"a": 1}', '{"x": {}}'],
            id="below-a-field",
        ),
        pytest.param(
            '{"$or": [{"$or": [{"a": [1]}, {"b": [1]}]},'
            ' {"c": {"$or": [{"d": [1]}, {"e": [1]}]}}]}',
            ['{"a": 1}', '{"b": 1}', '{"c": {"d": 1}}', '{"c": {"e": 1}}'],
            ['{"d": 1}', '{"c": 1}'],
            id="nested",
        ),
        pytest.param(
            '{"$or": [{"a": [1]}, {"b": [1]}], "x": {"$or": [{"c": [1]}, {"d": [1]}]}}',
            ['{"a": 1, "x": {"d": 1}}', '{"b": 1, "x": {"c": 1}}'],
            ['{"a": 1, "b": 1}', '{"x": {"c": 1, "d": 1}}'],
            id="side-by-side-multiply",
        ),
        pytest.param(
            '{"$or": [{"a": [1], "b": [1]}, {"a": [2]}]}',
            ['{"a": 1, "b": 1}', '{"a": 2}'],
            ['{"a": 1}', '{"b": 1}'],
            id="the-same-path-in-two-alternatives",
        ),
        pytest.param(
            '{"$or": [{"a": [18446744073709551616]}, {"a": [1.8446744073709552e19], "b": [1]}]}',
            ['{"a": 18446744073709551616}', '{"a": 18446744073709552000, "b": 1}'],
            ['{"a": 18446744073709552000}'],
            id="numbers-that-python-takes-for-equal",
        ),
        pytest.param(
            '{"$or": [{"a": [1], "b": [1]}, {"a": [true], "c": [1]}]}',
            ['{"a": 1, "b": 1}', '{"a": true, "c": 1}'],
            ['{"a": 1, "c": 1}', '{"a": true, "b": 1}'],
            id="true-is-not-one",
        ),
    ],
)
def test_one_of_the_alternatives_is_enough(pattern: str, good: list[str], bad: list[str]) -> None:
    assert [matches(pattern, event) for event in good] == [True] * len(good)
    assert [matches(pattern, event) for event in bad] == [False] * len(bad)


# Compiled patterns as values


def test_patterns_are_equal_when_their_sources_are() -> None:
    one = compile_pattern({"a": ["x"], "b": {"c": [1, None, {"prefix": "y"}]}})
    same = compile_pattern({"b": {"c": [1, None, {"prefix": "y"}]}, "a": "x"}, scalars=True)
    other = compile_pattern({"a": ["x"], "b": {"c": [True, None, {"prefix": "y"}]}})

    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one.source == '{"a": ["x"], "b": {"c": [1, null, {"prefix": "y"}]}}'


def test_a_source_keeps_the_text_of_its_numbers_and_its_alternatives() -> None:
    pattern = compile_pattern(parse_json('{"$or": [{"b": [1e400], "a": [1.50]}, {"c": ["é"]}]}'))

    assert pattern.source == '{"$or": [{"a": [1.5], "b": [1e400]}, {"c": ["\\u00e9"]}]}'
    assert compile_pattern(parse_json(pattern.source)) == pattern


def test_with_scalars_a_bare_value_stands_for_a_list_of_one() -> None:
    pattern = compile_pattern({"a": "x", "b": {"c": None}, "d": [True]}, scalars=True)

    assert pattern.matches({"a": "x", "b": {"c": None}, "d": True})
    with pytest.raises(PatternError):
        compile_pattern({"a": "x"})


def test_sub_rules_can_be_read_by_others() -> None:
    source = parse_json('{"b": ["x"], "$or": [{"a": {"z": [2]}}, {"c": [3]}]}')
    first, second = compile_pattern(source).sub_rules

    assert [clause.path for clause in first] == ["a.z", "b"]
    assert [clause.path for clause in second] == ["b", "c"]
