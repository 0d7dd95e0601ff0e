"""A running router, and everything that a sender or a stranger can throw at it."""

import asyncio
import json
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from processes import free_port, peak_rss
from router_process import ROUTES, World, world

from lambdo_router.core.message import Attribute
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE
from lambdo_router.local.sqs_server import NewMessage

pytestmark = pytest.mark.real_time

HOSTILE = {
    "deep nesting": "[" * 500_000,
    "deep objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "a number of 100,000 digits": '{"n": ' + "9" * 100_000 + "}",
    "a huge exponent": '{"n": 1e999999999}',
    "a lone surrogate": '{"n": "\\ud800"}',
    "an escaped NUL": '{"n": "\\u0000"}',
    "not a number": '{"n": NaN}',
    "a key twice": '{"n": 1, "n": 2}',
    "a lone surrogate under a key that comes again": '{"n": "\\ud800", "n": 1}',
    "deep nesting under a key that comes again": f'{{"n": {"[" * 600}{"]" * 600}, "n": 1}}',
    "terminal escapes": '{"n": "\\u001b]0;owned\\u0007", broken',
    "C1 control characters": "\x9b2J\x85",
    "lines that look like a log": 'x\n{"event": "router.stopped", "level": "info"}\n',
    "a megabyte of text": json.dumps({"n": "x" * 1_000_000}),
    "a hundred thousand keys": json.dumps({f"k{number}": 0 for number in range(60_000)}),
    "an array": "[1, 2]",
    "white space": " ",
    "text in another direction": '{"n": "\u202e\u2066"}',
}
ATTRIBUTES = {
    "kind": Attribute("String", "a"),
    "__proto__": Attribute("String", "{}"),
    "image": Attribute("String", "registry.fly.io/evil:1\nx"),
    "a" * 200: Attribute("Binary.a.b", b"\xff\x00"),
    "number": Attribute("Number", "9" * 5000),
    "list": Attribute("String.Array", "[" * 5000),
    "a.-_b": Attribute("String", "\x9b31m${HOME} $(id)"),
}


async def test_no_message_hurts_the_router_or_its_log(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        router = await here.start()
        sent = {send(here, body): name for name, body in HOSTILE.items()}
        here.send('{"good": true}', kind="a")
        await here.until(here.settled)
        grown = peak_rss(router.pid)
        router.send_signal(signal.SIGTERM)
        code, text = await here.end(router)

    assert code == 0
    facts = [json.loads(line) for line in text.splitlines()]
    assert [fact["event"] for fact in facts if fact["event"] == "router.stopped"] == [
        "router.stopped"
    ]
    assert not [fact for fact in facts if fact["event"] == "unit.failed"]
    assert not any(character in text for character in "\x1b\x07\0\x9b\u202e")
    refused = {sent[message_id] for message_id in rejected(here)}
    launched = {
        sent[message["message_id"]]
        for machine in here.machines.machines()
        for message in json.loads(machine.files["/tmp/batch.json"])["messages"]
        if message["message_id"] in sent
    }
    assert refused | launched == set(HOSTILE)
    assert launched == {
        "an escaped NUL",
        "a huge exponent",
        "a key twice",
        "text in another direction",
    }
    images = {machine.config["image"] for machine in here.machines.machines()}
    assert images == {"registry.fly.io/jobs:1"}
    assert grown < 300 * 1024, "KiB: sixteen bodies of a megabyte at most"


CAREFUL = ROUTES.replace("acknowledge: launch", "acknowledge: success")


async def test_a_report_of_100_megabytes_is_cut_short(tmp_path: Path) -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    async with world(tmp_path, CAREFUL) as here:
        router = await here.start(LAMBDO_REPORT_URL=address, LAMBDO_ADMIN_PORT=str(port))
        here.send('{"good": true}', kind="a")
        await here.until_launched(1)
        before = peak_rss(router.pid)
        statuses = [await post(f"{address}/reports/any", flood()) for _ in range(3)]
        grown = peak_rss(router.pid) - before
        await here.until(here.settled)
        router.send_signal(signal.SIGTERM)
        code, _ = await here.end(router)

    assert code == 0
    # No batch is called so, which is said before the body is read; a server that stops reading may
    # cut the connection before its answer is.
    assert set(statuses) <= {404, None}
    assert grown < 20 * 1024, "KiB"


def send(here: World, body: str) -> str:
    return here.sqs.send("work", NewMessage(body, dict(ATTRIBUTES)), time.time())


def rejected(here: World) -> Iterator[str]:
    while deliveries := here.sqs.receive("rejected", 10, 600, time.time()):
        for delivery in deliveries:
            yield json.loads(str(delivery.attributes[REJECTION_ATTRIBUTE].value))["message_id"]


async def flood() -> AsyncIterator[bytes]:
    for _ in range(100):
        yield b"[" * 1024 * 1024
        await asyncio.sleep(0)


async def post(url: str, content: AsyncIterator[bytes]) -> int | None:
    headers = {"Authorization": "Bearer guess"}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
            return (await client.post(url, content=content, headers=headers)).status_code
    except httpx.TransportError:
        return None
