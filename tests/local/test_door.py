"""What a browser can make of the embedded servers: nothing."""

from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp

from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    ProcessRunner,
    machines_app,
)
from lambdo_router.local.sqs_server import Sqs, sqs_app

_SQS_HEADERS = {"authorization": "x", "x-amz-target": "AmazonSQS.SendMessage"}
_SENT = '{"QueueUrl": "/000000000000/orders", "MessageBody": "{}"}'


async def ask(app: ASGIApp, method: str, path: str, body: str, **headers: str) -> httpx.Response:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:9324") as client:
        return await client.request(method, path, content=body, headers=headers)


def orders() -> Sqs:
    sqs = Sqs()
    sqs.create_queue("orders", {}, 0.0)
    return sqs


_FOREIGN = [
    pytest.param({"host": "evil.example"}, id="a-name-that-leads-here"),
    pytest.param({"host": "evil.example:9324"}, id="with-the-port"),
    pytest.param({"host": "127.0.0.1.evil.example"}, id="a-name-like-an-address"),
    pytest.param({"host": ""}, id="no-name"),
    pytest.param({"origin": "https://evil.example"}, id="a-page"),
    pytest.param({"origin": "http://["}, id="no-origin"),
    pytest.param({"origin": "null"}, id="a-page-without-a-name"),
    pytest.param({"origin": "http://localhost:3000"}, id="a-page-of-another-server-here"),
]


@pytest.mark.parametrize("headers", _FOREIGN)
async def test_a_page_in_a_browser_can_neither_list_queues_nor_send(
    headers: dict[str, str],
) -> None:
    sqs = orders()
    answer = await ask(
        sqs_app(sqs, clock=lambda: 0.0), "POST", "/", _SENT, **(_SQS_HEADERS | headers)
    )
    assert (answer.status_code, answer.json()["__type"]) == (403, "AccessDenied")
    listing = _SQS_HEADERS | {"x-amz-target": "AmazonSQS.ListQueues"} | headers
    assert (
        await ask(sqs_app(sqs, clock=lambda: 0.0), "POST", "/", "{}", **listing)
    ).status_code == 403
    assert int(sqs.attributes("orders", ["All"], 0.0)["ApproximateNumberOfMessages"]) == 0


@pytest.mark.parametrize("headers", _FOREIGN)
async def test_a_page_in_a_browser_reaches_no_machines(headers: dict[str, str]) -> None:
    server = MachinesServer(ProcessRunner(Path()), Access({"secret": None}))
    signed = {"authorization": "Bearer secret"} | headers
    answer = await ask(machines_app(server), "GET", "/v1/apps/jobs/machines", "", **signed)
    assert answer.status_code == 403
    assert "this server" in answer.json()["error"]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="by-its-address"),
        pytest.param({"host": "localhost:9324"}, id="as-localhost"),
        pytest.param({"host": "[::1]:9324"}, id="by-its-other-address"),
        pytest.param({"host": "host.docker.internal:9324"}, id="from-a-container"),
        pytest.param({"origin": "http://127.0.0.1:9324"}, id="its-own-origin"),
    ],
)
async def test_who_means_this_server_gets_to_it(headers: dict[str, str]) -> None:
    sqs = orders()
    answer = await ask(
        sqs_app(sqs, clock=lambda: 0.0), "POST", "/", _SENT, **(_SQS_HEADERS | headers)
    )
    assert answer.status_code == 200
    assert int(sqs.attributes("orders", ["All"], 0.0)["ApproximateNumberOfMessages"]) == 1
