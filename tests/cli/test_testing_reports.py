"""The forms in which machines read how tests came out. The text form is in tests/route_tests."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.cli.test.reports import mismatch_text, shown_percent
from lambdo_router.cli.test.suite import Mismatch

ROUTES = """\
version: 1
queues: {orders: {name: orders}}
profiles: {worker: {app: acme, image: "nginx:1", acknowledge: launch}}
routes:
  - {name: paid, queue: orders, match: {body: {kind: [paid, free]}}, profile: worker}
tests:
  - name: a paid order
    message: {queue: orders, body: {kind: paid}}
    expect: {route: paid, env: {A: null}, batch_with: "an <order>\\e[1m"}
  - name: "an <order>\\e[1m"
    message: {queue: orders, body: {kind: "\\e[2m"}}
    expect: {route: paid, image: nginx}
  - name: a third
    message: {queue: orders, body: {kind: free}}
    expect: {image: nginx}
"""
HOSTILE = "an <order>\x1b[1m"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_WORKSPACE", "CI_PROJECT_DIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "routes.yaml").write_text(ROUTES, "utf-8")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["test", *arguments], catch_exceptions=False)


def span(line: int, start: int, end: int) -> dict[str, object]:
    return {
        "filename": "routes.yaml",
        "start": {"line": line, "column": start},
        "end": {"line": line, "column": end},
    }


@pytest.mark.usefixtures("here")
def test_json_has_everything_under_fixed_keys() -> None:
    result = run("--format", "json", "--run", "order", "--coverage")
    report = json.loads(result.stdout)
    passed, failed = report.pop("tests")
    [coverage] = report.pop("coverage")

    assert result.exit_code == 1
    assert report == {
        "format_version": "1.0",
        "valid": True,
        "error_count": 0,
        "warning_count": 0,
        "files": [
            {
                "filename": "routes.yaml",
                "valid": True,
                "error_count": 0,
                "warning_count": 0,
                "checked": ["yaml", "variables", "shape", "meaning", "patterns"],
            }
        ],
        "diagnostics": [],
        "passed_count": 0,
        "failed_count": 2,
        "not_run_count": 1,
    }
    assert passed["expected"] == {"route": "paid", "env": {"A": None}, "batch_with": [HOSTILE]}
    assert failed == {
        "name": HOSTILE,
        "range": span(10, 5, 6),
        "routes": "routes.yaml",
        "queue": "orders",
        "passed": False,
        "expected": {"route": "paid", "image": "nginx"},
        "found": {
            "route": None,
            "rejected": "unmatched",
            "policy": "leave",
            "detail": "no route matches",
        },
        "differences": [
            {
                "field": "rejected",
                "expected": None,
                "found": "unmatched",
                "origin": None,
                "range": None,
            },
            {"field": "route", "expected": "paid", "found": None, "origin": None, "range": None},
        ],
        "remarks": [
            {
                "text": "it does not match route `paid`: "
                'body.kind: "\\u001b[2m" is not "paid" or "free"',
                "range": span(5, 54, 55),
            }
        ],
        "considered": [
            {
                "route": "paid",
                "why": 'body.kind: "\\u001b[2m" is not "paid" or "free"',
                "range": span(5, 54, 55),
            }
        ],
    }
    assert coverage == {
        "routes": "routes.yaml",
        "percent": 50.0,
        "alternatives": 2,
        "reached": 1,
        "by_route": [
            {
                "route": "paid",
                "range": span(5, 12, 16),
                "tests": 1,
                "alternatives": 2,
                "reached": 1,
                "unreached": [{"text": 'body.kind: "free"', "range": span(5, 61, 65)}],
            }
        ],
    }


@pytest.mark.usefixtures("here")
def test_json_tells_where_a_value_comes_from() -> None:
    [test] = json.loads(run("--format", "json", "--run", "third").stdout)["tests"]

    assert test["differences"] == [
        {
            "field": "image",
            "expected": "nginx",
            "found": "nginx:1",
            "origin": "profile worker",
            "range": span(3, 39, 48),
        }
    ]


def test_json_does_nothing_to_a_terminal(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES.replace(r"\e[1m", r"\x9b1m\u202e"), "utf-8")
    result = run("--format", "json")

    assert result.exit_code == 1
    assert r"\u009b1m\u202e" in result.stdout
    assert result.stdout.isascii()


def test_json_of_files_with_errors_has_no_tests(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES.replace("route: paid, image", "route: free, image"))
    result = run("--format", "json")
    report = json.loads(result.stdout)

    assert (result.exit_code, result.stderr) == (1, "")
    assert report["valid"] is False
    assert [it["code"] for it in report["diagnostics"]] == ["unknown-route"]
    assert report["diagnostics"][0]["snippet"]["start_line"] == 12
    assert report["tests"] == []


@pytest.mark.usefixtures("here")
def test_junit_has_a_case_for_each_test() -> None:
    result = run("--format", "junit", "--run", "order")
    [suite] = ET.fromstring(result.stdout)  # noqa: S314 - our own output
    cases = list(suite)

    assert result.exit_code == 1
    assert suite.attrib == {
        "name": "routes.yaml",
        "tests": "2",
        "failures": "2",
        "errors": "0",
        "skipped": "0",
    }
    assert [it.attrib for it in cases] == [
        {"name": "a paid order", "classname": "routes.yaml", "file": "routes.yaml", "line": "7"},
        {
            "name": "an <order>\\x1b[1m",
            "classname": "routes.yaml",
            "file": "routes.yaml",
            "line": "10",
        },
    ]
    [failure] = cases[1]
    assert failure.attrib["message"] == (
        'rejected: expected no rejection, found "unmatched"; route: expected "paid", found nothing'
    )
    assert failure.text is not None
    assert failure.text.splitlines()[0] == "routes.yaml:10:5: failed: an <order>\\x1b[1m"
    assert failure.text.splitlines()[-1].endswith("^")


def test_junit_of_files_with_errors_has_a_case_that_failed(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES.replace("version: 1", "version: 2"))
    result = run("--format", "junit")

    assert result.exit_code == 1
    assert 'failures="1"' in result.stdout
    assert "routes.yaml:1:10: " in result.stdout


@pytest.mark.usefixtures("here")
def test_github_annotates_each_test_that_failed() -> None:
    result = run("--format", "github", "--run", "order", "--fail-under", "60")
    lines = result.stdout.splitlines()

    assert lines[1] == (
        "::error file=routes.yaml,line=10,title=failed test::an <order>\\x1b[1m%0A"
        'rejected: expected no rejection, found "unmatched"%0A'
        'route: expected "paid", found nothing%0A'
        "routes.yaml:5:54: it does not match route `paid`: "
        'body.kind: "\\u001b[2m" is not "paid" or "free"'
    )
    assert lines[2:] == ["lambdo-router: routes.yaml: 2 tests, 2 failed, 1 not run"]
    assert result.stderr.splitlines()[0] == (
        "routes.yaml: tests reach 1 of 1 route, 1 of 2 alternatives: 50 %"
    )


def test_github_annotates_what_is_wrong_with_files(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES.replace("route: paid, image", "route: free, image"))

    assert (
        run("--format", "github")
        .stdout.splitlines()[0]
        .startswith(
            "::error file=routes.yaml,line=12,endLine=12,col=21,endColumn=25,title=unknown-route::"
        )
    )


@pytest.mark.usefixtures("here")
def test_nothing_that_a_terminal_would_act_upon_is_printed() -> None:
    result = run("--verbose", "--coverage")

    assert "\x1b" not in result.output
    assert "routes.yaml:10:5: failed: an <order>\\x1b[1m\n" in result.stdout


@pytest.mark.usefixtures("here")
def test_colours_are_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdo_router.cli.test.reports.is_coloured", lambda _: True)
    shown = CliRunner().invoke(cli, ["test", "--run", "third"], color=True).stdout

    assert "\x1b[1mroutes.yaml:13:5: \x1b[0m\x1b[31m\x1b[1mfailed\x1b[0m: a third\n" in shown


def test_of_one_route_at_most_twenty_alternatives_are_listed(here: Path) -> None:
    many = ", ".join(map(str, range(23)))
    (here / "routes.yaml").write_text(ROUTES.replace("[paid, free]", f"[paid, free, {many}]"))
    lines = run("--coverage", "--run", "third").stdout.splitlines()

    assert sum("no test of route `paid` reaches" in line for line in lines) == 20
    assert lines[-1] == "  and 4 more of route `paid`"


@pytest.mark.parametrize(
    ("share", "text"),
    [(100.0, "100"), (99.99, "99.9"), (66.666, "66.6"), (50.0, "50"), (0.0, "0")],
)
def test_a_share_is_rounded_down(share: float, text: str) -> None:
    assert shown_percent(share) == text


def test_a_long_value_of_a_mismatch_is_cut() -> None:
    assert mismatch_text(Mismatch("image", "Zoë", "y" * 400)) == (
        f'image: expected "Zoë", found "{"y" * 299}...'
    )
