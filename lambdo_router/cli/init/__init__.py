"""`init`: a start that works, to be changed step by step."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:  # imported where they are used, so that `--help` is quick
    from lambdo_router.cli.init.files import Ci, Names, Written

_APP: Final = "my-jobs"
_QUEUE: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,53}")
"""A name in routes.yaml and, with `-rejected` behind it, one in SQS."""
_NO_NAMES: Final = frozenset({"rejected", "true", "false", "null"})
_FLY_APP: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SOURCE: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")


@click.command()
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--queue", default="jobs", show_default=True, help="The queue that messages come to.")
@click.option("--app", default=_APP, show_default=True, help="The Fly app for the Machines.")
@click.option("--image", help="What Machines run; default: registry.fly.io/APP:1.")
@click.option("--fly", is_flag=True, help="Also what it takes to run the router on Fly.")
@click.option("--router", metavar="APP", help="The router's own Fly app; default: APP-router.")
@click.option(
    "--ci", type=click.Choice(["github", "gitlab"]), help="Also a workflow; with --fly it deploys."
)
@click.option(
    "--source",
    metavar="OWNER/NAME",
    help="The GitHub repository of the lambdo-router you use; default: that of this installation.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there already.")
def command(  # noqa: PLR0913 - one for each option
    folder: Path,
    queue: str,
    app: str,
    image: str | None,
    router: str | None,
    ci: "Ci | None",
    source: str | None,
    *,
    fly: bool,
    force: bool,
) -> None:
    """
    Write a routes file that works into DIR (default: here), with all that belongs to it.

    That is a routes file with comments, a schema for its events, tests, two messages, and the code
    that runs in the Machines. It validates, its tests pass, and `lambdo-router dev` runs it on this
    machine without any account. Files that are there already are not overwritten without --force.

    --fly adds fly.toml, Dockerfiles for the router and the Machines, and DEPLOY.md, which leads to
    a first message on Fly. --ci adds a workflow that checks all this, and with --fly deploys it.

    \b
      lambdo-router init
      lambdo-router init shop --queue orders --app acme-jobs
      lambdo-router init shop --app acme-jobs --fly --ci github

    Exit codes: 0 written, 1 a file is there already or cannot be written, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    from lambdo_router.cli.init.files import STAND_IN, files, installed_from

    if router is not None and not fly:
        raise click.UsageError("--router says what the router's app is called: it needs --fly")
    if source is not None and not fly and ci is None:
        raise click.UsageError(
            "--source says where --fly and --ci get the router: it needs one of them"
        )
    known = source or installed_from()
    written = files(_checked(queue, app, image, router, known or STAND_IN), fly=fly, ci=ci)
    existing = [
        name
        for name, file in written.items()
        if (folder / name).exists() and not _holds(folder / name, file.content)
    ]
    if existing and not force:
        _refuse(folder, existing)
    for name, file in written.items():
        _write(folder / name, file.content)
    _tell(folder, written, fly=fly)
    if known is None and (fly or ci):
        _say_stand_in(written, STAND_IN)
    if ci is not None:
        _say_root(folder)


def _checked(queue: str, app: str, image: str | None, router: str | None, source: str) -> "Names":
    """The names to fill in. Raises UsageError for one that could not be."""
    from lambdo_router.cli.init.files import Names, router_of
    from lambdo_router.core.profile import normalise_image

    if _QUEUE.fullmatch(queue) is None or queue in _NO_NAMES:
        raise click.UsageError(
            f"--queue {queue!r}: a name here is up to 54 letters, digits, `_` and `-`, begins with "
            "a letter, and is not `rejected`, which the other queue is called"
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
            f"--image {image!r} is no image reference; write one like registry.fly.io/{app}:1"
        )
    if _SOURCE.fullmatch(source) is None:
        raise click.UsageError(
            f"--source {source!r} is no repository at GitHub; write OWNER/NAME, as in "
            "https://github.com/OWNER/NAME"
        )
    return Names(queue, app, image, router, source)


def _holds(path: Path, content: str) -> bool:
    try:
        return path.read_text("utf-8") == content
    except (OSError, ValueError):
        return False


def _refuse(folder: Path, existing: list[str]) -> None:
    from lambdo_router.cli.output.printing import print_error

    there = ", ".join(str(folder / name) for name in existing)
    what = "is there already" if len(existing) == 1 else "are there already"
    print_error(
        f"{there} {what}, and nothing was written; choose another folder "
        "(lambdo-router init DIR), or overwrite with --force"
    )
    raise SystemExit(1)


def _write(path: Path, content: str) -> None:
    from lambdo_router.cli.output.printing import print_error

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
    except OSError as error:
        print_error(f"{path} cannot be written: {error.strerror}")
        raise SystemExit(1) from None


def _tell(folder: Path, written: "Mapping[str, Written]", *, fly: bool) -> None:
    """What is there now, and what to do next."""
    from lambdo_router.cli.output.layout import columns, say

    rows = [(str(folder / name), file.what_for) for name, file in written.items()]
    for line in columns(rows, "  "):
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
    if fly:
        steps.append(("less DEPLOY.md", "# from here to a first message on Fly"))
    for line in columns(steps, "  "):
        say(line)


def _say_stand_in(written: "Mapping[str, Written]", stand_in: str) -> None:
    """What pip has not recorded, a person must say."""
    from lambdo_router.cli.output.printing import print_warning

    holding = [name for name, file in written.items() if stand_in in file.content]
    print_warning(
        f"{stand_in} in {', '.join(holding)} stands for the repository of the lambdo-router that "
        "you use: put it in its place, or begin again with --source OWNER/NAME --force"
    )


def _say_root(folder: Path) -> None:
    """CI systems look for workflows at the root of a repository only."""
    from lambdo_router.cli.output.printing import print_warning

    here = folder.resolve()
    roots = [parent for parent in (here, *here.parents) if (parent / ".git").exists()]
    if roots and roots[0] != here:
        print_warning(
            f"the repository begins at {roots[0]}: only there a workflow is found. Move it, and "
            f"let it work in {here.relative_to(roots[0])} (`working-directory`; at GitLab `cd`)"
        )
