"""Random patterns and events as JSON texts, made of few keys and values so that they collide."""

import json

from hypothesis import strategies as st

from lambdo_router.core.message import Undecodable
from lambdo_router.core.patterns.compiling import compile_sub_rules
from lambdo_router.core.patterns.operators import Condition
from lambdo_router.core.strict_json import parse_json

KEYS = st.sampled_from(["a", "b", "a.b", "b.a", "c", "", "a.a", ".a"])
NUMBERS = ["1", "2", "1.0", "1e0", "9007199254740993", "9007199254740992", "1e400", "-0.0", "0"]
TEXTS = [
    *("x", "X", "xy", "", "1", "null", "x\ny"),
    *("10.0.0.1", "10.0.0.01", "::1"),
    *("ß", "SS", "ς", "I", "İ", "K", "\N{KELVIN SIGN}"),
    *("\N{LATIN SMALL LETTER DOTLESS I}", "\N{LATIN SMALL LETTER LONG S}"),
]
SCALARS = st.sampled_from(
    [*NUMBERS, *(json.dumps(text) for text in TEXTS), "null", "true", "false"]
) | st.sampled_from(["1", "2", '"x"'])


def json_object(members: dict[str, str]) -> str:
    return "{" + ",".join(f"{json.dumps(key)}:{value}" for key, value in members.items()) + "}"


def json_list(items: list[str]) -> str:
    return "[" + ",".join(items) + "]"


def operation(name: str, arguments: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from([f'{{"{name}": {argument}}}' for argument in arguments])


OPERATIONS = st.one_of(
    operation("exists", ["true", "false"]),
    operation(
        "prefix", ['"x"', '""', '{"equals-ignore-case": "Xy"}', '{"equals-ignore-case": "ß"}']
    ),
    operation(
        "suffix", ['"y"', '""', '{"equals-ignore-case": "Y"}', '{"equals-ignore-case": "ß"}']
    ),
    operation("equals-ignore-case", ['"x"', '"ß"', '"ς"', '""', '"i"', '"İ"', '"k"', '"S"']),
    operation("equals-ignore-case", ['"\N{LATIN SMALL LETTER DOTLESS I}"']),
    operation("wildcard", ['"*"', '"x*y"', '"*x*"', '"\\\\*"', '"1*"']),
    operation("numeric", ['["=", 1]', '[">", 1]', '["<=", 2]', '[">=", 0, "<", 2]']),
    operation("cidr", ['"10.0.0.0/8"', '"::/0"', '"::/127"']),
    operation("exactly", ['"x"', '"10.0.0.1"']),
    operation("anything-but", ['"x"', "1", "[1, 2]", '["x", "1"]', '{"prefix": ["x", "1"]}']),
    operation("anything-but", ['{"suffix": "y"}', '{"equals-ignore-case": ["X"]}']),
    operation("anything-but", ['{"wildcard": ["*y", "1"]}']),
)
CONDITIONS = st.lists(SCALARS | OPERATIONS, min_size=1, max_size=3).map(json_list)


def fields(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(KEYS, inner, min_size=1, max_size=3).map(json_object)


def alternatives(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    branches = st.lists(inner, min_size=2, max_size=3).map(json_list)
    return st.builds(
        lambda members, branch: json_object({**members, "$or": branch}),
        st.dictionaries(KEYS, CONDITIONS, max_size=1),
        branches,
    )


PATTERNS = st.recursive(
    fields(CONDITIONS),
    lambda inner: fields(CONDITIONS | inner) | alternatives(inner),
    max_leaves=5,
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3).map(json_list)
        | st.dictionaries(KEYS, inner, max_size=3).map(json_object)
    ),
    max_leaves=12,
)
EVENTS = st.dictionaries(KEYS, VALUES, max_size=3).map(json_object)

# Arrays need more than chance: few paths below one array, and every kind of choice.
PATHS = st.sampled_from(["e", "e.a", "e.b", "e.c", "e.a.b", "e.b.a", "e.e", "e.e.a", "e.e.b", "a"])
CHOICES = st.sampled_from(
    [
        "[1]",
        "[2]",
        '[{"exists": true}]',
        '[{"exists": false}]',
        '[{"exists": false}, 1]',
        '[2, {"exists": false}]',
    ]
)
TREES = st.recursive(
    st.sampled_from(["1", "1", "2"]),
    lambda inner: (
        st.lists(inner, min_size=1, max_size=3).map(json_list)
        | st.dictionaries(
            st.sampled_from(["a", "b", "c", "e", "a.b"]), inner, min_size=1, max_size=3
        ).map(json_object)
    ),
    max_leaves=15,
)
ARRAY_PATTERNS = st.dictionaries(PATHS, CHOICES, min_size=2, max_size=5).map(json_object)
ARRAY_EVENTS = st.dictionaries(
    st.sampled_from(["e", "e.a", "e.b", "e.e"]), TREES, min_size=1, max_size=3
).map(json_object)


# Not random, but all of them


def fold(where: str, text: str) -> dict[str, object]:
    return {where: {"equals-ignore-case": text}}


ABSENT: dict[str, object] = {"exists": False}
PRESENT: dict[str, object] = {"exists": True}


def all_conditions() -> list[Condition]:
    texts = [*TEXTS, "ab", "aB", "a-1", "A-1", "10.0.0.2"]
    edges = ["x", "y", "", "ab", "a", "b", "-1", "ß", "10.", "SS", "1"]
    wilds = ["*", "x*y", "*x*", "a*", "*b", "*a*b*", "a*-*1", r"\*", "1*", "ab", "*.*.*.*", "s*"]
    ranges: list[list[object]] = [
        *(["=", 1], ["<", 1], ["<=", 1], [">", 1], [">=", 1], [">", 0, "<=", 2]),
        *([">=", 1, "<", 2], [">", 1, "<", 1.5], ["<", 5], [">", -1]),
    ]
    nets = ["10.0.0.0/8", "10.0.0.0/31", "0.0.0.0/0", "::/0", "::/127", "10.0.0.1/24"]
    excluded: list[object] = [
        *("x", 1, [1, 2], ["x", "1"], ["10.0.0.1"], {"prefix": ["x", "1"]}, {"prefix": "a"}),
        *({"suffix": "y"}, {"suffix": ["b", "1"]}, {"equals-ignore-case": ["X", "ß", "AB"]}),
        *({"wildcard": ["*y", "1"]}, {"wildcard": "*"}, {"prefix": "xy"}, {"prefix": "ß"}),
    ]
    values: list[object] = [
        *(parse_json(number) for number in NUMBERS),
        *texts,
        *(None, True, False, PRESENT, ABSENT, {"exactly": "10.0.0.1"}),
        *({operator: edge} for operator in ("prefix", "suffix") for edge in edges),
        *(fold(operator, edge) for operator in ("prefix", "suffix") for edge in edges),
        *({"equals-ignore-case": text} for text in texts),
        *({"wildcard": wild} for wild in wilds),
        *({"numeric": limits} for limits in ranges),
        *({"cidr": net} for net in nets),
        *({"anything-but": argument} for argument in excluded),
    ]
    [sub_rule] = compile_sub_rules({"a": values}, scalars=False)
    return list(sub_rule[0].conditions)


def all_values() -> list[object]:
    texts = [*TEXTS, "ab", "aB", "AB", "abx", "xab", "xABx", "a-1", "A-1", "a-21", "ba", "xyx"]
    texts += ["10.0.0.2", "10.1.0.0", "010.0.0.1", "::2", "0:0::1", "ssx", "xss", "SSx", "ss"]
    texts += ["\ue000", "x\ue000", "\ue000y", "1x", "x1", "i", "k", "s", "S"]
    numbers = [*NUMBERS, "1.25", "1.5", "1.9", "3", "-1", "5", "1e401", "0.5"]
    return [*texts, *map(parse_json, numbers), None, True, False, Undecodable("Number")]
