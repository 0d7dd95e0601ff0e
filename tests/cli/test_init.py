"""`init`: a start that validates, tests green and runs, and overwrites nothing."""

import os
import re
import shlex
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import lambdo_router
from lambdo_router.cli import cli
from lambdo_router.cli.demo import play
from lambdo_router.config.load import load_routes
from lambdo_router.config.messages import read_samples

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
_FOR_FLY = ["DEPLOY.md", "fly.toml", "jobs.Dockerfile", "router.Dockerfile"]
_WORKFLOWS = {"github": ".github/workflows/routes.yaml", "gitlab": ".gitlab-ci.yml"}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def written(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(
    ("options", "more"),
    [
        pytest.param([], [], id="as-it-comes"),
        pytest.param(
            ["--queue", "orders", "--app", "acme", "--image", "ghcr.io/acme/x@sha256:" + "0" * 64],
            [],
            id="with-names",
        ),
        pytest.param(
            ["--queue", "no", "--app", "123", "--image", "1e3:1"], [], id="names-like-numbers"
        ),
        *(
            pytest.param(
                ["--fly", "--ci", ci, "--source", "you/lambdo-router"],
                [*_FOR_FLY, workflow],
                id=f"fly-and-{ci}",
            )
            for ci, workflow in _WORKFLOWS.items()
        ),
    ],
)
def test_it_validates_without_a_warning_and_its_tests_pass(
    options: list[str], more: list[str]
) -> None:
    made = run("init", *options)
    checked = run("validate", "--strict", "--require-env")
    tested = run("test", "--fail-under", "100")

    assert (made.exit_code, made.stderr) == (0, "")
    assert written(Path()) == sorted([*_FILES, *more])
    assert (checked.exit_code, checked.stderr) == (0, "")
    assert (tested.exit_code, tested.stderr) == (0, ""), tested.output
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
    run("init", "start", "--fly", "--ci", "github", "--source", "you/lambdo-router")
    folder = tmp_path / "start"
    table = load_routes(folder / "routes.yaml", {}).table

    endings = await play(folder, table, read_samples(folder / "messages"), None, 20.0)

    greeting_to_nobody, greeting = (ending.outcome for ending in endings)
    assert (greeting_to_nobody.settlement, greeting_to_nobody.reason) == (
        "rejected",
        "schema_invalid",
    )
    assert (greeting.settlement, greeting.route, greeting.exit_code) == ("deleted", "greetings", 0)


# Fly and CI


def test_every_name_is_filled_in_everywhere() -> None:
    run(
        *("init", "--queue", "orders", "--app", "shop-jobs", "--fly", "--ci", "github"),
        *("--source", "You/Lambdo-Router"),
    )
    texts = {name: Path(name).read_text() for name in written(Path())}

    assert [n for n, text in texts.items() if re.search("@[a-z]+@|acme/|my-jobs", text)] == []
    fly = tomllib.loads(texts["fly.toml"])
    assert (fly["app"], fly["env"]["LAMBDO_FLY_APP"]) == ("shop-router", "shop-jobs")
    version = lambdo_router.__version__
    assert f"FROM ghcr.io/you/lambdo-router:{version}\n" in texts["router.Dockerfile"]
    assert f"uses: You/Lambdo-Router@v{version}\n" in texts[_WORKFLOWS["github"]]
    assert "aws sqs create-queue --queue-name orders " in texts["DEPLOY.md"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param(["--router", "x"], "--router is the name of the router's app", id="alone"),
        pytest.param(["--source", "a/b"], "--source is for --fly and --ci", id="source-alone"),
        pytest.param(
            ["--fly", "--router", "X"], "--router 'X': the name of a Fly app", id="router"
        ),
        pytest.param(
            ["--fly", "--app", "a", "--router", "a"], "is the app of the Machines", id="one-app"
        ),
        pytest.param(
            ["--fly", "--app", "a" * 60], "--router 'aaaaaa", id="too-long-a-name-with-router"
        ),
        pytest.param(
            ["--fly", "--source", "https://github.com/a/b"],
            "is not a GitHub repository; write OWNER/NAME",
            id="source",
        ),
        pytest.param(["--ci", "jenkins"], "'jenkins' is not one of 'github', 'gitlab'", id="ci"),
        pytest.param(["--queue", "a b"], "--queue 'a b': the name must be up to 54", id="queue"),
        pytest.param(["--queue", "rejected"], "not be `rejected`", id="the-other-queue"),
        pytest.param(["--queue", "orders.fifo"], "--queue 'orders.fifo'", id="fifo"),
        pytest.param(["--app", "Acme"], "--app 'Acme': the name of a Fly app", id="app"),
        pytest.param(
            ["--image", "a b"],
            "--image 'a b' is not an image reference; write one like registry.fly.io/my-jobs:1",
            id="image",
        ),
    ],
)
def test_options_that_cannot_be_are_refused(options: list[str], said: str) -> None:
    result = run("init", *options)

    assert (result.exit_code, written(Path())) == (2, [])
    assert said in " ".join(result.stderr.split())


def test_a_stand_in_for_the_repository_is_told_with_its_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lambdo_router.cli.init.installed_from", lambda: None)
    result = run("init", "--fly", "--ci", "gitlab")

    assert result.exit_code == 0
    assert result.stderr == (
        "warning: acme/lambdo-router in router.Dockerfile, .gitlab-ci.yml is a placeholder for the "
        "repository of the lambdo-router that you use: replace it, or start over with "
        "--source OWNER/NAME --force\n"
    )


def test_a_workflow_that_ci_would_not_find_is_told(tmp_path: Path) -> None:
    Path(".git").mkdir()
    result = run("init", "teams/shop", "--ci", "github", "--source", "you/lambdo-router")

    assert result.exit_code == 0
    assert f"warning: the repository begins at {tmp_path}, and CI finds" in result.stderr
    assert "work in teams/shop" in result.stderr
    assert run("init", "--ci", "github", "--source", "you/lambdo-router").stderr == ""


# What is there already


def test_files_that_are_there_are_not_overwritten_unless_that_is_asked_for() -> None:
    Path("routes.yaml").write_text("mine")
    Path("handler.py").write_text("mine")

    refused = run("init")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        "error: routes.yaml, handler.py exist already, and nothing was written; choose another "
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


def test_a_folder_that_cannot_be_written_is_said_without_a_traceback() -> None:
    Path("file").write_text("")

    result = run("init", "file/inside")

    assert result.exit_code == 1
    assert "error: file/inside/routes.yaml cannot be written: " in result.stderr
