"""
HTTP/1.1 over connections that stay open: a transport for httpx that costs little.

h11 speaks the protocol, and asyncio has the sockets. httpx's own transport takes twice the CPU for
a create, and three times with many connections, since it looks at each of them before every
request (docs/decisions/0015-connections-to-fly.md has the figures).

Nothing is tried twice, no redirect is followed, and one server is spoken to. Failures are those of
httpx, which tell whether the request can have reached the server.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import h11
import httpx

from lambdo_router.adapters.fly.address import is_private
from lambdo_router.core.errors import SettingsError

_IDLE_FOR: Final = 5.0
"""Seconds; servers and what stands before them close idle connections without a word."""
_PIECE: Final = 64 * 1024
_LARGEST_HEAD: Final = 100 * 1024
"""Bytes of all the headers of an answer."""
_MOST_NOTES: Final = 10
"""Answers of the 100s, which only tell that the answer is still to come."""
_MOST_CRUMBS: Final = 1000
_CRUMB: Final = 16
"""Bytes: pieces of an answer that are shorter cost more than they bring, so only so many of them
are taken."""
_HAPPY_EYEBALLS: Final = 0.25
"""Seconds until another address of the host is tried beside one that does not answer (RFC 8305)."""


def transport_to(address: str, *, most: int) -> httpx.AsyncBaseTransport:
    """
    Straight to a server, or through the proxy that the environment names for it, which is httpx's.

    At most `most` connections at once. Raises SettingsError for a proxy that is none.
    """
    parts = urlsplit(address)
    if not is_private(address) and not proxy_bypass(parts.hostname or ""):
        proxies = getproxies()
        if proxy := proxies.get(parts.scheme) or proxies.get("all"):
            return _through(proxy if "://" in proxy else f"http://{proxy}", most)
    context = httpx.create_ssl_context() if parts.scheme == "https" else None
    return Connections(most=most, context=context)


def _through(proxy: str, most: int) -> httpx.AsyncBaseTransport:
    try:
        return httpx.AsyncHTTPTransport(proxy=proxy, limits=httpx.Limits(max_connections=most))
    except (ValueError, ImportError, httpx.InvalidURL):
        # What they say repeats the address, which may have a password in it.
        raise SettingsError(
            "the proxy that HTTP_PROXY, HTTPS_PROXY or ALL_PROXY names is none that can be used: "
            "write http://HOST:PORT, or leave the API's host out with NO_PROXY"
        ) from None


class Connections(httpx.AsyncBaseTransport):
    """The connections to one server; at most `most` at once, a request beyond waits for one."""

    def __init__(self, *, most: int, context: ssl.SSLContext | None = None) -> None:
        """`context` is needed for https."""
        self._context = context
        self._places = asyncio.Semaphore(most)
        self._open: set[_Connection] = set()
        self._idle: deque[_Connection] = deque()
        """The one that was used last is at the end."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return the answer, whose body is still to be read. It must be closed in any case."""
        timeouts: Mapping[str, float | None] = request.extensions.get("timeout", {})
        with _told_as(httpx.PoolTimeout, httpx.PoolTimeout):
            async with asyncio.timeout(timeouts.get("pool")):
                await self._places.acquire()
        connection: _Connection | None = None
        try:
            connection = self._take_idle() or await self._connect(request, timeouts)
            await connection.send(request, timeouts.get("write"))
            head = await connection.head(timeouts.get("read"))
        except BaseException:
            self._let_go(connection, usable=False)
            raise
        return httpx.Response(
            head.status_code,
            headers=head.headers.raw_items(),
            stream=_Body(self, connection, timeouts.get("read")),
            extensions={"reason_phrase": bytes(head.reason)},
            request=request,
        )

    async def aclose(self) -> None:
        """Close all connections; requests under way fail."""
        for connection in self._open:
            connection.abort()
        self._open.clear()
        self._idle.clear()

    def _take_idle(self) -> "_Connection | None":
        """Return the connection used last, which the server is least likely to close soon."""
        while self._idle:
            connection = self._idle.pop()
            if connection.is_fresh():
                return connection
            self._close(connection)
        return None

    async def _connect(
        self, request: httpx.Request, timeouts: Mapping[str, float | None]
    ) -> "_Connection":
        url = request.url
        host = url.raw_host.decode("ascii")
        secure = url.scheme == "https"
        with _told_as(httpx.ConnectError, httpx.ConnectTimeout):
            async with asyncio.timeout(timeouts.get("connect")):
                loop, reader = asyncio.get_running_loop(), _BodyReader(limit=_PIECE)
                transport, protocol = await loop.create_connection(
                    lambda: asyncio.StreamReaderProtocol(reader),
                    host,
                    url.port or (443 if secure else 80),
                    ssl=self._context if secure else None,
                    happy_eyeballs_delay=_HAPPY_EYEBALLS,
                )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = _Connection(reader, writer)
        self._open.add(connection)
        return connection

    def _let_go(self, connection: "_Connection | None", *, usable: bool) -> None:
        """Keep the connection of a request that has ended, if it can serve the next one."""
        self._places.release()
        while self._idle and not self._idle[0].is_fresh():
            self._close(self._idle.popleft())
        if connection is None:
            return
        if usable and connection in self._open and connection.rest():
            self._idle.append(connection)
        else:
            self._close(connection)

    def _close(self, connection: "_Connection") -> None:
        self._open.discard(connection)
        connection.abort()


class _BodyReader(asyncio.StreamReader):
    """Knows how much has come, read or not."""

    come = 0

    def feed_data(self, data: bytes) -> None:  # type: ignore[override] # it never gets anything else
        self.come += len(data)
        super().feed_data(data)


class _Connection:
    """One socket, and where its HTTP stands."""

    def __init__(self, reader: _BodyReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._read = 0
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._idle_until = 0.0

    def is_fresh(self) -> bool:
        """Return whether an idle connection can be used: recent, and without data meanwhile."""
        young = asyncio.get_running_loop().time() < self._idle_until
        closed = self._reader.at_eof() or self._writer.is_closing()
        return young and not closed and self._reader.come == self._read

    def rest(self) -> bool:
        """Become idle after an answer; False if the server, or HTTP, wants no more requests."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        if self._http.trailing_data[0]:
            return False
        self._http.start_next_cycle()
        self._idle_until = asyncio.get_running_loop().time() + _IDLE_FOR
        return True

    def abort(self) -> None:
        self._writer.transport.abort()

    async def send(self, request: httpx.Request, patience: float | None) -> None:
        """
        Send the whole request.

        A server may answer and hang up before it has read everything: a connection that breaks
        here may still have its answer, so that is left to the reading.
        """
        with _told_as(httpx.WriteError, httpx.WriteTimeout):
            content = await request.aread()
            head = h11.Request(
                method=request.method, target=request.url.raw_path, headers=request.headers.raw
            )
            message = [self._http.send(head)]
            if content:
                message.append(self._http.send(h11.Data(data=content)))
            message.append(self._http.send(h11.EndOfMessage()))
            self._writer.write(b"".join(part or b"" for part in message))
            try:
                async with asyncio.timeout(patience):
                    await self._writer.drain()
            except ConnectionError:
                if self._reader.exception() is not None:
                    raise

    async def head(self, patience: float | None) -> h11.Response:
        """Status and headers."""
        for _ in range(_MOST_NOTES + 1):
            event = await self._event(patience)
            if isinstance(event, h11.Response):
                return event
        raise httpx.RemoteProtocolError("it repeats without end that it is still to come")

    async def body(self, patience: float | None) -> AsyncIterator[bytes]:
        """Yield the rest of the answer."""
        crumbs = 0
        while isinstance(event := await self._event(patience), h11.Data):
            crumbs += len(event.data) < _CRUMB
            if crumbs > _MOST_CRUMBS:
                raise httpx.RemoteProtocolError("it comes in crumbs")
            yield bytes(event.data)

    async def _event(self, patience: float | None) -> object:
        with _told_as(httpx.ReadError, httpx.ReadTimeout):
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(patience):
                    data = await self._reader.read(_PIECE)
                self._read += len(data)
                self._http.receive_data(data)
            return event


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, connections: Connections, connection: _Connection, patience: float | None
    ) -> None:
        self._connections = connections
        self._connection = connection
        self._patience = patience
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._connection.body(self._patience):
            yield piece

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._connections._let_go(self._connection, usable=True)  # noqa: SLF001 - its other half


@contextmanager
def _told_as(
    broken: type[httpx.TransportError], late: type[httpx.TransportError]
) -> Iterator[None]:
    """In httpx's words."""
    try:
        yield
    except TimeoutError as error:
        raise late(str(error)) from error
    except h11.LocalProtocolError as error:
        raise httpx.LocalProtocolError(str(error)) from error
    except h11.RemoteProtocolError as error:
        raise httpx.RemoteProtocolError(str(error)) from error
    except (OSError, UnicodeError) as error:  # UnicodeError: a host name that no lookup takes
        raise broken(str(error)) from error
