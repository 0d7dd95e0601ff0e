"""
`lambdo-router validate`, over the files in tests/routes.

Beside each file lies what the command prints about it (`.out`: standard error, standard output and
the exit code). After a change of wording, write them anew and read the difference:

    UPDATE_EXPECTED=1 pytest tests/cli/test_validate.py
"""

import json
import os
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.config.codes import ONLINE, catalogue, explained
from lambdo_router.config.read import include

ROUTES = Path(__file__).parents[1] / "routes"
FILES = sorted(ROUTES.glob("*valid/*.yaml"))
POSITION = re.compile(r"^[^ :]+:(\d+):(\d+): (?!note: )", re.MULTILINE)


def validate(*arguments: str, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(cli, ["validate", *arguments], input=stdin, catch_exceptions=False)


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
    *("file-not-found", "file-is-a-folder", "file-not-readable", "internal-error"),
    *("no-app", "no-room-for-events", "batch-bytes-never-fill", "variable-not-utf-8"),
    *("file-too-large", "too-many-values", "schema-too-large", "include-too-many"),
    *("unindexed-route", "include-not-listed", "schema-outside"),
}
"""Codes that other tests bring about, for a file would show nothing or be huge."""


def test_there_is_an_example_of_every_code() -> None:
    shown = {
        code
        for file in FILES
        for code in re.findall(
            r"^[^ ]+:\d+:\d+: .*\[([a-z0-9-]+)\]$",
            file.with_suffix(".out").read_text(),
            re.MULTILINE,
        )
    }

    others = {
        code for code, it in catalogue().items() if it.example == "test" or it.section == ONLINE
    }

    assert {*catalogue()} - shown - others == NEEDS_MORE_THAN_A_FILE
    assert shown <= {*catalogue()}


MINIMAL = ROUTES / "valid/minimal.yaml"
BROKEN = ROUTES / "invalid/duplicate-route.yaml"


@pytest.mark.parametrize(
    ("files", "code"),
    [
        pytest.param(["nowhere.yaml"], 2, id="no-such-file"),
        pytest.param(["."], 3, id="a-folder"),
        pytest.param([".", "nowhere.yaml"], 3, id="a-folder-and-no-such-file"),
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
    def refuse(path: Path, most: int) -> None:
        raise PermissionError(13, "Permission denied", str(path), most)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(include, "read_regular", refuse)

    result = validate("routes.yaml")

    assert result.stderr == (
        "routes.yaml:1:1: the file cannot be read: Permission denied [file-not-readable]\n"
    )
    assert result.exit_code == 3


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
    assert len(POSITION.findall(result.stderr)) == 10
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


# Which files


def test_without_files_and_without_routes_yaml_it_is_said_what_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert validate().stderr.splitlines()[-1] == (
        "Error: there is no routes.yaml here; name the files to check, like lambdo-router validate "
        "deploy/routes.yaml, or write one with lambdo-router init"
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three routes files and some others; the current folder."""
    minimal = MINIMAL.read_text("utf-8")
    for name in ("b/routes.yaml", "a/routes.yaml", "routes.yaml", ".hidden/routes.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(minimal, "utf-8")
    (tmp_path / "a/routes.test.yaml").write_text("tests: []", "utf-8")
    (tmp_path / "routes[1].yaml").write_text(minimal, "utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("files", "checked"),
    [
        pytest.param(["*/routes.yaml"], ["a/routes.yaml", "b/routes.yaml"], id="a-glob"),
        pytest.param(["a/*.yaml"], ["a/routes.yaml"], id="not-the-tests"),
        pytest.param(
            ["**/routes.yaml"], ["a/routes.yaml", "b/routes.yaml", "routes.yaml"], id="any-folder"
        ),
        pytest.param(
            ["b/routes.yaml", "routes.yaml", "*/routes.yaml"],
            ["b/routes.yaml", "routes.yaml", "a/routes.yaml"],
            id="each-once-in-the-order-named",
        ),
        pytest.param(["routes.yaml", "./a/../routes.yaml"], ["routes.yaml"], id="two-spellings"),
        pytest.param(["routes[1].yaml"], ["routes[1].yaml"], id="a-name-like-a-glob"),
    ],
)
def test_files_can_be_named_by_globs(files: list[str], checked: list[str]) -> None:
    result = validate(*files)

    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == checked
    assert result.exit_code == 0


def test_a_file_by_two_names_is_checked_once(folder: Path) -> None:
    (folder / "link.yaml").symlink_to("routes.yaml")

    assert validate("link.yaml", "routes.yaml").stdout.startswith("link.yaml: 1 route")
    assert validate("link.yaml", "routes.yaml").stdout.count("\n") == 1


@pytest.mark.usefixtures("folder")
def test_a_glob_that_matches_nothing_is_a_mistake() -> None:
    result = validate("deploy/*.yaml")

    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == "Error: no file matches 'deploy/*.yaml'"


@pytest.mark.usefixtures("folder")
def test_a_file_can_come_from_standard_input() -> None:
    result = validate("-", stdin=BROKEN.read_bytes())

    assert result.exit_code == 1
    assert result.stderr.startswith("<stdin>:")
    assert result.stdout.startswith("<stdin>: 1 error")


def test_paths_in_standard_input_are_relative_to_the_current_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROUTES / "valid")

    assert validate("-", stdin=(ROUTES / "valid/all-keys.yaml").read_bytes()).exit_code == 0


def test_what_another_file_includes_is_checked_as_its_part(folder: Path) -> None:
    (folder / "routes.d").mkdir()
    (folder / "routes.d/a.yaml").write_text("version: 1\nqueues:\n  more: {name: more}\n", "utf-8")
    (folder / "routes.yaml").write_text(
        f"include: [routes.d/*.yaml]\n{MINIMAL.read_text('utf-8')}", "utf-8"
    )
    result = validate("routes.d/a.yaml", "routes.yaml")

    assert result.exit_code == 0
    assert result.stdout.splitlines()[0] == "routes.d/a.yaml: checked as part of routes.yaml"
    assert result.stderr.count("[unused-queue]") == 1
    assert result.stderr.startswith("routes.d/a.yaml:3:3: warning: ")


def test_what_two_files_include_is_told_once(folder: Path) -> None:
    (folder / "common.yaml").write_text("version: 1\nqueues:\n  more: {nam: more}\n", "utf-8")
    for name in ("a.yaml", "b.yaml"):
        (folder / name).write_text(f"include: [common.yaml]\n{MINIMAL.read_text('utf-8')}", "utf-8")
    result = validate("a.yaml", "b.yaml")
    report = json.loads(validate("a.yaml", "b.yaml", "--format", "json").stdout)

    assert result.stderr.count("[unknown-key]") == 1
    assert [file["error_count"] for file in report["files"]] == [2, 2]
    assert report["error_count"] == 2


# How strictly


def test_warnings_can_be_taken_for_errors() -> None:
    file = str(ROUTES / "valid/warnings.yaml")
    result = validate("--strict", file)

    assert (validate(file).exit_code, result.exit_code) == (0, 1)
    assert "warning" not in result.stderr.replace(file, "")
    assert re.search(r"^.*: \d+ errors; checked: yaml", result.stdout)


@pytest.mark.parametrize("flags", [[], ["--strict"]], ids=["plain", "strict"])
def test_what_is_ignored_does_not_count(flags: list[str], folder: Path) -> None:
    text = MINIMAL.read_text("utf-8").replace(
        "queues:\n", "queues:\n  more: {name: more}  # lambdo: ignore=unused-queue\n"
    )
    (folder / "routes.yaml").write_text(text, "utf-8")
    result = validate(*flags)

    assert (result.exit_code, result.stderr) == (0, "")


@pytest.mark.usefixtures("folder")
def test_quietly_nothing_is_said_of_a_file_that_is_fine() -> None:
    result = validate("-q", "routes.yaml", str(BROKEN))

    assert validate("-q").output == ""
    assert result.stdout.startswith(f"{BROKEN}: 1 error")
    assert result.exit_code == 1


# In which form


FORMS = ["json", "github", "sarif", "junit"]


@pytest.mark.parametrize("form", FORMS)
def test_what_machines_read_is_all_on_standard_output(form: str) -> None:
    result = validate("--format", form, str(BROKEN), str(MINIMAL))

    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout.count("duplicate-route") >= 1
    assert result.stdout == validate("--format", form, str(BROKEN), str(MINIMAL)).stdout


def test_every_form_tells_of_the_same_problems() -> None:
    file = str(ROUTES / "invalid/ten-mistakes.yaml")
    told = {form: validate("--format", form, file).stdout for form in FORMS}
    expected = re.findall(r"\[([a-z-]+)\]$", validate(file).stderr, re.MULTILINE)

    assert [one["code"] for one in json.loads(told["json"])["diagnostics"]] == expected
    assert re.findall(r"title=([a-z-]+)", told["github"]) == expected
    results = json.loads(told["sarif"])["runs"][0]["results"]
    assert [one["ruleId"] for one in results] == expected
    root = ET.fromstring(told["junit"].encode())  # noqa: S314 - it is our own
    [failure] = root.iter("failure")
    assert re.findall(r"\[([a-z-]+)\]$", str(failure.text), re.MULTILINE) == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("file", "code"), [("nowhere.yaml", 2), (".", 3)], ids=["missing", "a-folder"]
)
def test_machines_are_told_too_of_a_file_that_cannot_be_read(
    form: str, file: str, code: int
) -> None:
    result = validate("--format", form, file)

    assert (result.exit_code, result.stderr) == (code, "")
    assert re.search("file-(not-found|is-a-folder)", result.stdout)


def test_the_layers_that_were_checked_are_named() -> None:
    [file] = json.loads(validate("--format", "json", str(MINIMAL)).stdout)["files"]

    assert file["checked"] == ["yaml", "variables", "shape", "meaning", "patterns"]
    assert validate(str(MINIMAL)).stdout.endswith(f"; checked: {', '.join(file['checked'])}\n")


# Explaining


@pytest.mark.parametrize("code", ["unused-queue", "[unused-queue]", "Unused-Queue"])
def test_a_code_is_explained(code: str) -> None:
    result = validate("--explain-code", code, "nowhere.yaml")

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{explained(catalogue()['unused-queue'])}\n"


def test_a_code_that_is_none_is_a_mistake() -> None:
    result = validate("--explain-code", "unused-que")

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines()[-1] == (
        "Error: there is no code 'unused-que'; did you mean `unused-queue`?"
    )


def test_a_shell_completes_codes() -> None:
    words = {"COMP_WORDS": "lambdo-router validate --explain-code unused-p", "COMP_CWORD": "3"}
    env = {"_LAMBDO_ROUTER_COMPLETE": "bash_complete", **words}
    result = CliRunner().invoke(cli, env=env, prog_name="lambdo-router")

    assert result.stdout == "plain,unused-profile\n"


def test_the_help_lists_the_exit_codes() -> None:
    listed = re.findall(r"^    (\d)  ", validate("--help").stdout, re.MULTILINE)

    assert listed == ["0", "1", "2", "3"]
