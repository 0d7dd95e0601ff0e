"""`top`: a running router at a glance, refreshed every second or two."""

import time
from typing import Final

import click

from lambdo_router.cli.router_client import NoAnswer, ask_status, url_option
from lambdo_router.cli.status.tables import Document
from lambdo_router.cli.top.screen import Screen

_TIMEOUT: Final = 5.0


@click.command()
@url_option
@click.option(
    "--every",
    type=click.FloatRange(0.5, 3600),
    default=2.0,
    show_default=True,
    help="Seconds between two looks.",
)
def command(url: str, every: float) -> None:
    """
    Watch a running router: queues, routes, Machines, batches and failures.

    What fails comes first, and as much is shown as the terminal has room for. Without a terminal
    it is printed once. Ctrl-C ends it.

    \b
      lambdo-router top
      lambdo-router top --url http://my-router.internal:9091

    Exit codes: 0 ended by Ctrl-C, 1 no answer at the start, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    try:
        status: Document = ask_status(url, _TIMEOUT)
    except NoAnswer as error:
        from lambdo_router.cli.output.printing import print_error

        print_error(str(error))
        raise SystemExit(1) from None
    screen = Screen(url)
    if not screen.is_live:
        screen.print_once(status)
        return
    problem = ""
    with screen.live():
        try:
            while True:
                screen.show(status, problem)
                time.sleep(every)
                try:
                    status, problem = ask_status(url, _TIMEOUT), ""
                except NoAnswer as error:
                    # The last that is known stays: a router that restarts is back in a moment.
                    problem = str(error)
        except KeyboardInterrupt:
            pass
