"""
A thousand Machines at once, for ten minutes of virtual time: calls to Fly, and memory.

    python benchmarks/fleet.py [MACHINES] [KILOBYTES]

The real router on a queue and a Fly in memory that keep no bodies, so that what grows is the
router's own: each Machine holds one event of KILOBYTES (default 10).
"""

import asyncio
import gc
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from building import profile, route, table
from conftest import VirtualLoop
from scenario import WALL, ScriptedLauncher, SpiedQueue

from lambdo_router import journal
from lambdo_router.dev.memory_queue import MemoryQueue
from lambdo_router.events import Message
from lambdo_router.launching import Machine, MachineRequest
from lambdo_router.router import Limits, Router
from lambdo_router.routing import Queue, RoutingTable

RUNS_FOR = 600.0


class ForgetfulFly(ScriptedLauncher):
    """Keeps of each request what a Machine's metadata says, and not the events."""

    async def launch(self, request: MachineRequest) -> Machine:
        """Take the Machine, without its files."""
        config = json.loads(request.body)["config"]
        body = json.dumps({"config": {"metadata": config["metadata"]}})
        light = MachineRequest(request.app, request.name, request.batch_id, body)
        return await super().launch(light)


class LightQueue(SpiedQueue):
    """Holds empty objects, and makes each an event of so many kilobytes when it is received."""

    kilobytes = 10

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        """Messages whose bodies are the receiver's alone."""
        received = await super().receive(limit, visibility)
        return [
            replace(m, body=json.dumps({"id": m.id, "text": "x" * self.kilobytes * 1024}))
            for m in received
        ]


async def no_tables():  # noqa: ANN201
    """No reload ever."""
    for made in ():
        yield made


async def measure(machines: int, kilobytes: int) -> dict[str, object]:
    """Launch them all, look at the middle of their time, and wait for their end."""
    fly = ForgetfulFly(runs_for=RUNS_FOR)
    queue = LightQueue(MemoryQueue("q"))
    queue.kilobytes = kilobytes
    careful = route(profile=profile(acknowledge="success", batch_size=1))
    made: RoutingTable = table(careful, queues=(Queue("q", url="q", max_waiting=100),))
    facts: Counter[type[journal.Fact]] = Counter()
    limits = Limits(launch_rate=100.0, launch_burst=100)

    async def opened(_: Queue) -> SpiedQueue:
        return queue

    router = Router(
        made,
        opened,
        fly,
        lambda fact: facts.update([type(fact)]),
        limits=limits,
        wall=lambda: WALL + asyncio.get_running_loop().time(),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(router.run(stop, no_tables()))
    await asyncio.sleep(1)
    before = rss()
    sent = 0
    while sent < machines:
        for _ in range(min(50, machines - sent)):
            queue.inner.put("{}")
            sent += 1
        await asyncio.sleep(1)
    await asyncio.sleep(RUNS_FOR / 2)
    gc.collect()
    middle, aloft = rss(), router.levels().queues[0]
    await asyncio.sleep(RUNS_FOR)
    stop.set()
    await running
    seconds = Counter(int(at) for at, call in fly.calls)
    return {
        "machines": len(fly.flown),
        "held while they ran": (aloft.held, aloft.waiting),
        "settled": facts[journal.Settled],
        "calls": dict(Counter(call for _, call in fly.calls)),
        "lists in any second, at most": max(
            Counter(int(at) for at, call in fly.calls if call == "list").values()
        ),
        "calls in any second, at most": max(seconds.values()),
        "RSS growth, KiB": middle - before,
        "KiB a Machine": round((middle - before) / machines, 1),
    }


def rss() -> int:
    """KiB."""
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def main() -> None:
    """Print what was measured."""
    machines, kilobytes = map(int, (*sys.argv[1:], *("1000", "10")[len(sys.argv) - 1 :]))
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        found = runner.run(measure(machines, kilobytes))
    for name, value in found.items():
        print(f"{name:<32} {value}")


if __name__ == "__main__":
    main()
