"""How long, and how many, those who connect may keep a server waiting."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from lambdo_router.admin.serving import Bounds, _BoundedProtocol, _server

WHOLE = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"


class Transport(asyncio.Transport):
    """A client's connection, as the protocol sees it."""

    def __init__(self, server: "Server") -> None:
        super().__init__()
        self.server = server
        self.unsent = 0
        """Bytes that the client does not fetch."""
        self.written = b""
        self.cut_at: float | None = None
        self.closed_at: float | None = None
        self.protocol = server.protocol()
        self.protocol.connection_made(self)

    def sends(self, data: bytes) -> None:
        if self.cut_at is None and self.closed_at is None:
            self.protocol.data_received(data)

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def abort(self) -> None:
        self.cut_at = asyncio.get_running_loop().time()
        asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
            if not self.unsent:  # as asyncio's: what is unsent keeps it open
                asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def is_closing(self) -> bool:
        return self.cut_at is not None or self.closed_at is not None

    def pause_reading(self) -> None:
        """The client may go on sending for all we know."""

    def resume_reading(self) -> None:
        """As above."""

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


@dataclass
class Server:
    """Answers at once, or when the test says so."""

    bounds: Bounds = field(default_factory=lambda: Bounds(10))
    slow: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.server: uvicorn.Server = _server(self, self.bounds)

    def protocol(self) -> _BoundedProtocol:
        made = self.server.config.http_protocol_class(
            config=self.server.config, server_state=self.server.server_state, app_state={}  # type: ignore[call-arg]
        )  # fmt: skip
        assert isinstance(made, _BoundedProtocol)
        return made

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await self.slow.wait()
        if scope["path"] == "/read":
            while (message := await receive())["type"] == "http.request" and message["more_body"]:
                pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


async def until(time: float) -> None:
    await asyncio.sleep(time - asyncio.get_running_loop().time())


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([], id="nothing"),
        pytest.param([b"GET / HTTP/1.1\r\nHost: x\r\n"], id="half-a-head"),
        pytest.param([b"GET / HTTP/1.1\r\n", *[b"X: x\r\n"] * 40], id="a-header-a-second"),
        pytest.param([POST.replace(b"/ ", b"/read ")], id="no-body"),
        pytest.param([POST.replace(b"/ ", b"/read "), *[b"x"] * 40], id="a-byte-a-second"),
        pytest.param([POST, *[b"x"] * 40], id="a-body-that-nobody-reads-byte-by-byte"),
    ],
)
async def test_a_request_has_half_a_minute_from_the_beginning_to_its_end(
    pieces: list[bytes],
) -> None:
    client = Transport(Server())
    for piece in pieces:
        client.sends(piece)
        await asyncio.sleep(1)
    await until(100)

    assert client.cut_at == 30.0


async def test_after_a_rest_the_half_minute_begins_with_the_first_byte() -> None:
    client = Transport(Server())
    client.sends(WHOLE)
    await until(50)
    client.sends(b"G")
    await until(79)
    client.sends(WHOLE[1:])
    await until(120)
    client.sends(b"G")
    await until(200)

    assert client.written.count(b"204 No Content") == 2
    assert client.cut_at == 150.0


async def test_a_connection_that_rests_for_a_minute_is_closed() -> None:
    client = Transport(Server())
    client.sends(WHOLE)
    await until(100)

    assert client.closed_at == 60.0


async def test_an_answer_that_nobody_fetches_is_thrown_away_after_a_minute() -> None:
    client = Transport(Server())
    client.unsent = 1000
    client.sends(WHOLE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
    await until(100)

    assert (client.closed_at, client.cut_at) == (0.0, 60.0)


async def test_who_waits_for_us_is_never_cut() -> None:
    server = Server(Bounds(1))
    waiting = Transport(server)
    waiting.sends(WHOLE.replace(b"/ ", b"/slow "))
    late = Transport(server)
    await until(1000)
    server.slow.set()
    await asyncio.sleep(1)

    assert (waiting.cut_at, waiting.written[:12]) == (None, b"HTTP/1.1 204")
    assert late.cut_at == 0.0


async def test_the_next_request_may_be_there_before_the_answer_to_the_first() -> None:
    client = Transport(Server())
    client.sends(WHOLE + WHOLE + WHOLE[:10])
    await until(10)

    assert client.written.count(b"204 No Content") == 2
    assert client.cut_at is None


async def test_one_connection_too_many_cuts_the_one_that_is_waited_for_the_longest() -> None:
    server = Server(Bounds(3))
    clients = []
    for time in range(3):
        await until(time)
        clients.append(Transport(server))
    await until(2.5)
    clients[0].sends(WHOLE)  # so its turn to be waited for begins anew
    await until(3)
    clients += [Transport(server), Transport(server)]  # the second before the first cut is lost
    await until(4)

    assert [client.cut_at for client in clients] == [None, 3.0, 3.0, None, None]
    assert len(server.server.server_state.connections) == 3


async def test_a_flood_of_idle_connections_leaves_room_for_a_health_check() -> None:
    server = Server(Bounds(100))
    flood = [Transport(server) for _ in range(1200)]
    check = Transport(server)
    check.sends(WHOLE)
    await until(1)

    assert check.written[:12] == b"HTTP/1.1 204"
    assert sum(client.cut_at is None for client in flood) == 99


async def test_of_answers_that_nobody_fetches_the_oldest_are_thrown_away() -> None:
    server = Server(Bounds(10, unsent=1000))
    clients = []
    for time, unsent in enumerate([400, 0, 400, 400, 2000]):
        await until(time)
        clients.append(Transport(server))
        clients[-1].unsent = unsent
        clients[-1].sends(WHOLE)
    await until(10)

    assert [client.cut_at for client in clients] == [3.0, None, 4.0, 4.0, None]
