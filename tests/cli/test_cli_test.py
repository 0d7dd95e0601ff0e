"""
`lambdo-router test`, over the files in tests/route_tests.

Beside each file with tests lies what the command prints about it (`.out`: standard error, standard
output and the exit code). After a change of wording, write them anew and read the difference:

    UPDATE_EXPECTED=1 pytest tests/cli/test_cli_test.py
"""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.config.codes import catalogue

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parents[1] / "route_tests"
FILES = sorted(FOLDER.glob("*.test.yaml"))
EXIT_CODES = {"passing": 0}


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["test", *arguments], catch_exceptions=False)


def expected(file: Path) -> Path:
    return file.with_name(file.name.replace(".yaml", ".out"))


@pytest.mark.parametrize("file", [pytest.param(it, id=it.name.partition(".")[0]) for it in FILES])
def test_a_file_of_tests_is_told_how_they_came_out(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(FOLDER)
    result = run("--coverage", "--verbose", file.name)
    said = f"{result.stderr}{result.stdout}exit code {result.exit_code}\n"
    if os.environ.get("UPDATE_EXPECTED"):
        expected(file).write_text(said, "utf-8")

    assert said == expected(file).read_text("utf-8")
    assert result.exit_code == EXIT_CODES.get(file.name.partition(".")[0], 1)


def test_no_expected_output_is_left_over() -> None:
    assert sorted(FOLDER.glob("*.out")) == sorted(map(expected, FILES))


def test_there_is_an_example_of_every_code_that_is_about_tests() -> None:
    shown = "".join(expected(file).read_text("utf-8") for file in FILES)
    of_tests = [code for code, it in catalogue().items() if it.example == "test"]

    assert [code for code in of_tests if f"[{code}]\n" not in shown] == []


def test_the_example_routes_keep_what_their_tests_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    result = run("--fail-under", "100", "routes.example.yaml")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "routes.example.yaml: 19 tests, all passed\n"
        "routes.example.yaml: tests reach 7 of 7 routes, 12 of 12 alternatives: 100 %\n"
    )


ROUTES = """\
version: 1
queues:
  orders: {name: orders}
profiles:
  worker: {app: "${APP:-acme}", image: nginx:1, acknowledge: launch}
routes:
  - {name: paid, queue: orders, match: {body: {kind: [paid, free]}}, profile: worker}
  - {name: rest, queue: orders, profile: worker}
"""
PASSING = """\
tests:
  - name: a paid order
    message: {queue: orders, body: {kind: paid}}
    expect: {route: paid, app: acme}
"""
FAILING = """\
tests:
  - name: another order
    message: {queue: orders}
    expect: {route: paid}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, with none of the variables that the tests speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("APP", raising=False)
    return tmp_path


NO_TESTS = (
    "no tests; write them under `tests` in the routes file, or in a *.test.yaml file beside it"
)
NOTHING_HERE = (
    "there is no routes.yaml and no *.test.yaml here; name a routes file, a test file or a folder: "
    "lambdo-router test FILE ..."
)


@pytest.mark.parametrize(
    ("files", "arguments", "code", "said"),
    [
        pytest.param({"routes.yaml": ROUTES + PASSING}, [], 0, "", id="passed"),
        pytest.param({"routes.yaml": ROUTES + FAILING}, [], 1, "", id="failed"),
        pytest.param({"routes.yaml": ROUTES + "tests: {}\n"}, [], 1, "", id="wrong-shape"),
        pytest.param({"routes.yaml": ROUTES + PASSING}, ["--fail-under", "70"], 1, "", id="under"),
        pytest.param({"routes.yaml": ROUTES + PASSING}, ["--fail-under", "33"], 0, "", id="not"),
        pytest.param({"routes.yaml": ROUTES}, [], 2, f"routes.yaml: {NO_TESTS}", id="no-tests"),
        pytest.param({}, [], 2, NOTHING_HERE, id="nothing-here"),
        pytest.param(
            {"routes.yaml": ROUTES + PASSING},
            ["--run", "refund"],
            2,
            "no test name matches 'refund' (1 test)",
            id="none-left",
        ),
        pytest.param(
            {},
            ["--run", "("],
            2,
            "--run: '(' is not a regular expression: missing ), unterminated subpattern at "
            "position 0",
            id="no-regular-expression",
        ),
        pytest.param({}, ["--env", "APP"], 2, "--env 'APP' is not NAME=VALUE", id="no-variable"),
        pytest.param({}, ["--strange"], 2, "No such option", id="no-option"),
        pytest.param({}, ["*.yml"], 2, "no file matches '*.yml'", id="empty-glob"),
        pytest.param({}, ["nowhere.yaml"], 2, "file-not-found", id="no-such-routes-file"),
        pytest.param({}, ["nowhere/routes.yaml"], 2, "file-not-found", id="no-such-folder"),
        pytest.param({}, ["nowhere.test.yaml"], 2, "file-not-found", id="no-such-test-file"),
        pytest.param({"sub/x.txt": ""}, ["sub"], 2, "*.test.yaml in sub;", id="nothing-in-folder"),
        pytest.param({"routes.yaml/x": ""}, ["."], 3, "file-is-a-folder", id="a-folder"),
    ],
)
def test_the_exit_code_is_that_of_the_worst_that_was_found(
    files: dict[str, str], arguments: list[str], code: int, said: str, here: Path
) -> None:
    for name, text in files.items():
        (here / name).parent.mkdir(exist_ok=True)
        (here / name).write_text(text, "utf-8")
    result = run(*arguments)

    assert result.exit_code == code
    assert said in result.stderr


def test_only_the_tests_that_are_asked_for_run(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES + PASSING + FAILING.partition("\n")[2], "utf-8")

    assert run("--run", "^a paid").stdout == "routes.yaml: 1 test, passed, 1 not run\n"
    assert run("--run", "order").exit_code == 1


def test_the_environment_plays_no_part_but_variables_can_be_given(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APP", "other")
    (here / "routes.yaml").write_text(ROUTES + PASSING, "utf-8")

    assert run().exit_code == 0
    assert run("--env", "APP=other").exit_code == 1
    assert run("--env", "APP=other", "--env", "APP=acme").exit_code == 0


def test_variables_of_a_test_come_before_those_of_its_file_and_those_before_the_given(
    here: Path,
) -> None:
    (here / "routes.yaml").write_text(ROUTES, "utf-8")
    (here / "routes.test.yaml").write_text(
        "env: {APP: of-the-file}\n"
        "tests:\n"
        "  - {name: a, message: {queue: orders}, expect: {app: of-the-file}}\n"
        "  - {name: b, env: {APP: own}, message: {queue: orders}, expect: {app: own}}\n"
        "  - {name: c, env: {APP: null}, message: {queue: orders}, expect: {app: acme}}\n",
        "utf-8",
    )

    assert run("--env", "APP=given").stdout == "routes.yaml: 3 tests, all passed\n"


def test_a_share_that_is_not_reached_is_told_on_standard_error(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES + PASSING, "utf-8")
    result = run("--fail-under", "50")

    assert result.stderr == "error: tests reach 33.3 % of routes.yaml, less than 50 %\n"
    assert result.stdout == (
        "routes.yaml: 1 test, passed\n"
        "routes.yaml: tests reach 1 of 2 routes, 1 of 3 alternatives: 33.3 %\n"
        'routes.yaml:7:61: no test of route `paid` reaches body.kind: "free"\n'
        "routes.yaml:8:12: no test reaches route `rest`\n"
    )


def test_each_routes_file_has_its_own_line(here: Path) -> None:
    for name in ("a", "b"):
        (here / f"{name}.yaml").write_text(ROUTES + PASSING, "utf-8")

    assert run("a.yaml", "b.yaml").stdout == "a.yaml: 1 test, passed\nb.yaml: 1 test, passed\n"


def test_no_test_runs_while_any_file_has_errors(here: Path) -> None:
    (here / "routes.yaml").write_text(ROUTES + FAILING, "utf-8")
    (here / "b.test.yaml").write_text("routes: routes.yaml\ntests: 5\n", "utf-8")
    result = run()

    assert result.stdout == "no test was run: 1 error\n"
    assert result.stderr.startswith("b.test.yaml:2:8: `tests` must be a list, not the number 5; ")


def test_warnings_of_a_routes_file_are_for_validate_to_tell(here: Path) -> None:
    unused = ROUTES.replace("  orders: ", "  unused: {name: unused}\n  orders: ")
    (here / "routes.yaml").write_text(unused + PASSING, "utf-8")

    assert (run().exit_code, run().stderr) == (0, "")


def test_included_files_bring_their_tests(here: Path) -> None:
    (here / "routes.yaml").write_text("include: [more.yaml]\n" + ROUTES + PASSING, "utf-8")
    (here / "more.yaml").write_text("version: 1\n" + FAILING, "utf-8")

    assert "more.yaml:3:5: failed: another order\n" in run().stdout
