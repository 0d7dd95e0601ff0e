"""What `run` and `dev` share: signals, and the routes file as a stream of tables."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final

from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.watch import LoadFailed, Reloaded, follow
from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.service.loaded import loaded_fact
from lambdo_router.service.settings import Secret, Settings

if TYPE_CHECKING:  # imported where it is used, since it is slow to load
    from lambdo_router.adapters.fly import FlyMachines

_TURN: Final = 0.0005
"""Seconds that a thread computes before another gets its turn."""


def fly_machines(settings: Settings, token: Secret) -> "FlyMachines":
    """Return the Machines API client for the environment. Raises SettingsError."""
    from lambdo_router.adapters.fly import FlyMachines

    return FlyMachines(
        token=token.reveal(),
        base_url=settings.fly_api,
        rate=settings.limits.launch_rate,
        burst=settings.limits.launch_burst,
    )


async def no_changes() -> AsyncIterator[RoutingTable]:
    """Yield no further tables; the routes are fixed."""
    later: tuple[RoutingTable, ...] = ()
    for table in later:
        yield table


@contextmanager
def signals(stop: asyncio.Event, reload: asyncio.Event) -> Iterator[None]:
    """
    SIGTERM and SIGINT set `stop`; a second one ends the running task with SystemExit. SIGHUP sets
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
        raise SystemExit(128 + second[0]) from None
    finally:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.remove_signal_handler(number)


async def tables(
    load: Callable[[], LoadedRoutes],
    first: LoadedRoutes,
    reload: asyncio.Event,
    observe: journal.Observer,
    nothing_new: Callable[[str], None] = lambda _: None,
) -> AsyncIterator[RoutingTable]:
    """
    Each new table of a routes file; what is said about a changed file goes to the journal.

    `nothing_new` is called when `reload` was set and brought nothing; more at `watch.follow`.
    """
    following = follow(load, first, nudge=reload, nothing_new=nothing_new)
    async with aclosing(following) as changes:
        async for table in reported(changes, first, observe):
            yield table


async def reported(
    changes: AsyncIterator[Reloaded[LoadedRoutes] | LoadFailed],
    first: LoadedRoutes,
    observe: journal.Observer,
) -> AsyncIterator[RoutingTable]:
    """Yield the tables of the valid changes, and report every change to the journal."""
    # A reload computes for seconds in a thread. By default the event loop would get its turn after
    # 5 ms, and that again for each call of one turn that leaves the interpreter's lock.
    sys.setswitchinterval(_TURN)
    before = first
    async for change in changes:
        match change:
            case Reloaded(loaded=loaded):
                observe(await loaded_fact(before, loaded))
                before = loaded
                await asyncio.sleep(0)  # with thousands of routes, give messages a turn
                yield loaded.table
            case LoadFailed(diagnostics=diagnostics):
                observe(journal.ReloadFailed(tuple(map(str, diagnostics))))
