"""
The observers of one router, and the server that shows what they know: for `run` and `dev`.

Status, metrics and the page observe the same journal as the logs. None of them can delay or stop a
message, and the router does not know them.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

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
from lambdo_router.core.structured_log import structlog
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.service.loaded import places
from lambdo_router.service.open_files import most_connections
from lambdo_router.service.settings import Settings
from lambdo_router.telemetry.metrics import Metrics
from lambdo_router.telemetry.status import Overview, Status

log = structlog.get_logger()

_NOTHING = Snapshot("", (), ())


class Observers:
    """The observers of one router. The router calls `observe`, the server reads `watched`."""

    def __init__(
        self,
        first: LoadedRoutes | RoutingTable,
        reload: asyncio.Event,
        also: journal.Observer,
        clock: Callable[[], float] = time.time,
        prices: Prices | None = None,
    ) -> None:
        """
        Observe a router that starts with `first`; `also` gets every fact before the others.

        `prices` is the table that costs are estimated by; None: the one that comes with this
        version.
        """
        self._can_reload = isinstance(first, LoadedRoutes)
        self._take_snapshot: Callable[[], Snapshot] = lambda: _NOTHING
        where = places(first) if isinstance(first, LoadedRoutes) else {}
        self.overview = Overview(clock, where)
        self.metrics = Metrics(self.snapshot, clock, prices=prices)
        self.reloading = Reloading(reload)
        self.page = Page(self.status, lambda: self.overview.table, clock)
        self.observe = journal.Dispatch(
            also,
            self.overview.observe,
            self.metrics.observe,
            dict.fromkeys(Reloading.READS, self.reloading.observe),
            self.page.observe,
        )

    def watch(self, snapshot: Callable[[], Snapshot]) -> None:
        """Take snapshots of the router from now on; before, it holds nothing."""
        self._take_snapshot = snapshot

    def snapshot(self) -> Snapshot:
        """Return what the router holds and runs."""
        return self._take_snapshot()

    def status(self) -> Status:
        """Return the status of this moment."""
        return self.overview.status(self.snapshot())

    def watched(self, token: str | None = None) -> Watched:
        """Return what the server shows; `token` is required for requests that change something."""
        reload = self.reloading.ask if self._can_reload else None
        return Watched(self.status, self.metrics.scraped, reload, token)


async def listen(
    ends: AsyncExitStack, settings: Settings, reports: FailureReports, observers: Observers
) -> None:
    """Serve status, metrics, the page and reports until `ends` closes. Raises SettingsError."""
    token = None if settings.admin_token is None else settings.admin_token.reveal()
    app = admin_app(
        reports,
        observers.watched(token),
        observe=observers.observe,
        hosts=_hosts(settings),
        more=observers.page.routes(),
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
            f"{str(error)!r} is not a host name; LAMBDO_ADMIN_HOSTS lists names such as "
            "router.example.com, separated by commas"
        ) from error
