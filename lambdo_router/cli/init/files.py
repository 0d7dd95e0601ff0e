"""
The files that `init` writes: templates of the package, with the names filled in.

A template says `@queue@` where a name belongs. In YAML a name that would be a number is quoted;
elsewhere names stand between quotes, or in a command, where each of them is one word.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata, resources
from pathlib import Path
from typing import Final, Literal

from lambdo_router import __version__

Ci = Literal["github", "gitlab"]

STAND_IN: Final = "acme/lambdo-router"
"""The repository of lambdo-router, as the documentation calls it, where nothing tells another."""

_START: Final = {
    "routes.yaml": "which messages become which Machines: begin here",
    "routes.test.yaml": "what that promises, as tests",
    "handler.py": "what runs inside the Machines",
    "messages/greeting.json": "a message to try it with",
    "messages/greeting-to-nobody.json": "one that is rejected",
    "schemas/greeting.schema.json": "what an event must look like",
    "schemas/routes.schema.json": "completion and help in editors, for routes.yaml",
    "schemas/tests.schema.json": "the same for routes.test.yaml",
}
_FLY: Final = {
    "fly.toml": "the router as a Fly app",
    "router.Dockerfile": "its image, with routes.yaml in it",
    "jobs.Dockerfile": "the image of the Machines, with handler.py in it",
    "DEPLOY.md": "from here to a first message on Fly, step by step",
}
_WORKFLOWS: Final[Mapping[Ci, str]] = {
    "github": ".github/workflows/routes.yaml",
    "gitlab": ".gitlab-ci.yml",
}
_OF_THE_PACKAGE: Final = ("schemas/routes.schema.json", "schemas/tests.schema.json")
_NAME: Final = re.compile("@(queue|app|image|router|source|registry|version)@")
_DOCKER_LINE: Final = re.compile(r"^(?:docker|fly auth docker).*\n", re.MULTILINE)
_GITHUB: Final = re.compile(
    r"(?:https|ssh)://(?:[^@/]*@)?github\.com/([\w-]+/[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True, slots=True)
class Names:
    """What is filled in; all of it is known to be well-formed."""

    queue: str
    app: str
    """The Fly app of the Machines."""
    image: str
    router: str
    """The Fly app of the router."""
    source: str
    """OWNER/NAME at GitHub: where the action, the package and the router's image come from."""


@dataclass(frozen=True, slots=True)
class Written:
    """A file of the start."""

    what_for: str
    content: str


def files(names: Names, *, fly: bool, ci: Ci | None) -> dict[str, Written]:
    """What is to be written, by path below the folder, in the order in which it is told."""
    made = {path: Written(why, _content(path, [path], names)) for path, why in _START.items()}
    if fly:
        made |= {path: Written(why, _content(path, [path], names)) for path, why in _FLY.items()}
    if ci is not None:
        path = _WORKFLOWS[ci]
        parts = [f"ci/{ci}.yaml", *([f"ci/{ci}-deploy.yaml"] if fly else [])]
        why = (
            "what CI does: checks all that, and deploys it"
            if fly
            else "what CI does: checks all that"
        )
        made[path] = Written(why, _content(path, parts, names))
    return made


def router_of(app: str) -> str:
    """How the router's app is called beside an app of Machines: acme-router beside acme-jobs."""
    return f"{app.removesuffix('-jobs')}-router"


def installed_from() -> str | None:
    """The GitHub repository, OWNER/NAME, that this package was installed from; None if unknown."""
    try:
        recorded = metadata.distribution("lambdo-router").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    return repository_of(recorded or "")


def repository_of(direct_url: str) -> str | None:
    """OWNER/NAME of what pip has recorded of an installation from GitHub; None for any other."""
    try:
        recorded = json.loads(direct_url)
    except ValueError:
        return None
    url = recorded.get("url") if isinstance(recorded, dict) else None
    found = _GITHUB.fullmatch(url) if isinstance(url, str) else None
    return found[1] if found else None


def _content(path: str, templates: Sequence[str], names: Names) -> str:
    from lambdo_router.config.read.shape import schema_text

    if path in _OF_THE_PACKAGE:
        return schema_text(Path(path).name)
    values = {
        "queue": names.queue,
        "app": names.app,
        "image": names.image,
        "router": names.router,
        "source": names.source,
        "registry": names.source.lower(),  # image references know no capitals
        "version": __version__,
    }
    if path == "routes.yaml":
        values |= {"app": _scalar(names.app), "image": _scalar(names.image)}
    folder = resources.files("lambdo_router").joinpath("templates")
    text = "".join(folder.joinpath(f"{it}.template").read_text("utf-8") for it in templates)
    if "@sha256:" in names.image:
        text = _DOCKER_LINE.sub("", text)  # what has a digest was pushed already
    return _NAME.sub(lambda found: values[found[1]], text)


def _scalar(text: str) -> str:
    """The text as YAML; what would be a number is quoted."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return json.dumps(text)
