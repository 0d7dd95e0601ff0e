"""
Builds the router's image and lets it work: real boto3, real HTTP, on the embedded servers.

The router finds a message on its queue, creates a Machine for it, deletes the message when that
Machine has ended, and stops when it is told to: from a read-only filesystem, with no shell.
"""

import asyncio
import json
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from images import sizes
from images.bases import PYTHON
from images.containers import Container
from images.engine import Engine
from images.findings import Findings, say
from images.locks import pinned
from processes import free_port

from lambdo_router import __version__
from lambdo_router.engine.router import Limits
from lambdo_router.local.names import LOCAL_KEYS, LOCAL_REGION
from lambdo_router.local.sqs_server import LedgerEntry, NewMessage
from lambdo_router.local.stack import Stack, local_stack

_CHECKOUT = Path(__file__).parents[3]
_REVISION = "0123456789abcdef"
SERVICES = ("s3", "signin", "sqs", "sso", "sso-oidc", "sts")
"""What the Dockerfile keeps of botocore's data."""
_OPENED = """
import boto3, json
names = boto3.Session().get_available_services()
for name in names:
    boto3.client(name, region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="b")
print(json.dumps(names))
"""
_INSTALLED = """
import json
from importlib import metadata
print(json.dumps({d.name.lower().replace("_", "-"): d.version for d in metadata.distributions()}))
"""
_QUEUE = "uploads"
_PATIENCE = 60
"""Seconds that a step may take before it is given up; each takes a few at most."""


def try_router(engine: Engine, base: str, mounts: tuple[str, ...], findings: Findings) -> None:
    """Build the image, and check what it says of itself, what is in it and what it does."""
    say("router")
    began = time.monotonic()
    stamps = {"VERSION": __version__, "REVISION": _REVISION}
    config = engine.build(
        _CHECKOUT, "localhost/lambdo-router", base=base, arguments=stamps, mounts=mounts
    )
    findings.figure("router image, build", f"{time.monotonic() - began:.0f} s")
    container = Container(engine.unpack("localhost/lambdo-router"), config)
    _look_at(container, findings)
    asyncio.run(_work(container, findings))


def _look_at(container: Container, findings: Findings) -> None:
    config, folder = container.config, container.root / "opt/lambdo"
    findings.claim("it runs as a user by number, not root", config.user, "10001:10001")
    findings.claim("SIGTERM stops it", config.stop_signal, "SIGTERM")
    prefix = "org.opencontainers.image"
    stamped = (config.labels[f"{prefix}.version"], config.labels[f"{prefix}.revision"])
    findings.claim("its labels say what it is", stamped, (__version__, _REVISION))
    version = container.run("--version")
    findings.claim(
        "--version works", (version.returncode, __version__ in version.stdout), (0, True)
    )
    findings.claim(
        "installed is what the lock file says",
        _printed(container, _INSTALLED),
        pinned(_CHECKOUT / "requirements.lock", PYTHON) | {"lambdo-router": __version__},
    )
    findings.claim("boto3 opens the services kept", _printed(container, _OPENED), list(SERVICES))
    missing = container.run()
    findings.claim(
        "without a routes file it says which one is missing",
        (missing.returncode, missing.stderr.partition(":")[0]),
        (1, "/etc/lambdo/routes.yaml"),
    )
    findings.figure("router image, on top of its base", sizes.unpacked(folder))
    findings.figure("  the same, compressed", sizes.packed(folder))


def _printed(container: Container, program: str) -> object:
    ran = container.run("-c", program, entrypoint=("/opt/lambdo/bin/python3",))
    return json.loads(ran.stdout) if ran.returncode == 0 else ran.stderr


async def _work(container: Container, findings: Findings) -> None:
    with tempfile.TemporaryDirectory(prefix="lambdo-images-") as name:
        async with local_stack(Path(name), limits=Limits()) as stack:
            stack.sqs.create_queue(_QUEUE, {}, time.time())
            container.put("/etc/lambdo/routes.yaml", _routes(stack))
            seen = _Seen()
            stack.sqs.ledger.listeners.append(seen.notice)
            environment = container.environment(_settings(stack))
            await _life(container, environment, stack, seen, findings)


async def _life(
    container: Container,
    environment: Mapping[str, str],
    stack: Stack,
    seen: "_Seen",
    findings: Findings,
) -> None:
    stack.sqs.send(_QUEUE, NewMessage('{"object": "a.png"}'), time.time())
    began = time.time()
    process = await asyncio.create_subprocess_exec(
        *container.argv(), env=environment, stdout=PIPE, stderr=PIPE
    )
    deleted = asyncio.create_task(seen.deleted.wait())
    ended = asyncio.create_task(process.communicate())
    await asyncio.wait({deleted, ended}, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
    if not ended.done() and seen.deleted.is_set():
        findings.figure("start to first message received", f"{seen.received_at - began:.2f} s")
        machines = [(m.app, m.exit and m.exit.code) for m in stack.machines.machines()]
        findings.claim("a message became a Machine, which ended well", machines, [("jobs", 0)])
        _look_into(process, findings)
        findings.claim("the health check passes", await _health(container, environment), 0)
        stopping = time.monotonic()
        process.send_signal(signal.SIGTERM)
        await asyncio.wait({ended}, timeout=_PATIENCE)
        findings.figure("SIGTERM to its end", f"{time.monotonic() - stopping:.2f} s")
        findings.claim("SIGTERM ends it with 0", process.returncode, 0)
        findings.claim("then the health check fails", await _health(container, environment), 1)
    deleted.cancel()
    if not ended.done():
        process.kill()
    out, err = await ended
    done = seen.deleted.is_set() and process.returncode == 0
    findings.claim("the router has done its work", done, expected=True)
    if not done:
        say((out + err).decode())


def _look_into(process: Process, findings: Findings) -> None:
    status = _status_of(process)
    findings.claim("the process is not root", status["Uid"].split(), ["10001"] * 4)
    findings.claim("and has no capabilities", int(status["CapEff"], 16), 0)
    resident = int(status["VmRSS"].removesuffix(" kB")) * 1024 / 1e6
    findings.figure("resident, one queue, idle", f"{resident:.0f} MB")


async def _health(container: Container, environment: Mapping[str, str]) -> int | None:
    argv = container.argv(entrypoint=container.config.health)
    process = await asyncio.create_subprocess_exec(*argv, env=environment, stdout=PIPE, stderr=PIPE)
    await process.communicate()
    return process.returncode


@dataclass(slots=True)
class _Seen:
    """What the queue's ledger has told."""

    received_at: float = 0.0
    """When the first message was received, in seconds since the epoch; 0: not yet."""
    deleted: asyncio.Event = field(default_factory=asyncio.Event)

    def notice(self, entry: LedgerEntry) -> None:
        if entry.kind == "received":
            self.received_at = self.received_at or entry.at
        elif entry.kind == "deleted":
            self.deleted.set()


def _routes(stack: Stack) -> str:
    """One queue, one route; the Machine counts its events with a Python of this machine."""
    count = "import json, os; assert len(json.load(open(os.environ['EVENTS_PATH']))) == 1"
    document = {
        "version": 1,
        "queues": {_QUEUE: {"url": stack.queue_url(_QUEUE)}},
        "profiles": {
            "count": {"app": "jobs", "image": "x:1", "command": [sys.executable, "-c", count]}
        },
        "routes": [{"name": "uploads", "queue": _QUEUE, "profile": "count"}],
    }
    return json.dumps(document)  # which is YAML, too


def _settings(stack: Stack) -> dict[str, str]:
    port = free_port()
    return {
        "AWS_ENDPOINT_URL": stack.sqs_url,
        "AWS_REGION": LOCAL_REGION,
        "AWS_ACCESS_KEY_ID": LOCAL_KEYS.access_key_id,
        "AWS_SECRET_ACCESS_KEY": LOCAL_KEYS.secret_access_key,
        "LAMBDO_SQS_LONG_POLL_SECONDS": "2",  # a stop waits for the last poll to come home
        "FLY_API_HOSTNAME": stack.machines_url,
        "LAMBDO_FLY_TOKEN": stack.token,
        "LAMBDO_ADMIN_PORT": str(port),
        "LAMBDO_REPORT_URL": f"http://127.0.0.1:{port}",
    }


def _status_of(process: Process) -> dict[str, str]:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
