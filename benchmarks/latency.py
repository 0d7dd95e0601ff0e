"""
Latency of an idle system: from a message's arrival at SQS to the create request at Fly.

    python benchmarks/latency.py [MESSAGES]

Messages come one at a time, each a few hundredths of a second after the create of the one before
it. Beside the router stands a bare loop of boto3, which receives and posts the same create, against
the same servers in the same run: what a message takes there is the servers' own time and that of
boto3. The rest is what the router adds. The two take turns, over queues that are 1, 10 and 100.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from measuring import Column, Table, Target, cpu_seconds_of, full_or_quick, percentile, tell
from real_router import APP, Services, process, router

from lambdo_router.local.machines_server import ApiCall

MESSAGES = full_or_quick(100, 10)
"""In each round."""
ROUNDS = full_or_quick(3, 1)
QUEUES = full_or_quick((1, 10, 100), (1, 10))
MOST_ADDED = 0.010
"""Seconds that the router may add in the median."""
_SETTLING = 1.0
"""Seconds for all polls to begin."""
_LONG_POLL = "20"
_BODY = json.dumps({"object": {"key": "uploads/2026/11/photo-0001.png", "size": 123_456}})

_FLOOR = """
import base64, boto3, http.client, json, os
sqs = boto3.client("sqs")
url = sqs.get_queue_url(QueueName="queue-0")["QueueUrl"]
fly = http.client.HTTPConnection(os.environ["FLY_API_HOSTNAME"].removeprefix("http://"))
headers = {"Authorization": "Bearer " + os.environ["LAMBDO_FLY_TOKEN"],
           "Content-Type": "application/json"}
while True:
    got = sqs.receive_message(
        QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=20,
        MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"],
    ).get("Messages", [])
    if not got:
        continue
    events = "[" + ",".join(m["Body"] for m in got) + "]"
    files = [{"guest_path": "/tmp/events.json",
              "raw_value": base64.b64encode(events.encode()).decode()}]
    body = json.dumps({"config": {"image": "registry.fly.io/jobs:1", "files": files,
                                  "auto_destroy": True, "restart": {"policy": "no"}}})
    fly.request("POST", "/v1/apps/jobs/machines", body, headers)
    answer = fly.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    sqs.delete_message_batch(QueueUrl=url, Entries=[
        {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(got)
    ])
"""


class Watched(deque[ApiCall]):
    """The newest calls; sets `created` as soon as a create comes in."""

    def __init__(self) -> None:
        super().__init__(maxlen=1000)
        self.created = asyncio.Event()
        self.at = 0.0

    def append(self, call: ApiCall) -> None:
        """Note a call that has come in."""
        if call.action == "create" and not self.created.is_set():
            self.at = time.perf_counter()
            self.created.set()
        super().append(call)


@dataclass(slots=True)
class Samples:
    """What was seen over all rounds."""

    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0
    """Seconds of the process, its polls included."""

    def at(self, part: float) -> float:
        """Return a percentile, in milliseconds."""
        return percentile(self.seconds, part) * 1e3


async def sample(
    services: Services,
    queues: Sequence[str],
    messages: int,
    process: AbstractAsyncContextManager[asyncio.subprocess.Process],
    into: Samples,
) -> None:
    """One round with one process."""
    calls = Watched()
    services.machines.calls = calls
    drawn = random.Random(len(into.seconds))  # noqa: S311 - the same in every run
    async with process as running:
        await asyncio.sleep(_SETTLING)
        await one(services, calls, queues[0])  # it has made its connections after this one
        cpu = cpu_seconds_of(running.pid)
        for _ in range(messages):
            await asyncio.sleep(drawn.uniform(0.02, 0.04))
            into.seconds.append(await one(services, calls, drawn.choice(queues)))
        into.cpu += cpu_seconds_of(running.pid) - cpu


async def one(services: Services, calls: Watched, queue: str) -> float:
    """Send a message and wait for its create, in seconds."""
    calls.created.clear()
    began = time.perf_counter()
    services.send(queue, _BODY)
    async with asyncio.timeout(30):
        await calls.created.wait()
    return calls.at - began


async def measure(messages: int, folder: Path) -> tuple[Samples, dict[int, Samples]]:
    """Return the floor, and the router by its number of queues."""
    services = Services()
    names = [f"queue-{number}" for number in range(max(QUEUES))]
    services.create_queues(names)
    floor, found = Samples(), {count: Samples() for count in QUEUES}
    async with services.running():
        bare = (sys.executable, "-c", _FLOOR)
        for _ in range(ROUNDS):
            environment = services.environment()
            await sample(services, names[:1], messages, process(folder, bare, environment), floor)
            for count, into in found.items():
                (folder / "routes.yaml").write_text(json.dumps(routes(names[:count])))
                pace = {"LAMBDO_LAUNCH_RATE": "1000", "LAMBDO_LAUNCH_BURST": "1000"}
                started = router(folder, services, LAMBDO_SQS_LONG_POLL_SECONDS=_LONG_POLL, **pace)
                await sample(services, names[:count], messages, started, into)
    return floor, found


def routes(names: Sequence[str]) -> dict[str, object]:
    """One route for each queue, with a pattern."""
    return {
        "version": 1,
        "queues": {name: {"name": name} for name in names},
        "profiles": {
            "one": {"app": APP, "image": "registry.fly.io/jobs:1", "acknowledge": "launch"}
        },
        "routes": [
            {
                "name": f"of-{name}",
                "queue": name,
                "match": {"body": {"object": {"size": [{"numeric": [">", 0]}]}}},
                "profile": "one",
            }
            for name in names
        ],
    }


def main(messages: int) -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        floor, found = asyncio.run(measure(messages, Path(folder)))
    ways = {"bare boto3 loop, 1 queue": floor}
    ways |= {f"router, {count} queues": samples for count, samples in found.items()}
    rows = []
    for name, it in ways.items():
        at = [it.at(0.5), it.at(0.99)]
        added = [at[0] - floor.at(0.5), at[1] - floor.at(0.99)]
        rows.append((name, *at, *added, it.cpu / len(it.seconds) * 1e3))
    columns = (
        Column("case"),
        Column("p50 ms", ".1f"),
        Column("p99 ms", ".1f"),
        Column("added p50 ms", ".1f"),
        Column("added p99 ms", ".1f"),
        Column("CPU ms a message", ".1f"),
    )
    targets = [
        Target(
            f"{count} queues: the router adds {added:.1f} ms in the median, "
            f"at most {MOST_ADDED * 1e3:.0f}",
            added <= MOST_ADDED * 1e3,
        )
        for count, it in found.items()
        for added in [it.at(0.5) - floor.at(0.5)]
    ]
    note = (
        f"{messages * ROUNDS} messages each. CPU is that of the process, its idle polls included."
    )
    title = "Latency of an idle system: message at SQS to create at Fly"
    return tell(Table("latency", title, columns, rows, note, targets))


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if sys.argv[1:] else MESSAGES))
