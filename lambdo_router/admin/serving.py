"""
Serves an ASGI app from the running event loop, for as long as a block lasts.

The embedded servers run beside the router and the tests in one process. So uvicorn gets no
signal handlers and no ticking main loop here: it starts, the block runs, it stops. At the end
every open connection is cut, long polls included, as if the machine had gone away.

A served app can also cut single connections: `cut(scope)` closes the one that the request came
by, without a word, which no ASGI message can do.

A server that strangers reach gets `Bounds`: how long and how many they may keep it waiting.
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
"""Seconds that requests get to end once their connections are cut."""
_KEEP_ALIVE: Final = 60
"""Seconds that a connection may rest between two requests, or take to fetch an answer."""
_ACCEPTED_AT_ONCE: Final = 16
"""Connections that are accepted before one of them is counted, and may be cut."""
_BACKLOG: Final = 2048
"""Connections that the kernel holds until they are accepted."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """
    How far those who connect may keep a server waiting.

    A connection waits for us while its request is answered, and that is no concern of these. Else
    we wait for it: for a request, for the rest of one, for an answer to be fetched.
    """

    connections: int
    """At once. One more cuts that for which the server has waited the longest."""
    request: float = 30.0
    """Seconds from a connection's beginning, or the first byte after a rest, to the request's
    end."""
    unsent: int = 16 * 1024 * 1024
    """Bytes of answers that nobody fetches; beyond it the oldest are thrown away."""


@asynccontextmanager
async def serve(
    app: ASGIApp, host: str = "127.0.0.1", port: int = 0, bounds: Bounds | None = None
) -> AsyncIterator[str]:
    """
    Serve `app` while the block runs; yields its base URL, like `http://127.0.0.1:40123`.

    Port 0 takes a free one. The host `::` stands for all addresses of this machine, those of IPv4
    as well, and for those alone where there is no IPv6. Raises OSError if the port is taken. At the
    end connections are cut, requests under way are cancelled, and the app's lifespan is ended, in
    this order.
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
    Close the connection of this request at once; whatever is unsent is thrown away.

    Raises RuntimeError if the app is not served by `serve`.
    """
    abort: Callable[[], None] | None = scope.get("extensions", {}).get(_CUT)
    if abort is None:
        raise RuntimeError("only an app that is served by serving.serve can cut a connection")
    abort()


async def disconnected(receive: Receive) -> None:
    """Return once the client has gone. To be awaited after the request's body was read."""
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

    uvicorn's own limits do not help here: `timeout_keep_alive` counts only after an answer and
    until the next byte, and `limit_concurrency` turns away who comes last, which would be a health
    check, while those who keep the server waiting stay.
    """

    bounds: ClassVar[Bounds]
    waited_since: float | None = None
    """By the loop's time; None while the client waits for us."""
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
        # Of a request that is not complete the deadline stays: the rest of it is still to come.
        if not self.cycle.more_body:
            self._rests = True
            self._wait(_KEEP_ALIVE)
        super().on_response_complete()
        self._see_who_waits()  # the next request may have been there already
        self._throw_away_unsent()

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
        # At once, not when the transport says that it is lost: others look before that.
        self.connections.discard(self)
        self._stop_waiting()
        self.transport.abort()

    def _others_waited_for(self) -> "list[_BoundedProtocol]":
        """Those for which the server waits, the longest first."""
        others = (cast("_BoundedProtocol", each) for each in self.connections if each is not self)
        waited = [(each.waited_since, each) for each in others if each.waited_since is not None]
        return [each for _, each in sorted(waited, key=itemgetter(0))]

    def _throw_away_unsent(self) -> None:
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
        return _bound(socket.AF_INET, "0.0.0.0", port)  # noqa: S104 - all, as was asked for


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
        # asyncio accepts as many in one go before it lets anything else happen, and with no file
        # descriptor left it tries, and logs, as many times.
        backlog=_BACKLOG if bounds is None else _ACCEPTED_AT_ONCE,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # it is refreshed by the main loop, which is not run here
        timeout_keep_alive=_KEEP_ALIVE,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    return server


async def _stop(server: uvicorn.Server) -> None:
    """As uvicorn's own shutdown, which would wait for the requests that are cut here."""
    for listening in server.servers:
        listening.close()
    for connection in list(server.server_state.connections):
        cast("H11Protocol", connection).transport.abort()
    requests = list(server.server_state.tasks)
    for request in requests:
        request.cancel()
    # One turn of the loop, for the transports to close even where no request is under way.
    await asyncio.sleep(0)
    if requests:
        await asyncio.wait(requests, timeout=_PATIENCE)
    for listening in server.servers:
        await listening.wait_closed()
    await server.lifespan.shutdown()


def _ending_with(closing: asyncio.Event, app: ASGIApp) -> ASGIApp:
    """`app`, whose requests may be cancelled once `closing` is set without anyone minding."""

    async def ending(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await app(scope, receive, send)
        except asyncio.CancelledError:
            if not closing.is_set():
                raise

    return ending
