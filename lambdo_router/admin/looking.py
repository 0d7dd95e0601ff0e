"""What anybody on the private network may look at: is it alive, is it ready, what does it do."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdo_router.admin.answers import JsonAnswer
from lambdo_router.telemetry.status import Status

Exposition = Callable[[str], Awaitable[tuple[bytes, str]]]
"""From an `Accept` header to the metrics and their content type."""


def looking_routes(status: Callable[[], Status], metrics: Exposition) -> list[Route]:
    """The routes, all of them for GET and HEAD."""

    async def healthz(request: Request) -> Response:  # noqa: ARG001 - starlette's signature
        # That this is answered at all is the point: the event loop turns.
        return JsonAnswer({"alive": True})

    async def readyz(request: Request) -> Response:  # noqa: ARG001
        now = status()
        answer = {
            "ready": now.health.ready,
            "state": now.router.state,
            "generation": now.router.generation,
            "checks": now.health.checks,
            "concerns": now.health.concerns,
        }
        return JsonAnswer(answer, 200 if now.health.ready else 503)

    async def everything(request: Request) -> Response:  # noqa: ARG001
        return JsonAnswer(status())

    async def exposed(request: Request) -> Response:
        body, content_type = await metrics(request.headers.get("accept", ""))
        # Not as media_type: starlette would add a second charset.
        return Response(body, headers={"Content-Type": content_type})

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/status", everything),
        Route("/metrics", exposed),
    ]
