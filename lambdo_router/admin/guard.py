"""
What every request must pass, whatever it asks for, and what every answer gets.

A host name that may be somebody else's, a method that nothing here has, and a body that is too
large or takes too long are refused before the app sees them. Answers forbid browsers all that they
do not need.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdo_router.admin.answers import failure
from lambdo_router.admin.hosts import Hosts

LARGEST_BODY: Final = 1_200_000
"""Bytes; the largest is the page's form, with a message of up to 1 MiB in it."""
_BODY_TAKES: Final = 20.0
"""Seconds that a request may take for its body; its connection has a deadline too (serving.py)."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST"})
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI app in front of another."""

    app: ASGIApp
    hosts: Hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(scope["method"], headers)
        if refusal is not None:
            await refusal(scope, receive, _hardened(send))
            return
        await self.app(scope, _limited(receive), _hardened(send))

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if len(headers.getlist("host")) != 1 or not self.hosts.allow(host):
            return failure(
                421,
                f"this server is not known as {host[:100]!r}; call it by its address or its name "
                "in the private network, or list the name in LAMBDO_ADMIN_HOSTS",
            )
        if method not in _METHODS:
            return failure(405, f"there is no {method[:20]} here", {"Allow": _list(_METHODS)})
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > LARGEST_BODY:  # noqa: PLR2004
            return failure(413, f"a request has at most {LARGEST_BODY} bytes")
        return None


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _limited(receive: Receive) -> Receive:
    """The body, as long as it is short enough and comes in time."""
    deadline = asyncio.get_running_loop().time() + _BODY_TAKES
    size, complete = 0, False

    async def limited() -> Message:
        nonlocal size, complete
        if complete:
            return await receive()  # waits for the client to leave
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, f"the body took more than {_BODY_TAKES:.0f} s") from None
        size += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        if size > LARGEST_BODY:
            raise HTTPException(413, f"a request has at most {LARGEST_BODY} bytes")
        return message

    return limited


def _hardened(send: Send) -> Send:
    async def hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return hardened
