"""
The router's own HTTP server: for who looks on, and for the reports of running Machines.

    GET  /healthz             200 while the process does anything at all
    GET  /readyz              200 or 503, and why
    GET  /status              everything that is known, as JSON
    GET  /metrics             for Prometheus
    POST /-/reload            load the routes file now; needs LAMBDO_ADMIN_TOKEN
    POST /reports/{batch id}  from a Machine, with the token of its batch

Looking needs no secret, since the port is on a private network, and no answer holds one. What
changes something needs a token. Everything goes through `Guard` (guard.py) first.

`admin_app` is for `serving.serve`. A page, or whatever else is to be served here, comes as more
routes.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from lambdo_router.admin.answers import failure_handlers
from lambdo_router.admin.changes import Changes, TooManyWatchers
from lambdo_router.admin.guard import Guard
from lambdo_router.admin.hosts import Hosts
from lambdo_router.admin.looking import Exposition, looking_routes
from lambdo_router.admin.reloading import Reloading, ReloadOutcome, reload_route
from lambdo_router.admin.reporting import report_route
from lambdo_router.core import journal
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.telemetry.status import Status


@dataclass(frozen=True, slots=True)
class Watched:
    """What is there to look at."""

    status: Callable[[], Status]
    metrics: Exposition
    reload: Callable[[], Awaitable[ReloadOutcome]] | None = None
    """None: there is no file that could be loaded again."""
    token: str | None = field(default=None, repr=False)
    """What allows to change something; None: nobody may."""


_ONLY_PRIVATE = Hosts()


def _nobody(fact: journal.Fact) -> None:
    """Observes nothing."""


def admin_app(
    reports: FailureReports,
    watched: Watched | None = None,
    *,
    observe: journal.Observer = _nobody,
    hosts: Hosts = _ONLY_PRIVATE,
    more: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """
    The ASGI app. Without `watched` there are the reports only.

    `observe` is told of reports. `hosts` are the names that it may be called by. `more` are further
    routes; an answer of theirs may have its own Content-Security-Policy.
    """
    routes: list[BaseRoute] = [report_route(reports, observe), *more]
    if watched is not None:
        routes += looking_routes(watched.status, watched.metrics)
        routes.append(reload_route(watched.reload, watched.token))
    return Guard(Starlette(routes=routes, exception_handlers=failure_handlers()), hosts)


__all__ = [
    "Changes",
    "Hosts",
    "ReloadOutcome",
    "Reloading",
    "TooManyWatchers",
    "Watched",
    "admin_app",
]
