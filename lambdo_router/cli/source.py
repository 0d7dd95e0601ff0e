"""
Where the routes of `run` come from: a file, an address elsewhere, or the original contract.

Each source gives what to begin with, after it has said what there is to say about it, and then
every further table. A file is read and watched; an address is fetched, kept on disk, and asked
whether it has changed; the original contract never changes.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
from click.shell_completion import CompletionItem

from lambdo_router.cli.output.printing import print_diagnostics, print_warning
from lambdo_router.config.compile.original import original_table
from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes, load_routes
from lambdo_router.config.read.mirror import Mirror
from lambdo_router.core import journal
from lambdo_router.core.errors import SettingsError
from lambdo_router.core.routing import RoutingTable
from lambdo_router.service.remote_routes.address import Address, is_elsewhere, read_address
from lambdo_router.service.running import no_changes, tables, told
from lambdo_router.service.settings import Settings

if TYPE_CHECKING:  # imported where they are used: they are slow to load
    from lambdo_router.service.remote_routes.following import RoutesOrigin
    from lambdo_router.service.remote_routes.place import Place

    _ParamType = click.ParamType[Path | Address]
else:
    _ParamType = click.ParamType  # generic for type checkers only

_DEFAULT_FILE = Path("routes.yaml")


class RoutesPlace(_ParamType):
    """A path, or an `s3://` or `https://` address."""

    name = "routes"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path | Address:
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return] # click converts what is converted again
        if not is_elsewhere(value):
            return Path(value)
        try:
            return read_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        return [CompletionItem(incomplete, type="file")]


class Source(Protocol):
    """What `run` asks, in this order."""

    async def first(self) -> LoadedRoutes | RoutingTable:
        """What to begin with. Raises LambdoError if there is nothing to run."""
        ...

    def changes(
        self, reload: asyncio.Event, observe: journal.Observer, nothing_new: Callable[[str], None]
    ) -> AsyncIterator[RoutingTable]:
        """
        Each further table; what is said about them goes to the journal.

        `reload` asks for a look at once; `nothing_new` is called if that brought nothing.
        """
        ...

    async def aclose(self) -> None:
        """Close connections."""
        ...


def source_of(routes: Path | Address | None, settings: Settings) -> Source:
    """
    The routes that are named; without a name routes.yaml, or else the original contract.

    Raises SettingsError if there is none of these.
    """
    if isinstance(routes, Address):
        return _Elsewhere(routes, settings)
    if routes is not None or _DEFAULT_FILE.exists():
        return _File(routes or _DEFAULT_FILE, settings)
    if settings.queue_url is None:
        raise SettingsError(
            f"there is no {_DEFAULT_FILE} here; name a routes file (lambdo-router run FILE), "
            "or set LAMBDO_SQS_QUEUE_URL to serve that queue by the original Lambdo's contract"
        )
    return _Original(
        original_table(
            settings.queue_url,
            app=settings.fly_app,
            region=settings.fly_region,
            batch_size=settings.events_per_machine,
        )
    )


@dataclass(slots=True)
class _Original:
    table: RoutingTable

    async def first(self) -> RoutingTable:
        return self.table

    def changes(
        self,
        reload: asyncio.Event,  # noqa: ARG002 - nothing can be loaded again
        observe: journal.Observer,  # noqa: ARG002
        nothing_new: Callable[[str], None],  # noqa: ARG002
    ) -> AsyncIterator[RoutingTable]:
        return no_changes()

    async def aclose(self) -> None:
        """Nothing is open."""


@dataclass(slots=True)
class _File:
    path: Path
    settings: Settings
    _first: LoadedRoutes | None = None

    async def first(self) -> LoadedRoutes:
        self._first = loaded = self._load()
        print_diagnostics(loaded.warnings, loaded.sources)
        return loaded

    def changes(
        self, reload: asyncio.Event, observe: journal.Observer, nothing_new: Callable[[str], None]
    ) -> AsyncIterator[RoutingTable]:
        return tables(self._load, self._first or self._load(), reload, observe, nothing_new)

    async def aclose(self) -> None:
        """Nothing is open."""

    def _load(self) -> LoadedRoutes:
        return load_routes(
            self.path,
            os.environ,
            default_app=self.settings.fly_app,
            default_region=self.settings.fly_region,
        )


@dataclass(slots=True)
class _Elsewhere:
    address: Address
    settings: Settings
    _origin: "RoutesOrigin | None" = None
    _first: LoadedRoutes | None = None

    async def first(self) -> LoadedRoutes:
        from lambdo_router.service.remote_routes.cache import Cache
        from lambdo_router.service.remote_routes.following import RoutesOrigin

        self._origin = RoutesOrigin(
            _place(self.address),
            Cache(self._cache_folder(), self.address),
            self._load,
            poll=self.settings.routes_poll,
        )
        start = await self._origin.start()
        if start.instead:
            print_diagnostics(start.diagnostics, start.sources)
            print_warning(f"{self.address.shown}: {start.instead}")
        print_diagnostics(start.loaded.warnings, start.loaded.sources)
        self._first = start.loaded
        return start.loaded

    async def changes(
        self, reload: asyncio.Event, observe: journal.Observer, nothing_new: Callable[[str], None]
    ) -> AsyncIterator[RoutingTable]:
        if self._origin is None or self._first is None:
            raise RuntimeError("changes are those after the first")
        following = self._origin.follow(self._first, reload, nothing_new)
        async with aclosing(following) as changes:
            async for table in told(changes, self._first, observe):
                yield table

    async def aclose(self) -> None:
        if self._origin is not None:
            await self._origin.aclose()

    def _load(self, path: Path, mirror: Mirror) -> Examined:
        return examine_routes(
            path,
            os.environ,
            default_app=self.settings.fly_app,
            default_region=self.settings.fly_region,
            mirror=mirror,
        )

    def _cache_folder(self) -> Path:
        from lambdo_router.service.remote_routes.cache import cache_folder

        setting = self.settings.routes_cache
        try:
            return cache_folder(setting, os.environ)
        except OSError as error:
            raise SettingsError(
                f"LAMBDO_ROUTES_CACHE is {setting or 'not set'}, and {error.filename} cannot be "
                f"written ({error.strerror}); name a folder that the router may write to"
            ) from error


def _place(address: Address) -> "Place":
    if address.scheme == "s3":
        from lambdo_router.service.remote_routes.bucket import Bucket

        return Bucket(address)
    from lambdo_router.service.remote_routes.web import Web

    return Web(address)
