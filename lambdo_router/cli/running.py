"""What `run` and `dev` share: signals, and the routes file as a stream of tables."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from lambdo_router import journal
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.watch import Reloaded, ReloadFailed, follow
from lambdo_router.routing import RoutingTable


class EndedAtOnce(Exception):
    """A second signal: nothing was waited for."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


async def no_changes() -> AsyncIterator[RoutingTable]:
    """Where no file can change: no further table ever."""
    later: tuple[RoutingTable, ...] = ()
    for table in later:
        yield table


@contextmanager
def signals(stop: asyncio.Event, reload: asyncio.Event) -> Iterator[None]:
    """
    SIGTERM and SIGINT set `stop`, a second one raises EndedAtOnce in the running task; SIGHUP sets
    `reload`. Fly's documentation names both SIGINT and SIGTERM as what it sends, so both mean the
    same.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    second: list[int] = []

    def ordered(number: int) -> None:
        if not stop.is_set():
            stop.set()
        elif task is not None and not second:
            second.append(number)
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ordered, number)
    loop.add_signal_handler(signal.SIGHUP, reload.set)
    try:
        yield
    except asyncio.CancelledError:
        if not second:
            raise
        raise EndedAtOnce(second[0]) from None
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def tables(
    load: Callable[[], LoadedRoutes],
    first: LoadedRoutes,
    reload: asyncio.Event,
    observe: journal.Observer,
) -> AsyncIterator[RoutingTable]:
    """Each new table of a routes file; what is said about a changed file goes to the journal."""
    async for change in follow(load, first, nudge=reload):
        match change:
            case Reloaded(loaded=loaded):
                warnings = tuple(map(str, loaded.warnings))
                observe(journal.RoutesLoaded(loaded.generation, warnings))
                yield loaded.table
            case ReloadFailed(diagnostics=diagnostics):
                observe(journal.RoutesRefused(tuple(map(str, diagnostics))))
