"""What a pattern must not say, where the error points and what it tells."""

import pytest

from lambdo_router.core.patterns import PatternError, compile_pattern
from lambdo_router.core.strict_json import WideNumber


def refusal(pattern: object, *, scalars: bool = False) -> tuple[tuple[str | int, ...], str]:
    with pytest.raises(PatternError) as caught:
        compile_pattern(pattern, scalars=scalars)
    return caught.value.path, str(caught.value)


LIKE_A_RANGE = 'a comparison and a number, or two of both, like [">", 0, "<=", 5]'


@pytest.mark.parametrize(
    ("pattern", "path", "message"),
    [
        # the shape of patterns
        pytest.param(
            [{"a": [1]}],
            (),
            "a pattern is an object from field names to lists of values, "
            'like {kind: ["image"]}, found a list',
            id="list",
        ),
        pytest.param(
            {}, (), "an empty object asks nothing; name at least one field in it", id="empty"
        ),
        pytest.param(
            {"a": {"b": {}}},
            ("a", "b"),
            "an empty object asks nothing; name at least one field in it",
            id="empty-inside",
        ),
        pytest.param(
            {"a": []},
            ("a",),
            "an empty list allows no value; list at least one, or write [{exists: true}] for any",
            id="empty-list",
        ),
        pytest.param(
            {"a": {"b": "x"}},
            ("a", "b"),
            '`b` is the string "x"; a field takes a list of allowed values, like ["x"]',
            id="bare-string",
        ),
        pytest.param(
            {"a": None},
            ("a",),
            "`a` is null; a field takes a list of allowed values, like [null]",
            id="bare-null",
        ),
        pytest.param({1: ["x"]}, (), "field names are strings, found the number 1", id="key"),
        pytest.param(
            {"a": [1, ["x"]]},
            ("a", 1),
            "a list in the list of a field; allowed are strings, numbers, true, false, null and "
            'operators like {prefix: "a"}',
            id="list-in-a-list",
        ),
        pytest.param({"a": [float("nan")]}, ("a", 0), "nan is not a JSON number", id="nan"),
        pytest.param({"a": [float("inf")]}, ("a", 0), "inf is not a JSON number", id="infinity"),
        pytest.param({"a": [10**5000]}, ("a", 0), "this number is too long", id="long-number"),
        pytest.param(
            {"a": [b"x"]},
            ("a", 0),
            "a value of type bytes in the list of a field; allowed are strings, numbers, true, "
            'false, null and operators like {prefix: "a"}',
            id="odd-type",
        ),
        pytest.param(
            {"a": {"b." * 100: [1]}},
            ("a", "b." * 100),
            "a path of more than 100 keys",
            id="long-path",
        ),
        pytest.param(
            {"a.b": [1], "a": {"b": [2]}},
            ("a", "b"),
            "`a.b` is already tested; put all values that it may have into one list",
            id="same-path-twice",
        ),
        # operators
        pytest.param(
            {"a": ["x", {}]},
            ("a", 1),
            'an operator object has exactly one key, found none; write {prefix: "a"}, and each '
            "alternative in braces of its own",
            id="no-operator",
        ),
        pytest.param(
            {"a": [{"prefix": "x", "suffix": "y"}]},
            ("a", 0),
            'an operator object has exactly one key, found "prefix" and "suffix"; '
            'write {prefix: "a"}, and each alternative in braces of its own',
            id="two-operators",
        ),
        pytest.param(
            {"a": [{"prefx": "x"}]},
            ("a", 0, "prefx"),
            'there is no operator "prefx"; did you mean {prefix: "a"}?',
            id="misspelt",
        ),
        pytest.param(
            {"a": [{"NUMERIC": [">", 1]}]},
            ("a", 0, "NUMERIC"),
            'there is no operator "NUMERIC"; did you mean {numeric: [">", 0, "<=", 5]}?',
            id="upper-case",
        ),
        pytest.param(
            {"a": [{"starts_with": "x"}]},
            ("a", 0, "starts_with"),
            'there is no operator "starts_with"; did you mean {prefix: "a"}?',
            id="another-language's-name",
        ),
        pytest.param(
            {"a": [{"qwertz": "x"}]},
            ("a", 0, "qwertz"),
            'there is no operator "qwertz"; there are prefix, suffix, equals-ignore-case, '
            "wildcard, anything-but, numeric, exists, cidr, exactly",
            id="unknown",
        ),
        pytest.param(
            {"a": [{"x" * 500: "x"}]},
            ("a", 0, "x" * 500),
            f'there is no operator "{"x" * 60}..."; there are prefix, suffix, equals-ignore-case, '
            "wildcard, anything-but, numeric, exists, cidr, exactly",
            id="long-and-unknown",
        ),
        pytest.param(
            {"a": [{5: "x"}]},
            ("a", 0, "5"),
            "there is no operator 5; there are prefix, suffix, equals-ignore-case, "
            "wildcard, anything-but, numeric, exists, cidr, exactly",
            id="number-for-an-operator",
        ),
        pytest.param(
            {"a": [{"$or": [{"b": [1]}, {"c": [1]}]}]},
            ("a", 0, "$or"),
            'there is no operator "$or"; `$or` stands among the fields, not in the list of one',
            id="or-in-a-list",
        ),
        pytest.param(
            {"kind": {"prefix": "x"}},
            ("kind", "prefix"),
            "`prefix` outside a list is the name of a field; write the operator in the list of a "
            'field: kind: [{prefix: "x"}]',
            id="operator-without-a-list",
        ),
        pytest.param(
            {"kind": {"anything-but": {"prefix": "x"}}},
            ("kind", "anything-but", "prefix"),
            "`prefix` outside a list is the name of a field; write the operator in the list of a "
            'field: kind: [{anything-but: {prefix: "x"}}]',
            id="nested-operator-without-a-list",
        ),
        pytest.param(
            {"exists": True},
            ("exists",),
            "`exists` outside a list is the name of a field; write the operator in the list of a "
            "field: field: [{exists: true}]",
            id="operator-without-a-field",
        ),
        # arguments
        *(
            pytest.param(
                {"a": [{name: 5}]},
                ("a", 0, name),
                f"`{name}` takes a string, found the number 5; write it like {{{name}: {example}}}",
                id=f"{name}-number",
            )
            for name, example in [
                ("exactly", '"a"'),
                ("equals-ignore-case", '"a"'),
                ("wildcard", '"*a*"'),
                ("cidr", '"10.0.0.0/8"'),
            ]
        ),
        *(
            pytest.param(
                {"a": [{name: argument}]},
                ("a", 0, name),
                f"`{name}` takes a string or {{equals-ignore-case: string}}, found {found}; "
                f'write it like {{{name}: "a"}}',
                id=f"{name}-{found}",
            )
            for name in ("prefix", "suffix")
            for argument, found in [
                (["x"], "a list"),
                ({}, "an empty object"),
                ({"wildcard": "x"}, 'an object with the key "wildcard"'),
                ({"equals-ignore-case": 5}, 'an object with the key "equals-ignore-case"'),
                (
                    {"equals-ignore-case": "x", "b": 1},
                    'an object with the keys "equals-ignore-case" and "b"',
                ),
            ]
        ),
        pytest.param(
            {"a": [{"exists": "true"}]},
            ("a", 0, "exists"),
            '`exists` takes true or false, found the string "true"; write it like {exists: true}',
            id="exists-text",
        ),
        pytest.param(
            {"a": [{"wildcard": "ab**"}]},
            ("a", 0, "wildcard"),
            "`**` at character 3 of the wildcard; one `*` already matches any run of "
            r"characters, and `\*` is a literal star",
            id="two-stars",
        ),
        *(
            pytest.param(
                {"a": [{"wildcard": text}]},
                ("a", 0, "wildcard"),
                f"`\\` at character {at} of the wildcard must be followed by `*` or `\\`; "
                r"`\\` is a literal backslash",
                id=f"escape-{text}",
            )
            for text, at in [("a\\b", 2), ("a\\", 2), ("\\*\\n", 3), ("\\\\\\", 3)]
        ),
        *(
            pytest.param(
                {"a": [{"cidr": text}]},
                ("a", 0, "cidr"),
                f'"{text.partition("/")[0]}" is not an IP address; `cidr` takes one with a `/` and '
                'a number of bits, like "10.0.0.0/8" or "fd00::/8"',
                id=f"cidr-{text}",
            )
            for text in ["", "10.0.0/8", "10.0.0.256/8", "::ffff:10.0.0.1/96", "1::2::3/8", "x/8"]
        ),
        *(
            pytest.param(
                {"a": [{"cidr": text}]},
                ("a", 0, "cidr"),
                f'"{text}": after the address comes `/` and a number from 0 to {most}; a single '
                "address needs no operator, any spelling of it matches",
                id=f"cidr-{text}",
            )
            for text, most in [
                ("10.0.0.0", 31),
                ("10.0.0.0/", 31),
                ("10.0.0.0/32", 31),
                ("10.0.0.0/-1", 31),
                ("10.0.0.0/+8", 31),
                ("10.0.0.0/8/8", 31),
                ("10.0.0.0/00000008", 31),
                ("::/128", 127),
            ]
        ),
        # numeric
        *(
            pytest.param(
                {"a": [{"numeric": argument}]},
                ("a", 0, "numeric"),
                f"`numeric` takes a list of comparisons and numbers, found {found}; "
                'write it like {numeric: [">", 0, "<=", 5]}',
                id=f"numeric-{found}",
            )
            for argument, found in [
                ("> 5", 'the string "> 5"'),
                (5, "the number 5"),
                ([], "an empty list"),
                ({"=": 5}, 'an object with the key "="'),
            ]
        ),
        *(
            pytest.param(
                {"a": [{"numeric": argument}]},
                ("a", 0, "numeric", at),
                f"{found} where a comparison belongs; allowed are =, <, <=, >, >=, each followed "
                'by a number, like [">", 0, "<=", 5]',
                id=f"numeric-comparison-{found}",
            )
            for argument, at, found in [
                ([5, ">"], 0, "the number 5"),
                (["==", 5], 0, 'the string "=="'),
                ([">", 1, "and", 5], 2, 'the string "and"'),
                ([["<"], 5], 0, "a list"),
            ]
        ),
        *(
            pytest.param(
                {"a": [{"numeric": argument}]},
                ("a", 0, "numeric"),
                f"a range is {LIKE_A_RANGE}, found {found}",
                id=f"numeric-length-{found}",
            )
            for argument, found in [
                ([">"], '[">"]'),
                ([">", 1, "<"], '[">", 1, "<"]'),
                ([">", 1, "<", 5, "<", 6], '[">", 1, "<", 5, ... 2 more]'),
            ]
        ),
        *(
            pytest.param(
                {"a": [{"numeric": argument}]},
                ("a", 0, "numeric"),
                f"{found} is not a range; write the lower limit first, with > or >=, then the "
                'upper one, with < or <=, like [">", 0, "<=", 5]',
                id=f"numeric-order-{found}",
            )
            for argument, found in [
                (["<", 5, ">", 1], '["<", 5, ">", 1]'),
                (["=", 5, "<", 6], '["=", 5, "<", 6]'),
                ([">", 5, "=", 6], '[">", 5, "=", 6]'),
                ([">", 5, ">", 6], '[">", 5, ">", 6]'),
            ]
        ),
        *(
            pytest.param(
                {"a": [{"numeric": [">=", 5, "<", high]}]},
                ("a", 0, "numeric"),
                f"no number is >= 5 and < {high}: the first limit must be less than the second "
                '(for a single number write ["=", 5])',
                id=f"numeric-empty-range-{high}",
            )
            for high in (5, 4)
        ),
        pytest.param(
            {"a": [{"numeric": [">", "5"]}]},
            ("a", 0, "numeric", 1),
            'the string "5" where a number belongs; write it without quotes',
            id="numeric-quoted",
        ),
        pytest.param(
            {"a": [{"numeric": [">", 1, "<", True]}]},
            ("a", 0, "numeric", 3),
            "true where a number belongs",
            id="numeric-true",
        ),
        *(
            pytest.param(
                {"a": [{"numeric": ["=", number]}]},
                ("a", 0, "numeric", 1),
                f"{text} cannot be compared: it has more digits than a double keeps, or is beyond "
                "a double's range",
                id=f"numeric-{text}",
            )
            for number, text in [
                (2**53 + 1, "9007199254740993"),
                (12345678901234567890, "12345678901234567890"),
                (WideNumber("1e400"), "1e400"),
            ]
        ),
        # anything-but
        *(
            pytest.param(
                {"a": [{"anything-but": argument}]},
                ("a", 0, "anything-but"),
                "`anything-but` takes a string, a number, a list of only strings or only numbers, "
                "or an object with one of prefix, suffix, equals-ignore-case and wildcard, found "
                f'{found}; write it like {{anything-but: ["a", "b"]}}',
                id=f"anything-but-{found}",
            )
            for argument, found in [
                (None, "null"),
                (True, "true"),
                (list[object](), "an empty list"),
                ({}, "an empty object"),
                ({"prefix": "a", "suffix": "b"}, 'an object with the keys "prefix" and "suffix"'),
            ]
        ),
        pytest.param(
            {"a": [{"anything-but": ["a", 1]}]},
            ("a", 0, "anything-but"),
            '["a", 1] mixes strings and numbers; `anything-but` takes only strings or only numbers',
            id="anything-but-mixed",
        ),
        *(
            pytest.param(
                {"a": [{"anything-but": ["a", argument]}]},
                ("a", 0, "anything-but", 1),
                f"{found} in `anything-but`; it takes only strings or only numbers, and true, "
                "false and null always match it",
                id=f"anything-but-list-{found}",
            )
            for argument, found in [(None, "null"), (False, "false"), (["b"], "a list")]
        ),
        pytest.param(
            {"a": [{"anything-but": [{"wildcard": "x*"}]}]},
            ("a", 0, "anything-but", 0),
            "an operator inside a list of `anything-but`; put it in braces without the list, like "
            "{anything-but: {wildcard: ...}}",
            id="anything-but-list-operator",
        ),
        pytest.param(
            {"a": [{"anything-but": 2**53 + 1}]},
            ("a", 0, "anything-but"),
            "9007199254740993 cannot be compared: it has more digits than a double keeps, or is "
            "beyond a double's range",
            id="anything-but-number",
        ),
        *(
            pytest.param(
                {"a": [{"anything-but": {name: "x"}}]},
                ("a", 0, "anything-but", name),
                f'`anything-but` has no form "{name}"; allowed inside are prefix, suffix, '
                "equals-ignore-case, wildcard",
                id=f"anything-but-{name}",
            )
            for name in ("exactly", "numeric", "anything-but", "PREFIX")
        ),
        *(
            pytest.param(
                {"a": [{"anything-but": {name: []}}]},
                ("a", 0, "anything-but", name),
                f"`{name}` in `anything-but` has an empty list; list at least one",
                id=f"anything-but-{name}-empty-list",
            )
            for name in ("prefix", "suffix", "equals-ignore-case", "wildcard")
        ),
        *(
            pytest.param(
                {"a": [{"anything-but": {name: ["x", ""]}}]},
                ("a", 0, "anything-but", name, 1),
                f'every string has the {name} "", so no string would be left',
                id=f"anything-but-{name}-empty",
            )
            for name in ("prefix", "suffix")
        ),
        pytest.param(
            {"a": [{"anything-but": {"prefix": {"equals-ignore-case": "x"}}}]},
            ("a", 0, "anything-but", "prefix"),
            "`prefix` in `anything-but` takes a string or a list of strings, found an object with "
            'the key "equals-ignore-case"',
            id="anything-but-prefix-ignoring-case",
        ),
        pytest.param(
            {"a": [{"anything-but": {"wildcard": ["x", "y**"]}}]},
            ("a", 0, "anything-but", "wildcard", 1),
            "`**` at character 2 of the wildcard; one `*` already matches any run of "
            r"characters, and `\*` is a literal star",
            id="anything-but-wildcard",
        ),
        # $or
        pytest.param(
            {"a": {"$or": {"b": [1]}}},
            ("a", "$or"),
            '`$or` takes a list of at least two objects, found an object with the key "b"',
            id="or-object",
        ),
        *(
            pytest.param(
                {"$or": argument},
                ("$or",),
                f"`$or` takes at least two objects, found {len(argument)}; a single one needs no "
                "`$or`",
                id=f"or-of-{len(argument)}",
            )
            for argument in ([{"a": [1]}][:length] for length in (0, 1))
        ),
        pytest.param(
            {"$or": [{"a": [1]}, "b"]},
            ("$or", 1),
            '`$or` takes objects of fields, found the string "b"',
            id="or-of-a-string",
        ),
        pytest.param(
            {"$or": [{"a": [1]}, {}]},
            ("$or", 1),
            "an empty object asks nothing; name at least one field in it",
            id="or-of-nothing",
        ),
        pytest.param(
            {"$or": [{"a": [1]}, {"b": {"prefix": ["x"]}}]},
            ("$or", 1, "b", "prefix"),
            "`prefix` is a reserved word; inside `$or` it cannot be the name of a field; "
            'write an operator in a list: b: [{prefix: ["x"]}]',
            id="or-with-an-operator-for-a-field",
        ),
        pytest.param(
            {"a": [1], "$or": [{"b": [1]}, {"a": [2]}]},
            ("$or", 1, "a"),
            "`a` is already tested; put all values that it may have into one list",
            id="or-asks-again",
        ),
        pytest.param(
            {"$or": [{"b": [1]}, {"a": [2]}], "a": [1]},
            ("a",),
            "`a` is already tested; put all values that it may have into one list",
            id="asked-again-after-or",
        ),
    ],
)
def test_the_error_says_where_and_what(
    pattern: object, path: tuple[str | int, ...], message: str
) -> None:
    assert refusal(pattern) == (path, message)


@pytest.mark.parametrize(
    "word",
    [
        *("exactly", "equals-ignore-case", "prefix", "suffix", "anything-but", "exists"),
        *("wildcard", "numeric", "cidr", "=", "<", "<=", ">", ">=", "regex", "not-wildcard"),
        *("not-equals-ignore-case", "date-after", "date-on-or-after", "date-before"),
        *("date-on-or-before", "in-date-range", "ip-address-in-range", "ip-address-not-in-range"),
    ],
)
def test_words_of_the_language_name_fields_outside_or_only(word: str) -> None:
    compile_pattern({word: [1], "a": {word: {"b": [1]}}})

    for inner in ({word: [1]}, {"a": {word: [1]}}, {word: {"a": [1]}}):
        path, message = refusal({"b": {"$or": [{"x": [1]}, inner]}})
        assert path[:3] == ("b", "$or", 1)
        assert message.startswith(f"`{word}` is a reserved word; inside `$or` it cannot")


# With bare scalars


@pytest.mark.parametrize(
    ("pattern", "path", "suggestion"),
    [
        ({"kind": {"prefix": "x"}}, ("kind", "prefix"), 'kind: [{prefix: "x"}]'),
        ({"kind": {"exists": False}}, ("kind", "exists"), "kind: [{exists: false}]"),
        ({"size": {"numeric": [">", 5]}}, ("size", "numeric"), 'size: [{numeric: [">", 5]}]'),
        (
            {"kind": {"anything-but": ["x"]}},
            ("kind", "anything-but"),
            'kind: [{anything-but: ["x"]}]',
        ),
        (
            {"kind": {"anything-but": {"suffix": "x"}}},
            ("kind", "anything-but", "suffix"),
            'kind: [{anything-but: {suffix: "x"}}]',
        ),
    ],
)
def test_an_operator_without_its_list_is_not_taken_for_a_field(
    pattern: object, path: tuple[str | int, ...], suggestion: str
) -> None:
    found, message = refusal(pattern, scalars=True)

    assert found == path
    assert message.endswith(f"write the operator in the list of a field: {suggestion}")


def test_a_field_may_have_an_operators_name_and_a_list() -> None:
    pattern = compile_pattern({"a": {"prefix": ["x"], "numeric": [1]}}, scalars=True)

    assert pattern.matches({"a": {"prefix": "x", "numeric": 1}})


def test_the_path_of_a_bare_scalar_has_no_index() -> None:
    assert refusal({"a": float("nan")}, scalars=True) == (("a",), "nan is not a JSON number")


# Size


def test_a_thousand_alternatives_are_the_most() -> None:
    compile_pattern({"$or": [{"a": [at]} for at in range(1000)]})

    path, message = refusal({"$or": [{"a": [at]} for at in range(1001)]})
    assert path == ("$or",)
    assert message.startswith("with this `$or` the pattern has more than 1000 alternatives")


def test_the_product_of_many_ors_is_refused_before_it_is_made() -> None:
    pattern = {
        f"f{at}": {"$or": [{"a": [1]}, {"b": [1]}, {"c": [1]}, {"d": [1]}]} for at in range(40)
    }

    assert refusal(pattern)[0] == ("f4", "$or")


def test_a_pattern_may_be_deep_and_not_bottomless() -> None:
    pattern: object = [1]
    for _ in range(100):
        pattern = {"a": pattern}
    compile_pattern(pattern)
    assert refusal({"a": pattern})[1] == "a path of more than 100 keys"

    alternatives: object = {"a": [1]}
    for _ in range(2000):
        alternatives = {"$or": [alternatives, {"b": [1]}]}
    assert refusal(alternatives)[1] == "`$or` nested more than 100 levels deep"
