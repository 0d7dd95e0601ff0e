"""Which alternatives of a pattern a message reaches, and that no other is ever counted."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import reference_matcher
from building import message, route, text
from hypothesis import given, settings
from pattern_strategies import ARRAY_EVENTS, ARRAY_PATTERNS, EVENTS, PATTERNS

from lambdo_router.config.load import LoadedRoutes, load_routes
from lambdo_router.config.route_tests.coverage import (
    Alternative,
    Coverage,
    RouteCoverage,
    alternatives,
    held,
    percent,
)
from lambdo_router.core.message import Attribute
from lambdo_router.core.patterns import PatternError, compile_pattern
from lambdo_router.core.routing import Match, Queue, Route
from lambdo_router.core.strict_json import parse_json

QUEUE = Queue("q", url="q")


def of_body(pattern: object) -> Route:
    return route(match=Match(body=compile_pattern(pattern, scalars=True)))


def reached(pattern: object, event: object) -> list[str]:
    """The alternatives that an event, which matches, reaches."""
    return list(map(str, held(of_body(pattern), QUEUE, message(body=json.dumps(event)))))


EITHER = {"$or": [{"a": [1, 2]}, {"b": [{"anything-but": ["x", "y"]}], "c": [{"exists": False}]}]}


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        pytest.param({"a": [1, 2]}, {"a": 2}, ["body.a: 2"], id="one-of-two"),
        pytest.param({"a": 1}, {"a": 1}, ["body.a: 1"], id="a-bare-value"),
        pytest.param(
            {"a": [{"prefix": "x"}, "xy"]},
            {"a": "xy"},
            ['body.a: {"prefix": "x"}', 'body.a: "xy"'],
            id="both-at-once",
        ),
        pytest.param(
            {"a": {"b": [1]}, "c": [2]},
            {"a": {"b": 1}, "c": 2},
            ["body.a.b: 1", "body.c: 2"],
            id="every-field",
        ),
        pytest.param(EITHER, {"a": 2}, ["body.$or[0].a: 2"], id="or-first"),
        pytest.param(
            EITHER,
            {"b": "z"},
            ['body.$or[1].b: {"anything-but": ["x", "y"]}', 'body.$or[1].c: {"exists": false}'],
            id="or-second",
        ),
        pytest.param(EITHER, {"a": 1, "b": "x"}, ["body.$or[0].a: 1"], id="or-with-an-excluded"),
        pytest.param(
            EITHER,
            {"a": 1, "b": "z", "c": 0},
            ["body.$or[0].a: 1"],
            id="a-value-that-holds-in-a-branch-that-does-not",
        ),
        pytest.param(
            {"$or": [{"a": [1]}, {"b": [1]}], "c": {"$or": [{"d": [1]}, {"e": [1]}]}},
            {"a": 1, "c": {"e": 1}},
            ["body.$or[0].a: 1", "body.c.$or[1].e: 1"],
            id="several-ors",
        ),
        pytest.param(
            {"$or": [{"$or": [{"a": [1]}, {"a": [2]}]}, {"b": [1]}]},
            {"a": 2, "b": 1},
            ["body.$or[0].$or[1].a: 2", "body.$or[1].b: 1"],
            id="an-or-within-an-or",
        ),
        pytest.param(
            {"i": {"a": [1, 2], "b": [1, 2]}},
            {"i": [{"a": 1, "b": 2}, {"a": 2, "b": 3}]},
            ["body.i.a: 1", "body.i.b: 2"],
            id="the-same-element-of-an-array",
        ),
        pytest.param(
            {"a b": {"c.d": [None]}},
            {"a b": {"c": {"d": None}}},
            ["body.a b.c.d: null"],
            id="odd-names",
        ),
    ],
)
def test_a_message_reaches_what_it_matches_by(
    pattern: object, event: object, expected: list[str]
) -> None:
    assert reached(pattern, event) == expected


def test_attributes_body_and_system_are_looked_at_each_in_its_own_way() -> None:
    asks = route(
        match=Match(
            attributes=compile_pattern({"kind": ["a", "b"], "n": [{"numeric": [">", 1]}, 7]}),
            body=compile_pattern({"x": [{"exists": False}, 1]}),
            system=compile_pattern({"ApproximateReceiveCount": [1, 2]}),
        )
    )
    received = message(
        attributes={"kind": text("b"), "n": Attribute("Number", "7")}, body="{}", receives=2
    )

    assert len(list(alternatives(asks))) == 8
    assert list(map(str, held(asks, QUEUE, received))) == [
        'attributes.kind: "b"',
        'attributes.n: {"numeric": [">", 1]}',
        "attributes.n: 7",
        'body.x: {"exists": false}',
        "system.ApproximateReceiveCount: 2",
    ]


def test_with_an_envelope_the_event_inside_counts() -> None:
    asks = route(
        match=Match(attributes=compile_pattern({"kind": ["a"]}), body=compile_pattern({"x": [1]}))
    )
    body = {
        "Type": "Notification",
        "Message": '{"x": 1}',
        "MessageAttributes": {"kind": {"Type": "String", "Value": "a"}},
    }
    topic = Queue("q", url="q", envelope="sns")

    assert list(map(str, held(asks, topic, message(body=json.dumps(body))))) == [
        'attributes.kind: "a"',
        "body.x: 1",
    ]


def only(pattern: str, path: tuple[str | int, ...]) -> str:
    """The pattern without all other values of the list, and with all other branches impossible."""
    changed = json.loads(pattern, parse_int="number {}".format, parse_float="number {}".format)
    at: Any = changed
    for depth, step in enumerate(path[:-2]):
        if step == "$or":
            index = path[depth + 1]
            at["$or"] = [
                branch if number == index else {"never": ["never"]}
                for number, branch in enumerate(at["$or"])
            ]
        at = at[step]
    at[path[-2]] = [at[path[-2]][path[-1]]]
    return re.sub('"number (.*?)"', r"\1", json.dumps(changed))  # no number loses a digit


def compare(pattern: str, event: str) -> None:
    """What is counted is what the reference says; a message that matches reaches something."""
    compiled = compile_pattern(parse_json(pattern))
    asks = route(match=Match(body=compiled))
    if not reference_matcher.matches(pattern, event):
        return
    counted = set(held(asks, QUEUE, message(body=event)))

    assert counted
    for alternative in alternatives(asks):
        expected = reference_matcher.matches(only(pattern, alternative.path), event)
        assert (alternative in counted) is expected


@settings(max_examples=80, deadline=None)
@given(PATTERNS, EVENTS)
def test_no_alternative_is_counted_that_does_not_match(pattern: str, event: str) -> None:
    try:
        compile_pattern(parse_json(pattern))
    except PatternError:
        return
    compare(pattern, event)


@settings(max_examples=80, deadline=None)
@given(ARRAY_PATTERNS, ARRAY_EVENTS)
def test_nor_where_arrays_share_their_paths(pattern: str, event: str) -> None:
    compare(pattern, event)


ROUTES = """\
version: 1
queues: {orders: {name: orders}}
profiles: {worker: {app: acme, image: "nginx:1", acknowledge: launch}}
routes:
  - name: paid
    queue: orders
    match:
      attributes: {kind: [paid, "${KIND:-free}"]}
      body: {total: [{numeric: [">", 0]}]}
    profile: worker
  - name: rest
    queue: orders
    profile: worker
"""


def loaded(folder: Path, **env: str) -> LoadedRoutes:
    (folder / "routes.yaml").write_text(ROUTES, "utf-8")
    return load_routes(folder / "routes.yaml", env)


def reported(report: tuple[RouteCoverage, ...]) -> list[tuple[str, int, int, int, list[str]]]:
    return [
        (
            it.route,
            it.tests,
            it.reached,
            it.alternatives,
            [f"{place.line}:{place.column} {one}" for one, place in it.unreached],
        )
        for it in report
    ]


def test_a_route_without_a_test_reaches_nothing(tmp_path: Path) -> None:
    report = Coverage().report(loaded(tmp_path))

    assert [(it.route, it.tests, it.reached, it.alternatives) for it in report] == [
        ("paid", 0, 0, 3),
        ("rest", 0, 0, 1),
    ]
    assert percent(report) == 0


def test_tests_add_up_and_what_they_miss_has_a_place(tmp_path: Path) -> None:
    routes, coverage = loaded(tmp_path), Coverage()
    paid, rest = routes.table.routes
    order = message(body='{"total": 1}', attributes={"kind": text("paid")})
    coverage.add(routes, "orders", order, paid)
    coverage.add(routes, "orders", order, paid)
    coverage.add(routes, "orders", message(), rest)
    report = coverage.report(routes)

    assert reported(report) == [
        ("paid", 2, 2, 3, ['8:33 attributes.kind: "${KIND:-free}"']),
        ("rest", 1, 1, 1, []),
    ]
    assert percent(report) == 75


def test_a_value_is_the_same_alternative_whatever_its_variable_stands_for(tmp_path: Path) -> None:
    coverage = Coverage()
    other = loaded(tmp_path, KIND="other")
    order = message(body='{"total": 1}', attributes={"kind": text("other")})
    coverage.add(other, "orders", order, other.table.routes[0])

    assert reported(coverage.report(loaded(tmp_path)))[0] == (
        *("paid", 1, 2, 3),
        ['8:27 attributes.kind: "paid"'],
    )


def test_a_long_value_is_cut() -> None:
    assert str(Alternative("body", ("a", 0), '"' + "x" * 100 + '"')) == (f'body.a: "{"x" * 59}...')
