"""`lambdo-router run` as its users start it: a process, with an environment and signals."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto.server import ThreadedMotoServer
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lambdo_router.admin.serving import serve
from lambdo_router.core.machine import EVENTS_PATH
from lambdo_router.core.message import Attribute
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    ScriptedRunner,
    machines_app,
)
from lambdo_router.local.sqs_server import Outgoing, Sqs, sqs_app

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

pytestmark = pytest.mark.real_time

TOKEN = "fm2_planted-token-0123456789"
KEY = "planted-secret-key"
CLOSED = "http://127.0.0.1:9"

ROUTES = """\
version: 1
queues:
  work: {name: work, visibility: 30s, reject_to: rejected}
  rejected: {name: rejected}
defaults: {app: jobs, acknowledge: launch, max_attempts: 5}
profiles:
  plain: {image: "registry.fly.io/jobs:1"}
routes:
  - {name: first, queue: work, match: {attributes: {kind: a}}, profile: plain}
"""


@dataclass
class World:
    """Both servers, and a router process in front of them."""

    folder: Path
    sqs: Sqs
    machines: MachinesServer
    environment: dict[str, str]
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something has happened at one of the servers."""

    def __post_init__(self) -> None:
        self.sqs.ledger.listeners.append(lambda _: self.changed.set())
        self.machines.platform.observers.append(lambda *_: self.changed.set())

    async def start(self, *arguments: str, **changes: str) -> asyncio.subprocess.Process:
        environment = {k: v for k, v in {**self.environment, **changes}.items() if v}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "lambdo_router",
            "run",
            *arguments,
            cwd=self.folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def end(self, process: asyncio.subprocess.Process) -> tuple[int, str]:
        """The exit code, and all that was printed: never a traceback, never a secret."""
        out, err = await asyncio.wait_for(process.communicate(), 30)
        text = (out + err).decode()
        assert "Traceback" not in text
        assert TOKEN not in text
        assert "planted" not in text
        return process.returncode or 0, text

    def send(self, body: str, **attributes: str) -> str:
        typed = {name: Attribute("String", value) for name, value in attributes.items()}
        return self.sqs.send("work", Outgoing(body, typed), time.time())

    async def until(self, wanted: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not wanted():
                self.changed.clear()
                await self.changed.wait()

    def settled(self) -> bool:
        """Whether the queue is empty: everything was deleted."""
        kinds = Counter(entry.kind for entry in self.sqs.ledger.entries if entry.queue == "work")
        return kinds["sent"] == kinds["deleted"]

    async def until_launched(self, count: int) -> list[list[object]]:
        """Wait for so many Machines; the events of each."""
        await self.until(lambda: len(self.machines.machines()) >= count)
        return [json.loads(m.files[EVENTS_PATH]) for m in self.machines.machines()]


@asynccontextmanager
async def world(folder: Path, routes: str | None = ROUTES) -> AsyncIterator[World]:
    if routes is not None:
        (folder / "routes.yaml").write_text(routes)
    sqs = Sqs()
    for name in ("work", "rejected"):
        sqs.create_queue(name, {}, time.time())
    machines = MachinesServer(
        ScriptedRunner(), Access({TOKEN: {"jobs"}}), limits=RateLimits(enabled=False)
    )
    async with (
        serve(sqs_app(sqs)) as sqs_url,
        machines.running(),
        serve(machines_app(machines)) as fly_url,
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": sqs_url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": KEY,
            "FLY_API_HOSTNAME": fly_url,
            "LAMBDO_FLY_TOKEN": f"FlyV1 {TOKEN}",
            "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
            "LAMBDO_LOG_FORMAT": "json",
            "LAMBDO_LOG_LEVEL": "debug",
            "LAMBDO_ADMIN_PORT": "0",
        }
        yield World(folder, sqs, machines, environment)


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
        and warning.endswith("it is asked again while the router runs")
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
