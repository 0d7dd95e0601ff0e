"""Dockerfiles, lock files, pyproject.toml and the package say the same of what they share."""

import ast
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from images.bases import PYTHON
from images.locks import Pin, pinned, read_lock
from images.router_trial import SERVICES
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from lambdo_router.cli import COMMANDS
from lambdo_router.service.settings import read_settings

_CHECKOUT = Path(__file__).parents[2]
_PROJECT: dict[str, Any] = tomllib.loads((_CHECKOUT / "pyproject.toml").read_text())
_LOCKS = {name: _CHECKOUT / name for name in ("requirements.lock", "requirements-build.lock")}
_RUNTIMES = {"node": "runtime.mjs", "php": "runtime.php", "python": "runtime.py"}
_PYTHONS = ("3.11", "3.12", "3.13")
_STAGE = "FROM"


def _instructions(dockerfile: Path) -> list[tuple[str, str]]:
    """Each instruction with all that follows it, continued lines joined."""
    lines = (line for line in dockerfile.read_text().splitlines() if not line.startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    found = (line.split(maxsplit=1) for line in joined.splitlines() if line.strip())
    return [(instruction, " ".join(rest.split())) for instruction, rest in found]


def _final(dockerfile: Path) -> dict[str, str]:
    """The last stage; of an instruction that is there more than once, the last one."""
    instructions = _instructions(dockerfile)
    start = max(i for i, (instruction, _) in enumerate(instructions) if instruction == _STAGE)
    return dict(instructions[start:])


def _requirements(*texts: str) -> dict[str, Requirement]:
    return {canonicalize_name(r.name): r for r in map(Requirement, texts)}


def _pins(name: str) -> dict[str, Pin]:
    return {pin.name: pin for pin in read_lock(_LOCKS[name])}


_ROUTER = _CHECKOUT / "Dockerfile"
_ALL = {"router": _ROUTER} | {name: _CHECKOUT / f"runtimes/{name}/Dockerfile" for name in _RUNTIMES}


@pytest.mark.parametrize("lock", _LOCKS)
def test_every_pin_has_its_hashes(lock: str) -> None:
    assert [pin.name for pin in read_lock(_LOCKS[lock]) if not pin.hashes] == []


@pytest.mark.parametrize("lock", _LOCKS)
def test_a_lock_file_names_no_place_to_download_from(lock: str) -> None:
    assert re.findall(r"\S+://\S+|--(?:index|extra|find)\S+", _LOCKS[lock].read_text()) == []


def test_a_line_of_a_lock_file_that_is_no_pin_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("boto3>=1.37 \\\n    --hash=sha256:00\n")
    with pytest.raises(ValueError, match=r"^boto3>=1\.37 is no pin; write NAME==VERSION$"):
        read_lock(tmp_path / "lock")


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ("requirements.lock", _PROJECT["project"]["dependencies"]),
        ("requirements-build.lock", _PROJECT["build-system"]["requires"]),
    ],
    ids=_LOCKS,
)
def test_a_lock_file_has_what_pyproject_asks_for(lock: str, wanted: list[str]) -> None:
    pins = _pins(lock)
    for name, requirement in _requirements(*wanted).items():
        assert name in pins, "run: make lock"
        assert requirement.specifier.contains(pins[name].version), "run: make lock"


@pytest.mark.parametrize("python", _PYTHONS)
@pytest.mark.parametrize("lock", _LOCKS)
def test_a_lock_file_has_what_its_packages_ask_for(lock: str, python: str) -> None:
    """As far as the very versions are installed here, and so say what they ask for."""
    locked = pinned(_LOCKS[lock], python)
    environment = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    for name, version in locked.items():
        for wanted in _asked_by(name, version):
            if wanted.marker is None or wanted.marker.evaluate(environment):
                found = locked.get(canonicalize_name(wanted.name))
                assert found is not None, f"{name} needs {wanted}; run: make lock"
                assert wanted.specifier.contains(found), f"{name} needs {wanted}; run: make lock"


def _asked_by(name: str, version: str) -> list[Requirement]:
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return []
    return [] if found.version != version else [Requirement(r) for r in found.requires or ()]


def test_tools_that_are_pinned_twice_have_one_version() -> None:
    tools = _requirements(*_PROJECT["dependency-groups"]["dev"])
    locked = _pins("requirements.lock") | _pins("requirements-build.lock")
    differing = {
        name: (str(requirement.specifier), locked[name].version)
        for name, requirement in tools.items()
        if name in locked and not requirement.specifier.contains(locked[name].version)
    }
    assert differing == {}, "run: make lock UPGRADE='--upgrade-package NAME'"


def test_what_make_lock_pins_for_the_build_is_what_the_build_requires() -> None:
    assert _PROJECT["dependency-groups"]["build"] == _PROJECT["build-system"]["requires"]


@pytest.mark.parametrize("name", ["router", "python"])
def test_the_base_image_has_a_python_that_is_supported_and_tried(name: str) -> None:
    found = re.search(
        r"ARG BASE_IMAGE=\S+/python:(\d+\.\d+)-slim-\w+@sha256:\w+\n", _ALL[name].read_text()
    )
    assert found is not None
    assert found[1] == PYTHON
    assert SpecifierSet(_PROJECT["project"]["requires-python"]).contains(f"{found[1]}.0")
    assert f"Programming Language :: Python :: {found[1]}" in _PROJECT["project"]["classifiers"]


@pytest.mark.parametrize("name", sorted(_ALL.keys() - {"php"}))
def test_the_base_image_is_named_by_its_digest(name: str) -> None:
    [base] = re.findall(r"^ARG BASE_IMAGE=(\S+)$", _ALL[name].read_text(), re.MULTILINE)
    assert re.search(r"^docker\.io/library/[a-z]+:[a-z0-9.-]+@sha256:[0-9a-f]{64}$", base)


def test_the_pythons_of_these_tests_are_those_of_the_classifiers() -> None:
    prefix = "Programming Language :: Python :: 3."
    named = [c for c in _PROJECT["project"]["classifiers"] if c.startswith(prefix)]
    assert [c.rpartition(" ")[2] for c in named] == list(_PYTHONS)


def test_a_build_sees_all_that_the_wheel_is_made_of() -> None:
    wheel = _PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {
        *wheel["packages"],
        *wheel["force-include"],
        *_PROJECT["project"]["license-files"],
        _PROJECT["project"]["readme"],
        "pyproject.toml",
        *_LOCKS,
    }
    lines = (_CHECKOUT / ".dockerignore").read_text().splitlines()
    allowed = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert {path.partition("/")[0] for path in needed} == allowed
    assert [path for path in sorted(allowed) if not (_CHECKOUT / path).exists()] == []


def test_whatever_is_installed_is_checked_by_hash() -> None:
    runs = " ".join(rest for instruction, rest in _instructions(_ROUTER) if instruction == "RUN")
    installs = re.findall(r"pip --python \S+ install (.*?)(?= &&| python3|$)", runs)
    assert len(installs) == 3
    for options in installs:
        assert "--no-deps" in options
        assert re.search(r"--require-hashes --requirement \S+\.lock|--no-index /wheel/", options)


@pytest.mark.parametrize("name", _ALL)
def test_an_image_runs_as_a_numbered_user_and_without_a_shell(name: str) -> None:
    final = _final(_ALL[name])
    user = final["USER"]
    if user == "${RUN_AS}":
        user = dict(_instructions(_ALL[name]))["ARG"].removeprefix("RUN_AS=")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert final["STOPSIGNAL"] == "SIGTERM"
    exec_form = [json.loads(final[key]) for key in ("ENTRYPOINT", "CMD") if key in final]
    assert all(isinstance(word, str) for argv in exec_form for word in argv)


@pytest.mark.parametrize("name", _ALL)
def test_an_image_says_what_it_is(name: str) -> None:
    labels = dict(
        re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', _final(_ALL[name])["LABEL"])
    )
    title = "lambdo-router" if name == "router" else f"lambdo-{name}"
    assert labels.pop("title") == title
    assert labels.pop("description") != ""
    assert labels == {
        "licenses": _PROJECT["project"]["license"],
        "version": "${VERSION}",
        "revision": "${REVISION}",
    }


def test_the_router_image_describes_itself_as_the_package_does() -> None:
    assert f'description="{_PROJECT["project"]["description"]}"' in _final(_ROUTER)["LABEL"]


def test_the_router_image_runs_commands_that_exist() -> None:
    final = _final(_ROUTER)
    (script,) = _PROJECT["project"]["scripts"]
    assert json.loads(final["ENTRYPOINT"]) == [script]
    assert json.loads(final["CMD"]) == ["run", "/etc/lambdo/routes.yaml"]
    assert final["WORKDIR"] == "/etc/lambdo"
    health = json.loads(final["HEALTHCHECK"].partition("CMD ")[2])
    assert health == [script, "status", "--check", "alive"]
    assert {"run", "status"} <= COMMANDS.keys()


def test_the_router_image_exposes_the_port_that_the_router_listens_on() -> None:
    assert _final(_ROUTER)["EXPOSE"] == str(read_settings({}).admin_port)


def test_the_final_stage_only_copies() -> None:
    assert "RUN" not in _final(_ROUTER)
    assert _final(_ROUTER)["COPY"] == "--from=environment /opt/lambdo /opt/lambdo"


def test_the_router_image_keeps_every_service_of_aws_that_the_router_calls() -> None:
    kept = re.findall(r"! -name ([\w-]+)", _ROUTER.read_text())
    assert tuple(kept) == SERVICES
    assert set(_services_called()) <= set(kept)
    assert "sqs" in _services_called()


def _services_called() -> list[str]:
    """The first argument of every call of a method named `client`, in the whole package."""
    calls = (
        node
        for file in sorted((_CHECKOUT / "lambdo_router").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("client", "create_client")
    )
    return [str(ast.literal_eval(call.args[0])) for call in calls]


@pytest.mark.parametrize(("name", "file"), _RUNTIMES.items(), ids=_RUNTIMES)
def test_a_runtime_image_starts_its_runtime_unless_a_profile_has_a_command(
    name: str, file: str
) -> None:
    final = _final(_ALL[name])
    source, target = final["COPY"].split()[-2:]
    assert (source, target) == (file, f"/opt/lambdo/{file}")
    assert (_ALL[name].parent / source).is_file()
    assert json.loads(final["CMD"])[1:] == [target]
    assert "ENTRYPOINT" not in final
    assert final["WORKDIR"] == "/app"
