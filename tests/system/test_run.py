"""`lambdo-router run` as its users start it: a process, with an environment and signals."""

import asyncio
import json
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from router_process import ROUTES, world
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lambdo_router.admin.serving import serve

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

pytestmark = pytest.mark.real_time

CLOSED = "http://127.0.0.1:9"


async def test_messages_become_machines_until_the_router_is_told_to_stop(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        router = await here.start("routes.yaml")
        here.send('{"n": 1.10}', kind="a")
        here.send("not json", kind="a")
        events = await here.until_launched(1)
        await here.until(here.settled)
        router.send_signal(signal.SIGTERM)
        code, text = await here.end(router)

    assert code == 0
    assert events == [[{"n": 1.1}]]
    names = [json.loads(line)["event"] for line in text.splitlines()]
    assert names[0] == "router.started"
    assert names[-1] == "router.stopped"
    assert {"machine.launched", "message.rejected", "message.deleted"} <= set(names)


async def test_a_changed_file_is_taken_over_and_a_broken_one_is_not(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        router = await here.start()
        here.send('{"n": 1}', kind="a")
        await here.until_launched(1)
        (tmp_path / "routes.yaml").write_text(ROUTES.replace("kind: a", "kind: [a"))
        here.send('{"n": 2}', kind="a")
        await here.until_launched(2)
        (tmp_path / "routes.yaml").write_text(ROUTES.replace("name: first", "name: second"))
        router.send_signal(signal.SIGHUP)
        async with asyncio.timeout(20):
            while True:
                here.send('{"n": 3}', kind="a")
                await here.until_launched(len(here.machines.machines()) + 1)
                newest = here.machines.machines()[-1]
                if newest.config["metadata"]["lambdo_route"] == "second":
                    break
        router.send_signal(signal.SIGINT)
        code, text = await here.end(router)

    assert code == 0
    assert "routes.swapped" in text


async def test_the_original_contract_needs_no_routes_file(tmp_path: Path) -> None:
    async with world(tmp_path, routes=None) as here:
        url = "https://sqs.us-east-1.amazonaws.com/123456789012/work"
        router = await here.start(
            LAMBDO_SQS_QUEUE_URL=url, LAMBDO_FLY_APP="jobs", LAMBDO_FLY_REGION="iad"
        )
        here.send("{}", image="registry.fly.io/jobs:2", command='["node", "x.js"]')
        await here.until_launched(1)
        router.send_signal(signal.SIGTERM)
        code, _ = await here.end(router)

    (machine,) = here.machines.machines()
    assert code == 0
    assert machine.config["image"] == "registry.fly.io/jobs:2"
    assert machine.config["init"] == {"cmd": ["node", "x.js"]}
    assert machine.config["guest"] == {"cpu_kind": "performance", "cpus": 2, "memory_mb": 4096}
    assert machine.region == "iad"


async def test_any_sqs_and_any_machines_api_will_do(tmp_path: Path) -> None:
    created: list[dict[str, Any]] = []
    changed = asyncio.Event()

    async def create(request: Request) -> JSONResponse:
        created.append(await request.json())
        changed.set()
        return JSONResponse({"id": f"m{len(created)}", "name": created[-1]["name"]})

    async def nothing(_: Request) -> JSONResponse:
        return JSONResponse([])

    path = "/v1/apps/jobs/machines"
    machines_api = Starlette(
        routes=[Route(path, create, methods=["POST"]), Route(path, nothing, methods=["GET"])]
    )
    sqs = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    sqs.start()
    try:
        async with world(tmp_path) as here, serve(machines_api) as fly_url:
            host, port = sqs.get_host_and_port()
            here.environment |= {
                "AWS_ENDPOINT_URL": f"http://{host}:{port}",
                "FLY_API_HOSTNAME": fly_url,
            }
            client = boto3.client(
                "sqs",
                endpoint_url=f"http://{host}:{port}",
                region_name="us-east-1",
                aws_access_key_id="a",
                aws_secret_access_key="b",
            )
            urls = {
                name: client.create_queue(QueueName=name)["QueueUrl"]
                for name in ("work", "rejected")
            }
            kind: MessageAttributeValueTypeDef = {"DataType": "String", "StringValue": "a"}
            for body in ("{}", "not json"):
                client.send_message(
                    QueueUrl=urls["work"], MessageBody=body, MessageAttributes={"kind": kind}
                )
            router = await here.start()
            await asyncio.wait_for(changed.wait(), 30)
            rejected = await asyncio.to_thread(
                client.receive_message, QueueUrl=urls["rejected"], WaitTimeSeconds=20
            )
            router.send_signal(signal.SIGTERM)
            code, _ = await here.end(router)
            left = client.get_queue_attributes(QueueUrl=urls["work"], AttributeNames=["All"])
            client.close()
    finally:
        sqs.stop()

    assert code == 0
    assert [machine["config"]["metadata"]["lambdo_route"] for machine in created] == ["first"]
    assert [message["Body"] for message in rejected["Messages"]] == ["not json"]
    counts = left["Attributes"]
    assert counts["ApproximateNumberOfMessages"] == "0"
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"


async def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        router = await here.start(LAMBDO_SQS_LONG_POLL_SECONDS="20")
        here.send("{}", kind="a")
        await here.until(here.settled)
        router.send_signal(signal.SIGTERM)
        assert router.stderr is not None
        async for line in router.stderr:
            if b"router.stopping" in line:
                break
        router.send_signal(signal.SIGTERM)
        code, text = await here.end(router)

    assert code == 128 + signal.SIGTERM
    assert "router.stopped" not in text


@pytest.mark.parametrize(
    ("variable", "said", "until"),
    [
        pytest.param("AWS_ENDPOINT_URL", "`work`", b"queue.failed", id="no-aws"),
        pytest.param("FLY_API_HOSTNAME", "Machines API", b"queue.opened", id="no-fly"),
    ],
)
async def test_what_does_not_answer_at_the_start_is_waited_for(
    tmp_path: Path, variable: str, said: str, until: bytes
) -> None:
    async with world(tmp_path) as here:
        router = await here.start(**{variable: CLOSED})
        assert router.stderr is not None
        seen = b""
        async for line in router.stderr:
            seen += line
            if until in line:
                break
        router.send_signal(signal.SIGTERM)
        code, _ = await here.end(router)

    warnings = [line for line in seen.decode().splitlines() if line.startswith("warning: ")]
    assert code == 0
    assert any(
        said in warning
        and CLOSED in warning
        and warning.endswith("the router keeps trying while it runs")
        for warning in warnings
    )


@pytest.mark.parametrize(
    ("routes", "changes", "expected", "said"),
    [
        pytest.param(
            ROUTES, {"LAMBDO_FLY_TOKEN": "fm2_planted-wrong"}, 1, ["401", "token"], id="wrong-token"
        ),
        pytest.param(
            ROUTES.replace("app: jobs", "app: other"),
            {},
            1,
            ["403", "other"],
            id="token-of-another-app",
        ),
        pytest.param(
            ROUTES.replace("app: jobs", "app: [jobs, other]"),
            {},
            1,
            ["403", "the token is not for the app other", "joined by commas"],
            id="token-of-one-of-two-apps",
        ),
        pytest.param(
            ROUTES.replace("name: work", "name: wrok"),
            {},
            1,
            ["`work`", "wrok", "does not exist"],
            id="no-such-queue",
        ),
        pytest.param(
            ROUTES.replace("name: rejected", "name: gone"),
            {},
            1,
            ["`rejected`", "gone"],
            id="no-such-reject-queue",
        ),
        pytest.param(ROUTES, {"LAMBDO_FLY_TOKEN": ""}, 2, ["LAMBDO_FLY_TOKEN"], id="no-token"),
        pytest.param(ROUTES, {"AWS_ACCESS_KEY_ID": ""}, 1, ["credentials"], id="no-credentials"),
        pytest.param(
            ROUTES,
            {"LAMBDO_LAUNCH_BURST": "x"},
            2,
            ["LAMBDO_LAUNCH_BURST", "whole number"],
            id="setting",
        ),
        pytest.param(
            ROUTES.replace("name: work", "url: '${WORK_URL}'"),
            {},
            1,
            ["routes.yaml:3:", "WORK_URL"],
            id="missing-variable",
        ),
        pytest.param(
            ROUTES.replace("profile: plain", "profile: plian, schema: x.json"),
            {},
            1,
            ["did you mean `plain`", "x.json", "routes.yaml:9:"],
            id="routes-file",
        ),
        pytest.param(None, {}, 2, ["routes.yaml", "LAMBDO_SQS_QUEUE_URL"], id="nothing-to-run"),
    ],
)
async def test_what_cannot_run_says_why(
    tmp_path: Path, routes: str | None, changes: dict[str, str], expected: int, said: list[str]
) -> None:
    async with world(tmp_path, routes) as here:
        code, text = await here.end(await here.start(**changes))

    assert code == expected
    for words in said:
        assert words in text
