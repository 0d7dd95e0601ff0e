"""The templates of `init`, and what is known of where the package came from."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from pages import ROOT, read_page

from lambdo_router.cli import cli
from lambdo_router.cli.init import Ci, StarterNames, repository_of, router_of, starter_files

NAMES = StarterNames(
    "jobs", "acme-jobs", "registry.fly.io/acme-jobs:1", "acme-router", "acme/lambdo-router"
)
TEMPLATES = ROOT / "lambdo_router" / "templates"


def workflow(ci: Ci, *, fly: bool) -> str:
    [text] = [
        file.content
        for path, file in starter_files(NAMES, fly=fly, ci=ci).items()
        if path in (".github/workflows/routes.yaml", ".gitlab-ci.yml")
    ]
    return text


@pytest.mark.parametrize(
    ("app", "router"),
    [
        pytest.param("acme-jobs", "acme-router", id="jobs"),
        pytest.param("acme", "acme-router", id="anything"),
        pytest.param("jobs", "jobs-router", id="nothing-but-jobs"),
    ],
)
def test_the_routers_app_is_called_like_that_of_its_machines(app: str, router: str) -> None:
    assert router_of(app) == router


@pytest.mark.parametrize(
    ("recorded", "repository"),
    [
        pytest.param(
            {"url": "https://github.com/you/router.git", "vcs_info": {}}, "you/router", id="git"
        ),
        pytest.param({"url": "https://github.com/you/router"}, "you/router", id="https"),
        pytest.param({"url": "ssh://git@github.com/you/my.router.git"}, "you/my.router", id="ssh"),
        pytest.param(
            {"url": "https://x:y@github.com/you/router"}, "you/router", id="with-a-secret"
        ),
        pytest.param({"url": "https://example.org/you/router"}, None, id="elsewhere"),
        pytest.param({"url": "https://github.com.example.org/you/router"}, None, id="looks-like"),
        pytest.param({"url": "file:///home/you/router", "dir_info": {}}, None, id="a-folder"),
        pytest.param({}, None, id="nothing"),
        pytest.param([], None, id="another-shape"),
        pytest.param("", None, id="from-an-index"),
    ],
)
def test_the_repository_is_known_from_an_installation_from_github(
    recorded: object, repository: str | None
) -> None:
    assert repository_of(json.dumps(recorded) if recorded != "" else "") == repository


def test_an_image_by_digest_is_not_built_nor_pushed() -> None:
    names = StarterNames("q", "a", "ghcr.io/you/x@sha256:" + "0" * 64, "a-router", "you/router")
    notes = starter_files(names, fly=True, ci=None)["DEPLOY.md"].content

    assert "docker" not in notes
    assert 'fly apps create a --org "$ORG"\n```' in notes


def test_every_template_is_used() -> None:
    shipped = {p.relative_to(TEMPLATES).as_posix() for p in TEMPLATES.rglob("*") if p.is_file()}
    made = {*starter_files(NAMES, fly=True, ci=None)}
    parts = {f"ci/{ci}{what}.yaml" for ci in ("github", "gitlab") for what in ("", "-deploy")}

    assert {name.removesuffix(".template") for name in shipped} <= made | parts
    assert all(name.endswith(".template") for name in shipped)


@pytest.mark.parametrize("fly", [True, False])
def test_workflows_are_what_their_ci_takes(*, fly: bool, tmp_path: Path) -> None:
    for ci, schema in (("github", "github-workflows"), ("gitlab", "gitlab-ci")):
        file = tmp_path / f"{ci}.yaml"
        file.write_text(workflow("github" if ci == "github" else "gitlab", fly=fly))
        command = ["-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", str(file)]
        done = subprocess.run(
            [sys.executable, *command], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_github_workflow_gives_the_action_inputs_that_it_has() -> None:
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    jobs = yaml.safe_load(workflow("github", fly=True))["jobs"]
    _, check = jobs["check"]["steps"]

    assert check["with"].keys() <= action["inputs"].keys()
    assert jobs["deploy"]["needs"] == "check"
    assert jobs["deploy"]["if"] == "github.ref == 'refs/heads/main'"
    assert jobs.keys() - yaml.safe_load(workflow("github", fly=False))["jobs"].keys() == {"deploy"}


def test_the_gitlab_job_is_that_of_the_documentation() -> None:
    [shown] = [
        yaml.safe_load(block.text)["check-routes"]
        for block in read_page(ROOT / "docs" / "ci.md").blocks
        if "check-routes" in block.text
    ]
    ours = yaml.safe_load(workflow("gitlab", fly=False))["check-routes"]

    assert ours == shown


def test_the_lines_of_the_gitlab_job_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(cli, ["init"])
    script = yaml.safe_load(workflow("gitlab", fly=False))["check-routes"]["script"]
    lines = [re.sub(r" > \S+", "", it).split() for line in script for it in line.split("||")]

    assert len(lines) == 4
    for program, *arguments in lines:
        assert (program, CliRunner().invoke(cli, arguments).exit_code) == ("lambdo-router", 0)
