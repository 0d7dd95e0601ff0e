"""Routes that get no message, patterns that never match, queues that say too little."""

from collections.abc import Mapping
from itertools import product

import pytest
from building import message, route, table
from hypothesis import given, settings
from hypothesis import strategies as st
from pattern_strategies import ARRAY_EVENTS, CHOICES, EVENTS, PATHS, PATTERNS, json_object
from routes_files import DEFAULTS, QUEUES, compiled, reported

from lambdo_router.config.compile import compile_routes
from lambdo_router.config.compile.profiles import Fallbacks
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.lint.shadows import Shadow, find_shadows
from lambdo_router.config.read.schema_files import SchemaFiles
from lambdo_router.config.read.yaml_loader import parse_document
from lambdo_router.core.patterns import Index, Pattern, PatternError, compile_pattern
from lambdo_router.core.routing import Match, Queue, decide
from lambdo_router.core.strict_json import parse_json

MATCHES_ALL = Match()


def body(**fields: object) -> Match:
    lists = {path: value if isinstance(value, list) else [value] for path, value in fields.items()}
    return Match(body=compile_pattern(lists))


def shadows(*matches: Match | None) -> list[Shadow]:
    index = Index(() if match is None else match.parts().items() for match in matches)
    return list(find_shadows(matches, index))


@pytest.mark.parametrize(
    ("matches", "found"),
    [
        pytest.param([body(a="x"), body(a="x")], [Shadow(1, (0,))], id="the-same"),
        pytest.param([body(a="x"), body(a="y")], [], id="another-value"),
        pytest.param(
            [body(a={"prefix": "x"}), body(a=["xy", "xz"], b=1)], [Shadow(1, (0,))], id="narrower"
        ),
        pytest.param([body(a="x", b=1), body(a={"prefix": "x"})], [], id="wider"),
        pytest.param([body(a="y"), MATCHES_ALL, body(a="x")], [Shadow(2, (1,))], id="catch-all"),
        pytest.param([MATCHES_ALL, MATCHES_ALL], [Shadow(1, (0,))], id="two-catch-alls"),
        pytest.param([body(a="x"), MATCHES_ALL], [], id="catch-all-is-last"),
        pytest.param([None, body(a="x"), None, body(a="x")], [Shadow(3, (1,))], id="unknown"),
        pytest.param([body(a="x")] * 3, [Shadow(1, (0,)), Shadow(2, (0,))], id="the-first-is-told"),
        pytest.param(
            [body(a="x"), body(a="y"), body(a=["x", "y"])], [Shadow(2, (0, 1))], id="together"
        ),
        pytest.param([body(a="x"), body(a=["x", "y"]), body(a="y")], [Shadow(2, (1,))], id="later"),
        pytest.param([body(a="x"), body(a=["x", "y"])], [], id="one-of-two-is-left"),
        pytest.param(
            [
                body(a="x"),
                body(b={"numeric": [">", 0]}),
                Match(body=compile_pattern({"$or": [{"a": ["x"], "c": [1]}, {"b": [1]}]})),
            ],
            [Shadow(2, (0, 1))],
            id="alternatives-together",
        ),
        pytest.param(
            [body(a={"exists": True}), body(a=[{"numeric": [">", 0]}, {"anything-but": "x"}])],
            [Shadow(1, (0,))],
            id="found-by-presence",
        ),
        pytest.param(
            [body(a={"exists": False}), body(a={"exists": False}, b=1)],
            [Shadow(1, (0,))],
            id="found-by-absence",
        ),
        pytest.param(
            [body(a="x"), Match(attributes=compile_pattern({"a": ["x"]}))], [], id="other-parts"
        ),
        pytest.param(
            [body(a="x"), Match(attributes=compile_pattern({"b": [1]}), body=body(a="x").body)],
            [Shadow(1, (0,))],
            id="more-parts",
        ),
    ],
)
def test_shadows(matches: list[Match | None], found: list[Shadow]) -> None:
    assert shadows(*matches) == found


def test_routes_that_an_index_cannot_tell_apart_are_compared_with_each_other() -> None:
    ranges = [body(a={"numeric": [">", 100 - at, "<=", 200 - at]}) for at in range(60)]
    absent = [body(b={"exists": False}, c=at) for at in range(3)]

    assert shadows(*ranges, *absent, body(a={"numeric": [">", 95, "<", 96]}, b=1)) == [
        Shadow(63, (5,))
    ]


def test_alternatives_that_are_too_many_are_not_tried_one_by_one() -> None:
    many: list[object] = list(range(60))

    assert shadows(body(a=0), body(a=many[1:]), body(a=many)) == []
    assert shadows(body(a=many), body(a=many)) == [Shadow(1, (0,))]


# Against `decide`


def compiled_pattern(text: str) -> Pattern:
    try:
        return compile_pattern(parse_json(text))
    except PatternError:  # the same path twice
        return compile_pattern({"a": [1]})


BODIES = PATTERNS.map(compiled_pattern).map(lambda pattern: Match(body=pattern))
ARRAY_BODIES = (
    st.dictionaries(PATHS, CHOICES, min_size=1, max_size=3)
    .map(json_object)
    .map(lambda text: Match(body=compiled_pattern(text)))
)
SIMPLE = st.sampled_from(
    [body(a=first, b=second) for first, second in product([1, [1, 2], {"exists": True}], repeat=2)]
    + [body(a=value) for value in (1, 2, [1, 2], {"numeric": [">", 0]}, {"exists": False}, "x")]
    + [MATCHES_ALL]
)
SIMPLE_EVENTS = st.dictionaries(
    st.sampled_from("abc"), st.sampled_from(["1", "2", "3", '"x"', "[1, 2]"]), max_size=3
).map(json_object)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(SIMPLE, min_size=2, max_size=8) | st.lists(BODIES | ARRAY_BODIES, max_size=6),
    st.lists(SIMPLE_EVENTS | EVENTS | ARRAY_EVENTS, min_size=1, max_size=6),
)
def test_no_message_takes_a_route_that_is_said_to_get_none(
    matches: list[Match], events: list[str]
) -> None:
    dead = {f"r{shadow.place}" for shadow in shadows(*matches)}
    routes = table(*(route(f"r{at}", match=match) for at, match in enumerate(matches)))
    for event in events:
        taken = decide(routes, Queue("q", url="q"), message(body=event)).route
        assert taken is None or taken.name not in dead


# The lints as users see them


def linted(routes: str, queues: str = QUEUES, env: Mapping[str, str] | None = None) -> list[str]:
    """Line, column, code and text of each problem; the routes begin in line 8."""
    result = compiled(f"{queues}{DEFAULTS}routes:\n{routes}", env, missing="warning")
    return [f"{d.line}:{d.column} {d.code}: {d.message}" for d in result.diagnostics]


def problem(routes: str, queues: str = QUEUES) -> Diagnostic:
    [found] = compiled(f"{queues}{DEFAULTS}routes:\n{routes}").diagnostics
    return found


def test_a_route_without_messages_names_the_one_that_takes_them() -> None:
    found = problem("""\
  - {name: images, queue: orders, match: {body: {kind: [{prefix: im}]}}, profile: {}}
  - {name: thumbs, queue: orders, match: {body: {kind: [image, img], size: 5}}, profile: {}}
""")

    assert (found.line, found.column, found.severity) == (9, 12, "warning")
    assert found.code == "unreachable-route"
    assert found.message == (
        "no message reaches route `thumbs`: route `images` in line 8 takes all that it matches"
    )
    assert found.hint == "move that route after this one, or narrow its `match`"
    assert [str(related) for related in found.related] == [
        "routes.yaml:8:12: note: route `images` comes first"
    ]


def test_each_route_behind_a_catch_all_is_told_once() -> None:
    routes = """\
  - {name: all, queue: orders, profile: {}}
  - {name: images, queue: orders, match: {body: {kind: image}}, profile: {}}
  - {name: rest, queue: orders, profile: {}}
"""
    why = "route `all` in line 8 takes every message of the queue"

    assert linted(routes) == [
        f"9:12 unreachable-route: no message reaches route `images`: {why}",
        f"10:12 unreachable-route: no message reaches route `rest`: {why}",
    ]


def test_routes_that_take_all_messages_together_are_all_named() -> None:
    found = problem("""\
  - {name: a, queue: orders, match: {body: {kind: a}}, profile: {}}
  - {name: b, queue: orders, match: {body: {kind: [b, c]}}, profile: {}}
  - {name: both, queue: orders, match: {body: {kind: [a, b]}}, profile: {}}
""")

    assert found.message == (
        "no message reaches route `both`: route `a` in line 8 and route `b` in line 9 together "
        "take all that it matches"
    )
    assert found.hint == "move those routes after this one, or narrow their `match`"
    assert [related.line for related in found.related] == [8, 9]


TWO_QUEUES = """
version: 1
queues:
  a: {name: a, on_unmatched: leave}
  b: {name: b, on_unmatched: leave}
"""


def test_a_route_of_several_queues_is_only_without_messages_where_they_are_taken() -> None:
    routes = """\
  - {name: all-of-a, queue: a, profile: {}}
  - {name: some, queue: [b, a], match: {body: {x: 1}}, profile: {}}
  - {name: one-of-b, queue: b, match: {body: {x: 1}}, profile: {}}
"""

    assert linted(routes, TWO_QUEUES) == [
        (
            "9:29 unreachable-route: no message of queue `a` reaches route `some`: "
            "route `all-of-a` in line 8 takes every message of the queue"
        ),
        (
            "10:12 unreachable-route: no message reaches route `one-of-b`: route `some` in line 9 "
            "takes all that it matches"
        ),
    ]


def test_a_route_that_several_routes_leave_nothing_for_is_told_once() -> None:
    routes = """\
  - {name: all-of-a, queue: a, profile: {}}
  - {name: some-of-b, queue: b, match: {body: {x: [{exists: true}]}}, profile: {}}
  - {name: none, queue: [a, b], match: {body: {x: 1}}, profile: {}}
"""

    assert linted(routes, TWO_QUEUES) == [
        (
            "10:12 unreachable-route: no message reaches route `none`: of queue `a` "
            "route `all-of-a` in line 8 takes every message of the queue; of queue `b` "
            "route `some-of-b` in line 9 takes all that it matches"
        ),
    ]


@pytest.mark.parametrize(
    "first",
    [
        pytest.param("match: {body: {kind: ['${UNSET}', a]}}", id="unset-variable"),
        pytest.param("match: {body: {kind: [{prefx: a}]}}", id="bad-pattern"),
        pytest.param("match: {body: {kind: a}, attributes: []}", id="part-of-a-wrong-type"),
        pytest.param("match: []", id="wrong-type"),
        pytest.param("match: {bdy: {kind: a}}", id="unknown-part"),
    ],
)
def test_a_route_that_is_not_fully_known_takes_nothing_from_others(first: str) -> None:
    found = linted(f"""\
  - {{name: first, queue: orders, {first}, profile: {{}}}}
  - {{name: second, queue: orders, match: {{body: {{kind: a}}}}, profile: {{}}}}
""")

    assert [text for text in found if "unreachable" in text] == []


def test_a_key_that_yaml_was_refused_for_may_be_what_makes_the_difference() -> None:
    text = f"""{QUEUES}{DEFAULTS}
routes:
  - {{name: first, queue: orders, match: {{body: {{kind: a, 5: x}}}}, profile: {{}}}}
  - {{name: second, queue: orders, match: {{body: {{kind: a}}}}, profile: {{}}}}
"""
    document, refused = parse_document(text, "routes.yaml")
    assert document is not None
    assert [problem.code for problem in refused] == ["key-not-text"]

    assert reported(compile_routes([document], SchemaFiles().compile, Fallbacks())) == []


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        pytest.param(
            "{body: {size: [{numeric: ['>', 1, '<', 1.0000000000000002]}]}}",
            "8:51 never-matches: size: no number that a double represents lies between these "
            "limits: route `r` never matches",
            id="no-number",
        ),
        pytest.param(
            "{attributes: {'event/type': [x]}}",
            "8:65 never-matches: no message has an attribute called `event/type`; names are up to "
            "256 letters, digits, `_`, `-` and single periods inside, and do not begin with "
            "`AWS.`: route `r` never matches",
            id="attribute-name",
        ),
        pytest.param(
            "{system: {SentTimestamp: [{prefix: '17'}]}}",
            "8:62 never-matches: SQS's attribute `SentTimestamp` is a number; `numeric` tests it: "
            "route `r` never matches",
            id="number-of-sqs",
        ),
        pytest.param(
            "{system: {SenderId: [{numeric: ['>', 5]}]}}",
            "8:57 never-matches: SQS's attribute `SenderId` is text; `numeric` does not test it: "
            "route `r` never matches",
            id="text-of-sqs",
        ),
    ],
)
def test_a_pattern_that_can_never_match_is_an_error(match: str, expected: str) -> None:
    found = problem(f"  - {{name: r, queue: orders, match: {match}, profile: {{}}}}\n")

    assert f"{found.line}:{found.column} {found.code}: {found.message}" == expected
    assert found.severity == "error"


@pytest.mark.parametrize(
    "match",
    [
        "{attributes: {a.b-c_D9: [x], 'a b': [{exists: false}]}}",
        "{system: {SentTimestamp: [{prefix: '17'}, {numeric: ['>', 5]}]}}",
        "{system: {SentTimestamp: [{anything-but: {prefix: '17'}}]}}",
        "{system: {SenderId: [{numeric: ['>', 5]}, {exists: false}]}}",
    ],
    ids=["names", "one-of-two", "anything-but", "absence"],
)
def test_a_pattern_that_can_match_is_fine(match: str) -> None:
    assert linted(f"  - {{name: r, queue: orders, match: {match}, profile: {{}}}}\n") == []


@pytest.mark.parametrize(
    ("queue", "routes", "expected"),
    [
        pytest.param("{name: q}", "match: {body: {a: 1}}, ", ["4:3 no-unmatched-policy"], id="no"),
        pytest.param("{name: q, on_unmatched: leave}", "match: {body: {a: 1}}, ", [], id="policy"),
        pytest.param("{name: q, reject_to: r}", "match: {body: {a: 1}}, ", [], id="reject-to"),
        pytest.param("{name: q}", "", [], id="catch-all"),
        pytest.param(
            "{name: q}",
            "match: {body: {a: '${UNSET}'}}, ",
            ["4:3 no-unmatched-policy"],
            id="of-an-unset-variable",
        ),
    ],
)
def test_a_queue_says_what_becomes_of_messages_that_no_route_matches(
    queue: str, routes: str, expected: list[str]
) -> None:
    result = compiled(
        f"version: 1\nqueues:\n  r: {{name: r, on_unmatched: leave}}\n  q: {queue}\n{DEFAULTS}"
        f"routes:\n  - {{name: one, queue: [q], {routes}profile: {{}}}}\n"
        "  - {name: two, queue: r, profile: {}}\n",
        missing="warning",
    )

    assert [text for text in reported(result) if "policy" in text] == expected


def test_a_queue_that_an_open_reference_may_name_is_passed_over() -> None:
    routes = """\
  - {name: one, queue: a, match: {body: {x: 1}}, profile: {}}
  - {name: two, queue: '%s', profile: {}}
"""
    queues = TWO_QUEUES.replace(", on_unmatched: leave", "")

    assert [text[:24] for text in linted(routes % "b", queues)] == ["4:3 no-unmatched-policy:"]
    assert linted(routes % "${UNSET}", queues) == []


def many(count: int, match: str) -> str:
    return "".join(
        f"  - {{name: r{at}, queue: orders, match: {{body: {match % at}}}, profile: {{}}}}\n"
        for at in range(count)
    )


LAST = "  - {name: big, queue: orders, match: {body: {size: [{exists: false}]}}, profile: {}}\n"


def test_a_route_that_no_index_finds_is_only_told_where_there_are_many() -> None:
    assert linted(many(49, "{kind: [%d]}") + LAST) == []
    assert linted(many(50, "{kind: [%d]}") + LAST) == [
        (
            "58:39 unindexed-route: route `big` is tested for every message of queue `orders`, "
            "which has 51 routes"
        )
    ]


def test_routes_that_are_found_together_are_told_once() -> None:
    assert linted(many(51, "{kind: [x], size: [{numeric: ['=', %d]}]}")) == []
    assert linted(many(51, "{kind: [x], size: [{numeric: ['<', %d]}]}")) == [
        (
            "8:38 unindexed-route: route `r0` and 50 more of queue `orders` are all tested for the "
            "same messages: their conditions on `kind` do not tell them apart"
        )
    ]


@pytest.mark.parametrize("count", [2, 300])
def test_what_is_linted_in_a_large_file_is_what_is_linted_in_a_small_one(count: int) -> None:
    routes = many(count, "{kind: [kind-%d]}") + many(1, "{kind: [kind-0], size: [%d]}")
    routes = routes[: routes.rindex("name: r0")] + routes[routes.rindex("name: r0") :].replace(
        "name: r0", "name: dead"
    )

    assert [text.split(": ")[0] for text in linted(routes)] == [f"{8 + count}:12 unreachable-route"]
