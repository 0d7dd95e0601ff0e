"""
Pieces of YAML as documentation shows them, made into whole files.

A piece that has some of a routes file's top-level keys is a fragment of one. What it refers to and
does not define (queues, profiles, schemas) is added in the plainest form, so that all errors that
are left are the fragment's own.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pages import ROOT

Kind = Literal["routes", "workflow", "pre-commit", "GitLab", "Kubernetes", "unknown"]

_KEYS = frozenset(json.loads((ROOT / "schemas" / "routes.schema.json").read_text())["properties"])
_JOB = frozenset({"script", "image", "stage", "artifacts", "rules", "before_script", "variables"})


def kind_of(value: object) -> Kind:
    """What a piece of YAML is a piece of."""
    match value:
        case {"jobs": dict()} | {"on": _}:
            return "workflow"
        case {"repos": list()}:
            return "pre-commit"
        case {"apiVersion": str(), "kind": str()}:
            return "Kubernetes"
        case dict() if value.keys() <= _KEYS:
            return "routes"
        case dict() if all(isinstance(job, dict) and job.keys() <= _JOB for job in value.values()):
            return "GitLab"
        case _:
            return "unknown"


def completed(fragment: dict[str, Any]) -> str:
    """The text of a whole file with the fragment in it."""
    document = {"version": 1} | fragment
    document["profiles"] = {n: {} for n in _profiles(fragment)} | fragment.get("profiles", {})
    document["defaults"] = {
        "image": "registry.fly.io/acme-jobs:1",
        "acknowledge": "launch",
    } | fragment.get("defaults", {})
    document["queues"] = {n: {"name": n} for n in _queues(fragment)} | fragment.get("queues", {})
    if not document["queues"]:
        document["queues"] = {"jobs": {"name": "jobs"}}
    if "routes" not in fragment:
        profile: Any = next(iter(document["profiles"]), {})
        queues = list(document["queues"])
        document["routes"] = [{"name": "everything", "queue": queues, "profile": profile}]
    return json.dumps(document, indent=2)


def _profiles(fragment: dict[str, Any]) -> Iterator[str]:
    profiles = [route.get("profile") for route in fragment.get("routes", [])]
    for profile in [*profiles, *fragment.get("profiles", {}).values()]:
        name = profile.get("extends") if isinstance(profile, dict) else profile
        if isinstance(name, str):
            yield name


def _queues(fragment: dict[str, Any]) -> Iterator[str]:
    for queue in fragment.get("queues", {}).values():
        if "reject_to" in queue:
            yield queue["reject_to"]
    for route in fragment.get("routes", []):
        names = route.get("queue", [])
        yield from names if isinstance(names, list) else [names]
    for test in fragment.get("tests", []):
        yield test["message"]["queue"]


def write_the_files_beside(value: dict[str, Any], folder: Path) -> None:
    """The schemas that the routes name, and the files of teams that are included."""
    for glob in value.get("include", []):
        path = folder / glob.replace("*", "team")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_of_a_team(path.stem, next(iter(value["queues"]))))
    for route in value.get("routes", []):
        if "schema" in route:
            path = folder / route["schema"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"type": "object"}')


def _of_a_team(name: str, reject_to: str) -> str:
    document = {
        "version": 1,
        "queues": {name: {"name": name, "reject_to": reject_to}},
        "profiles": {name: {"image": "registry.fly.io/acme-jobs:1"}},
        "routes": [{"name": name, "queue": name, "profile": name}],
    }
    return json.dumps(document)
