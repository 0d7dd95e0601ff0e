"""
HTTP over aiohttp, for SQS and for Fly: connections that stay open, and answers with a bound.

A session keeps no cookies and unpacks nothing. aiohttp never repeats a POST; `Once` is for the
other methods.
"""

import asyncio
import io
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakSet

import aiohttp
import certifi
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from lambdo_router.adapters.daemon_thread import in_daemon_thread
from lambdo_router.core.errors import SettingsError
from lambdo_router.core.urls import is_http

_IDLE_FOR: Final = 5.0
"""Seconds; servers and what stands before them close idle connections without a word."""


class TooLong(Exception):
    """An answer is longer than its bound."""


class Lost(NamedTuple):
    """What it means that a request has no answer."""

    words: str
    sent: bool
    """Whether the server may have got the request, and so may have done what it asks for."""


FAILURES: Final[Mapping[type[Exception], Lost]] = {
    aiohttp.ClientConnectorError: Lost("cannot connect", sent=False),
    aiohttp.ConnectionTimeoutError: Lost("no connection in time", sent=False),
    aiohttp.ClientProxyConnectionError: Lost("cannot connect to the proxy", sent=False),
    aiohttp.ClientHttpProxyError: Lost("the proxy refuses", sent=False),
    aiohttp.InvalidURL: Lost("the address cannot be used", sent=False),
    aiohttp.InvalidUrlRedirectClientError: Lost("the answer leads astray", sent=True),
    aiohttp.ServerDisconnectedError: Lost("the connection was closed", sent=True),
    aiohttp.ClientOSError: Lost("the connection broke", sent=True),
    aiohttp.ServerTimeoutError: Lost("no answer in time", sent=True),
    aiohttp.ClientPayloadError: Lost("the answer broke off", sent=True),
    aiohttp.ClientResponseError: Lost("the answer breaks HTTP", sent=True),
    TooLong: Lost("the answer is too long", sent=True),
    TimeoutError: Lost("no answer in time", sent=True),
    # What the ones above have in common, in case aiohttp grows another.
    aiohttp.ClientError: Lost("the request failed", sent=True),
    OSError: Lost("the connection broke", sent=True),
}
"""What a request may raise. A class that does not prove that nothing was sent counts as sent."""


def lost(kind: type[Exception]) -> Lost:
    """Return what one of FAILURES means, or a class below one of them."""
    return next(FAILURES[each] for each in kind.__mro__ if each in FAILURES)


class NoAnswer(Exception):
    """A request has no whole answer; the text says how that came."""

    def __init__(self, error: Exception) -> None:
        """Read it from one of FAILURES."""
        means = lost(type(error))
        detail = _said(error)
        super().__init__(f"{means.words} ({detail})" if detail else means.words)
        self.sent = means.sent
        """Whether the server may have done what the request asks for."""


def _said(error: Exception) -> str:
    """Return what a failure says, without an address: a proxy's may have a password in it."""
    match error:
        case aiohttp.ClientConnectorError(os_error=reason):
            return str(reason)
        case aiohttp.ClientResponseError(status=status, message=message):
            return f"{status} {message}".strip()
        case aiohttp.InvalidURL() | aiohttp.ServerDisconnectedError():
            return ""
        case _:
            return str(error)


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests go, and how."""

    url: str
    """Scheme, host, port and path."""
    context: ssl.SSLContext | bool = True
    """For https; True has no meaning for http."""
    proxy: str | None = None


class Once:
    """
    A middleware for one request, which aiohttp then sends only once.

    A GET or a DELETE whose connection breaks is repeated otherwise, on whichever connection.
    """

    def __init__(self) -> None:
        """Use each for one request."""
        self._failure: Exception | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Fail a second try as the first one failed."""
        if self._failure is not None:
            raise self._failure
        try:
            return await handler(request)
        except Exception as error:
            self._failure = error
            raise


class _Resolver(AbstractResolver):
    """Looks names up in daemon threads: a stop must not wait for a name server."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await in_daemon_thread(
            partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM), f"name-{host}"
        )
        numeric = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=numeric,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Nothing is open."""


class _Connector(aiohttp.TCPConnector):
    """Opens connections, and never reuses one on which the server has spoken unasked."""

    def __init__(self) -> None:
        """Open any number of connections: callers bound their calls."""
        super().__init__(
            limit=0,
            keepalive_timeout=_IDLE_FOR,
            happy_eyeballs_delay=0.25,  # RFC 8305
            resolver=_Resolver(),
        )
        self._used: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - as in aiohttp
    ) -> Connection:
        """
        Return a connection, new or idle.

        What a server says to an idle connection, such as a 408, aiohttp takes for the answer to the
        next request.
        """
        while True:
            try:
                connection = await super().connect(req, traces, timeout)
            except UnicodeError as error:  # a host name that no look-up takes
                reason = OSError(str(error))
                raise aiohttp.ClientConnectorDNSError(req.connection_key, reason) from error
            protocol = connection.protocol
            if protocol is None or protocol not in self._used:
                break
            if not protocol.should_close:
                return connection
            connection.close()
        if protocol is not None:
            self._used.add(protocol)
        return connection


class HttpSession:
    """Connections to any number of servers, opened as they are needed. Close it after use."""

    def __init__(self) -> None:
        """Open nothing yet."""
        self._opened: aiohttp.ClientSession | None = None
        self._closed = False

    def open(self) -> aiohttp.ClientSession:
        """
        Return the session of aiohttp, which belongs to the running loop.

        Raises ClientConnectionError once it is closed.
        """
        if self._closed:
            raise aiohttp.ClientConnectionError("the connections are closed")
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=_Connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        return self._opened

    async def aclose(self) -> None:
        """Close the connections; requests under way fail."""
        self._closed = True
        if self._opened is not None:
            await self._opened.close()
            await asyncio.sleep(0)  # the loop closes the sockets in its next turn


def server_at(url: str, *, certificates: str | None = None, direct: bool = False) -> Server:
    """
    Return how to reach the server of a URL.

    `certificates` is a file of those to trust in place of the system's. `direct` asks no proxy,
    else the environment may name one. Raises SettingsError for a proxy or certificates that are
    none.
    """
    proxy = None if direct else _proxy_for(url)
    secure = any((it or "").startswith("https:") for it in (url, proxy))
    return Server(url, tls_context(certificates) if secure else True, proxy)


def tls_context(certificates: str | None = None) -> ssl.SSLContext:
    """
    Trust the system's certificates (SSL_CERT_FILE, SSL_CERT_DIR), or those of a file.

    Raises SettingsError for a file that has none.
    """
    system = ssl.get_default_verify_paths()
    if certificates is None and not (
        system.cafile or (system.capath and any(Path(system.capath).iterdir()))
    ):
        certificates = certifi.where()  # as on a Mac with Python's own installer
    try:
        return _context(certificates, system)
    except OSError as error:  # ssl's are among them
        raise SettingsError(
            f"no certificates can be read from {certificates} ({error}), which AWS_CA_BUNDLE or "
            "ca_bundle names"
        ) from None


@cache
def _context(certificates: str | None, _system: ssl.DefaultVerifyPaths) -> ssl.SSLContext:
    """Make one for all servers: it takes a megabyte, and 30 ms."""
    return ssl.create_default_context(cafile=certificates)


def payload(body: bytes) -> bytes | io.BytesIO:
    """Return a body as aiohttp wants it: one above 1 MiB in pieces, so that the loop goes on."""
    return body if len(body) <= 2**20 else io.BytesIO(body)


async def beginning_of(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer; of one that has more than `most` bytes, so many and a few."""
    body = await response.content.readany()
    if response.content.at_eof():
        return body
    pieces, come = [body], len(body)
    while come <= most and (piece := await response.content.readany()):
        pieces.append(piece)
        come += len(piece)
    return b"".join(pieces)


async def read_within(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return the body of an answer. Raises TooLong for one of more than `most` bytes."""
    body = await beginning_of(response, most)
    if len(body) > most:
        raise TooLong(f"it has over {most} bytes")
    return body


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if proxy_bypass(parts.hostname or ""):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not is_http(proxy):
        # Its address is not repeated: it may have a password in it.
        raise SettingsError(
            "the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names is none that can be used: "
            "write http://HOST:PORT, or leave the host out with NO_PROXY"
        )
    return proxy
