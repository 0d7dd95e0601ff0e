"""Random patterns and events as JSON texts, made of few keys and values so that they collide."""

import json

from hypothesis import strategies as st

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
