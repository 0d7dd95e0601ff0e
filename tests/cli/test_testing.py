"""Results of tests, and why a message took its route. More is in tests/route_tests/*.out."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lambdo_router.cli import cli
from lambdo_router.cli.test.files import find_tests
from lambdo_router.cli.test.notes import Note, unset_variables
from lambdo_router.cli.test.suite import RouteTestResult, Suite

ROUTES = """\
version: 1
queues:
  orders: {name: orders, reject_to: rejected}
  rejected: {name: rejected}
profiles:
  worker:
    app: "${LAMBDO_APP:-}${APP:-acme}"
    image: nginx:${TAG:-1}
    size: "${SIZE:-shared-cpu-1x}"
    acknowledge: launch
  bare: {image: "nginx:1", acknowledge: launch}
routes:
  - {name: bare, queue: orders, match: {body: {bare: [true]}}, profile: bare}
  - name: paid
    queue: orders
    match: {body: {paid: [true]}}
    profile: worker
    overrides: {size: [shared-cpu-1x, shared-cpu-2x]}
"""
A, B = "{queue: orders, body: {paid: true}}", "{queue: orders}"
ONE = f"name: a, message: {A}, expect: {{route: paid}}"


def suite_of(folder: Path, *entries: str, routes: str = ROUTES) -> Suite:
    """The tests of such routes."""
    file = folder / "routes.yaml"
    tests = "".join(f"  - {{{entry}}}\n" for entry in entries)
    file.write_text(f"{routes}tests:\n{tests}", "utf-8")
    suite = Suite(find_tests([str(file)]).suites[0], {})
    assert suite.problems == ()
    return suite


def result_of(folder: Path, *entries: str, routes: str = ROUTES) -> RouteTestResult:
    """How the first of these tests comes out."""
    suite = suite_of(folder, *entries, routes=routes)
    return suite.result(suite.tests[0])


def differing(result: RouteTestResult) -> list[tuple[str, object, object]]:
    return [(it.field, it.expected, it.found) for it in result.mismatches]


def test_a_message_that_gets_into_a_batch_has_a_machine(tmp_path: Path) -> None:
    result = result_of(tmp_path, f"name: a, message: {A}, expect: {{route: paid}}")

    assert result.passed
    assert result.notes == ()
    assert result.route is not None
    assert result.found == {
        "route": "paid",
        "image": "nginx:1",
        "size": "shared-cpu-1x",
        "memory_mb": 256,
        "command": None,
        "env": {},
        "app": "acme",
        "region": None,
    }


@pytest.mark.parametrize(
    ("apps", "expect", "differences"),
    [
        pytest.param("[a, b]", "[b, a]", [], id="in-any-order"),
        pytest.param("a", "[a]", [], id="a-list-of-one"),
        pytest.param("[a]", "a", [], id="one"),
        pytest.param("[a, b]", "a", [("app", "a", ["a", "b"])], id="one-of-two"),
        pytest.param("a", "[a, b]", [("app", ["a", "b"], "a")], id="two-of-one"),
    ],
)
def test_a_machine_may_be_expected_in_several_apps(
    apps: str, expect: str, differences: list[tuple[str, object, object]], tmp_path: Path
) -> None:
    routes = ROUTES.replace('"${LAMBDO_APP:-}${APP:-acme}"', apps)
    test = f"name: a, message: {A}, expect: {{app: {expect}}}"
    result = result_of(tmp_path, test, routes=routes)

    assert differing(result) == differences


@pytest.mark.parametrize(
    ("env", "app"),
    [
        pytest.param("{}", "", id="none"),
        pytest.param("{FLY_APP_NAME: fly}", "fly", id="of-fly"),
        pytest.param("{FLY_APP_NAME: fly, LAMBDO_FLY_APP: ours}", "ours", id="of-the-router"),
    ],
)
def test_a_profile_without_an_app_gets_the_one_of_the_variables(
    env: str, app: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAMBDO_FLY_APP", "of-the-command")
    message = "{queue: orders, body: {bare: true}}"
    result = result_of(
        tmp_path, f"name: a, env: {env}, message: {message}, expect: {{route: bare}}"
    )

    assert result.found["app"] == app


SMALL = "{queue: orders, attributes: {size: shared-cpu-2x}, body: {paid: true}}"


@pytest.mark.parametrize(
    ("other", "apart"),
    [
        pytest.param(SMALL, "size", id="another-size"),
        pytest.param("{queue: orders, body: {bare: true}}", "route", id="another-route"),
    ],
)
def test_what_keeps_events_from_sharing_a_batch_is_named(
    other: str, apart: str, tmp_path: Path
) -> None:
    result = result_of(
        tmp_path,
        f"name: a, message: {A}, expect: {{batch_with: b}}",
        f"name: b, message: {other}, expect: {{app: acme}}",
    )

    assert [(it.found, it.origin) for it in result.mismatches] == [
        ("another batch", f"they differ in: {apart}")
    ]


def test_a_message_without_a_batch_has_no_company(tmp_path: Path) -> None:
    result = result_of(
        tmp_path,
        f"name: a, message: {B}, expect: {{batch_with: b}}",
        f"name: b, message: {A}, expect: {{route: paid}}",
    )

    assert differing(result) == [("rejected", None, "unmatched")]


def test_a_file_is_loaded_once_for_each_set_of_variables(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, ONE)
    first = suite.load({"TAG": "2", "SIZE": "shared-cpu-2x"})

    assert suite.load({"SIZE": "shared-cpu-2x", "TAG": "2"}) is first
    assert suite.load({}) is not first


# Why a message took its route


HEAD = """\
version: 1
queues: {orders: {name: orders}}
profiles: {worker: {app: acme, image: "nginx:1", acknowledge: launch}}
routes:
"""


def notes(routes: list[str], test: str, folder: Path, head: str = HEAD) -> list[str]:
    """What is remarked on the test of such routes, without places."""
    text = "".join(f"  - {{{route}, queue: orders, profile: worker}}\n" for route in routes)
    file = folder / "routes.yaml"
    file.write_text(f"{head}{text}tests: [{{name: a, {test}}}]\n", "utf-8")
    output = CliRunner().invoke(cli, ["test", str(file)], catch_exceptions=False).stdout
    return [line.partition("note: ")[2] for line in output.splitlines() if "note: " in line]


@pytest.mark.parametrize(
    ("fields", "rest"),
    [pytest.param("abcde", "", id="five"), pytest.param("abcdefg", " and 2 more", id="seven")],
)
def test_at_most_five_conditions_are_told(fields: str, rest: str, tmp_path: Path) -> None:
    pattern = ", ".join(f"{name}: 1" for name in fields)
    told = notes(
        [f"name: r, match: {{body: {{{pattern}}}}}"],
        f"message: {{queue: orders, body: {{{pattern}}}}}, expect: {{app: other}}",
        tmp_path,
    )

    assert told == [
        "the message takes route `r`: it matches "
        "body.a: 1, body.b: 1, body.c: 1, body.d: 1, body.e: 1" + rest
    ]


def test_at_most_five_routes_are_told_of_a_message_that_takes_none(tmp_path: Path) -> None:
    told = notes(
        [f"name: r{number}, match: {{body: {{n: {number}}}}}" for number in range(7)],
        "message: {queue: orders, body: {n: 7}}, expect: {app: acme}",
        tmp_path,
    )

    assert told == [
        *(f"it does not match route `r{number}`: body.n: 7 is not {number}" for number in range(5)),
        "it does not match 2 more routes of queue `orders` either",
    ]


def test_a_value_that_depends_on_a_variable_says_which_is_not_set(tmp_path: Path) -> None:
    told = notes(
        ["name: r"],
        'message: {queue: orders}, expect: {size: shared-cpu-2x, image: "nginx:2"}',
        tmp_path,
        head=HEAD.replace("acknowledge", "size: '${SIZE}', acknowledge"),
    )

    assert told[1:] == [
        "variable SIZE is not set in this test; set it in `env` or with --env",
    ]


def test_a_variable_that_is_not_set_is_told_once() -> None:
    texts = ['body.a: "x" is not "${A}"', "${A} and ${B} and ${C:-default}", "${E}"]

    assert list(unset_variables(texts, {"E": "set"})) == [
        Note("variable A is not set in this test; set it in `env` or with --env"),
        Note("variable B is not set in this test; set it in `env` or with --env"),
    ]
