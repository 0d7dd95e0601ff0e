"""
Serves an ASGI app from the running event loop, for as long as a block lasts.

The embedded servers run beside the router and the tests in one process. So uvicorn gets no
signal handlers and no ticking main loop here: it starts, the block runs, it stops. At the end
every open connection is cut, long polls included, as if the machine had gone away.

A served app can also cut single connections: `cut(scope)` closes the one that the request came
by, without a word, which no ASGI message can do.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

_CUT = "lambdo.cut"
_EVERYWHERE = "::"
_PATIENCE = 5
"""Seconds that requests get to end once their connections are cut."""


@asynccontextmanager
async def serve(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[str]:
    """
    Serve `app` while the block runs; yields its base URL, like `http://127.0.0.1:40123`.

    Port 0 takes a free one. The host `::` stands for all addresses of this machine, those of IPv4
    as well, and for those alone where there is no IPv6. Raises OSError if the port is taken. At the
    end connections are cut, requests under way are cancelled, and the app's lifespan is ended, in
    this order.
    """
    listener = _listener(host, port)
    closing = asyncio.Event()
    server = _server(_ending_with(closing, app))
    try:
        await server.startup(sockets=[listener])
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


def _server(app: ASGIApp) -> uvicorn.Server:
    config = uvicorn.Config(
        app,
        http=_CuttableProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,  # it is refreshed by the main loop, which is not run here
        timeout_keep_alive=60,
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
