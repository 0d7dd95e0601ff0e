"""What becomes of the messages of tests, against what was expected of them."""

from pathlib import Path

import pytest

from lambdo_router.cli.test.files import find_tests
from lambdo_router.cli.test.suite import RouteTestResult, Suite
from lambdo_router.config.diagnostics import ConfigError

# Golden texts for everything that can be expected are in tests/route_tests.
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


def test_a_message_that_does_not_has_a_reason(tmp_path: Path) -> None:
    result = result_of(tmp_path, f"name: a, message: {B}, expect: {{unmatched: true}}")

    assert result.passed
    assert result.route is None
    assert result.found == {
        "route": None,
        "rejected": "unmatched",
        "policy": "reject",
        "detail": "no route matches",
    }


@pytest.mark.parametrize(
    ("expect", "differences"),
    [
        pytest.param(
            "{image: nginx, size: shared-cpu-1x}", [("image", "nginx", "nginx:1")], id="one"
        ),
        pytest.param("{image: 'docker.io/library/nginx:1'}", [], id="the-same-image"),
        pytest.param(
            "{size: {cpu_kind: shared, cpus: 1, memory_mb: 512}}",
            [
                (
                    "size",
                    {"cpu_kind": "shared", "cpus": 1, "memory_mb": 512},
                    {"cpu_kind": "shared", "cpus": 1, "memory_mb": 256},
                )
            ],
            id="memory",
        ),
        pytest.param("{command: [x]}", [("command", ["x"], None)], id="command"),
        pytest.param("{env: {A: b}}", [("env.A", "b", None)], id="env"),
        pytest.param(
            "{unmatched: true, policy: drop}", [("rejected", "unmatched", None)], id="unmatched"
        ),
    ],
)
def test_differences(
    expect: str, differences: list[tuple[str, object, object]], tmp_path: Path
) -> None:
    result = result_of(tmp_path, f"name: a, message: {A}, expect: {expect}")

    assert differing(result) == differences
    assert result.passed is (not differences)


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
    ("other", "expected"),
    [
        pytest.param(f"message: {A}, expect: {{route: paid}}", None, id="alike"),
        pytest.param(
            f"message: {SMALL}, expect: {{route: paid}}",
            ("another batch", "they differ in: size"),
            id="another-size",
        ),
        pytest.param(
            f"message: {A}, env: {{TAG: '2'}}, expect: {{route: paid}}",
            ("another batch", "they differ in: the variables of the routes file, image"),
            id="another-image",
        ),
        pytest.param(
            "message: {queue: orders, body: {bare: true}}, expect: {route: bare}",
            ("another batch", "they differ in: route"),
            id="another-route",
        ),
        pytest.param(
            f"message: {B}, expect: {{unmatched: true}}",
            ("no batch", "that message is unmatched"),
            id="no-batch",
        ),
    ],
)
def test_company_in_a_batch(other: str, expected: tuple[str, str] | None, tmp_path: Path) -> None:
    result = result_of(
        tmp_path, f"name: a, message: {A}, expect: {{batch_with: b}}", f"name: b, {other}"
    )

    assert [(it.found, it.origin) for it in result.mismatches] == ([expected] if expected else [])


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


def test_variables_that_break_a_file_are_an_error(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, ONE)

    assert [it.code for it in suite.examine({"SIZE": "huge"}).errors] == ["unknown-size"]
    with pytest.raises(ConfigError):
        suite.load({"SIZE": "huge"})
