"""A consumer or a router on virtual time, with its queue and launcher under the test's control."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from lambdo_router import journal
from lambdo_router.dev.memory_queue import MemoryQueue
from lambdo_router.errors import LaunchError, QueueError, QueueUnavailable
from lambdo_router.events import Attribute, Message
from lambdo_router.launching import Machine, MachineRequest
from lambdo_router.router import Limits, Router
from lambdo_router.routing import Queue, RoutingTable

_F = TypeVar("_F", bound=journal.Fact)


def now() -> float:
    return round(asyncio.get_running_loop().time(), 3)


@dataclass
class SpiedQueue:
    """A MemoryQueue that notes each call and can be told to fail."""

    inner: MemoryQueue
    calls: list[tuple[float, str, tuple[str, ...], float]] = field(default_factory=list)
    failing: dict[str, QueueError] = field(default_factory=dict)
    refusing: bool = False
    """Whether SQS refuses every change of visibility: the leases are lost."""
    delete_takes: float = 0.0

    @property
    def name(self) -> str:
        return self.inner.name

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        self._fail("receive")
        return await self.inner.receive(limit, visibility)

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        self.calls.append((now(), "delete", tuple(receipts), 0.0))
        self._fail("delete")
        await asyncio.sleep(self.delete_takes)
        return await self.inner.delete(receipts)

    async def set_visibility(self, receipts: Sequence[str], seconds: float) -> Mapping[str, str]:
        self.calls.append((now(), "visibility", tuple(receipts), round(seconds, 3)))
        self._fail("visibility")
        if self.refusing:
            return dict.fromkeys(receipts, "ReceiptHandleIsInvalid")
        return await self.inner.set_visibility(receipts, seconds)

    async def send(self, body: str, attributes: Mapping[str, Attribute]) -> str:
        self.calls.append((now(), "send", (body,), 0.0))
        self._fail("send")
        return await self.inner.send(body, attributes)

    def times(self, call: str) -> list[float]:
        return [at for at, name, _, _ in self.calls if name == call]

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise self.failing[call]


@dataclass
class ScriptedLauncher:
    """Fly in memory: answers as scripted, else takes every Machine after `takes` seconds."""

    takes: float = 0.0
    script: list[LaunchError | None] = field(default_factory=list)
    """What the next attempts raise; None: succeed."""
    created_all_the_same: bool = False
    """Whether an ambiguous failure has had its effect."""
    attempts: list[tuple[float, str]] = field(default_factory=list)
    machines: dict[str, MachineRequest] = field(default_factory=dict)
    """By batch id."""
    looked_up: list[float] = field(default_factory=list)

    async def launch(self, request: MachineRequest) -> Machine:
        self.attempts.append((now(), request.name))
        outcome = self.script.pop(0) if self.script else None
        await asyncio.sleep(self.takes)
        if outcome is None or self.created_all_the_same:
            self.machines[request.batch_id] = request
        if outcome is not None:
            raise outcome
        return Machine(f"id-{len(self.machines)}", request.name, "iad")

    async def find(self, request: MachineRequest) -> Machine | None:
        self.looked_up.append(now())
        if request.batch_id in self.machines:
            return Machine("found", request.name, "iad", adopted=True)
        return None

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.attempts]


@dataclass
class Scenario:
    table: RoutingTable
    launcher: ScriptedLauncher
    limits: Limits
    queues: dict[str, SpiedQueue]
    facts: list[tuple[float, journal.Fact]] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    unopenable: dict[str, QueueError] = field(default_factory=dict)
    _tables: "asyncio.Queue[RoutingTable]" = field(default_factory=asyncio.Queue)
    router: Router = field(init=False)

    def __post_init__(self) -> None:
        self.router = Router(
            self.table,
            self._open,
            self.launcher,
            lambda fact: self.facts.append((now(), fact)),
            limits=self.limits,
            jitter=lambda: 1.0,
        )

    def queue(self, name: str = "q") -> SpiedQueue:
        return self.queues[name]

    def put(self, *bodies: str, queue: str = "q", **attributes: str) -> list[str]:
        typed = {name: Attribute("String", value) for name, value in attributes.items()}
        return [self.queue(queue).inner.put(body, typed) for body in bodies]

    def swap(self, table: RoutingTable) -> None:
        self._tables.put_nowait(table)

    def of(self, kind: type[_F]) -> list[_F]:
        return [fact for _, fact in self.facts if isinstance(fact, kind)]

    def when(self, kind: type[journal.Fact]) -> list[float]:
        return [at for at, fact in self.facts if isinstance(fact, kind)]

    def settled(self) -> dict[str, object]:
        return {fact.message_id: fact.settlement for fact in self.of(journal.Settled)}

    def launched(self) -> list[tuple[float, int]]:
        """When, and with how many events, each Machine was launched."""
        return [
            (at, len(fact.batch.entries))
            for at, fact in self.facts
            if isinstance(fact, journal.Launched)
        ]

    async def tables(self) -> AsyncIterator[RoutingTable]:
        while True:
            yield await self._tables.get()

    async def _open(self, queue: Queue) -> SpiedQueue:
        if queue.name in self.unopenable:
            raise self.unopenable[queue.name]
        return self.queues[queue.name]


@asynccontextmanager
async def running(
    table: RoutingTable,
    launcher: ScriptedLauncher | None = None,
    *,
    limits: Limits = Limits(launch_rate=1.0, launch_burst=3, grace=25.0),
    prepare: Callable[[Scenario], Any] | None = None,
) -> AsyncIterator[Scenario]:
    """Run a router for the length of the block, then stop it and wait for its end."""
    made = Scenario(
        table,
        launcher or ScriptedLauncher(),
        limits,
        {name: SpiedQueue(MemoryQueue(name)) for name in table.queues},
    )
    if prepare is not None:
        prepare(made)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.router.run(made.stop, made.tables()))
        yield made
        made.stop.set()


def unavailable(text: str = "503") -> QueueUnavailable:
    return QueueUnavailable(text, code="InternalError")
