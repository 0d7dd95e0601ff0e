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


USES = re.compile(r"^ *(?:- )?uses: (\S+)(?: # (\S+))?$", re.MULTILINE)
OURS = re.compile(r"\./|acme/lambdo-router@|@source@@")
"""This repository: its own checkout, and what stands for it in pages and templates."""


@pytest.mark.parametrize(
    "file",
    [
        *FILES,
        ROOT / "action.yml",
        *sorted((ROOT / "lambdo_router/templates/ci").iterdir()),
        *sorted((ROOT / "docs").rglob("*.md")),
        ROOT / "README.md",
    ],
    ids=lambda file: str(file.relative_to(ROOT)),
)
def test_what_others_wrote_is_named_by_its_commit(file: Path) -> None:
    text = file.read_text()
    used = USES.findall(text)
    loose = [
        (name, version)
        for name, version in used
        if not OURS.match(name)
        and not (re.search(r"@[0-9a-f]{40}$", name) and re.fullmatch(r"v?[0-9.]+", version))
    ]

    assert loose == []
    assert len(used) == len(re.findall(r"\buses: ", text))


def test_an_action_has_one_commit_everywhere() -> None:
    files = [*FILES, ROOT / "action.yml", *(ROOT / "lambdo_router/templates/ci").iterdir()]
    files += [ROOT / "docs/ci.md", ROOT / "docs/getting-started.md"]
    used = {it for file in files for it in USES.findall(file.read_text()) if not OURS.match(it[0])}

    names = [name.partition("@")[0] for name, _ in used]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_credentials_stay_behind_a_checkout(workflow: str) -> None:
    checkouts = [it for it in steps(workflow) if it.get("uses", "").startswith("actions/checkout@")]

    assert checkouts
    assert [it.get("with") for it in checkouts] == [{"persist-credentials": False}] * len(checkouts)


def test_a_job_has_the_rights_that_it_needs_and_those_that_install_freely_have_none() -> None:
    jobs = WORKFLOWS["release"]["jobs"]
    rights = {name: job["permissions"] for name, job in jobs.items() if "permissions" in job}

    assert rights == {
        "attest": {"contents": "read", "id-token": "write", "attestations": "write"},
        "image": {"contents": "read", "packages": "write"},
        "release": {"contents": "write"},
    }
    scripts = [step.get("run", "") for name in rights for step in jobs[name]["steps"]]
    assert [it for it in scripts if "pip" in it] == []
    assert not any("permissions" in job for job in WORKFLOWS["ci"]["jobs"].values())


def test_what_is_published_was_tested_first() -> None:
    jobs = WORKFLOWS["release"]["jobs"]

    assert {name: job.get("needs") for name, job in jobs.items()} == {
        "test": None,
        "dist": "test",
        "sbom": "dist",
        "attest": "sbom",
        "image": "attest",
        "release": "image",
    }


def test_the_builder_is_installed_by_hash_and_nothing_runs_between_it_and_the_upload() -> None:
    build = script("release", "Build")
    [install] = re.findall(r"pip .*?install(?:.*?\\\n)*.*\n", build)
    names = [
        it.get("name", it.get("uses", "")) for it in WORKFLOWS["release"]["jobs"]["dist"]["steps"]
    ]
    at = names.index("Build")

    assert "--no-deps --require-hashes --requirement requirements-build.lock" in install
    assert 'hatchling" build' in build
    assert names[at + 1].startswith("actions/upload-artifact@")


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
