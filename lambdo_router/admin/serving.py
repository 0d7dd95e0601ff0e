"""
Serves an ASGI app from the running event loop for as long as a block lasts.

The embedded servers share a process with the router and the tests, so uvicorn gets no signal
handlers and no ticking main loop here. At the end every open connection is cut, long polls
included, as if the machine had gone away.

A served app can also cut the connection of a single request with `cut(scope)`, which no ASGI
message can do. A server that strangers reach gets `Bounds`.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar, Final, cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

_CUT = "lambdo.cut"
_EVERYWHERE = "::"
_PATIENCE = 5
"""Seconds that requests get to end after their connections were cut."""
_KEEP_ALIVE: Final = 60
"""Seconds that a connection may idle between two requests, or take to fetch an answer."""
_ACCEPTED_AT_ONCE: Final = 16
"""Connections that are accepted before one of them is counted, and may be cut."""
_BACKLOG: Final = 2048
"""Connections that the kernel holds until they are accepted."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How long, and how often at once, clients may keep a server waiting.

    The server waits for a client to send a request, or the rest of one, or to fetch an answer.
    These bounds do not concern a request that is being answered: there the client waits.
    """

    connections: int
    """At once. One more cuts the one that has kept the server waiting the longest."""
    request: float = 30.0
    """Seconds from the connection's beginning, or the first byte after idling, to the request's
    end."""
    unsent: int = 16 * 1024 * 1024
    """Bytes of unfetched answers; beyond it the oldest are discarded."""


@asynccontextmanager
async def serve(
    app: ASGIApp, host: str = "127.0.0.1", port: int = 0, bounds: Bounds | None = None
) -> AsyncIterator[str]:
    """
    Serve `app` while the block runs; yield its base URL, like `http://127.0.0.1:40123`.

    Port 0 picks a free one. The host `::` means all IPv6 and IPv4 addresses of this machine, or all
    IPv4 addresses where there is no IPv6. Raises OSError if the port is taken. At the end
    connections are cut, running requests are cancelled, and the app's lifespan is ended, in this
    order.
    """
    listener = _listener(host, port)
    closing = asyncio.Event()
    server = _server(_ending_with(closing, app), bounds)
    try:
        await server.startup(sockets=[listener])
        listener.listen(_BACKLOG)  # asyncio has one number for this and for accepting in one go
    except BaseException:
        listener.close()
        raise
    host, port = listener.getsockname()[:2]
    address = f"[{host}]" if ":" in host else host
    try:
        yield f"http://{address}:{port}"
    finally:
        closing.set()
        await _stop(server)


def cut(scope: Scope) -> None:
    """
    Close the connection of this request at once, and discard what is unsent.

    Raises RuntimeError if the app is not served by `serve`.
    """
    abort: Callable[[], None] | None = scope.get("extensions", {}).get(_CUT)
    if abort is None:
        raise RuntimeError("only an app that is served by serving.serve can cut a connection")
    abort()


async def disconnected(receive: Receive) -> None:
    """Wait until the client has gone; to be called after the request's body was read."""
    while (await receive())["type"] != "http.disconnect":
        pass


class _CuttableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, with a way to the transport in each request's scope."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        inner = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {**scope.get("extensions", {}), _CUT: transport.abort}
            await inner(scope, receive, send)

        self.app = app


class _BoundedProtocol(_CuttableProtocol):
    """
    A connection within `Bounds`.

    uvicorn's own limits do not help here: `timeout_keep_alive` counts only from an answer to the
    next byte, and `limit_concurrency` refuses whoever comes last, which may be a health check,
    while those who keep the server waiting stay.
    """

    bounds: ClassVar[Bounds]
    waited_since: float | None = None
    """By the loop's clock; None while the client waits for us."""
    _timer: asyncio.TimerHandle | None = None
    _rests = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
        super().connection_made(transport)
        self._wait(self.bounds.request)
        if len(self.connections) > self.bounds.connections:
            next(iter(self._others_waited_for()), self).give_up()

    def data_received(self, data: bytes) -> None:
        if self._rests:
            self._rests = False
            self._wait(self.bounds.request)
        super().data_received(data)
        self._see_who_waits()

    def on_response_complete(self) -> None:
        # An incomplete request keeps its deadline: the rest of it is still to come.
        if not self.cycle.more_body:
            self._rests = True
            self._wait(_KEEP_ALIVE)
        super().on_response_complete()
        self._see_who_waits()  # the next request may have been there already
        self._discard_unsent()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _see_who_waits(self) -> None:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._rests = False
            self._stop_waiting()

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self.waited_since = self.loop.time()
        self._timer = self.loop.call_later(seconds, self.give_up)

    def _stop_waiting(self) -> None:
        self.waited_since = None
        if self._timer is not None:
            self._timer.cancel()

    def give_up(self) -> None:
        """Cut the connection."""
        # At once, not when the connection is lost: others look before that.
        self.connections.discard(self)
        self._stop_waiting()
        self.transport.abort()

    def _others_waited_for(self) -> "list[_BoundedProtocol]":
        """Return the others that keep the server waiting, the longest first."""
        others = (cast("_BoundedProtocol", each) for each in self.connections if each is not self)
        waited = [(each.waited_since, each) for each in others if each.waited_since is not None]
        return [each for _, each in sorted(waited, key=itemgetter(0))]

    def _discard_unsent(self) -> None:
        others = self._others_waited_for()
        total = sum(each.transport.get_write_buffer_size() for each in (self, *others))
        for each in others:
            if total <= self.bounds.unsent:
                break
            if size := each.transport.get_write_buffer_size():
                each.give_up()
                total -= size


def _listener(host: str, port: int) -> socket.socket:
    if host != _EVERYWHERE:
        return _bound(socket.AF_INET6 if ":" in host else socket.AF_INET, host, port)
    try:
        return _bound(socket.AF_INET6, host, port)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _bound(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - all, as requested


def _bound(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    # With the protocol left open asyncio would not set TCP_NODELAY: 40 ms for every answer.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if host == _EVERYWHERE:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind((host, port))
    except BaseException:
        listener.close()
        raise
    return listener


def _server(app: ASGIApp, bounds: Bounds | None) -> uvicorn.Server:
    bounded = type("_Bounded", (_BoundedProtocol,), {"bounds": bounds})
    config = uvicorn.Config(
        app,
        http=_CuttableProtocol if bounds is None else bounded,
        # asyncio accepts this many in one go before anything else happens, and without a free file
        # descriptor it tries, and logs, as many times.
        backlog=_BACKLOG if bounds is None else _ACCEPTED_AT_ONCE,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # it is refreshed by the main loop, which does not run here
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


async def _stop(server: uvicorn.Server) -> None:
    """Shut down as uvicorn does, but without waiting for the requests that are cut here."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        cast("H11Protocol", connection).transport.abort()
    requests = list(server.server_state.tasks)
    for request in requests:
        request.cancel()
    # One turn of the loop, for the transports to close even if no request is running.
    await asyncio.sleep(0)
    if requests:
        await asyncio.wait(requests, timeout=_PATIENCE)
    for listening in server.servers:
        await listening.wait_closed()
    await server.lifespan.shutdown()


def _ending_with(closing: asyncio.Event, app: ASGIApp) -> ASGIApp:
    """Wrap `app`, so that requests are cancelled without an error once `closing` is set."""

    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not closing.is_set():
                raise

    return ending
