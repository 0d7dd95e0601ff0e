"""The workflow files of this repository: what can be run of them is run, the rest is checked."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from pages import ROOT

import lambdo_router

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
WORKFLOWS: dict[str, dict[str, Any]] = {
    file.stem: yaml.safe_load(file.read_text()) for file in FILES
}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
VERSION = lambdo_router.__version__


def steps(workflow: str) -> list[dict[str, Any]]:
    return [step for job in WORKFLOWS[workflow]["jobs"].values() for step in job["steps"]]


def script(workflow: str, name: str) -> str:
    [found] = [step["run"] for step in steps(workflow) if step.get("name") == name]
    assert isinstance(found, str)
    return found


def run(text: str, folder: Path, tag: str) -> subprocess.CompletedProcess[str]:
    """Run a step's script as GitHub does."""
    return subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
        cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "GITHUB_REF_NAME": tag},
        capture_output=True,
        text=True,
        check=False,
    )


def test_they_are_what_github_takes() -> None:
    command = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run(
        [sys.executable, *command, *map(str, FILES)], capture_output=True, text=True, check=False
    )

    assert set(WORKFLOWS) == {"ci", "release"}
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_they_run_on_every_python_that_the_package_names(workflow: str) -> None:
    named = [
        found[1]
        for it in PROJECT["project"]["classifiers"]
        if (found := re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", it))
    ]
    matrix = WORKFLOWS[workflow]["jobs"]["test"]["strategy"]["matrix"]

    assert matrix == {"python": named}


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_nothing_foreign_gets_into_a_script_and_rights_are_asked_for_where_needed(
    workflow: str,
) -> None:
    scripts = [step["run"] for step in steps(workflow) if "run" in step]

    assert [it for it in scripts if "${{" in it.replace("${{ matrix.python }}", "")] == []
    assert WORKFLOWS[workflow]["permissions"] == {"contents": "read"}


def test_what_is_published_was_tested_first() -> None:
    jobs = WORKFLOWS["release"]["jobs"]

    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "test": None,
        "dist": "test",
        "image": "dist",
        "release": "image",
    }


def test_the_builder_is_the_one_that_the_tests_use() -> None:
    pinned = {it for it in PROJECT["dependency-groups"]["dev"] if it.startswith("build==")}

    assert set(re.findall(r"build==\S+", script("release", "Build"))) == pinned


@pytest.mark.parametrize(
    ("tag", "code"), [pytest.param(f"v{VERSION}", 0, id="it"), pytest.param("v99", 1, id="another")]
)
def test_a_tag_that_is_not_the_version_is_refused(tag: str, code: int) -> None:
    done = run(script("release", "The tag is the version"), ROOT, tag)

    assert done.returncode == code, done.stderr
    assert ("::error::the tag is v99" in done.stdout) is (code == 1)


@pytest.mark.parametrize(
    ("tag", "notes"),
    [
        pytest.param("v1.2.0", "\n- New.\n\n", id="first"),
        pytest.param("v1.1.0", "\n- Old.\n", id="last"),
        pytest.param("v1.3.0", None, id="not-there"),
    ],
)
def test_the_notes_are_the_section_of_the_version(
    tag: str, notes: str | None, tmp_path: Path
) -> None:
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## Unreleased\n\n- Later.\n\n"
        "## 1.2.0 (2027-01-02)\n\n- New.\n\n## 1.1.0 (2026-12-01)\n\n- Old.\n"
    )
    done = run(script("release", "Notes"), tmp_path, tag)

    assert done.returncode == (1 if notes is None else 0), done.stderr
    if notes is None:
        assert "::error::CHANGELOG.md has no section of 1.3.0" in done.stdout
    else:
        assert (tmp_path / "notes.md").read_text() == notes
