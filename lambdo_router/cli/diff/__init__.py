"""`diff`: what is different in meaning between two routes files, or two revisions of one."""

import json
from pathlib import Path
from typing import Any

import click

_SAME, _ERROR, _DIFFERENT = 0, 1, 2
"""Exit codes."""


class _WrongUsage(click.UsageError):
    exit_code = _ERROR


class _Diff(click.Command):
    """Wrong usage ends with 1 here, since 2 says that the files are different."""

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
    help="Tell also which of the message files (*.json) of this folder go another way.",
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(old: str, new: str, messages: Path | None, form: str) -> None:
    """
    Tell what is different between two routes files, OLD and NEW (default: routes.yaml).

    Each is a file, - for standard input, or REV:path for the file as it is in a revision of git,
    with the files that it includes and its schemas. As in git, path counts from the root of the
    repository, or with ./ from here.

    Only meaning counts: comments, formatting and order where it does not matter make no difference.
    Secrets in variables are compared, and not shown.

    \b
      lambdo-router diff HEAD:routes.yaml
      lambdo-router diff main:deploy/routes.yaml deploy/routes.yaml --messages messages
      git show v1:routes.yaml | lambdo-router diff - routes.yaml --format json

    Exit codes: 0 no difference, 1 a file has errors or wrong usage, 2 different.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    if old == new == "-":
        raise click.UsageError("standard input can only be one of the two")
    from lambdo_router.cli.diff.sides import load
    from lambdo_router.cli.output.layout import say
    from lambdo_router.cli.output.printing import print_diagnostics
    from lambdo_router.config.explain.compare import compare
    from lambdo_router.config.explain.comparison_text import as_json, lines
    from lambdo_router.config.explain.sample_messages import rerouted
    from lambdo_router.config.explain.sides import side_of
    from lambdo_router.config.samples import read_samples

    samples = read_samples(messages) if messages is not None else ()
    before, after = load(old), load(new)
    for read in (before, after):
        print_diagnostics(read.errors, read.sources)
    if before.loaded is None or after.loaded is None:
        raise SystemExit(_ERROR)
    comparison = compare(side_of(before.loaded), side_of(after.loaded))
    changed = rerouted(before.loaded, after.loaded, samples)
    if form == "json":
        told = as_json(comparison, changed, (old, new), len(samples))
        click.echo(json.dumps(told, indent=2))
    else:
        for line in lines(comparison, changed, (old, new), len(samples)):
            say(line.text, indent=line.indent, mark=line.mark)
    raise SystemExit(_DIFFERENT if comparison or changed else _SAME)
