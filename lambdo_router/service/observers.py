"""
All that looks on at one router, and the server that shows it: for `run` and `dev`.

The overview, the metrics and whoever watches a page are observers of the same journal as the logs.
None of them is on the way of a message, and the router knows of none.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from lambdo_router.admin import Reloading, Watched, admin_app
from lambdo_router.admin.guard import Hosts, hosts_of
from lambdo_router.admin.page import Page
from lambdo_router.admin.serving import Bounds, serve
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core import journal
from lambdo_router.core.errors import SettingsError
from lambdo_router.core.prices import Prices
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.service.loaded import places
from lambdo_router.service.open_files import most_connections
from lambdo_router.service.settings import Settings
from lambdo_router.telemetry.metrics import Metrics
from lambdo_router.telemetry.status import Overview, Status

log = structlog.get_logger()

_NOTHING = Snapshot("", (), ())


class Observers:
    """One for each router. `observe` is for the router, `watched` for the server."""

    def __init__(
        self,
        first: LoadedRoutes | RoutingTable,
        reload: asyncio.Event,
        also: journal.Observer,
        wall: Callable[[], float] = time.time,
        prices: Prices | None = None,
    ) -> None:
        """
        `first` is what the router begins with; `also` is told of everything, before the rest.

        `prices` is what costs are estimated by; None: the table that comes with this version.
        """
        self._can_reload = isinstance(first, LoadedRoutes)
        self._levels: Callable[[], Snapshot] = lambda: _NOTHING
        where = places(first) if isinstance(first, LoadedRoutes) else {}
        self.overview = Overview(wall, where)
        self.metrics = Metrics(self.levels, wall, prices=prices)
        self.reloading = Reloading(reload)
        self.page = Page(self.status, lambda: self.overview.table, wall)
        self.observe = journal.all_of(
            also,
            self.overview.observe,
            self.metrics.observe,
            self.reloading.observe,
            self.page.observe,
        )

    def look_at(self, levels: Callable[[], Snapshot]) -> None:
        """The router is there: what it holds can be asked for."""
        self._levels = levels

    def levels(self) -> Snapshot:
        """What the router holds; nothing before there is one."""
        return self._levels()

    def status(self) -> Status:
        """How things are at this moment."""
        return self.overview.status(self.levels())

    def watched(self, token: str | None = None) -> Watched:
        """What the server shows; `token` is what it takes to change something."""
        reload = self.reloading.ask if self._can_reload else None
        return Watched(self.status, self.metrics.scraped, reload, token)


async def listen(
    ends: AsyncExitStack, settings: Settings, reports: FailureReports, lookout: Observers
) -> None:
    """Serve what there is to see, and take reports, until `ends`. Raises SettingsError."""
    token = None if settings.admin_token is None else settings.admin_token.reveal()
    app = admin_app(
        reports,
        lookout.watched(token),
        observe=lookout.observe,
        hosts=_hosts(settings),
        more=lookout.page.routes(),
    )
    host, port = settings.admin_host, settings.admin_port
    try:
        url = await ends.enter_async_context(serve(app, host, port, Bounds(most_connections())))
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host} port {port} ({error.strerror}); set LAMBDO_ADMIN_PORT to a "
            "free port, LAMBDO_ADMIN_HOST to an address of this machine, or run with --no-admin"
        ) from error
    log.info("admin.listening", url=url)


def _hosts(settings: Settings) -> Hosts:
    own = () if settings.report_url is None else (settings.report_url,)
    try:
        return hosts_of((*settings.admin_hosts, *own))
    except ValueError as error:
        raise SettingsError(
            f"{str(error)!r} is no name of a host; LAMBDO_ADMIN_HOSTS lists names such as "
            "router.example.com, with commas between them"
        ) from error
