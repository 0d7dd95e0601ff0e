"""Against a server that is a script, over real sockets."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lambdo_router.adapters.fly import FlyLauncher
from lambdo_router.adapters.fly import connections as module
from lambdo_router.adapters.fly.connections import Connections
from lambdo_router.core.errors import SettingsError

pytestmark = pytest.mark.real_time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_LIST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
PATIENCE = {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}

Serve = Callable[["Peer"], Awaitable[None]]


@dataclass
class Peer:
    """The server's side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def request(self) -> bytes:
        """One request, its body included; IncompleteReadError if there is none any more."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"content-length:"):
                head += await self.reader.readexactly(int(line.partition(b":")[2]))
        return head

    async def answer(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)


@dataclass
class Server:
    """Does with each connection what its script says."""

    serve: Serve
    url: str = ""
    accepted: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with the first connection."""
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)
        self.accepted += 1
        self.came.set()
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self.serve(Peer(reader, writer))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()


@asynccontextmanager
async def serving(serve: Serve, context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(serve)
    listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, ssl=context)
    scheme = "https" if context is not None else "http"
    server.url = f"{scheme}://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    async with listening:
        yield server
        for task in server.serving:
            task.cancel()
        await asyncio.gather(*server.serving)


@asynccontextmanager
async def connected(
    most: int = 10, context: ssl.SSLContext | None = None
) -> AsyncIterator[Connections]:
    connections = Connections(most=most, context=context)
    yield connections
    await connections.aclose()


async def ask(
    connections: Connections, url: str, body: bytes = b"{}", **waits: float
) -> httpx.Response:
    request = httpx.Request(
        "POST", url, content=body, extensions={"timeout": {**PATIENCE, **waits}}
    )
    response = await connections.handle_async_request(request)
    try:
        await response.aread()
    finally:
        await response.aclose()
    return response


async def turns() -> None:
    """Until what one side has sent has come to the other: both are on this loop."""
    for _ in range(10):
        await asyncio.sleep(0)


def always(*pieces: bytes) -> Serve:
    async def serve(peer: Peer) -> None:
        while True:
            await peer.request()
            await peer.answer(*pieces)

    return serve


def once(*pieces: bytes) -> Serve:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(*pieces)

    return serve


async def never(peer: Peer) -> None:
    await peer.request()
    await peer.request()


# What comes back.


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        pytest.param([OK], 200, b"ok", id="plain"),
        pytest.param([bytes([byte]) for byte in OK], 200, b"ok", id="byte-by-byte"),
        pytest.param(
            [IN_CHUNKS, b"1\r\nk\r\n0\r\n\r\n"],
            200,
            b"ok",
            id="chunked",
        ),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], 204, b"", id="empty"),
        pytest.param([b"HTTP/1.1 100 Continue\r\n\r\n", OK], 200, b"ok", id="after-a-100"),
        pytest.param(
            [b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n"],
            302,
            b"",
            id="a-redirect-is-not-followed",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b"x" * 1_000_000],
            200,
            b"x" * 1_000_000,
            id="large",
        ),
        pytest.param(
            [b"HTTP/1.0 500 Oh\r\n\r\n", b"until the end"], 500, b"until the end", id="1.0"
        ),
    ],
)
async def test_an_answer(pieces: list[bytes], status: int, body: bytes) -> None:
    async with serving(once(*pieces)) as server, connected() as connections:
        response = await ask(connections, server.url)

    assert (response.status_code, response.content) == (status, body)


NOTE = b"HTTP/1.1 103 Early Hints\r\n\r\n"
CRUMB = b"1\r\nx\r\n"


@pytest.mark.parametrize(
    ("before", "body"),
    [
        pytest.param(NOTE * 10, b"", id="notes"),
        pytest.param(b"", CRUMB * 1000, id="crumbs"),
    ],
)
async def test_notes_and_crumbs_are_taken_within_reason(before: bytes, body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = before + head + body + b"0\r\n\r\n"
    async with serving(once(answer)) as server, connected() as connections:
        response = await ask(connections, server.url)

    assert response.content == b"x" * (len(body) // len(CRUMB))


@pytest.mark.parametrize(
    ("before", "body", "why"),
    [
        pytest.param(NOTE * 11, b"", "without end", id="notes"),
        pytest.param(b"", CRUMB * 1001, "crumbs", id="crumbs"),
    ],
)
async def test_an_answer_that_goes_on_and_on_is_given_up(
    before: bytes, body: bytes, why: str
) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = before + head + body + b"0\r\n\r\n"
    async with serving(once(answer)) as server, connected() as connections:
        with pytest.raises(httpx.RemoteProtocolError, match=why):
            await ask(connections, server.url)


async def test_a_request_arrives_whole() -> None:
    came: list[bytes] = []

    async def serve(peer: Peer) -> None:
        came.append(await peer.request())
        await peer.answer(OK)

    body = b"e" * 900_000
    async with serving(serve) as server, connected() as connections:
        await ask(connections, server.url, body)

    head, _, sent = came[0].partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /v1 HTTP/1.1"
    assert b"Content-Length: 900000" in head
    assert sent == body


async def test_an_answer_that_comes_before_the_request_was_read_is_heard() -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(LAST.replace(b"200 OK", b"413 Too Large"))
        with suppress(asyncio.IncompleteReadError):
            await peer.reader.readexactly(100_000_000)

    async with serving(serve) as server, connected() as connections:
        response = await ask(connections, server.url, b"e" * 900_000)

    assert response.status_code == 413


# Connections stay open, for as long as they are good.


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with serving(always(OK)) as server, connected() as connections:
        for _ in range(5):
            await ask(connections, server.url)

    assert server.accepted == 1


async def test_requests_at_once_have_a_connection_each_and_leave_them_to_the_next() -> None:
    async with serving(always(OK)) as server, connected() as connections:
        for _ in range(3):
            await asyncio.gather(*(ask(connections, server.url) for _ in range(4)))

    assert server.accepted == 4


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(always(LAST), id="said-to-be-the-last"),
        pytest.param(always(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), id="1.0"),
        pytest.param(always(OK, b"HTTP/1.1 408 Request Timeout\r\n\r\n"), id="speaks-unasked"),
        pytest.param(always(OK + b"HTTP/1.1 408 Request Timeout\r\n\r\n"), id="says-too-much"),
        pytest.param(once(OK), id="closed-while-idle"),
    ],
)
async def test_a_connection_that_is_no_good_any_more_is_not_used_again(serve: Serve) -> None:
    async with serving(serve) as server, connected() as connections:
        for _ in range(3):
            assert (await ask(connections, server.url)).status_code == 200
            await turns()  # what was said unasked, or the end, is here

    assert server.accepted == 3


async def test_a_connection_that_was_idle_for_long_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_IDLE_FOR", 0.0)
    async with serving(always(OK)) as server, connected() as connections:
        for _ in range(3):
            await ask(connections, server.url)

    assert server.accepted == 3


async def test_an_answer_that_nobody_read_to_its_end_ends_the_connection() -> None:
    async with serving(always(OK)) as server, connected() as connections:
        for _ in range(2):
            request = httpx.Request("GET", server.url, extensions={"timeout": PATIENCE})
            response = await connections.handle_async_request(request)
            await response.aclose()
        await ask(connections, server.url)

    assert server.accepted == 3


async def test_a_request_that_is_given_up_ends_its_connection_and_leaves_its_place() -> None:
    async with serving(never) as server, connected(most=1) as connections:
        for _ in range(2):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await ask(connections, server.url)

    assert server.accepted == 2


async def test_no_more_connections_than_allowed() -> None:
    async with serving(always(OK)) as server, connected(most=2) as connections:
        await asyncio.gather(*(ask(connections, server.url) for _ in range(20)))

    assert server.accepted == 2


# Failures, in httpx's words.


@pytest.mark.parametrize(
    ("pieces", "failure"),
    [
        pytest.param([], httpx.RemoteProtocolError, id="hangs-up"),
        pytest.param([b"HTTP/1.1 200 OK\r\nConte"], httpx.RemoteProtocolError, id="cut-head"),
        pytest.param([OK[:-1]], httpx.RemoteProtocolError, id="cut-body"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n\r\n"], httpx.RemoteProtocolError, id="no-http"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"],
            httpx.RemoteProtocolError,
            id="endless-headers",
        ),
    ],
)
async def test_an_answer_that_is_none(pieces: list[bytes], failure: type[Exception]) -> None:
    async with serving(once(*pieces)) as server, connected() as connections:
        with pytest.raises(failure):
            await ask(connections, server.url)


async def test_a_reset_is_a_read_error() -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        peer.writer.transport.abort()

    async with serving(serve) as server, connected() as connections:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            await ask(connections, server.url)


async def test_an_answer_that_does_not_come() -> None:
    async with serving(never) as server, connected() as connections:
        with pytest.raises(httpx.ReadTimeout):
            await ask(connections, server.url, read=0.05)


async def test_a_request_that_is_not_taken() -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readexactly(1)
        await asyncio.Event().wait()

    async with serving(serve) as server, connected() as connections:
        with pytest.raises(httpx.WriteTimeout):
            await ask(connections, server.url, b"e" * 50_000_000, write=0.05)


async def test_all_connections_in_use() -> None:
    async with serving(never) as server, connected(most=1) as connections:
        first = asyncio.create_task(ask(connections, server.url))
        await server.came.wait()
        with pytest.raises(httpx.PoolTimeout):
            await ask(connections, server.url, pool=0.05)
        first.cancel()
        await asyncio.wait({first})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://nowhere.invalid/", f"http://{'a' * 64}.invalid/"]
)
async def test_no_connection(url: str) -> None:
    async with connected() as connections:
        with pytest.raises(httpx.ConnectError):
            await ask(connections, url)


async def test_closing_ends_what_is_under_way() -> None:
    async with serving(never) as server, connected() as connections:
        asking = asyncio.create_task(ask(connections, server.url))
        await server.came.wait()
        await turns()
        await connections.aclose()
        with pytest.raises(httpx.TransportError):
            await asking


# TLS.


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(pem)
    )
    return file


@asynccontextmanager
async def secured(folder: Path, serve: Serve) -> AsyncIterator[tuple[Server, Path]]:
    file = certificate(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    async with serving(serve, context) as server:
        yield server, file


async def test_over_tls(tmp_path: Path) -> None:
    async with secured(tmp_path, always(OK)) as (server, file):
        trusting = ssl.create_default_context(cafile=file)
        async with connected(context=trusting) as connections:
            for _ in range(3):
                assert (await ask(connections, server.url)).content == b"ok"

    assert server.accepted == 1


async def test_a_certificate_of_nobody_is_not_trusted(tmp_path: Path) -> None:
    async with (
        secured(tmp_path, always(OK)) as (server, _),
        connected(context=httpx.create_ssl_context()) as connections,
    ):
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await ask(connections, server.url)


async def test_a_bundle_of_certificates_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with secured(tmp_path, always(NO_LIST)) as (server, file):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with FlyLauncher(token="fm2_x", base_url=server.url) as fly:
            assert await fly.check("jobs") is None


# Proxies, which are httpx's.


async def proxied(base_url: str, proxy: str) -> tuple[str | None, list[bytes]]:
    """What `check` says by way of a proxy, and what the proxy was asked."""
    asked: list[bytes] = []

    async def serve(peer: Peer) -> None:
        asked.append((await peer.request()).splitlines()[0])
        await peer.answer(NO_LIST)

    async with serving(serve) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(proxy, server.url.removesuffix("/v1"))
            patch.setenv("NO_PROXY", "fly.example.org")
            async with FlyLauncher(token="fm2_x", base_url=base_url, timeout=1.0) as fly:
                try:
                    said = await fly.check("jobs")
                except Exception as error:  # noqa: BLE001 - how it failed tells which way it went
                    said = str(error)
    return said, asked


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
async def test_a_proxy_of_the_environment_is_asked(variable: str) -> None:
    said, asked = await proxied("http://fly.example.com", variable)

    assert said is None
    assert asked == [
        b"GET http://fly.example.com/v1/apps/jobs/machines?limit=1&summary=true HTTP/1.1"
    ]


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://fly.example.org:1"])
async def test_no_proxy_for_what_is_private_or_excepted(base_url: str) -> None:
    said, asked = await proxied(base_url, "HTTP_PROXY")

    assert asked == []
    assert said is not None
    assert "cannot connect" in said


@pytest.mark.parametrize(
    "proxy", ["ftp://user:planted@proxy:1", "socks5://user:planted@proxy", "http://[::1"]
)
async def test_a_proxy_that_is_none(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(SettingsError, match="HTTPS_PROXY") as caught:
        FlyLauncher(token="fm2_x")

    assert "planted" not in str(caught.value)
