"""What CI systems take from this repository: the action, the hooks, and what docs/ci.md shows."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from pages import ROOT, read_page

from lambdo_router.cli import cli

ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
STEPS = {step["name"]: step for step in ACTION["runs"]["steps"]}
HOOKS = {
    hook["id"]: hook
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
}
ROUTES = """\
version: 1
queues: {jobs: {name: jobs}}
profiles: {work: {app: a, image: "registry.fly.io/a:1", acknowledge: launch}}
routes:
  - {name: all, queue: jobs, profile: work}
tests:
  - name: a job is done
    message: {queue: jobs, body: {}}
    expect: {route: all}
"""
WARNED = ROUTES.replace("name: jobs}}", "name: jobs, visibility: 5s}}")


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """A repository with routes files that are fine, questionable and wrong; a command beside it."""
    command = tmp_path / "bin/lambdo-router"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lambdo_router "$@"\n', "utf-8")
    command.chmod(0o755)
    folder = tmp_path / "repository"
    (folder / "my teams").mkdir(parents=True)
    (folder / "routes.yaml").write_text(ROUTES, "utf-8")
    (folder / "my teams/a.yaml").write_text(WARNED, "utf-8")
    (folder / "my teams/b.yaml").write_text(
        ROUTES.replace("profile: work", "profle: work"), "utf-8"
    )
    (folder / "my teams/d.yaml").write_text(
        ROUTES.replace("{route: all}", "{unmatched: true}"), "utf-8"
    )
    return folder


def run(step: str, workspace: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a step's script as GitHub does."""
    return subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", STEPS[step]["run"]],
        cwd=workspace,
        env={
            "PATH": f"{workspace.parent / 'bin'}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "GITHUB_WORKSPACE": str(workspace),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_action_validates_files_and_globs_one_a_line(workspace: Path) -> None:
    done = run("Validate", workspace, FILES="\n  routes.yaml\nmy teams/[ab].yaml\n", STRICT="false")

    assert (done.returncode, done.stderr) == (1, "")
    error, warning, *lines = done.stdout.splitlines()
    assert error.startswith("::error file=my teams/b.yaml,line=5,endLine=5,col=30,endColumn=36,")
    assert warning.startswith("::warning file=my teams/a.yaml,line=2,")
    assert [line.split(": ")[1] for line in lines] == [
        "routes.yaml",
        "my teams/a.yaml",
        "my teams/b.yaml",
    ]


def test_the_action_takes_warnings_for_errors_on_demand(workspace: Path) -> None:
    done = run("Validate", workspace, FILES="my teams/a.yaml", STRICT="true")

    assert done.returncode == 1
    assert done.stdout.startswith("::error file=my teams/a.yaml,line=2,")


def test_an_input_is_never_taken_for_anything_but_a_file(workspace: Path) -> None:
    files = ["$(touch owned)", "'; touch owned; '", "--format"]
    done = run("Validate", workspace, FILES="\n".join(files), STRICT="false")

    assert done.returncode == 2
    assert [
        line.partition("file=")[2].partition(",line")[0]
        for line in done.stdout.splitlines()
        if line.endswith("[file-not-found]")
    ] == sorted(files)
    assert not (workspace / "owned").exists()


def test_the_action_runs_the_tests_of_files(workspace: Path) -> None:
    done = run("Test", workspace, FILES="routes.yaml\nmy teams/d.yaml")

    assert done.returncode == 1, done.stderr
    assert re.findall("^::error file=(.*?),", done.stdout, re.MULTILINE) == ["my teams/d.yaml"]


def test_the_action_installs_itself_apart_from_the_python_of_other_steps(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(
        "#!/bin/bash\n"
        f'echo "$@" >> {tmp_path}/calls\n'
        f'if [ "$2" = venv ]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi\n'
        f'if [ "$2" = pip ]; then : > {tmp_path}/lambdo-router/bin/lambdo-router; fi\n'
    )
    python.chmod(0o755)
    done = run(
        "Install lambdo-router",
        tmp_path,
        PYTHON=str(python),
        SOURCE="/the action/checkout",
        RUNNER_TEMP=str(tmp_path),
        GITHUB_PATH=str(tmp_path / "path"),
    )
    on_path = Path((tmp_path / "path").read_text().strip())

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"-m venv {tmp_path}/lambdo-router",
        "-m pip install --quiet --disable-pip-version-check /the action/checkout",
    ]
    assert [file.name for file in on_path.iterdir()] == ["lambdo-router"]
    assert (on_path / "lambdo-router").exists()


def test_the_steps_of_the_action_take_inputs_from_their_environment_only() -> None:
    scripts = [step["run"] for step in STEPS.values() if "run" in step]

    assert len(scripts) == 3
    assert [script for script in scripts if "${{" in script] == []
    used = [step["uses"].partition("@")[0] for step in STEPS.values() if "uses" in step]
    assert used == ["actions/setup-python"]


def test_the_action_uses_every_input_and_every_one_has_a_default() -> None:
    used = set(re.findall(r"inputs\.([a-z-]+)", json.dumps(ACTION["runs"])))

    assert used == ACTION["inputs"].keys()
    assert all({"description", "default"} == one.keys() for one in ACTION["inputs"].values())


# Hooks


@pytest.mark.parametrize(
    ("hook", "arguments", "code"),
    [
        pytest.param("lambdo-router-validate", [], 0, id="validate"),
        pytest.param("lambdo-router-validate", ["--strict", "my */a.yaml"], 1, id="with-arguments"),
        pytest.param("lambdo-router-test", [], 0, id="test"),
    ],
)
def test_a_hook_runs_its_command_with_the_arguments_given(
    hook: str, arguments: list[str], code: int, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(workspace)
    program, *command = HOOKS[hook]["entry"].split()
    result = CliRunner().invoke(cli, [*command, *arguments])

    assert (program, result.exit_code) == ("lambdo-router", code)


@pytest.mark.parametrize(
    ("file", "validated", "tested"),
    [
        pytest.param("routes.yaml", True, True, id="routes"),
        pytest.param("deploy/routes.prod.yml", True, True, id="routes-for-an-environment"),
        pytest.param("deploy/routes.d/teams/a.yaml", True, True, id="a-part"),
        pytest.param("schemas/order.schema.json", True, True, id="a-schema"),
        pytest.param("deploy/orders.test.yaml", False, True, id="tests"),
        pytest.param("messages/order.json", False, True, id="a-message"),
        pytest.param("deploy/values.yaml", False, False, id="another-yaml"),
        pytest.param("src/routes.py", False, False, id="code"),
    ],
)
def test_a_hook_runs_when_something_it_reads_has_changed(
    file: str, *, validated: bool, tested: bool
) -> None:
    names = ("lambdo-router-validate", "lambdo-router-test")
    runs = [re.search(HOOKS[name]["files"], file) is not None for name in names]

    assert runs == [validated, tested]


def test_hooks_are_given_no_single_files() -> None:
    assert {hook["pass_filenames"] for hook in HOOKS.values()} == {False}
    assert {hook["language"] for hook in HOOKS.values()} == {"python"}


# What docs/ci.md shows


PAGE = read_page(ROOT / "docs/ci.md")
GITHUB, SCANNING, GITLAB, PRE_COMMIT = (
    yaml.safe_load(block.text) for block in PAGE.blocks if block.language == "yaml"
)


def test_the_page_names_every_input_of_the_action_with_its_default() -> None:
    [table] = [table for table in PAGE.tables if table.header[0] == "input"]
    inputs = {name.strip("`"): default.strip("`") for name, default, _ in table.rows}

    assert inputs == {name: one["default"] for name, one in ACTION["inputs"].items()}


def test_the_page_uses_the_action_and_the_hooks_as_they_are() -> None:
    [checkout, step] = GITHUB["jobs"]["routes"]["steps"]
    hooks = PRE_COMMIT["repos"][0]["hooks"]

    assert checkout["uses"].startswith("actions/checkout@")
    assert step["with"].keys() <= ACTION["inputs"].keys()
    assert {hook["id"] for hook in hooks} == HOOKS.keys()


def test_the_exit_codes_of_the_page_are_those_of_the_help() -> None:
    [table] = [table for table in PAGE.tables if table.header[0] == "code"]
    command = cli.get_command(None, "validate")  # type: ignore[arg-type] # ours needs no context
    assert command is not None
    told = dict(re.findall(r"^ +(\d)  (.*)$", command.help or "", re.MULTILINE))

    assert [code for code, _ in table.rows] == [*told]
    assert all(text.split(";")[0] == told[code].split(";")[0] for code, text in table.rows)


COMMANDS = [
    *(
        line
        for block in PAGE.blocks
        if block.language == "sh"
        for line in block.text.splitlines()
        if "--online" not in line  # test_validate_online.py has somebody to ask
    ),
    *(line for script in GITLAB["check-routes"]["script"] for line in script.split("||")),
    SCANNING["jobs"]["scan"]["steps"][2]["run"],
]
REDIRECTED = re.compile(r" [<>] *(\S+)$")


@pytest.mark.parametrize("line", COMMANDS)
def test_the_lines_of_the_page_run(
    line: str, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "deploy").mkdir()
    (workspace / "deploy/routes.yaml").write_text(ROUTES, "utf-8")
    monkeypatch.chdir(workspace)
    command = REDIRECTED.sub("", line.partition("  #")[0].strip())
    program, *arguments = shlex.split(command)
    result = CliRunner().invoke(cli, arguments, input=ROUTES)

    assert (program, result.exit_code, result.stderr) == ("lambdo-router", 0, "")


def test_the_json_of_the_page_is_what_is_written(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workspace / "routes.yaml").write_bytes((workspace / "my teams/b.yaml").read_bytes())
    monkeypatch.chdir(workspace)
    result = CliRunner().invoke(cli, ["validate", "--format", "json"])
    [shown] = [block.text for block in PAGE.blocks if block.language == "json"]

    assert json.loads(shown) == json.loads(result.stdout)
