"""
What every request must pass, whatever it asks for, and what every answer gets.

Refused before the app sees them: a host name that may be somebody else's, a method that nothing
here has, and a body that is too large or takes too long. Answers forbid browsers whatever they do
not need.

On host names: a page on the internet can have its own name point to a private address, and then
read from there what the visitor's browser can reach (DNS rebinding). Such a name is public. So
addresses are allowed, and names that no public DNS has: `localhost`, those without a period, and
those of private networks. Others have to be listed.
"""

import asyncio
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdo_router.admin.answers import failure

LARGEST_BODY: Final = 1_200_000
"""Bytes; the largest is the page's form, with a message of up to 1 MiB in it."""
_BODY_TAKES: Final = 20.0
"""Seconds that a request may take for its body; its connection has a deadline too (serving.py)."""
_METHODS: Final = ("GET", "HEAD", "POST")
_PRIVATE: Final = (".internal", ".flycast", ".local", ".localhost")
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
class Hosts:
    """Names that are allowed beside the private ones, in lower case and without a port."""

    names: frozenset[str] = frozenset()

    def allow(self, header: str) -> bool:
        """Whether a request with this `Host` header is meant for this server."""
        name = host_of(header)
        if name is None:
            return False
        if name in self.names or "." not in name or name.endswith(_PRIVATE):
            return True
        return _is_address(name)


def hosts_of(names: Iterable[str]) -> Hosts:
    """
    Return these names, which may have a port or be URLs.

    Raises ValueError, with the text that is wrong, for one that is neither.
    """
    found = []
    for name in names:
        host = (urlsplit(name).hostname if "://" in name else host_of(name)) or ""
        if not host:
            raise ValueError(name)
        found.append(host)
    return Hosts(frozenset(found))


def host_of(header: str) -> str | None:
    """Return the name or address of a `Host` header, in lower case; None if it is malformed."""
    if any(character in header for character in "/@?# \t\\"):
        return None
    try:
        parts = urlsplit(f"//{header}")
        port = parts.port  # raises ValueError for one that is not a number
    except ValueError:
        return None
    name = (parts.hostname or "").rstrip(".")
    # An IPv6 address has no period, and must not pass for a name because of that.
    if port == 0 or not name or (":" in name and not _is_address(name)):
        return None
    return name


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI app in front of another."""

    app: ASGIApp
    hosts: Hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope["method"], Headers(scope=scope))
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
            allowed = {"Allow": ", ".join(_METHODS)}
            return failure(405, f"there is no {method[:20]} here", allowed)
        length = headers.get("content-length", "0")
        if not length.isdecimal() or len(length) > 15 or int(length) > LARGEST_BODY:  # noqa: PLR2004
            return failure(413, f"a request has at most {LARGEST_BODY} bytes")
        return None


def _limited(receive: Receive) -> Receive:
    """Receive the body, as long as it is short enough and comes in time."""
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
