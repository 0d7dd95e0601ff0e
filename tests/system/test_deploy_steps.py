"""
docs/deploy.md, followed from an empty folder to a first message, as far as this machine goes.

SQS and Fly are the embedded servers, IAM and STS are moto's. The router runs as its fly.toml says,
with the secrets that were set, and without keys: with a web identity, as Fly's init provides it.
"""

import asyncio
import json
import os
import re
import signal
import sys
import time
import tomllib
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from cloud_shell import CloudShell
from moto.server import ThreadedMotoServer
from pages import ROOT, read_page
from processes import free_port
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdo_router.admin.serving import serve
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    ProcessRunner,
    machines_app,
)
from lambdo_router.local.sqs_server import Sqs, sqs_app

pytestmark = pytest.mark.real_time

PAGE = read_page(ROOT / "docs" / "deploy.md")
TOKEN = "fm2_a-deploy-token"
USER = "AKIAEXAMPLE"
"""Access key of whoever types; the router has none of its own."""


def steps(first: str, last: str) -> str:
    """The commands of the sections from one heading to another, both included, as one script."""
    lines = (ROOT / "docs" / "deploy.md").read_text().splitlines()
    headings = [n for n, line in enumerate(lines, 1) if re.match("#+ ", line)]
    start = lines.index(f"## {first}") + 1
    end = next((n for n in headings if n > lines.index(f"## {last}") + 1), len(lines))
    found = [b.text for b in PAGE.blocks if b.language == "sh" and start < b.line < end]
    assert found
    return "".join(found)


@dataclass
class Witness:
    """An SQS server's door: who asks for what of which queue."""

    app: ASGIApp
    seen: set[tuple[str, str]] = field(default_factory=set)
    """Action and queue of each request that came with keys of a role."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        first = await receive()
        assert not first.get("more_body"), "longer than one part"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if f"Credential={USER}/" not in headers["authorization"]:
            body = json.loads(first["body"])
            queue = body.get("QueueName") or body["QueueUrl"].rpartition("/")[2]
            self.seen.add((headers["x-amz-target"].rpartition(".")[2], queue))
        waiting: list[Message] = [first]

        async def replayed() -> Message:
            return waiting.pop() if waiting else await receive()

        await self.app(scope, replayed, send)


@dataclass
class Clouds:
    sqs: Sqs
    witness: Witness
    machines: MachinesServer
    shell: CloudShell
    sqs_url: str
    fly_url: str
    moto_url: str
    said: list[str] = field(default_factory=list)
    """The lines that Machines have printed."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a Machine has spoken or something has become of a message."""

    stopping: bool = False
    ended: bool = False
    """The router has ended before it was told to."""

    def end(self) -> None:
        self.ended = not self.stopping
        self.changed.set()

    def hear(self, _machine: str, _stream: str, line: str) -> None:
        self.said.append(line)
        self.changed.set()


@pytest.fixture
def moto() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@asynccontextmanager
async def clouds(folder: Path, moto_url: str) -> AsyncIterator[Clouds]:
    sqs = Sqs(account="123456789012")
    witness = Witness(sqs_app(sqs))
    machines = MachinesServer(
        ProcessRunner(folder / "acme"),
        Access({TOKEN: {"acme-jobs"}}),
    )
    async with (
        serve(witness) as sqs_url,
        machines.running(),
        serve(machines_app(machines)) as fly_url,
    ):
        shell = CloudShell.at(
            folder / "shell",
            TOKEN,
            AWS_ACCESS_KEY_ID=USER,
            AWS_SECRET_ACCESS_KEY="a-key",
            AWS_ENDPOINT_URL=moto_url,
            AWS_ENDPOINT_URL_SQS=sqs_url,
        )
        here = Clouds(sqs, witness, machines, shell, sqs_url, fly_url, moto_url)
        machines.on_line = here.hear
        sqs.ledger.listeners.append(lambda _: here.changed.set())
        yield here


@asynccontextmanager
async def router(
    here: Clouds, folder: Path, role: str
) -> AsyncIterator[tuple[dict[str, Any], int]]:
    """The router as Fly runs it: what fly.toml says, its port here, and SIGTERM at the end."""
    text = (folder / "fly.toml").read_text()
    fly = tomllib.loads(re.sub('AWS_ROLE_ARN = ".*"', f'AWS_ROLE_ARN = "{role}"', text))
    (folder / "oidc_token").write_text("a.b.c")
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "FLY_APP_NAME": fly["app"],
        "FLY_REGION": "iad",
        **fly["env"],
        **here.shell.secrets(fly["app"]),
        # What Fly's init adds:
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(folder / "oidc_token"),
        "AWS_ROLE_SESSION_NAME": "a-machine",
        # Where the clouds are here:
        "AWS_ENDPOINT_URL_SQS": here.sqs_url,
        "AWS_ENDPOINT_URL_STS": here.moto_url,
        "FLY_API_HOSTNAME": here.fly_url,
        "LAMBDO_SQS_LONG_POLL_SECONDS": "1",
        "LAMBDO_ADMIN_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "lambdo_router", "run", "routes.yaml"),
        cwd=folder,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    ending = asyncio.create_task(process.communicate())
    ending.add_done_callback(lambda _: here.end())
    try:
        yield fly, port
    finally:
        here.stopping = True
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        said, _ = await ending
        assert process.returncode == 0, said.decode()


async def until_done(here: Clouds, sent: int) -> None:
    """Wait until each message was heard of: by a Machine that spoke, or in the reject queue."""
    async with asyncio.timeout(30):
        while True:
            here.changed.clear()
            assert not here.ended
            entries = Counter((entry.queue, entry.kind) for entry in here.sqs.ledger.entries)
            if len(here.said) + entries["jobs-rejected", "sent"] >= sent:
                return
            await here.changed.wait()


async def until_answered(here: Clouds, port: int, path: str) -> None:
    """Wait until a check of fly.toml would pass."""
    async with asyncio.timeout(30), httpx.AsyncClient() as client:
        while not here.ended:
            try:
                if (await client.get(f"http://localhost:{port}{path}")).status_code == 200:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            await asyncio.sleep(0.05)
    raise AssertionError(path)


async def test_whoever_follows_the_page_gets_a_first_message_through(
    tmp_path: Path, moto: str
) -> None:
    async with clouds(tmp_path, moto) as here:
        printed = await here.shell.run(steps("A project", "The token, and the router"), tmp_path)
        [role] = re.findall(r"^arn:aws:iam::\d+:role/acme-router$", printed, re.MULTILINE)
        folder = tmp_path / "acme"

        async with router(here, folder, role) as (fly, port):
            for path in (*(check["path"] for check in fly["checks"].values()), "/metrics"):
                await until_answered(here, port, path)
            said, sent = "", 0
            for line in steps("A first message", "A first message").splitlines():
                said += await here.shell.run(f"export AWS_REGION=us-east-1\n{line}", folder)
                if line.startswith("lambdo-router send"):
                    sent += 1
                    await until_done(here, sent)

        assert here.said == ["hello, world"]
        assert "schema_invalid" in said
        assert ["deploy"] in here.shell.calls("fly")
        [machine] = here.machines.machines()
        assert here.shell.calls("docker")[1] == ["push", machine.config["image"]]
        _assert_allowed(here.witness.seen, json.loads((folder / "aws/policy.json").read_text()))
        _assert_queues(here.sqs)


def _assert_allowed(seen: set[tuple[str, str]], policy: Mapping[str, Any]) -> None:
    """The router asked for what its policy allows, and for nothing else."""
    allowed = {
        (action.removeprefix("sqs:"), statement["Resource"].rpartition(":")[2])
        for statement in policy["Statement"]
        for action in statement["Action"]
    }
    assert {(action.removesuffix("Batch"), queue) for action, queue in seen} <= allowed


def _assert_queues(sqs: Sqs) -> None:
    now = time.time()
    jobs, rejected = (sqs.attributes(name, ["All"], now) for name in ("jobs", "jobs-rejected"))
    assert json.loads(jobs["RedrivePolicy"]) == {
        "deadLetterTargetArn": rejected["QueueArn"],
        "maxReceiveCount": 10,
    }
    assert int(rejected["MessageRetentionPeriod"]) > int(jobs["MessageRetentionPeriod"])
