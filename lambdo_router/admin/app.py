"""The ASGI app of the router's own server, and what anybody on the private network may read."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from lambdo_router.admin.answers import JsonAnswer, failure_handlers
from lambdo_router.admin.guard import Guard, Hosts
from lambdo_router.admin.reloading import ReloadOutcome, reload_route
from lambdo_router.admin.reporting import report_route
from lambdo_router.core import journal
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.telemetry.status import Status

_ONLY_PRIVATE = Hosts()


@dataclass(frozen=True, slots=True)
class Watched:
    """What the server shows of a router."""

    status: Callable[[], Status]
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]]
    """From an `Accept` header to the metrics and their content type."""
    reload: Callable[[], Awaitable[ReloadOutcome]] | None = None
    """None: there is no file to reload."""
    token: str | None = field(default=None, repr=False)
    """What allows a reload; None: nobody may."""


def admin_app(
    reports: FailureReports,
    watched: Watched | None = None,
    *,
    observe: journal.Observer = lambda _: None,
    hosts: Hosts = _ONLY_PRIVATE,
    more: Sequence[BaseRoute] = (),
) -> ASGIApp:
    """
    Return the app; without `watched` it takes reports only.

    `observe` gets a fact for each report, `hosts` are names that the server may be called by, and
    `more` are further routes, whose answers may have their own Content-Security-Policy.
    """
    routes: list[BaseRoute] = [report_route(reports, observe), *more]
    if watched is not None:
        routes += _readable(watched)
        routes.append(reload_route(watched.reload, watched.token))
    return Guard(Starlette(routes=routes, exception_handlers=failure_handlers()), hosts)


def _readable(watched: Watched) -> list[Route]:
    async def healthz(request: Request) -> Response:  # noqa: ARG001 - starlette's signature
        # An answer is all that it takes: the event loop is running.
        return JsonAnswer({"alive": True})

    async def readyz(request: Request) -> Response:  # noqa: ARG001
        now = watched.status()
        answer = {
            "ready": now.health.ready,
            "state": now.router.state,
            "generation": now.router.generation,
            "checks": now.health.checks,
            "concerns": now.health.concerns,
        }
        return JsonAnswer(answer, 200 if now.health.ready else 503)

    async def status(request: Request) -> Response:  # noqa: ARG001
        return JsonAnswer(watched.status())

    async def metrics(request: Request) -> Response:
        body, content_type = await watched.metrics(request.headers.get("accept", ""))
        # Not as media_type: starlette would add a second charset.
        return Response(body, headers={"Content-Type": content_type})

    endpoints = (healthz, readyz, status, metrics)
    return [Route(f"/{endpoint.__name__}", endpoint) for endpoint in endpoints]
