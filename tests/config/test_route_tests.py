"""Reading tests: what they say, and that the schemas for editors say the same."""

import json
from pathlib import Path
from textwrap import dedent
from typing import Any, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdo_router.config.diagnostics import Place
from lambdo_router.config.load import load_routes
from lambdo_router.config.read.document import Document
from lambdo_router.config.read.shape import ROUTES_SCHEMA, schema_text
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.config.route_tests import (
    NOUN,
    TESTS_SCHEMA,
    RouteTest,
    check_names,
    no_routes,
    routes_of,
)
from lambdo_router.config.route_tests.reading import (
    TestsAndProblems,
    read_tests_file,
    read_tests_section,
)
from lambdo_router.core.profile import SIZES
from lambdo_router.core.routing import Policy, Reason

ROOT = Path(__file__).parents[2]
TESTS: dict[str, Any] = json.loads(schema_text(TESTS_SCHEMA))
ROUTES: dict[str, Any] = json.loads(schema_text(ROUTES_SCHEMA))


def file_of(text: str, path: Path = Path("x.test.yaml")) -> Document:
    return read_document(dedent(text), str(path), noun=NOUN)


def read(text: str, **env: str) -> TestsAndProblems:
    return read_tests_file(file_of(text), env)


def the_test(entry: str) -> RouteTest:
    """The one test of a file, which is right."""
    [test], problems = read(f"tests:\n  - {{name: t, {entry}}}\n")
    assert problems == ()
    return test


# The schema


def test_tests_have_one_shape_wherever_they_stand() -> None:
    assert ROUTES["properties"]["tests"] == TESTS["properties"]["tests"]
    assert {name: ROUTES["$defs"].get(name) for name in TESTS["$defs"]} == TESTS["$defs"]


def test_the_copy_for_editors_is_the_schema_that_is_checked() -> None:
    assert (ROOT / "schemas" / TESTS_SCHEMA).read_text("utf-8") == schema_text(TESTS_SCHEMA)


def test_editors_find_the_schema_by_the_first_line_of_the_example() -> None:
    [first, *_] = (ROOT / "routes.example.test.yaml").read_text("utf-8").splitlines()

    assert first == f"# yaml-language-server: $schema=./schemas/{TESTS_SCHEMA}"


def test_what_may_be_expected_is_what_there_is() -> None:
    expected = TESTS["$defs"]["test_expect"]["properties"]

    assert expected["size"]["anyOf"][0]["enum"] == [*SIZES]
    assert {*expected["rejected"]["enum"]} <= {*get_args(Reason)}
    assert TESTS["$defs"]["policy"]["enum"] == [*get_args(Policy)]


# Expectations


@pytest.mark.parametrize(
    ("expect", "wanted"),
    [
        pytest.param("{route: orders}", {"route": "orders"}, id="route"),
        pytest.param("{unmatched: true}", {"rejected": "unmatched"}, id="unmatched"),
        pytest.param(
            "{rejected: schema_invalid, route: orders, policy: drop, detail: total}",
            {"rejected": "schema_invalid", "route": "orders", "policy": "drop", "detail": "total"},
            id="rejected",
        ),
        pytest.param(
            '{image: nginx, size: shared-cpu-1x, command: [a, b], app: acme, region: "iad, us"}',
            {
                "image": "nginx",
                "size": "shared-cpu-1x",
                "command": ["a", "b"],
                "app": "acme",
                "region": "iad,us",
            },
            id="machine",
        ),
        pytest.param("{app: [a, b]}", {"app": ["a", "b"]}, id="several-apps"),
        pytest.param(
            "{command: null, region: null}", {"command": None, "region": None}, id="nothing-set"
        ),
        pytest.param(
            "{env: {LEVEL: info, GONE: null}}",
            {"env.LEVEL": "info", "env.GONE": None},
            id="environment",
        ),
        pytest.param(
            "{size: {cpu_kind: shared, cpus: 2, memory_mb: 512}}",
            {"size": {"cpu_kind": "shared", "cpus": 2, "memory_mb": 512}},
            id="size-in-full",
        ),
    ],
)
def test_what_is_expected(expect: str, wanted: dict[str, object]) -> None:
    assert the_test(f"message: {{queue: orders}}, expect: {expect}").wanted == wanted


def test_a_test_knows_where_it_and_its_parts_are_written() -> None:
    test = the_test("message: {queue: q, body_text: x}, expect: {route: r}")

    assert test.place == Place("x.test.yaml", 2, 5)
    assert test.places["queue"] == Place("x.test.yaml", 2, 32, 33)
    assert test.places["body"] == Place("x.test.yaml", 2, 46, 47)
    assert test.places["route"] == Place("x.test.yaml", 2, 66, 67)


@pytest.mark.parametrize(
    ("company", "names"),
    [
        pytest.param("b", ("b",), id="one"),
        pytest.param("[b, c]", ("b", "c"), id="several"),
    ],
)
def test_company_in_a_batch_is_named(company: str, names: tuple[str, ...]) -> None:
    tests, problems = read(
        f"""\
        tests:
          - {{name: a, message: {{queue: q}}, expect: {{batch_with: {company}}}}}
          - {{name: b, message: {{queue: q}}, expect: {{route: r}}}}
          - {{name: c, message: {{queue: q}}, expect: {{route: r}}}}
        """
    )

    assert problems == ()
    assert tests[0].batch_with == names


def test_the_closest_variables_count() -> None:
    tests, _ = read(
        """\
        env: {A: file, B: file, C: null}
        tests:
          - {name: a, env: {B: test}, message: {queue: q}, expect: {route: r}}
          - {name: b, env: {A: null}, message: {queue: q}, expect: {route: r}}
        """,
        A="given",
        C="given",
        D="given",
    )

    assert [test.env for test in tests] == [
        {"A": "file", "B": "test", "D": "given"},
        {"B": "file", "D": "given"},
    ]


# Mistakes. What is said of each is in tests/route_tests/broken-*.test.out.


def test_a_mistake_in_one_test_hides_nothing_in_another() -> None:
    tests, problems = read(
        """\
        tests:
          - {name: a, message: {queue: q}, expekt: {route: r}}
          - {name: b, message: {body: {}}, expect: {route: r}}
          - {name: c, message: {queue: q}, expect: {route: r}}
        """
    )

    assert sorted(f"{one.line}:{one.column} {one.code}" for one in problems) == [
        "2:36 unknown-key",
        "2:5 missing-key",
        "3:15 missing-key",
    ]
    assert [test.name for test in tests] == ["c"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("tests: 5\n", id="no-list"),
        pytest.param("tests: [5, null, []]\n", id="no-mappings"),
        pytest.param("[]\n", id="no-mapping"),
        pytest.param(
            "env: []\ntests: [{name: 5, message: [], expect: 1, env: [1]}]\n", id="nothing"
        ),
        pytest.param("routes: x.yaml\n", id="no-tests"),
    ],
)
def test_whatever_a_file_holds_it_is_told_what_is_wrong(text: str) -> None:
    tests, problems = read(text)

    assert tests == ()
    assert problems != ()


KEYS = st.sampled_from(
    [
        *("name", "env", "message", "expect", "queue", "file", "body", "body_file", "attributes"),
        *("type", "value", "system", "route", "rejected", "unmatched", "policy", "batch_with"),
    ]
)
SCALARS = st.sampled_from([None, True, 5, 1.5, "", "a", "orders", "unmatched", "shared-cpu-1x"])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3)
)
ENTRIES = VALUES | st.fixed_dictionaries(
    {
        "name": st.sampled_from(["a", "b"]),
        "message": VALUES | st.fixed_dictionaries({"queue": st.just("q"), "attributes": VALUES}),
        "expect": VALUES | st.dictionaries(KEYS, VALUES, max_size=3),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(ENTRIES, max_size=3) | VALUES, VALUES)
def test_reading_never_fails(tests: object, env: object) -> None:
    result, problems = read(json.dumps({"env": env, "tests": tests}))

    assert problems or len(result) == len(cast("list[object]", tests))


def test_tests_of_a_routes_file_are_read_as_they_are_written() -> None:
    document = read_document(
        'tests: [{name: a, message: {queue: q, body: {x: "${HOME}"}}, expect: {route: r}}]\n',
        "routes.yaml",
    )
    [test], problems = read_tests_section(document, {"HOME": "x"})

    assert problems == ()
    assert test.message.body == '{"x":"${HOME}"}'
    assert test.env == {"HOME": "x"}


def test_a_routes_file_without_tests_has_none() -> None:
    document = read_document("version: 1\n", "routes.yaml")

    assert read_tests_section(document, {}) == ((), ())


def test_names_are_checked_against_the_routes() -> None:
    table = load_routes(ROOT / "routes.example.yaml", {}).table
    tests, _ = read(
        """\
        tests:
          - {name: a, message: {queue: events}, expect: {route: orders}}
          - {name: b, message: {queue: event}, expect: {route: order}}
          - {name: c, message: {queue: rejected}, expect: {unmatched: true}}
        """
    )

    assert list(map(str, check_names(tests, table))) == [
        (
            "x.test.yaml:3:32: no queue is called `event`; did you mean `events`? "
            "allowed are: events, rejected, uploads [unknown-queue]"
        ),
        (
            "x.test.yaml:3:56: no route is called `order`; did you mean `orders`? "
            "allowed are: image-uploads, lambdo, orders, reviews, site-build, stock, welcome "
            "[unknown-route]"
        ),
        (
            "x.test.yaml:4:32: no route reads queue `rejected`, so the router never receives from "
            "it; allowed are: events, uploads [queue-not-read]"
        ),
    ]


# The routes file


@pytest.mark.parametrize(
    ("name", "text", "there", "routes"),
    [
        pytest.param("a.test.yaml", "routes: b.yaml", ["a.yaml", "b.yaml"], "b.yaml", id="named"),
        pytest.param("a.test.yaml", "{}", ["a.yaml", "routes.yaml"], "a.yaml", id="same-stem"),
        pytest.param("a.test.yml", "{}", ["a.yml", "routes.yaml"], "a.yml", id="same-stem-yml"),
        pytest.param("a.test.yaml", "{}", ["b.yaml", "routes.yaml"], "routes.yaml", id="usual"),
        pytest.param("a.test.yaml", "{}", ["b.yaml"], None, id="none"),
        pytest.param("a.test.yaml", "routes: c.yaml", ["a.yaml"], None, id="named-not-there"),
        pytest.param("a.test.yaml", "routes: 5", ["a.yaml"], "a.yaml", id="named-by-no-text"),
        pytest.param("a.test.yaml", "[]", ["a.yaml"], "a.yaml", id="no-mapping"),
    ],
)
def test_which_routes_file_tests_are_for(
    name: str, text: str, there: list[str], routes: str | None, tmp_path: Path
) -> None:
    for other in there:
        (tmp_path / other).touch()

    found = routes_of(file_of(text, tmp_path / name))

    assert found == (None if routes is None else tmp_path / routes)


def test_without_a_routes_file_it_is_said_what_was_looked_for() -> None:
    assert str(no_routes(file_of("tests: []", Path("a.test.yml")))) == (
        "a.test.yml:1:1: there is neither a.yaml nor routes.yaml beside this file; name the routes "
        "file to test: `routes: ../routes.yaml` [no-routes-file]"
    )
    assert str(no_routes(file_of("routes: b.yaml", Path("a.test.yml")))) == (
        "a.test.yml:1:9: there is no file `b.yaml`; the path is relative to this file "
        "[no-routes-file]"
    )
