"""`diff`: what is different in meaning between two routes files, or two revisions of one."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:  # imported where they are used: shell completion does not need them
    from lambdo_router.cli.revisions import Revision
    from lambdo_router.config.load import Examined

_SAME, _ERROR, _DIFFERENT = 0, 1, 2
"""Exit codes."""
_STDIN = "-"
_NAME_OF_STDIN = Path("<stdin>")


class _WrongUsage(click.UsageError):
    exit_code = _ERROR


class _Diff(click.Command):
    """Exits with 1 for wrong usage, since 2 means that the files are different."""

    def make_context(self, *arguments: Any, **extra: Any) -> click.Context:  # noqa: ANN401 - click's
        try:
            return super().make_context(*arguments, **extra)
        except click.UsageError as error:
            raise _WrongUsage(error.format_message(), error.ctx) from error

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _WrongUsage(error.format_message(), ctx) from error


@click.command(cls=_Diff)
@click.argument("old")
@click.argument("new", default="routes.yaml")
@click.option(
    "--messages",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Also list message files (*.json) of this folder that would be routed differently.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(old: str, new: str, messages: Path | None, form: str) -> None:
    """
    Show what is different between two routes files, OLD and NEW (default: routes.yaml).

    Each is a file, - for standard input, or REV:path for the file in a revision of git, with the
    files that it includes and its schemas. As in git, path is relative to the root of the
    repository, or with ./ to the current folder.

    Only meaning counts: comments, formatting and order where it does not matter make no difference.
    Secrets in variables are compared, but not shown.

    \b
      lambdo-router diff HEAD:routes.yaml
      lambdo-router diff main:deploy/routes.yaml deploy/routes.yaml --messages messages
      git show v1:routes.yaml | lambdo-router diff - routes.yaml --format json

    Exit codes: 0 no difference, 1 a file has errors or wrong usage, 2 different.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    if old == new == _STDIN:
        raise click.UsageError("only one of the two can be standard input")
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.output.printing import print_diagnostics
    from lambdo_router.config.explain.compare import compare
    from lambdo_router.config.explain.comparison_text import as_json, lines
    from lambdo_router.config.explain.sample_messages import rerouted
    from lambdo_router.config.load import sound
    from lambdo_router.config.messages import read_samples

    samples = read_samples(messages) if messages is not None else ()
    examined = [_examined(old), _examined(new)]
    for one in examined:
        print_diagnostics(one.errors, one.sources)
    if any(one.errors for one in examined):
        raise SystemExit(_ERROR)
    before, after = map(sound, examined)
    comparison = compare(before, after)
    changed = rerouted(before, after, samples)
    if form == "json":
        content = as_json(comparison, changed, (old, new), len(samples))
        click.echo(json.dumps(content, indent=2))
    else:
        for line in lines(comparison, changed, (old, new), len(samples)):
            say(line.text, indent=line.indent, mark=line.mark)
    raise SystemExit(_DIFFERENT if comparison or changed else _SAME)


def _examined(named: str) -> "Examined":
    """
    Check a file, standard input (`-`), or `REV:path`.

    Raises RevisionError if git has no such file.
    """
    from lambdo_router.cli.loading import examine
    from lambdo_router.cli.revisions import opened

    if named == _STDIN:
        return examine(_NAME_OF_STDIN, sys.stdin.buffer.read())
    if ":" not in named or Path(named).exists():
        return examine(Path(named))
    with opened(named) as (revision, path):
        examined = examine(path)
        # Included files and schemas become known step by step.
        while sum(map(revision.check_out, examined.inputs)):
            examined = examine(path)
        return _renamed(examined, revision, named.partition(":")[0])


def _renamed(examined: "Examined", revision: "Revision", name: str) -> "Examined":
    """Rename files to `REV:path`, as git calls them."""

    def renamed(file: str) -> str:
        path = Path(file)
        inside = path.is_relative_to(revision.folder)
        return f"{name}:{path.relative_to(revision.folder).as_posix()}" if inside else file

    diagnostics = tuple(
        replace(
            one,
            file=renamed(one.file),
            related=tuple(replace(place, file=renamed(place.file)) for place in one.related),
        )
        for one in examined.diagnostics
    )
    sources = {renamed(file): lines for file, lines in examined.sources.items()}
    return replace(examined, diagnostics=diagnostics, sources=sources)
