"""`init`: a start that validates, tests green and runs, and overwrites nothing."""

import os
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.cli.demo import play
from lambdo_router.config.load import load_routes
from lambdo_router.dev.samples import read_samples

_FILES = [
    "handler.py",
    "messages/greeting-to-nobody.json",
    "messages/greeting.json",
    "routes.test.yaml",
    "routes.yaml",
    "schemas/greeting.schema.json",
    "schemas/routes.schema.json",
    "schemas/tests.schema.json",
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    "options",
    [
        pytest.param([], id="as-it-comes"),
        pytest.param(
            ["--queue", "orders", "--app", "acme", "--image", "ghcr.io/acme/x@sha256:" + "0" * 64],
            id="with-names",
        ),
        pytest.param(
            ["--queue", "no", "--app", "123", "--image", "1e3:1"], id="names-like-numbers"
        ),
    ],
)
def test_it_validates_without_a_warning_and_its_tests_pass(options: list[str]) -> None:
    made = run("init", *options)
    checked = run("validate", "--strict", "--require-env")
    tested = run("test", "--fail-under", "100")

    assert (made.exit_code, made.stderr, written(Path())) == (0, "", _FILES)
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert tested.exit_code == 0, tested.output
    assert "3 tests, all passed" in tested.stdout


def test_the_names_that_were_asked_for_are_in_the_file() -> None:
    run("init", "--queue", "orders", "--app", "acme", "--image", "nginx:1")

    table = load_routes(Path("routes.yaml"), {}).table

    profile = table.routes[0].profile
    assert list(table.queues) == ["orders", "rejected"]
    assert table.queues["rejected"].lookup == "orders-rejected"
    assert (profile.app, profile.image) == ("acme", "nginx:1")


def test_the_next_steps_can_be_typed_as_they_are_printed(tmp_path: Path) -> None:
    made = run("init", "my shop")

    lines = made.stdout.partition("Next:\n")[2].splitlines()
    steps = [shlex.split(line, comments=True) for line in lines]
    assert steps[0] == ["cd", "my shop"]
    os.chdir(tmp_path / "my shop")
    assert steps[1:] == [
        ["lambdo-router", "validate"],
        ["lambdo-router", "test"],
        ["lambdo-router", "dev", "--messages", "messages"],
    ]
    for _, *arguments in steps[1:3]:
        assert run(*arguments).exit_code == 0


@pytest.mark.real_time
async def test_it_runs_on_the_embedded_stack_as_dev_runs_it(tmp_path: Path) -> None:
    run("init", "start")
    folder = tmp_path / "start"
    table = load_routes(folder / "routes.yaml", {}).table

    endings = await play(folder, table, read_samples(folder / "messages"), None, 20.0)

    greeting_to_nobody, greeting = (ending.outcome for ending in endings)
    assert (greeting_to_nobody.settlement, greeting_to_nobody.reason) == (
        "rejected",
        "schema_invalid",
    )
    assert (greeting.settlement, greeting.route, greeting.exit_code) == ("deleted", "greetings", 0)


def test_files_that_are_there_are_not_overwritten_unless_that_is_asked_for() -> None:
    Path("routes.yaml").write_text("mine")
    Path("handler.py").write_text("mine")

    refused = run("init")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "error: routes.yaml, handler.py are there already, and nothing was written; choose another "
        "folder (lambdo-router init DIR), or overwrite with --force\n"
    )
    assert written(Path()) == ["handler.py", "routes.yaml"]
    assert run("init", "--force").exit_code == 0
    assert "mine" not in Path("routes.yaml").read_text()


def test_a_second_time_changes_nothing() -> None:
    run("init")
    before = {name: Path(name).read_bytes() for name in written(Path())}

    again = run("init")

    assert again.exit_code == 0
    assert {name: Path(name).read_bytes() for name in written(Path())} == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--queue", "a b"], "--queue 'a b': a name here is up to 54", id="queue"),
        pytest.param(["--queue", "rejected"], "is not `rejected`", id="the-other-queue"),
        pytest.param(["--queue", "orders.fifo"], "--queue 'orders.fifo'", id="fifo"),
        pytest.param(["--app", "Acme"], "--app 'Acme': the name of a Fly app", id="app"),
        pytest.param(
            ["--image", "a b"],
            "--image 'a b' is no image reference; write one like registry.fly.io/my-jobs:1",
            id="image",
        ),
    ],
)
def test_names_that_the_file_could_not_have_are_refused(arguments: list[str], said: str) -> None:
    result = run("init", *arguments)

    assert (result.exit_code, written(Path())) == (2, [])
    assert said in result.stderr


def test_a_folder_that_cannot_be_written_is_said_without_a_traceback() -> None:
    Path("file").write_text("")

    result = run("init", "file/inside")

    assert result.exit_code == 1
    assert "error: file/inside/routes.yaml cannot be written: " in result.stderr
