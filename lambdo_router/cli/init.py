"""
`init`: a routes file that works, and everything that belongs to it, to change step by step.

The files are templates of the package, with `@queue@` where a name belongs. In YAML, names that
would be numbers are quoted; elsewhere names are within quotes, or one word of a command.
"""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Literal

import click

from lambdo_router import __version__

Ci = Literal["github", "gitlab"]

_PLACEHOLDER: Final = "acme/lambdo-router"
"""The repository in the documentation, and in the files if the real one is unknown."""
_START: Final = {
    "routes.yaml": "which messages become which Machines: begin here",
    "routes.test.yaml": "tests of the routes",
    "handler.py": "what runs inside the Machines",
    "messages/greeting.json": "a message to try it with",
    "messages/greeting-to-nobody.json": "one that is rejected",
    "schemas/greeting.schema.json": "the schema of its events",
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
_QUEUE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,53}")
"""A name in routes.yaml and, with `-rejected` appended, one in SQS."""
_NO_NAMES: Final = frozenset({"rejected", "true", "false", "null"})
_FLY_APP: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SOURCE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--queue", default="jobs", show_default=True, help="The queue to read messages from.")
@click.option("--app", default="my-jobs", show_default=True, help="The Fly app for the Machines.")
@click.option("--image", help="The image of the Machines; default: registry.fly.io/APP:1.")
@click.option("--fly", is_flag=True, help="Also write what is needed to run the router on Fly.")
@click.option("--router", metavar="APP", help="The router's own Fly app; default: APP-router.")
@click.option(
    "--ci",
    type=click.Choice(["github", "gitlab"]),
    help="Also write a CI workflow; with --fly it deploys.",
)
@click.option(
    "--source",
    metavar="OWNER/NAME",
    help="The GitHub repository of the lambdo-router you use; default: that of this installation.",
)
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def command(  # noqa: PLR0913 - one for each option
    folder: Path,
    queue: str,
    app: str,
    image: str | None,
    router: str | None,
    ci: Ci | None,
    source: str | None,
    *,
    fly: bool,
    force: bool,
) -> None:
    """
    Write a working routes file, and everything that belongs to it, into DIR (default: here).

    That is a routes file with comments, a schema for its events, tests, two messages, and the code
    that runs in the Machines. It validates, its tests pass, and `lambdo-router dev` runs it on this
    machine without any account. Existing files are not overwritten without --force.

    --fly adds fly.toml, Dockerfiles for the router and the Machines, and DEPLOY.md, which leads to
    a first message on Fly. --ci adds a workflow that checks all this, and with --fly deploys it.

    \b
      lambdo-router init
      lambdo-router init shop --queue orders --app acme-jobs
      lambdo-router init shop --app acme-jobs --fly --ci github

    Exit codes: 0 written, 1 a file exists already or cannot be written, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.output.layout import columns, say
    from lambdo_router.cli.output.printing import print_error, print_warning

    if router is not None and not fly:
        raise click.UsageError("--router is the name of the router's app, and needs --fly")
    if source is not None and not fly and ci is None:
        raise click.UsageError("--source is for --fly and --ci: it needs one of them")
    known = source or installed_from()
    names = _checked(queue, app, image, router, known or _PLACEHOLDER)
    written = starter_files(names, fly=fly, ci=ci)
    existing = [
        str(folder / name)
        for name, file in written.items()
        if (folder / name).exists() and not _has_content(folder / name, file.content)
    ]
    if existing and not force:
        print_error(
            f"{', '.join(existing)} {'exists' if len(existing) == 1 else 'exist'} already, and "
            "nothing was written; choose another folder (lambdo-router init DIR), or overwrite "
            "with --force"
        )
        raise SystemExit(1)
    for name, file in written.items():
        try:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(file.content, "utf-8")
        except OSError as error:
            print_error(f"{folder / name} cannot be written: {error.strerror}")
            raise SystemExit(1) from None
    for line in columns([(str(folder / name), file.what) for name, file in written.items()], "  "):
        say(line)
    say()
    say("Next:")
    for line in columns(_next_steps(folder, fly=fly), "  "):
        say(line)
    if known is None and (fly or ci):
        where = ", ".join(name for name, file in written.items() if _PLACEHOLDER in file.content)
        print_warning(
            f"{_PLACEHOLDER} in {where} is a placeholder for the repository of the lambdo-router "
            "that you use: replace it, or start over with --source OWNER/NAME --force"
        )
    if ci is not None and (root := _other_root(folder.resolve())) is not None:
        print_warning(
            f"the repository begins at {root}, and CI finds workflows only there: move it, and let "
            f"it work in {folder.resolve().relative_to(root)} (`working-directory`; at GitLab `cd`)"
        )


@dataclass(frozen=True, slots=True)
class StarterNames:
    """The well-formed names to fill in."""

    queue: str
    app: str
    """The Fly app of the Machines."""
    image: str
    router: str
    """The Fly app of the router."""
    source: str
    """OWNER/NAME at GitHub, of the action, the package and the router's image."""


@dataclass(frozen=True, slots=True)
class StarterFile:
    """A file to write, and what it is."""

    what: str
    content: str


def starter_files(names: StarterNames, *, fly: bool, ci: Ci | None) -> dict[str, StarterFile]:
    """Return the files to write by their paths in the folder, in the order to list them."""
    wanted = _START | (_FLY if fly else {})
    found = {
        path: StarterFile(what, _content(path, [path], names)) for path, what in wanted.items()
    }
    if ci is not None:
        path, deploy = _WORKFLOWS[ci], [f"ci/{ci}-deploy.yaml"] if fly else []
        what = "the CI workflow: checks all of this" + ", and deploys it" * fly
        found[path] = StarterFile(what, _content(path, [f"ci/{ci}.yaml", *deploy], names))
    return found


def router_of(app: str) -> str:
    """Return the name of the router's app for an app of Machines: acme-router for acme-jobs."""
    return f"{app.removesuffix('-jobs')}-router"


def installed_from() -> str | None:
    """Return the GitHub repository, OWNER/NAME, that pip installed this package from, if any."""
    from importlib import metadata

    try:
        recorded = metadata.distribution("lambdo-router").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    return repository_of(recorded or "")


def repository_of(direct_url: str) -> str | None:
    """Return OWNER/NAME from pip's record of an installation; None if not from GitHub."""
    try:
        recorded = json.loads(direct_url)
    except ValueError:
        return None
    url = recorded.get("url") if isinstance(recorded, dict) else None
    found = _GITHUB.fullmatch(url) if isinstance(url, str) else None
    return found[1] if found else None


def _checked(
    queue: str, app: str, image: str | None, router: str | None, source: str
) -> StarterNames:
    """Return the names to fill in. Raises UsageError for a malformed one."""
    from lambdo_router.core.profile import normalise_image

    if _QUEUE.fullmatch(queue) is None or queue in _NO_NAMES:
        raise click.UsageError(
            f"--queue {queue!r}: the name must be up to 54 letters, digits, `_` and `-`, start "
            "with a letter, and not be `rejected`, the name of the other queue"
        )
    router = router_of(app) if router is None else router
    for option, name in (("--app", app), ("--router", router)):
        if _FLY_APP.fullmatch(name) is None:
            raise click.UsageError(
                f"{option} {name!r}: the name of a Fly app is up to 63 lower-case letters, digits "
                "and `-`"
            )
    if router == app:
        raise click.UsageError(f"--router {router!r} is the app of the Machines; name another")
    image = f"registry.fly.io/{app}:1" if image is None else image
    if normalise_image(image) is None:
        raise click.UsageError(
            f"--image {image!r} is not an image reference; write one like registry.fly.io/{app}:1"
        )
    if _SOURCE.fullmatch(source) is None:
        raise click.UsageError(
            f"--source {source!r} is not a GitHub repository; write OWNER/NAME, as in "
            "https://github.com/OWNER/NAME"
        )
    return StarterNames(queue, app, image, router, source)


def _has_content(path: Path, content: str) -> bool:
    try:
        return path.read_text("utf-8") == content
    except (OSError, ValueError):
        return False


def _next_steps(folder: Path, *, fly: bool) -> list[tuple[str, str]]:
    enter = [(f"cd {shlex.quote(str(folder))}", "")] if folder != Path() else []
    deploy = [("less DEPLOY.md", "# from here to a first message on Fly")] if fly else []
    return [
        *enter,
        ("lambdo-router validate", "# checks routes.yaml; use it in CI too"),
        ("lambdo-router test", "# runs routes.test.yaml"),
        (
            "lambdo-router dev --messages messages",
            "# runs everything on this machine; Ctrl-C stops",
        ),
        *deploy,
    ]


def _other_root(folder: Path) -> Path | None:
    """Return the root of the repository that the folder is in, unless it is the folder itself."""
    roots = [parent for parent in (folder, *folder.parents) if (parent / ".git").exists()]
    return roots[0] if roots and roots[0] != folder else None


def _content(path: str, templates: list[str], names: StarterNames) -> str:
    from importlib import resources

    from lambdo_router.config.read.shape import schema_text

    if path in _OF_THE_PACKAGE:
        return schema_text(Path(path).name)
    # References of images are in lower case.
    values = asdict(names) | {"registry": names.source.lower(), "version": __version__}
    if path == "routes.yaml":
        values |= {"app": _yaml_scalar(names.app), "image": _yaml_scalar(names.image)}
    folder = resources.files("lambdo_router").joinpath("templates")
    text = "".join(folder.joinpath(f"{it}.template").read_text("utf-8") for it in templates)
    if "@sha256:" in names.image:
        text = _DOCKER_LINE.sub("", text)  # an image with a digest was pushed already
    return _NAME.sub(lambda found: values[found[1]], text)


def _yaml_scalar(text: str) -> str:
    """Quote what YAML would read as a number."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return json.dumps(text)
