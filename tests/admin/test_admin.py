"""The router's own server, over real sockets: what it shows, takes and refuses."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from building import profile, route, table
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from lambdo_router.admin import Hosts, Reloading, Watched, admin_app
from lambdo_router.admin.guard import LARGEST_BODY, host_of, hosts_of
from lambdo_router.admin.serving import serve
from lambdo_router.core import journal
from lambdo_router.core.errors import LaunchRejected
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.telemetry.status import Overview, Status

TOKEN = "planted-admin-token-0123456789"
AUTHORISED = {"Authorization": f"Bearer {TOKEN}"}


NOTHING_ALLOWED = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'"


class Recorder:
    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        """Takes everything."""


@dataclass
class Server:
    """A server in front of an overview that the test feeds."""

    http: httpx.AsyncClient
    overview: Overview
    reports: FailureReports
    reloading: Reloading
    facts: list[journal.Fact] = field(default_factory=list)

    def observe(self, *facts: journal.Fact) -> None:
        for fact in facts:
            self.overview.observe(fact)
            self.reloading.observe(fact)

    def start(self) -> None:
        made = table(route(profile=profile(acknowledge="success")))
        swapped = journal.TableActivated(made, None)
        self.observe(swapped, journal.QueueOpened("q"))


async def crash(request: Request) -> Response:  # noqa: ARG001 - starlette's signature
    raise ValueError(TOKEN)


async def echo(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def page(request: Request) -> Response:  # noqa: ARG001
    return HTMLResponse("<p>", headers={"Content-Security-Policy": "default-src 'self'"})


MORE = (Route("/crash", crash), Route("/echo", echo, methods=["POST"]), Route("/", page))


@asynccontextmanager
async def served(
    token: str | None = TOKEN, *, can_reload: bool = True, hosts: Hosts = Hosts()
) -> AsyncIterator[Server]:
    overview = Overview(lambda: 1_700_000_000.0)
    reports = FailureReports(Recorder(), "http://router")  # type: ignore[arg-type]
    reloading = Reloading(asyncio.Event())
    facts: list[journal.Fact] = []

    def status() -> Status:
        return overview.status(Snapshot("g1", (), ()))

    async def exposed(accept: str) -> tuple[bytes, str]:
        return f"up 1 # {accept}".encode(), "text/plain; version=1"

    watched = Watched(status, exposed, reloading.ask if can_reload else None, token)
    app = admin_app(reports, watched, observe=facts.append, hosts=hosts, more=MORE)
    async with serve(app) as url, httpx.AsyncClient(base_url=url) as http:
        yield Server(http, overview, reports, reloading, facts)


# What there is to see


@pytest.mark.real_time
async def test_it_is_alive_and_not_ready_before_there_is_a_table() -> None:
    async with served() as server:
        alive, ready = await server.http.get("/healthz"), await server.http.get("/readyz")
        head = await server.http.head("/healthz")

    assert (alive.status_code, alive.json()) == (200, {"alive": True})
    assert (head.status_code, head.content) == (200, b"")
    assert (ready.status_code, ready.json()["state"]) == (503, "starting")


@pytest.mark.real_time
async def test_readyz_names_what_is_checked_and_what_fails() -> None:
    error = LaunchRejected("401 the token has expired", code="bad_token")
    async with served() as server:
        server.start()
        well = await server.http.get("/readyz")
        server.observe(journal.WatchFailed("jobs", None, error, 2.0))
        failing = await server.http.get("/readyz")
        server.observe(journal.Stopping(25.0))
        stopping = await server.http.get("/readyz")

    assert (well.status_code, well.json()["ready"], well.json()["concerns"]) == (200, True, [])
    names = [check["name"] for check in well.json()["checks"]]
    assert names == ["router", "routes", "queues", "fly"]
    assert failing.status_code == 503
    assert failing.json()["checks"][3] == {
        "name": "fly", "ok": False, "detail": "jobs: 401 the token has expired"
    }  # fmt: skip
    assert failing.json()["concerns"][0]["fatal"]
    assert (stopping.status_code, stopping.json()["state"]) == (503, "stopping")


@pytest.mark.real_time
async def test_status_and_metrics_are_handed_on() -> None:
    async with served() as server:
        server.start()
        status = await server.http.get("/status")
        metrics = await server.http.get("/metrics", headers={"Accept": "text/x"})

    assert status.headers["content-type"] == "application/json"
    assert [made["name"] for made in status.json()["routes"]] == ["orders"]
    assert metrics.headers["content-type"] == "text/plain; version=1"
    assert metrics.text == "up 1 # text/x"


# What is refused


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        pytest.param("GET", "/nothing", 404, "there is nothing here", id="no-such-path"),
        pytest.param("GET", "/-/reload", 405, "not allowed here", id="wrong-method"),
        pytest.param("POST", "/status", 405, "not allowed here", id="nothing-to-post"),
        pytest.param("DELETE", "/status", 405, "there is no DELETE here", id="unknown-method"),
        pytest.param("OPTIONS", "/status", 405, "there is no OPTIONS", id="no-cross-origin"),
        pytest.param("GET", "/crash", 500, "see its log", id="a-defect"),
    ],
)
async def test_what_is_wrong_is_said_as_json(
    method: str, path: str, status: int, said: str
) -> None:
    async with served() as server:
        answer = await server.http.request(method, path)

    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert said in answer.json()["error"]
    assert ("allow" in answer.headers) is (status == 405)
    assert TOKEN not in answer.text


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("path", "policy"),
    [
        *((path, NOTHING_ALLOWED) for path in ("/healthz", "/nothing", "/crash", "/-/reload")),
        pytest.param("/", "default-src 'self'", id="a-page-may-have-its-own-policy"),
    ],
)
async def test_every_answer_forbids_browsers_what_they_do_not_need(path: str, policy: str) -> None:
    async with served() as server:
        headers = (await server.http.get(path)).headers

    assert headers["content-security-policy"] == policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(LARGEST_BODY, (200, str(LARGEST_BODY)), id="as-large-as-may-be"),
        pytest.param(LARGEST_BODY + 1, (413, None), id="too-large"),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_has_a_limit_whether_it_says_its_length_or_not(
    size: int, expected: tuple[int, str | None], *, chunked: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x" * size

    async with served() as server:
        answer = await server.http.post("/echo", content=chunks() if chunked else b"x" * size)

    assert (answer.status_code, answer.text if expected[1] else None) == expected


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("host", "status"),
    [
        pytest.param("router.example.com", 200, id="listed"),
        pytest.param("evil.example.com:9091", 421, id="another-name"),
        pytest.param("", 421, id="none"),
    ],
)
async def test_a_name_that_may_be_anybodys_is_refused(host: str, status: int) -> None:
    async with served(hosts=hosts_of(["router.example.com"])) as server:
        answer = await server.http.get("/status", headers={"Host": host})

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("header", "allowed"),
    [
        pytest.param("127.0.0.1:9091", True, id="address"),
        pytest.param("[fdaa:0:1::3]:9091", True, id="address-of-ipv6"),
        pytest.param("[::1]", True, id="loopback-of-ipv6"),
        pytest.param("localhost:9091", True, id="localhost"),
        pytest.param("router:9091", True, id="a-name-of-docker-compose"),
        pytest.param("d8901.vm.router.internal:9091", True, id="a-machine"),
        pytest.param("Router.Flycast.", True, id="flycast-in-capitals-and-with-a-period"),
        pytest.param("router.fly.dev", True, id="listed"),
        pytest.param("other.fly.dev", False, id="not-listed"),
        pytest.param("internal.example.com", False, id="not-the-end-of-it"),
        pytest.param("evilinternal", True, id="no-period-no-public-name"),
        pytest.param("127.0.0.1.example.com", False, id="begins-like-an-address"),
        pytest.param("user@localhost", False, id="user"),
        pytest.param("localhost/path", False, id="path"),
        pytest.param("[::1", False, id="broken-bracket"),
        pytest.param("localhost:port", False, id="broken-port"),
        pytest.param("a:b:c", False, id="no-address-at-all"),
        pytest.param("", False, id="empty"),
    ],
)
def test_names_that_the_server_may_be_called_by(header: str, *, allowed: bool) -> None:
    assert hosts_of(["https://router.fly.dev:443/x"]).allow(header) is allowed


@pytest.mark.parametrize("name", ["", "a b", "https://", "user@host"])
def test_what_is_no_name_of_a_host_cannot_be_listed(name: str) -> None:
    with pytest.raises(ValueError, match="^" + name):
        hosts_of([name])
    assert host_of(name) is None


# Reload


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("token", "headers", "status", "said"),
    [
        pytest.param(None, AUTHORISED, 403, "LAMBDO_ADMIN_TOKEN", id="off"),
        pytest.param(TOKEN, {}, 401, "send the header", id="no-token"),
        pytest.param(TOKEN, {"Authorization": "Basic eA=="}, 401, "send the header", id="basic"),
        pytest.param(TOKEN, {"Authorization": "Bearer x"}, 401, "not the token", id="wrong-token"),
    ],
)
async def test_a_reload_needs_the_token(
    token: str | None, headers: dict[str, str], status: int, said: str
) -> None:
    async with served(token) as server:
        answer = await server.http.post("/-/reload", headers=headers)

    assert answer.status_code == status
    assert said in answer.json()["error"]
    assert ("www-authenticate" in answer.headers) is (status == 401)
    assert not server.reloading.nudge.is_set()


@pytest.mark.real_time
async def test_where_there_is_no_file_nothing_can_be_reloaded() -> None:
    async with served(can_reload=False) as server:
        answer = await server.http.post("/-/reload", headers=AUTHORISED)

    assert answer.status_code == 409
    assert "LAMBDO_SQS_QUEUE_URL" in answer.json()["error"]


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("then", "status", "expected"),
    [
        pytest.param(
            [
                journal.RoutesLoaded("g2", ("odd",), {}, ("~ route `orders`",)),
                journal.TableActivated(table(route(), generation="g2"), "g1"),
            ],
            200,
            {
                "outcome": "accepted", "generation": "g2", "warnings": ["odd"],
                "changes": ["~ route `orders`"],
            },
            id="accepted",
        ),
        pytest.param(
            [journal.RoutesLoaded("g1", ())],
            200,
            {"outcome": "accepted", "generation": "g1"},
            id="fixed",
        ),
        pytest.param([""], 200, {"outcome": "unchanged", "generation": "g1"}, id="unchanged"),
        pytest.param(
            [journal.ReloadFailed(("routes.yaml:3:1: bad [x]",))],
            422,
            {"outcome": "refused", "problems": ["routes.yaml:3:1: bad [x]"]},
            id="refused",
        ),
        pytest.param(
            ["s3://acme: no answer"],
            502,
            {"outcome": "unreachable", "detail": "s3://acme: no answer"},
            id="unreachable",
        ),
        pytest.param([journal.Stopping(25.0)], 503, {"outcome": "stopping"}, id="stopping"),
    ],
)  # fmt: skip
async def test_the_answer_to_a_reload_is_what_came_of_it(
    then: list[journal.Fact | str], status: int, expected: dict[str, object]
) -> None:
    async with served() as server:
        server.start()
        asking = asyncio.create_task(server.http.post("/-/reload", headers=AUTHORISED))
        await server.reloading.nudge.wait()
        for each in then:
            if isinstance(each, str):
                server.reloading.nothing_new(each)
            else:
                server.reloading.observe(each)
        answer = await asking

    assert answer.status_code == status
    assert answer.json() | expected == answer.json()


async def test_a_reload_of_which_nothing_comes_is_pending_after_a_minute() -> None:
    reloading = Reloading(asyncio.Event())
    outcome = await reloading.ask()

    assert (outcome.outcome, asyncio.get_running_loop().time()) == ("pending", 60.0)
    reloading.nothing_new("")  # nobody asks any more


# Reports


@pytest.mark.real_time
async def test_reports_are_told_to_the_journal_taken_or_not() -> None:
    async with served() as server:
        address = server.reports.open("b1", "jobs", ["m1"], deadline=2e9)
        assert address is not None
        body = json.dumps({"batchItemFailures": []})
        good = {"Authorization": f"Bearer {address.token}"}
        answers = [
            (await server.http.post(f"/reports/{batch}", content=body, headers=headers)).status_code
            for batch, headers in (("b1", good), ("b1", {}), ("x" * 100, good))
        ]

    assert answers == [200, 401, 404]
    assert server.facts[0] == journal.ReportTaken("b1", 0)
    refusals = [fact for fact in server.facts if isinstance(fact, journal.ReportRefused)]
    assert [(fact.batch_id, fact.status) for fact in refusals] == [("b1", 401), ("x" * 64, 404)]


# Where it listens


async def reach(family: socket.AddressFamily, host: str, port: int) -> bytes:
    loop = asyncio.get_running_loop()
    with socket.socket(family) as client:
        client.setblocking(False)
        await loop.sock_connect(client, (host, port))
        request = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        await loop.sock_sendall(client, request.replace("Host: ::1", "Host: [::1]").encode())
        return await loop.sock_recv(client, 15)


@pytest.mark.real_time
@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_everywhere_means_ipv4_and_ipv6() -> None:
    app = admin_app(FailureReports(Recorder()), Watched(lambda: None, lambda _: (b"", "")))  # type: ignore[arg-type,return-value]
    async with serve(app, "::") as url:
        port = int(url.rpartition(":")[2])
        assert url == f"http://[::]:{port}"
        assert await reach(socket.AF_INET, "127.0.0.1", port) == b"HTTP/1.1 200 OK"
        assert await reach(socket.AF_INET6, "::1", port) == b"HTTP/1.1 200 OK"


@pytest.mark.real_time
async def test_without_ipv6_everywhere_means_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = socket.socket

    def without(family: int = -1, *arguments: int, **more: object) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        return ordinary(family, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("lambdo_router.admin.serving.socket.socket", without)
    app = admin_app(FailureReports(Recorder()), Watched(lambda: None, lambda _: (b"", "")))  # type: ignore[arg-type,return-value]
    async with serve(app, "::") as url:
        monkeypatch.undo()
        assert url.startswith("http://0.0.0.0:")
        assert (
            await reach(socket.AF_INET, "127.0.0.1", int(url.rpartition(":")[2]))
            == b"HTTP/1.1 200 OK"
        )
