"""`status`: what a running router does and what fails, asked over HTTP."""

import json
import sys
from collections.abc import Iterator
from typing import Final

import click

from lambdo_router.cli.router_client import NoAnswer, ask, ask_status, url_option
from lambdo_router.cli.status.tables import Cell, Document, Table, concerns, headline, shown, tables

_MOST: Final = 15
_ALL: Final = 1_000_000
_CHECKS: Final = {"alive": "/healthz", "ready": "/readyz"}
_COLOURS: Final = {"good": "green", "poor": "yellow", "bad": "red", "quiet": "bright_black"}


@click.command()
@url_option
@click.option(
    "--check",
    type=click.Choice(list(_CHECKS)),
    help="Only ask whether it is alive, or ready; for health checks.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
@click.option("--all", "everything", is_flag=True, help=f"Not only {_MOST} rows of each table.")
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 300),
    default=5.0,
    show_default=True,
    help="Seconds to wait for an answer.",
)
def command(url: str, check: str | None, form: str, *, everything: bool, timeout: float) -> None:
    """
    Say what a running router does, what fails, since when, and why.

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
    if form == "json":
        click.echo(json.dumps(document, indent=2))
    elif check is not None:
        _say_check(check, document)
    else:
        for line in _text(document, _ALL if everything else _MOST):
            click.echo(line)
    raise SystemExit(0 if _is_fine(check, document) else 1)


def _is_fine(check: str | None, document: Document) -> bool:
    match check:
        case "alive":
            return document.get("alive") is True
        case "ready":
            return document.get("ready") is True
        case _:
            return document["health"]["ready"] is True


def _say_check(check: str, document: Document) -> None:
    if _is_fine(check, document):
        click.echo(check)
        return
    click.echo(f"not {check}")
    for one in document.get("checks", ()):
        if not one["ok"]:
            click.echo(shown(f"{one['name']}: {one['detail']}"))


def _text(status: Document, most: int) -> Iterator[str]:
    word, sentence = headline(status)
    yield f"{_styled(word, bold=True)}  {sentence}"
    for name, why in concerns(status):
        yield f"  {_styled(name)} {why}"
    for table in tables(status, most):
        yield ""
        yield from _lines(table)


def _lines(table: Table) -> Iterator[str]:
    grid = [tuple(map(Cell, table.columns)), *(row.cells for row in table.rows)]
    widths = [max(len(cells[at].text) for cells in grid) for at in range(len(table.columns))]
    right = [table.rows[0].cells[at].right for at in range(len(table.columns))]
    heading = tuple(Cell(name, "quiet", right[at]) for at, name in enumerate(table.columns))
    yield _line(heading, widths)
    for row in table.rows:
        yield _line(row.cells, widths)
        for note in row.notes:
            yield f"    {note}"
    if table.more:
        yield f"and {table.more} more; --all shows them"


def _line(cells: tuple[Cell, ...], widths: list[int]) -> str:
    padded = (
        " " * (width - len(cell.text)) + _styled(cell)
        if cell.right
        else _styled(cell) + " " * (width - len(cell.text))
        for cell, width in zip(cells, widths, strict=True)
    )
    return "  ".join(padded).rstrip()


def _styled(cell: Cell, *, bold: bool = False) -> str:
    colour = _COLOURS.get(cell.tone)
    if not sys.stdout.isatty() or (colour is None and not bold):
        return cell.text
    return click.style(cell.text, fg=colour, bold=bold)
