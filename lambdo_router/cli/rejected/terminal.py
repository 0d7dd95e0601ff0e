"""What a replay says to somebody at a terminal: a question, and a bar."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


def is_interactive() -> bool:
    """Whether somebody is there to be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


async def ask(question: str, stop: asyncio.Event) -> bool:
    """
    Whether the answer is yes; no, if `stop` comes first.

    The event loop goes on meanwhile: the messages that the question is about are held.
    """
    loop = asyncio.get_running_loop()
    answered: asyncio.Future[str] = loop.create_future()
    descriptor = sys.stdin.fileno()

    def typed() -> None:
        # At a terminal there is a whole line to be read, or the end.
        loop.remove_reader(descriptor)
        answered.set_result(sys.stdin.readline())

    click.echo(f"{question} [y/N] ", nl=False, err=True)
    loop.add_reader(descriptor, typed)
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((answered, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        loop.remove_reader(descriptor)
    answer = answered.result() if answered.done() else ""
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip().lower() in ("y", "yes")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on stderr, if that is a terminal; yields what is to be told (done, of how many)."""
    if not sys.stderr.isatty():
        yield lambda _done, _planned: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True, markup=False, emoji=False, highlight=False)
    parts = (TextColumn(what, markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*parts, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, planned: bar.update(task, completed=done, total=planned)
