"""
Keeps browsers out of the embedded servers.

These trust whoever reaches them, and they listen on this machine only. But a browser on it reaches
them too, on behalf of any page: by a name of the page's own that leads here (DNS rebinding), or by
a request across origins, whose answer the page may not read but whose effect it gets. The first
comes with a foreign `Host`, the second with an `Origin`; no client of SQS or Fly sends either.
"""

from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from lambdo_router.admin.guard import Hosts


@dataclass(frozen=True, slots=True)
class Door:
    """An ASGI app that refuses requests from foreign pages, and passes on all others."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (why := _refusal(Headers(scope=scope))):
            # As SQS spells a refusal and as Fly does.
            answer = {"__type": "AccessDenied", "message": why, "error": why}
            await JSONResponse(answer, 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _refusal(headers: Headers) -> str:
    hosts, origins = headers.getlist("host"), headers.getlist("origin")
    if len(hosts) != 1 or not Hosts().allow(hosts[0]):
        name = ", ".join(hosts)[:100]
        return f"this server is not known as {name!r}; call it by its address, or as localhost"
    if any(origin.lower() != f"http://{hosts[0]}".lower() for origin in origins):
        return f"pages of {origins[0][:100]!r} may not use this server"
    return ""
