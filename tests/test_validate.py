"""
`lambdo-router validate`, over the files in tests/routes.

Beside each file lies what the command prints about it (`.out`: standard error, standard output and
the exit code). After a change of wording, write them anew and read the difference:

    UPDATE_EXPECTED=1 pytest tests/test_validate.py
"""

import ast
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lambdo_router.config
from lambdo_router.cli import cli

ROUTES = Path(__file__).parent / "routes"
FILES = sorted(ROUTES.glob("*valid/*.yaml"))
POSITION = re.compile(r"^[^ :]+:(\d+):(\d+): ", re.MULTILINE)


def validate(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["validate", *arguments], catch_exceptions=False)


@pytest.mark.parametrize("file", [pytest.param(f, id=f"{f.parent.name}-{f.stem}") for f in FILES])
def test_a_file_is_told_what_is_wrong_with_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    result = validate(file.name)
    expected = file.with_suffix(".out")
    said = f"{result.stderr}{result.stdout}exit code {result.exit_code}\n"
    if os.environ.get("UPDATE_EXPECTED"):
        expected.write_text(said, "utf-8")

    assert said == expected.read_text("utf-8")
    assert result.exit_code == (1 if file.parent.name == "invalid" else 0)


def test_no_expected_output_is_left_over() -> None:
    assert sorted(ROUTES.glob("*valid/*.out")) == [file.with_suffix(".out") for file in FILES]


def test_ten_mistakes_are_ten_positions_and_exit_code_1() -> None:
    result = validate(str(ROUTES / "invalid/ten-mistakes.yaml"))

    assert result.exit_code == 1
    assert len(set(POSITION.findall(result.stderr))) == 10


NEEDS_MORE_THAN_A_FILE = {
    "file-not-found",
    "file-is-a-folder",
    "file-not-readable",
    "no-app",
    "no-room-for-events",
}
"""Codes that tests here and in test_compile.py bring about."""


def test_there_is_an_example_of_every_code() -> None:
    shown = {
        code
        for file in FILES
        for code in re.findall(
            r"\[([a-z0-9-]+)\]$", file.with_suffix(".out").read_text(), re.MULTILINE
        )
    }

    assert codes_in_the_source() - NEEDS_MORE_THAN_A_FILE == codes_in_the_source() & shown


def codes_in_the_source() -> set[str]:
    """Every code that the compiler of routes files names, by the calls that take one."""
    place = {"problem": 1, "warning": 1, "Misfit": 1, "Unfit": 1, "_warn_of_entry": 2}
    codes: set[str] = set()
    for module in Path(lambdo_router.config.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in place and len(node.args) > place[name]:
                code = node.args[place[name]]
                codes |= {str(code.value)} if isinstance(code, ast.Constant) else set()
    return codes


MINIMAL = ROUTES / "valid/minimal.yaml"
BROKEN = ROUTES / "invalid/duplicate-route.yaml"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        pytest.param(["nowhere.yaml"], 2, id="no-such-file"),
        pytest.param(["."], 2, id="a-folder"),
        pytest.param([], 2, id="no-routes-yaml-here"),
        pytest.param([str(MINIMAL)], 0, id="fine"),
        pytest.param([str(MINIMAL), str(BROKEN)], 1, id="one-of-two-has-errors"),
        pytest.param([str(BROKEN), "nowhere.yaml", str(MINIMAL)], 2, id="one-of-three-is-missing"),
        pytest.param(["--strange"], 2, id="unknown-option"),
    ],
)
def test_the_exit_code_is_that_of_the_worst_file(
    files: list[str], code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert validate(*files).exit_code == code


def test_without_files_routes_yaml_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(MINIMAL.read_text("utf-8"), "utf-8")

    assert validate().stdout.startswith("routes.yaml: 1 route, 1 queue, 1 profile; checked: ")


def test_a_missing_file_is_named() -> None:
    assert validate("nowhere.yaml").stderr == (
        "nowhere.yaml:1:1: there is no such file [file-not-found]\n"
    )


def test_a_file_without_rights_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, mode: str) -> None:
        raise PermissionError(13, "Permission denied", str(self), mode)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "open", refuse)

    assert validate("routes.yaml").stderr == (
        "routes.yaml:1:1: the file cannot be read: Permission denied [file-not-readable]\n"
    )


def test_variables_are_required_on_demand() -> None:
    file = str(ROUTES / "valid/variables.yaml")

    assert validate(file).exit_code == 0
    assert validate("--require-env", file).exit_code == 1


@pytest.mark.parametrize("variable", ["LAMBDO_FLY_APP", "FLY_APP_NAME"])
def test_an_app_may_come_from_the_environment(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(ROUTES / "valid/no-app.yaml")
    without = validate("--require-env", file)
    monkeypatch.setenv(variable, "acme-jobs")

    assert without.stderr.splitlines()[0].endswith("[no-app]")
    assert without.exit_code == 1
    assert validate("--require-env", file).exit_code == 0


def test_what_a_variable_holds_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "fm2_planted token: {[*")
    result = validate("--require-env", str(ROUTES / "valid/variables.yaml"))

    assert result.exit_code == 1
    assert len(POSITION.findall(result.stderr)) == 9
    assert "planted" not in result.output


VARIABLES = (
    *("ORDERS_QUEUE_URL", "VISIBILITY", "PREFIX", "APP", "REGION", "TAG", "SIZE", "MEMORY"),
    *("TOKEN", "SCHEMA", "IMAGES"),
)


def test_diagnostics_go_to_standard_error_and_the_result_to_standard_output() -> None:
    result = validate(str(BROKEN))

    assert result.stderr.count("[duplicate-route]") == 1
    assert result.stdout.count("\n") == 1
    assert result.stdout.startswith(f"{BROKEN}: 1 error; checked: ")
