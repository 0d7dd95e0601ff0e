"""The group of commands; each command has a test file of its own."""

import hashlib
import platform
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner
from pages import ROOT

import lambdo_router
from lambdo_router.cli import COMMANDS, cli
from lambdo_router.config.diagnostics import ConfigError, Diagnostic
from lambdo_router.core.errors import LambdoError, SettingsError

HEAVY = (
    "boto3 botocore httpx jsonschema jsonschema_rs rich starlette structlog uvicorn watchfiles yaml"
)


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from lambdo_router.cli import cli\n"
        "cli(['--help'], standalone_mode=False)\n"
        f"print('loaded:', *(set(sys.modules) & set({HEAVY!r}.split())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "loaded:"
    assert done.stderr == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_in_the_help(name: str) -> None:
    listed = CliRunner().invoke(cli, ["--help"]).stdout

    assert re.search(rf"^  {name} +{re.escape(COMMANDS[name])}$", listed, re.MULTILINE)


def test_an_unknown_command_is_refused_with_the_list() -> None:
    result = CliRunner().invoke(cli, ["valdate"])

    assert result.exit_code == 2
    assert (
        "There is no command 'valdate'; did you mean 'validate'? "
        f"The commands are: {', '.join(COMMANDS)}.\n"
    ) in result.stderr


def test_the_version_is_told() -> None:
    result = CliRunner().invoke(cli, ["--version"])

    schema = (ROOT / "schemas" / "routes.schema.json").read_bytes()
    assert result.exit_code == 0
    assert result.stdout == (
        f"lambdo-router {lambdo_router.__version__} (routes file version 1, "
        f"schema {hashlib.sha256(schema).hexdigest()[:12]}, Python {platform.python_version()})\n"
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(SettingsError("X is wrong"), 2, "error: X is wrong\n", id="settings"),
        pytest.param(LambdoError("no"), 1, "error: no\n", id="anything-else"),
        pytest.param(
            ConfigError([Diagnostic("no.yaml", 2, 3, "bad", "this is bad")]),
            1,
            "no.yaml:2:3: this is bad [bad]\n",
            id="config",
        ),
        pytest.param(
            ConfigError([Diagnostic("no.yaml", 1, 1, "file-is-a-folder", "this is a folder")]),
            3,
            "no.yaml:1:1: this is a folder [file-is-a-folder]\n",
            id="unreadable",
        ),
    ],
)
def test_errors_of_ours_end_a_command_without_a_traceback(
    error: LambdoError, code: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("lambdo_router.cli.demo.example_folder", fail)
    result = CliRunner().invoke(cli, ["demo"], catch_exceptions=False)

    assert (result.exit_code, result.stderr) == (code, said)


def test_the_package_runs_as_the_command_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lambdo_router", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == CliRunner().invoke(cli, ["--version"]).stdout
