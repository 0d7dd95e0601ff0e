"""
The real router on virtual time, between queues and a Fly in memory.

Nothing is waited for, so hours pass in seconds, and what is counted is the same on every machine.
The queues are those of the embedded SQS server, and calls take as long as real ones do. What is
not the router's is kept small: neither bodies nor requests pile up here.
"""

import asyncio
import json
import math
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))

from building import profile, route, table
from memory_queue import MemoryQueue
from scenario import WALL, ScriptedLauncher, SpiedQueue
from virtual_time import VirtualLoop

from lambdo_router.core import journal
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.engine.router import Limits, Router
from lambdo_router.service.running import no_changes

__all__ = [
    "FLYS_PACE",
    "FLY_TAKES",
    "SQS_TAKES",
    "Countdown",
    "ForgetfulFly",
    "LightQueue",
    "MemoryQueue",
    "on_virtual_time",
    "profile",
    "route",
    "routing",
    "table",
]

_T = TypeVar("_T")

SQS_TAKES = 0.02
"""Seconds of a call to SQS in the same region."""
FLY_TAKES = 0.3
"""Seconds of a create."""
FLYS_PACE = Limits(launch_rate=1.0, launch_burst=3)
_PER_CALL = 10


def on_virtual_time(work: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class ForgetfulFly(ScriptedLauncher):
    """Keeps of each request what a Machine's metadata says, and not the events."""

    async def launch(self, request: MachineRequest) -> Machine:
        """Take the Machine, without its files."""
        config = json.loads(request.body)["config"]
        body = json.dumps({"config": {"metadata": config["metadata"]}})
        light = MachineRequest(request.app, request.name, request.batch_id, body)
        return await super().launch(light)

    @property
    def counts(self) -> Counter[str]:
        """Calls to the Machines API by kind."""
        return Counter(call for _, call in self.calls) + Counter(create=len(self.attempts))


class LightQueue(SpiedQueue):
    """
    A queue that counts its calls as SQS does, ten messages each.

    With `kilobytes` it holds empty objects, and makes each an event of that size when it is
    received, so that bodies are the receiver's alone.
    """

    def __init__(self, name: str, kilobytes: int = 0) -> None:
        super().__init__(MemoryQueue(name), delete_takes=SQS_TAKES, receive_takes=SQS_TAKES)
        self.kilobytes = kilobytes
        self.counts: Counter[str] = Counter()
        self.inner.ledger.entries = deque(maxlen=100)

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        """At most ten messages."""
        self.counts["receive"] += 1
        received = await super().receive(limit, visibility)
        if not self.kilobytes:
            return received
        return [
            replace(m, body=json.dumps({"id": m.id, "text": "x" * self.kilobytes * 1024}))
            for m in received
        ]

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        """One call for ten."""
        self.counts["delete"] += math.ceil(len(receipts) / _PER_CALL)
        return await super().delete(receipts)

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """One call for ten."""
        self.counts["change visibility"] += math.ceil(len(seconds) / _PER_CALL)
        return await super().set_visibility(seconds)


@dataclass(slots=True)
class Countdown:
    """Notes when so many messages are settled."""

    left: int
    done: asyncio.Event

    def observe(self, fact: journal.Fact) -> None:
        """Count."""
        if isinstance(fact, journal.Settled):
            self.left -= 1
            if self.left == 0:
                self.done.set()


@asynccontextmanager
async def routing(
    table: RoutingTable,
    fly: ScriptedLauncher,
    queues: Mapping[str, SpiedQueue],
    observe: Callable[[journal.Fact], None],
    limits: Limits = FLYS_PACE,
) -> AsyncIterator[Router]:
    """Yield a running router."""

    async def opened(queue: Queue) -> SpiedQueue:
        return queues[queue.name]

    def wall() -> float:
        return WALL + asyncio.get_running_loop().time()

    router = Router(*(table, opened, fly, observe), limits=limits, jitter=lambda: 1.0, clock=wall)
    stop = asyncio.Event()
    running = asyncio.create_task(router.run(stop, no_changes()))
    try:
        yield router
    finally:
        stop.set()
        await running
