"""`status`: what a running router does and what fails, asked over HTTP."""

import json
from typing import Final

import click

from lambdo_router.cli.router_client import NoAnswer, ask, ask_status, url_option
from lambdo_router.cli.status.text import Document, lines, shown

_MOST: Final = 15
_ALL: Final = 1_000_000
_CHECKS: Final = {"alive": "/healthz", "ready": "/readyz"}


@click.command()
@url_option
@click.option(
    "--check",
    type=click.Choice(list(_CHECKS)),
    help="Only check whether it is alive, or ready; for health checks.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option(
    "--all", "everything", is_flag=True, help=f"Show all rows of each table, not only {_MOST}."
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 300),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
def command(url: str, check: str | None, form: str, *, everything: bool, timeout: float) -> None:
    """
    Show what a running router does, what fails, since when, and why.

    \b
      lambdo-router status
      lambdo-router status --url http://my-router.internal:9091 --format json
      lambdo-router status --check ready          (in a Dockerfile's HEALTHCHECK)

    docs/status.md describes the JSON. Exit codes: 0 ready (or alive), 1 not, or no answer,
    2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    try:
        document: Document = (
            ask_status(url, timeout) if check is None else ask(url, _CHECKS[check], timeout)
        )
    except NoAnswer as error:
        from lambdo_router.cli.output.printing import print_error

        print_error(str(error))
        raise SystemExit(1) from None
    fine = (document["health"]["ready"] if check is None else document.get(check)) is True
    if form == "json":
        click.echo(json.dumps(document, indent=2))
    elif check is not None:
        click.echo(check if fine else f"not {check}")
        for each in document.get("checks", ()):
            if not each["ok"]:
                click.echo(shown(f"{each['name']}: {each['detail']}"))
    else:
        for line in lines(document, _ALL if everything else _MOST):
            click.echo(line)
    raise SystemExit(0 if fine else 1)
