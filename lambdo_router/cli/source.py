"""
Where `run` gets its routes: from a file, from an address, or from the original Lambdo's contract.

A file is read and watched. Files at an address are fetched, cached on disk and polled for changes.
The original contract never changes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambdo_router.cli.output.printing import print_diagnostics, print_warning
from lambdo_router.config.compile.original import original_table
from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes, load_routes
from lambdo_router.config.read.files import Mirror
from lambdo_router.core import journal
from lambdo_router.core.errors import SettingsError
from lambdo_router.core.routing import RoutingTable
from lambdo_router.service.remote_routes.address import RoutesAddress, is_elsewhere, read_address
from lambdo_router.service.running import no_changes, reported, tables
from lambdo_router.service.settings import Settings

if TYPE_CHECKING:  # imported where it is used: it is slow to load
    from lambdo_router.service.remote_routes.remote_store import RemoteStore

Changes = Callable[
    [asyncio.Event, journal.Observer, Callable[[str], None]], AsyncIterator[RoutingTable]
]
"""
Yields each later table, given (reload, observe, nothing_new).

`reload` asks for a check at once, `observe` gets what is to be reported, and `nothing_new` is
called if a reload brought nothing.
"""
Source = tuple[LoadedRoutes | RoutingTable, Changes]
"""The routes to start with, and their changes."""

_DEFAULT_FILE = Path("routes.yaml")


def path_or_address(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> Path | RoutesAddress | None:
    """Convert the argument ROUTES: a path, or an `s3://` or `https://` address."""
    if value is None:
        return None
    try:
        return read_address(value) if is_elsewhere(value) else Path(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


async def open_routes(
    routes: Path | RoutesAddress | None, settings: Settings, ends: AsyncExitStack
) -> Source:
    """
    Load the routes, and print the warnings about them; connections are closed with `ends`.

    Without a name these are routes.yaml, or else the original contract. Raises LambdoError if
    there is nothing to run.
    """
    if isinstance(routes, RoutesAddress):
        return await _remote(routes, settings, ends)
    return _local(routes, settings)


def _local(routes: Path | None, settings: Settings) -> Source:
    if routes is not None or _DEFAULT_FILE.exists():
        load = partial(
            load_routes,
            routes or _DEFAULT_FILE,
            os.environ,
            default_app=settings.fly_app,
            default_region=settings.fly_region,
        )
        first = load()
        print_diagnostics(first.warnings, first.sources)
        return first, partial(tables, load, first)
    if settings.queue_url is None:
        raise SettingsError(
            f"there is no {_DEFAULT_FILE} here; name a routes file (lambdo-router run FILE), "
            "or set LAMBDO_SQS_QUEUE_URL to serve that queue by the original Lambdo's contract"
        )
    table = original_table(
        settings.queue_url,
        app=settings.fly_app,
        region=settings.fly_region,
        batch_size=settings.events_per_machine,
    )
    return table, lambda *_: no_changes()


async def _remote(address: RoutesAddress, settings: Settings, ends: AsyncExitStack) -> Source:
    from lambdo_router.service.remote_routes.cache import Cache
    from lambdo_router.service.remote_routes.following import RoutesOrigin

    def load(path: Path, mirror: Mirror) -> Examined:
        return examine_routes(
            path,
            os.environ,
            default_app=settings.fly_app,
            default_region=settings.fly_region,
            mirror=mirror,
        )

    cache = Cache(_cache_folder(settings), address)
    origin = RoutesOrigin(_place(address), cache, load, poll=settings.routes_poll)
    ends.push_async_callback(origin.aclose)
    start = await origin.start()
    if start.instead:
        print_diagnostics(start.diagnostics, start.sources)
        print_warning(f"{address.shown}: {start.instead}")
    print_diagnostics(start.loaded.warnings, start.loaded.sources)

    async def changes(
        reload: asyncio.Event, observe: journal.Observer, nothing_new: Callable[[str], None]
    ) -> AsyncIterator[RoutingTable]:
        async with aclosing(origin.follow(start.loaded, reload, nothing_new)) as following:
            async for table in reported(following, start.loaded, observe):
                yield table

    return start.loaded, changes


def _cache_folder(settings: Settings) -> Path:
    from lambdo_router.service.remote_routes.cache import cache_folder

    try:
        return cache_folder(settings.routes_cache, os.environ)
    except OSError as error:
        raise SettingsError(
            f"LAMBDO_ROUTES_CACHE is {settings.routes_cache or 'not set'}, and {error.filename} "
            f"is not writable ({error.strerror}); name a folder that the router may write to"
        ) from error


def _place(address: RoutesAddress) -> "RemoteStore":
    if address.scheme == "s3":
        from lambdo_router.service.remote_routes.bucket import Bucket

        return Bucket(address)
    from lambdo_router.service.remote_routes.web import Web

    return Web(address)
