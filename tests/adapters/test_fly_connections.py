"""Against a server that is a script, over real sockets."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted_server import Peer, Serve, Server, serving

from lambdo_router.adapters import http
from lambdo_router.adapters.fly import FlyLauncher, client
from lambdo_router.adapters.fly.answers import Answer
from lambdo_router.core.errors import LaunchUnavailable, SettingsError

pytestmark = pytest.mark.real_time

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NO_LIST = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"
IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n"
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def connected(server: Server, timeout: float = 5.0) -> FlyLauncher:
    return FlyLauncher(token="fm2_x", base_url=server.url, timeout=timeout)


async def ask(fly: FlyLauncher, body: str = "{}", method: str = "POST") -> Answer:
    return await fly._call(method, "/v1", body=body)


async def lost(fly: FlyLauncher, body: str = "{}") -> tuple[str, bool]:
    """Why there is no answer, and whether the request may have had its effect."""
    with pytest.raises(LaunchUnavailable) as caught:
        await ask(fly, body)
    assert caught.value.code == "connection"
    said = str(caught.value).removeprefix(f"Machines API at {fly._address}: ")
    return said, caught.value.ambiguous


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


async def hangs_up(peer: Peer) -> None:
    await peer.reader.readexactly(1)


async def no_tls(peer: Peer) -> None:
    await peer.reader.readexactly(1)
    await peer.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n")


async def silent(peer: Peer) -> None:
    await peer.reader.read()


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
    async with serving(once(*pieces)) as server, connected(server) as fly:
        answer = await ask(fly)

    assert (answer.status, answer.text.encode()) == (status, body)


NOTE = b"HTTP/1.1 103 Early Hints\r\n\r\n"
CRUMB = b"1\r\nx\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("before", "body"),
    [
        pytest.param(NOTE * 1000, b"", id="notes"),
        pytest.param(b"", CRUMB * 100_000, id="crumbs"),
    ],
)
async def test_notes_and_crumbs_are_taken(before: bytes, body: bytes) -> None:
    answer = before + CHUNKED + body + b"0\r\n\r\n"
    async with serving(once(answer)) as server, connected(server) as fly:
        response = await ask(fly)

    assert response.text == "x" * (len(body) // len(CRUMB))


@pytest.mark.parametrize(
    ("head", "again"),
    [
        pytest.param(b"", NOTE, id="notes"),
        pytest.param(CHUNKED, CRUMB, id="crumbs"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: x", b"", id="half-a-head"),
    ],
)
async def test_an_answer_that_goes_on_and_on_is_given_up(
    head: bytes, again: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(head)
        while again:
            await peer.answer(again)
        await peer.request()

    monkeypatch.setattr(client, "_CONNECT", 0.1)
    async with serving(serve) as server, connected(server, timeout=0.05) as fly:
        assert await lost(fly) in [
            ("no answer in time", True),
            ("no answer in time (Timeout on reading data from socket)", True),
        ]


async def test_a_request_arrives_whole() -> None:
    came: list[bytes] = []

    async def serve(peer: Peer) -> None:
        came.append(await peer.request())
        await peer.answer(OK)

    body = "e" * 900_000
    async with serving(serve) as server, connected(server) as fly:
        await ask(fly, body)

    head, _, sent = came[0].partition(b"\r\n\r\n")
    assert head.splitlines()[0] == b"POST /v1 HTTP/1.1"
    assert b"Content-Length: 900000" in head
    assert sent == body.encode()


async def test_an_answer_that_comes_before_the_request_was_read_is_heard() -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readuntil(b"\r\n\r\n")
        await peer.answer(LAST.replace(b"200 OK", b"413 Too Large"))
        with suppress(asyncio.IncompleteReadError):
            await peer.reader.readexactly(100_000_000)

    async with serving(serve) as server, connected(server) as fly:
        answer = await ask(fly, "e" * 900_000)

    assert answer.status == 413


# Connections stay open, for as long as they are good.


async def test_requests_one_after_the_other_share_a_connection() -> None:
    async with serving(always(OK)) as server, connected(server) as fly:
        for _ in range(5):
            await ask(fly)

    assert server.accepted == 1


async def test_requests_at_once_have_a_connection_each_and_leave_them_to_the_next() -> None:
    async with serving(always(OK)) as server, connected(server) as fly:
        for _ in range(3):
            await asyncio.gather(*(ask(fly) for _ in range(4)))

    assert server.accepted == 4


STRAY = b"HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\nx"


@pytest.mark.parametrize(
    "serve",
    [
        pytest.param(always(LAST), id="said-to-be-the-last"),
        pytest.param(always(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), id="1.0"),
        pytest.param(always(OK + STRAY), id="says-too-much"),
        pytest.param(once(OK), id="closed-while-idle"),
    ],
)
async def test_a_connection_that_is_no_good_any_more_is_not_used_again(serve: Serve) -> None:
    async with serving(serve) as server, connected(server) as fly:
        for _ in range(3):
            assert (await ask(fly)).status == 200
            await turns()  # what was said unasked, or the end, is here

    assert server.accepted == 3


@pytest.mark.parametrize(
    "stray",
    [
        pytest.param(STRAY, id="an-answer"),
        pytest.param(b"HTTP/1.1 408 Request Timeout\r\n\r\n", id="408"),
        pytest.param(b"no HTTP\r\n", id="no-http"),
    ],
)
async def test_what_is_said_to_an_idle_connection_is_not_the_next_answer(stray: bytes) -> None:
    idle = asyncio.Event()

    async def serve(peer: Peer) -> None:
        await peer.request()
        await peer.answer(OK)
        if not idle.is_set():
            await idle.wait()
            await peer.answer(stray)
        await peer.request()

    async with serving(serve) as server, connected(server) as fly:
        await ask(fly)
        idle.set()
        await turns()
        answer = await ask(fly)

    assert (answer.status, answer.text, server.accepted) == (200, "ok", 2)


async def test_a_connection_that_was_idle_for_long_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http, "_IDLE_FOR", 0.0)
    async with serving(always(OK)) as server, connected(server) as fly:
        for _ in range(3):
            await ask(fly)

    assert server.accepted == 3


async def test_an_answer_that_nobody_read_to_its_end_ends_the_connection() -> None:
    async with serving(always(IN_CHUNKS)) as server, connected(server) as fly:
        for _ in range(3):
            async with fly._opened("GET", "/v1"):
                pass

    assert server.accepted == 3


async def test_a_request_that_is_given_up_ends_its_connection_and_leaves_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "_CONNECTIONS", 1)
    async with serving(never) as server, connected(server) as fly:
        for _ in range(2):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await ask(fly)
        await turns()

        assert server.accepted == 2
        assert [peer for peer in server.serving if not peer.done()] == []


async def test_no_more_connections_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_CONNECTIONS", 2)
    async with serving(always(OK)) as server, connected(server) as fly:
        await asyncio.gather(*(ask(fly) for _ in range(20)))

    assert server.accepted == 2


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
@pytest.mark.parametrize("idle", [False, True], ids=["new-connection", "idle-connection"])
@pytest.mark.parametrize("sent", [b"", OK[:-1]], ids=["no-answer", "cut-answer"])
async def test_nothing_is_tried_twice(
    method: str,
    idle: bool,  # noqa: FBT001 - a column
    sent: bytes,
) -> None:
    asked = []

    async def serve(peer: Peer) -> None:
        while True:
            asked.append(await peer.request())
            if len(asked) > idle:
                break
            await peer.answer(OK)
        await peer.answer(sent)

    async with serving(serve) as server, connected(server) as fly:
        if idle:
            await ask(fly, "", "GET")
        with pytest.raises(LaunchUnavailable) as caught:
            await ask(fly, "{}" if method == "POST" else "", method)

    assert caught.value.ambiguous
    assert (len(asked), server.accepted) == (1 + idle, 1)


async def test_no_cookie_is_kept() -> None:
    asked = []

    async def serve(peer: Peer) -> None:
        while True:
            asked.append(await peer.request())
            await peer.answer(OK.replace(b"\r\n", b"\r\nSet-Cookie: a=b\r\n", 1))

    async with serving(serve) as server, connected(server) as fly:
        for _ in range(2):
            await ask(fly)

    assert b"cookie" not in asked[1].lower()


# Failures: what they are called, and whether the request may have had its effect.


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        pytest.param([], "the connection was closed", id="hangs-up"),
        pytest.param([b"HTTP/1.1 200 OK\r\nConte"], "the connection was closed", id="cut-head"),
        pytest.param([OK[:-1]], "the answer broke off (Response", id="cut-body"),
        pytest.param([IN_CHUNKS], "the answer broke off (Response", id="cut-in-chunks"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n\r\n"], "the answer breaks HTTP (400", id="no-http"),
        pytest.param([CHUNKED + b"no\r\n"], "the answer breaks HTTP (400", id="no-chunk"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"],
            "the answer breaks HTTP (400",
            id="endless-headers",
        ),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 300 + b"Content-Length: 0\r\n\r\n"],
            "the answer breaks HTTP (400",
            id="too-many-headers",
        ),
    ],
)
async def test_an_answer_that_is_none(pieces: list[bytes], why: str) -> None:
    async with serving(once(*pieces)) as server, connected(server) as fly:
        said, sent = await lost(fly)

    assert said.startswith(why)
    assert sent


async def test_as_many_headers_are_taken_as_the_bound_says() -> None:
    answer = b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 199 + b"Content-Length: 0\r\n\r\n"
    async with serving(once(answer)) as server, connected(server) as fly:
        assert (await ask(fly)).status == 200


@pytest.mark.parametrize("body", ["{}", "e" * 900_000], ids=["after", "before"])
async def test_a_reset_after_the_request_and_before_its_end(body: str) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readexactly(1)
        peer.writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        peer.writer.transport.abort()

    async with serving(serve) as server, connected(server) as fly:
        said, sent = await lost(fly, body)

    assert "Connection reset by peer" in said
    assert sent


async def test_an_answer_that_does_not_come() -> None:
    async with serving(never) as server, connected(server, timeout=0.05) as fly:
        assert await lost(fly) == (
            "no answer in time (Timeout on reading data from socket)",
            True,
        )


async def test_a_request_that_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve(peer: Peer) -> None:
        await peer.reader.readexactly(1)
        await asyncio.Event().wait()

    monkeypatch.setattr(client, "_CONNECT", 0.1)
    async with serving(serve) as server, connected(server, timeout=0.05) as fly:
        assert await lost(fly, "e" * 50_000_000) == ("no answer in time", True)


async def test_all_connections_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_CONNECTIONS", 1)
    async with serving(never) as server, connected(server) as fly:
        first = asyncio.create_task(ask(fly))
        await server.came.wait()
        fly._timeout = 0.05
        assert await lost(fly) == ("all connections are in use", False)
        first.cancel()
        await asyncio.wait({first})


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://nowhere.invalid", f"http://{'a' * 64}.invalid"]
)
async def test_no_connection(url: str) -> None:
    async with FlyLauncher(token="fm2_x", base_url=url) as fly:
        said, sent = await lost(fly)

    assert said.startswith("cannot connect (")
    assert not sent


async def test_closing_ends_what_is_under_way() -> None:
    async with serving(never) as server, connected(server) as fly:
        asking = asyncio.create_task(ask(fly))
        await server.came.wait()
        await turns()
        await fly.aclose()
        with pytest.raises(LaunchUnavailable) as caught:
            await asking

    assert caught.value.ambiguous


# TLS.


def certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 and fly.example.com, in one file."""
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
            x509.SubjectAlternativeName(
                [x509.IPAddress(ip_address("127.0.0.1")), x509.DNSName("fly.example.com")]
            ),
            critical=False,
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


async def test_over_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secured(tmp_path, always(OK)) as (server, file):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with connected(server) as fly:
            for _ in range(3):
                assert (await ask(fly)).text == "ok"

    assert server.accepted == 1


async def test_a_certificate_of_nobody_is_not_trusted(tmp_path: Path) -> None:
    async with secured(tmp_path, always(OK)) as (server, _), connected(server) as fly:
        said, sent = await lost(fly)

    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert not sent


async def test_a_certificate_for_another_host_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with secured(tmp_path, always(OK)) as (server, file):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        server.url = server.url.replace("127.0.0.1", "localhost")
        async with connected(server) as fly:
            said, sent = await lost(fly)

    assert "CERTIFICATE_VERIFY_FAILED" in said
    assert not sent


@pytest.mark.parametrize(
    ("serve", "why"),
    [
        pytest.param(no_tls, "cannot connect ([SSL", id="no-tls"),
        pytest.param(hangs_up, "cannot connect", id="hangs-up"),
        pytest.param(silent, "no connection in time (", id="silent"),
    ],
)
async def test_without_tls_nothing_was_sent(
    serve: Serve, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_CONNECT", 0.1)
    async with serving(serve) as server:
        server.url = server.url.replace("http:", "https:")
        async with connected(server) as fly:
            said, sent = await lost(fly)

    assert said.startswith(why)
    assert not sent


async def test_a_bundle_of_certificates_can_be_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with secured(tmp_path, always(NO_LIST)) as (server, file):
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with FlyLauncher(token="fm2_x", base_url=server.url) as fly:
            assert await fly.check("jobs") is None


# Proxies.


async def proxied(base_url: str, proxy: str) -> tuple[str | None, list[bytes]]:
    """What `check` says by way of a proxy, and what the proxy was asked."""
    asked: list[bytes] = []

    async def serve(peer: Peer) -> None:
        asked.append((await peer.request()).splitlines()[0])
        await peer.answer(NO_LIST)

    async with serving(serve) as server:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(proxy, server.url)
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


def through(proxy: str) -> FlyLauncher:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HTTPS_PROXY", proxy)
        return FlyLauncher(token="fm2_x", base_url="https://fly.example.com", timeout=5.0)


async def test_tls_goes_through_the_tunnel_of_a_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bytes] = []

    async with secured(tmp_path, always(OK)) as (server, file):
        port = int(server.url.rpartition(":")[2])

        async def tunnel(peer: Peer) -> None:
            asked.append(await peer.request())
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            await peer.answer(b"HTTP/1.1 200 Connection established\r\n\r\n")
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(passed(reader, peer.writer))
                tasks.create_task(passed(peer.reader, writer))

        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        async with serving(tunnel) as proxy:
            named = proxy.url.replace("http://", "http://user:planted@")
            async with through(named) as fly:
                for _ in range(3):
                    assert (await ask(fly)).text == "ok"

    assert server.accepted == len(asked) == 1
    assert asked[0].startswith(b"CONNECT fly.example.com:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwbGFudGVk" in asked[0]
    assert b"fm2_x" not in asked[0]


async def passed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
    writer.close()


@pytest.mark.parametrize(
    ("serve", "why", "unclear"),
    [
        pytest.param(
            once(b"HTTP/1.1 407 Proxy Auth\r\nContent-Length: 0\r\n\r\n"),
            "the proxy refuses (407 Proxy Auth)",
            False,
            id="refuses",
        ),
        pytest.param(silent, "no connection in time (Connection timeout", False, id="silent"),
        pytest.param(hangs_up, "the connection was closed", True, id="hangs-up"),
        pytest.param(once(b"SSH-2.0\r\n\r\n"), "the answer breaks HTTP (400", True, id="no-http"),
    ],
)
async def test_what_a_proxy_does(
    serve: Serve,
    why: str,
    unclear: bool,  # noqa: FBT001 - a column
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "_CONNECT", 0.1)
    async with serving(serve) as proxy:
        named = proxy.url.replace("http://", "http://user:planted@")
        async with through(named) as fly:
            said, sent = await lost(fly)

    assert said.startswith(why)
    assert "planted" not in said
    assert sent == unclear


async def test_a_proxy_that_is_not_there() -> None:
    async with through("http://user:planted@127.0.0.1:1") as fly:
        said, sent = await lost(fly)

    assert said.startswith("cannot connect to the proxy ([Errno")
    assert "planted" not in said
    assert not sent
