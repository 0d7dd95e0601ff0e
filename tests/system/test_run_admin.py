"""The server of `lambdo-router run`, and the commands that ask it, as their users meet them."""

import asyncio
import json
import signal
import socket
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from admin_process import ADMIN_TOKEN, SECRET, Running, started
from processes import free_port
from router_process import KEY, ROUTES, TOKEN, world
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lambdo_router.admin.serving import disconnected, serve

pytestmark = pytest.mark.real_time

WITH_SECRET = ROUTES.replace(
    '"registry.fly.io/jobs:1"', '"registry.fly.io/jobs:1", env: {S: "${S}"}'
)


def kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()


async def test_a_reload_over_http_says_what_came_of_it_and_nothing_tells_a_secret(
    tmp_path: Path,
) -> None:
    async with started(tmp_path, WITH_SECRET) as running:
        await running.said("queue.opened")
        running.here.send(json.dumps({"planted": "body"}), kind="a")
        await running.here.until(running.here.settled)
        same = await running.reload()
        (tmp_path / "routes.yaml").write_text(WITH_SECRET.replace("jobs:1", "jobs:2"))
        accepted = await running.reload()
        (tmp_path / "routes.yaml").write_text(WITH_SECRET + "x: 1\n")
        refused = await running.reload()
        answers = [await running.get(path) for path in ("/status", "/readyz", "/metrics", "/x")]
        commands = [
            await running.command(*line)
            for line in (["status"], ["status", "--format", "json"], ["top"])
        ]
        running.process.send_signal(signal.SIGTERM)
        code, _ = await running.here.end(running.process)

    assert code == 0
    assert (same.status_code, same.json()["outcome"]) == (200, "unchanged")
    assert (accepted.status_code, accepted.json()["outcome"]) == (200, "accepted")
    assert accepted.json()["changes"][:2] == [
        "~ profile `plain`, used by route `first`",
        '    ~ image: "registry.fly.io/jobs:1" -> "registry.fly.io/jobs:2"',
    ]
    assert (refused.status_code, refused.json()["outcome"]) == (422, "refused")
    assert refused.json()["problems"][0].startswith("routes.yaml:10:1: unknown key `x`")
    assert [code for code, _ in commands] == [0, 0, 0]
    assert "reload" in commands[0][1]
    texts = [answer.text for answer in (same, accepted, refused, *answers)]
    texts += [text for _, text in commands]
    for text in texts:
        for secret in (TOKEN, KEY, ADMIN_TOKEN, SECRET, "planted"):
            assert secret not in text


async def test_status_tells_of_routes_by_their_place_and_of_what_they_did(tmp_path: Path) -> None:
    async with started(tmp_path) as running:
        await running.said("queue.opened")
        running.here.send("{}", kind="a")
        running.here.send("{}", kind="b")
        await running.said("message.deleted")
        await running.here.until(running.here.settled)
        status: dict[str, Any] = (await running.get("/status")).json()

    assert status["routes"][0]["place"] == "routes.yaml:9"
    assert status["routes"][0]["totals"]["launches"] == 1
    assert status["queues"][0]["reasons"] == {"unmatched": 1}
    assert status["batches"][0]["state"] == "launched"


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET /readyz HTTP/1.1\r\nHost: x\r\n", id="half-a-head"),
        pytest.param(
            b"POST /explain HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbody", id="half-a-body"
        ),
    ],
)
async def test_more_connections_than_files_stop_neither_answers_nor_launches(
    sent: bytes, tmp_path: Path
) -> None:
    loop = asyncio.get_running_loop()
    async with world(tmp_path) as here, AsyncExitStack() as ends:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", 'ulimit -n 200 && exec "$0" -m lambdo_router run', sys.executable),
            cwd=here.folder,
            env={**here.environment, "LAMBDO_ADMIN_TOKEN": ADMIN_TOKEN},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        ends.callback(kill, process)
        http = await ends.enter_async_context(httpx.AsyncClient(timeout=30))
        running = Running(here, process, http)
        listening = await running.said("admin.listening")
        port = int(listening["url"].rpartition(":")[2])
        running.url = f"http://127.0.0.1:{port}"
        await running.said("queue.opened")
        for _ in range(300):
            client = ends.enter_context(socket.socket())
            client.setblocking(False)
            await loop.sock_connect(client, ("127.0.0.1", port))
            with suppress(ConnectionError):  # it was one too many already
                await loop.sock_sendall(client, sent)
        ready = await running.get("/readyz")
        here.send("{}", kind="a")
        launched = await here.until_launched(1)
        process.terminate()
        code, _ = await here.end(process)

    assert ready.status_code == 200
    assert launched == [[{}]]
    assert code == 0


async def test_the_server_is_there_before_the_queues_are_reached(tmp_path: Path) -> None:
    async def never(request: Request) -> Response:
        await request.body()
        await disconnected(request.receive)
        return Response()

    silent = Starlette(routes=[Route("/{path:path}", never, methods=["GET", "POST"])])
    async with serve(silent) as nowhere, started(tmp_path, AWS_ENDPOINT_URL=nowhere) as running:
        alive, ready = await running.get("/healthz"), await running.get("/readyz")
        checked = await running.command("status", "--check", "ready")
        status = await running.command("status")

    assert alive.json() == {"alive": True}
    assert (ready.status_code, ready.json()["state"]) == (503, "starting")
    assert checked[0] == 1
    assert checked[1].startswith("not ready\nrouter: starting: connecting to queues and apps\n")
    assert status[0] == 1
    assert status[1].startswith("not ready  lambdo-router ")


async def test_health_checks_are_answered_by_exit_codes(tmp_path: Path) -> None:
    async with started(tmp_path) as running:
        await running.said("queue.opened")
        alive = await running.command("status", "--check", "alive")
        ready = await running.command("status", "--check", "ready")
        asked_json = await running.command("status", "--check", "ready", "--format", "json")

    assert (alive, ready) == ((0, "alive\n"), (0, "ready\n"))
    assert json.loads(asked_json[1])["ready"]
    gone = await running.command("status", "--check", "alive")
    assert gone[0] == 1
    assert f"no router answers at {running.url} (Connection refused)" in gone[1]


async def test_a_port_that_is_taken_is_an_error_that_names_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - what the router asks for, in IPv4
        taken.listen()
        async with world(tmp_path) as here:
            port = str(taken.getsockname()[1])
            code, text = await here.end(await here.start(LAMBDO_ADMIN_PORT=port))

    assert code == 2
    assert f"cannot listen on :: port {port} (Address already in use)" in text
    assert "LAMBDO_ADMIN_PORT" in text
    assert "--no-admin" in text


async def test_without_its_server_a_router_does_its_work_too(tmp_path: Path) -> None:
    port = free_port()
    async with world(tmp_path) as here:
        router = await here.start("--no-admin", LAMBDO_ADMIN_PORT=str(port))
        here.send("{}", kind="a")
        await here.until(here.settled)
        with socket.socket() as client:
            refused = client.connect_ex(("127.0.0.1", port))
        router.send_signal(signal.SIGTERM)
        code, text = await here.end(router)

    assert code == 0
    assert refused != 0
    assert "admin.listening" not in text
