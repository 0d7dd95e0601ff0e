"""`top`: the status of a running router, refreshed every second or two."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from lambdo_router.cli.router_client import NoAnswer, ask_status, url_option
from lambdo_router.cli.status.text import Document, lines

_TIMEOUT: Final = 5.0
_ROWS: Final = 15
"""Rows of each table."""


@click.command()
@url_option
@click.option(
    "--every",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two refreshes.",
)
def command(url: str, every: float) -> None:
    """
    Watch a running router: queues, routes, Machines, batches and failures.

    What fails comes first, and as much is shown as fits on the terminal. Without a terminal it is
    printed once. Ctrl-C ends it.

    \b
      lambdo-router top
      lambdo-router top --url http://my-router.internal:9091

    Exit codes: 0 ended by Ctrl-C, 1 no answer at the start, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    try:
        status = ask_status(url, _TIMEOUT)
    except NoAnswer as error:
        from lambdo_router.cli.output.printing import print_error

        print_error(str(error))
        raise SystemExit(1) from None
    console = Console(markup=False, emoji=False, highlight=False)
    if not console.is_terminal or console.is_dumb_terminal:
        for line in lines(status, _ROWS):
            click.echo(line)
        return
    problem = ""
    with Live(console=console, screen=True, auto_refresh=False) as live:
        try:
            while True:
                live.update(screen(status, url, problem, console.height), refresh=True)
                time.sleep(every)
                try:
                    status, problem = ask_status(url, _TIMEOUT), ""
                except NoAnswer as error:
                    # The last status stays: a router that restarts is back in a moment.
                    problem = str(error)
        except KeyboardInterrupt:
            pass


def screen(status: Document, url: str, problem: str, height: int) -> Group:
    """Return what fits on a screen; `problem` is why there is no newer status."""
    return Group(
        *(
            Text.from_ansi(line, no_wrap=True, overflow="ellipsis")
            for line in islice(_lines(status, url, problem), height - 1)
        )
    )


def _lines(status: Document, url: str, problem: str) -> Iterator[str]:
    head, *rest = lines(status, _ROWS)
    at = time.strftime("%H:%M:%S", time.localtime(status["at"]))
    yield f"{head}  {click.style(f'{url} {at}', 'bright_black')}"
    if problem:
        yield click.style(problem, "red")
    yield from rest
