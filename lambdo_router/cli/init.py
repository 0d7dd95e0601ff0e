"""`init`: a start that works, to be changed step by step."""

import json
import re
import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

import click

_APP: Final = "my-jobs"
_SUFFIX: Final = ".template"
_FILES: Final[Mapping[str, str]] = {
    "routes.yaml": "which messages become which Machines: begin here",
    "routes.test.yaml": "what that promises, as tests",
    "handler.py": "what runs inside the Machines",
    "messages/greeting.json": "a message to try it with",
    "messages/greeting-to-nobody.json": "one that is rejected",
    "schemas/greeting.schema.json": "what an event must look like",
    "schemas/routes.schema.json": "completion and help in editors, for routes.yaml",
    "schemas/tests.schema.json": "the same for routes.test.yaml",
}
"""What is written, and what it is for."""
_OF_THE_PACKAGE: Final = ("schemas/routes.schema.json", "schemas/tests.schema.json")
_QUEUE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,53}")
"""A name in routes.yaml and, with `-rejected` behind it, one in SQS."""
_NO_NAMES: Final = frozenset({"rejected", "true", "false", "null"})
_FLY_APP: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--queue", default="jobs", show_default=True, help="The queue that messages come to.")
@click.option("--app", default=_APP, show_default=True, help="The Fly app for the Machines.")
@click.option("--image", help="What Machines run; default: registry.fly.io/APP:1.")
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
def command(folder: Path, queue: str, app: str, image: str | None, *, force: bool) -> None:
    """
    Write a routes file that works into DIR (default: here), with all that belongs to it.

    That is a routes file with comments, a schema for its events, tests, two messages, and the code
    that runs in the Machines. It validates, its tests pass, and `lambdo-router dev` runs it on this
    machine without any account. Files that are there already are not overwritten without --force.

    \b
      lambdo-router init
      lambdo-router init shop --queue orders --app acme-jobs

    Exit codes: 0 written, 1 a file is there already or cannot be written, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    files = _files(_checked(queue, app, image))
    existing = [
        name
        for name, content in files.items()
        if (folder / name).exists() and not _holds(folder / name, content)
    ]
    if existing and not force:
        _refuse(folder, existing)
    for name, content in files.items():
        _write(folder / name, content)
    _tell(folder)


def _checked(queue: str, app: str, image: str | None) -> dict[str, str]:
    """The names to fill in. Raises UsageError for one that the routes file could not have."""
    from lambdo_router.profiles import normalise_image

    if _QUEUE.fullmatch(queue) is None or queue in _NO_NAMES:
        raise click.UsageError(
            f"--queue {queue!r}: a name here is up to 54 letters, digits, `_` and `-`, begins with "
            "a letter, and is not `rejected`, which the other queue is called"
        )
    if _FLY_APP.fullmatch(app) is None:
        raise click.UsageError(
            f"--app {app!r}: the name of a Fly app is up to 63 lower-case letters, digits and `-`"
        )
    image = f"registry.fly.io/{app}:1" if image is None else image
    if normalise_image(image) is None:
        raise click.UsageError(
            f"--image {image!r} is no image reference; write one like registry.fly.io/{app}:1"
        )
    return {"queue": queue, "app": _scalar(app), "image": _scalar(image)}


def _scalar(text: str) -> str:
    """The text as YAML; what would be a number is quoted."""
    try:
        json.loads(text)
    except ValueError:
        return text
    return json.dumps(text)


def _files(names: Mapping[str, str]) -> dict[str, str]:
    """The contents of each file."""
    from lambdo_router.config.shape import schema_text

    files = {}
    for file in _FILES:
        if file in _OF_THE_PACKAGE:
            files[file] = schema_text(Path(file).name)
            continue
        template = resources.files("lambdo_router").joinpath("templates", f"{file}{_SUFFIX}")
        files[file] = re.sub(
            "@(queue|app|image)@", lambda found: names[found[1]], template.read_text("utf-8")
        )
    return files


def _holds(path: Path, content: str) -> bool:
    try:
        return path.read_text("utf-8") == content
    except (OSError, ValueError):
        return False


def _refuse(folder: Path, existing: list[str]) -> None:
    from lambdo_router.cli.printing import print_error

    there = ", ".join(str(folder / name) for name in existing)
    what = "is there already" if len(existing) == 1 else "are there already"
    print_error(
        f"{there} {what}, and nothing was written; choose another folder "
        "(lambdo-router init DIR), or overwrite with --force"
    )
    raise SystemExit(1)


def _write(path: Path, content: str) -> None:
    from lambdo_router.cli.printing import print_error

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    except OSError as error:
        print_error(f"{path} cannot be written: {error.strerror}")
        raise SystemExit(1) from None


def _tell(folder: Path) -> None:
    """What is there now, and what to do next."""
    from lambdo_router.cli.layout import columns, say

    for line in columns([(str(folder / name), what) for name, what in _FILES.items()], "  "):
        say(line)
    say()
    say("Next:")
    steps = [("lambdo-router validate", "# checks routes.yaml; also the line for your CI")]
    if folder != Path():
        steps[:0] = [(f"cd {shlex.quote(str(folder))}", "")]
    steps += [
        ("lambdo-router test", "# runs routes.test.yaml"),
        ("lambdo-router dev --messages messages", "# runs it all on this machine; Ctrl-C stops"),
    ]
    for line in columns(steps, "  "):
        say(line)
