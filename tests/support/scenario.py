"""A consumer or a router on virtual time, with its queue and launcher under the test's control."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from memory_queue import MemoryQueue

from lambdo_router.core import journal
from lambdo_router.core.errors import (
    LaunchError,
    LaunchUnavailable,
    MachineGone,
    QueueError,
    QueueUnavailable,
)
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.ports import MachineEnd, MachineSummary
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.core.trace_context import TraceContext
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.router import Limits, Router

_F = TypeVar("_F", bound=journal.Fact)

WALL = 1_700_000_000.0
"""The unix time at which scenarios begin."""


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
    refusing_deletes: bool = False
    delete_takes: float = 0.0
    hiding_takes: float = 0.0
    receive_takes: float = 0.0
    receiving: int = 0
    most_receiving: int = 0

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def fifo(self) -> bool:
        return self.name.endswith(".fifo")

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        self._fail("receive")
        self.receiving += 1
        self.most_receiving = max(self.most_receiving, self.receiving)
        try:
            await asyncio.sleep(self.receive_takes)
            return await self.inner.receive(limit, visibility)
        finally:
            self.receiving -= 1

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        self.calls.append((now(), "delete", tuple(receipts), 0.0))
        self._fail("delete")
        await asyncio.sleep(self.delete_takes)
        if self.refusing_deletes:
            return dict.fromkeys(receipts, "ReceiptHandleIsInvalid")
        return await self.inner.delete(receipts)

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        for length in dict.fromkeys(seconds.values()):
            receipts = tuple(receipt for receipt in seconds if seconds[receipt] == length)
            self.calls.append((now(), "visibility", receipts, round(length, 3)))
        self._fail("visibility")
        await asyncio.sleep(self.hiding_takes)
        if self.refusing:
            return dict.fromkeys(seconds, "ReceiptHandleIsInvalid")
        return await self.inner.set_visibility(seconds)

    async def send(
        self,
        body: str,
        attributes: Mapping[str, Attribute],
        *,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str:
        self.calls.append((now(), "send", (body,), 0.0))
        self._fail("send")
        return await self.inner.send(body, attributes, group=group, deduplication=deduplication)

    def times(self, call: str) -> list[float]:
        return [at for at, name, _, _ in self.calls if name == call]

    def _fail(self, call: str) -> None:
        if call in self.failing:
            raise self.failing[call]


@dataclass
class FlownMachine:
    """A Machine of the scripted Fly."""

    id: str
    request: MachineRequest
    created_at: float
    ends_at: float
    end: MachineEnd
    metadata: dict[str, str]
    destroyed_at: float | None = None

    def ended(self) -> bool:
        return self.destroyed_at is not None or now() >= self.ends_at


@dataclass
class ScriptedLauncher:
    """Fly in memory: answers as scripted, else takes every Machine after `takes` seconds."""

    takes: float = 0.0
    script: list[LaunchError | None] = field(default_factory=list)
    """What the next attempts raise; None: succeed."""
    created_all_the_same: bool = False
    """Whether an ambiguous failure has had its effect."""
    runs_for: float = 10.0
    ends: list[MachineEnd] = field(default_factory=list)
    """How the next Machines end; after that, all well."""
    attempts: list[tuple[float, str]] = field(default_factory=list)
    machines: dict[str, MachineRequest] = field(default_factory=dict)
    """By batch id."""
    flown: list[FlownMachine] = field(default_factory=list)
    looked_up: list[float] = field(default_factory=list)
    calls: list[tuple[float, str]] = field(default_factory=list)
    """Every question about Machines, and when."""
    watch_failing: LaunchError | None = None
    hidden: bool = False
    """Whether lists come back empty, as they once did."""

    async def launch(self, request: MachineRequest) -> Machine:
        self.attempts.append((now(), request.name))
        outcome = self.script.pop(0) if self.script else None
        await asyncio.sleep(self.takes)
        doubtful = isinstance(outcome, LaunchUnavailable) and outcome.ambiguous
        if outcome is None or (doubtful and self.created_all_the_same):
            self._create(request)
        if outcome is not None:
            raise outcome
        return Machine(self.flown[-1].id, request.name, "iad")

    async def find(self, request: MachineRequest) -> Machine | None:
        self.looked_up.append(now())
        for machine in self.flown:
            if machine.request.batch_id == request.batch_id:
                return Machine(machine.id, request.name, "iad", adopted=True)
        return None

    async def living(self, app: str) -> list[MachineSummary]:
        self._asked("list")
        return [] if self.hidden else [_sighting(m) for m in self._of(app) if not m.ended()]

    async def launched_since(self, app: str, since: float) -> list[MachineSummary]:
        self._asked("list")
        return [] if self.hidden else [_sighting(m) for m in self._of(app) if m.created_at >= since]

    async def end_of(
        self, app: str, machine_id: str, *, at_rest: bool = False
    ) -> MachineEnd | None:
        self._asked("events")
        machine = self._machine(machine_id)
        if not machine.ended():
            return None
        if machine.destroyed_at is not None:
            return MachineEnd(137, requested_stop=True)
        return machine.end

    async def metadata(self, app: str, machine_id: str) -> Mapping[str, str]:
        self._asked("metadata")
        return self._machine(machine_id).metadata

    async def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        self._asked("set metadata")
        self._machine(machine_id).metadata[key] = value

    async def destroy(self, app: str, machine_id: str) -> None:
        self._asked("destroy")
        machine = self._machine(machine_id)
        if not machine.ended():
            machine.destroyed_at = now()

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.attempts]

    def _create(self, request: MachineRequest) -> None:
        self.machines[request.batch_id] = request
        metadata = json.loads(request.body)["config"]["metadata"]
        end = self.ends.pop(0) if self.ends else MachineEnd(0)
        ends_at = now() + self.runs_for
        name = f"id-{len(self.flown) + 1}"
        self.flown.append(FlownMachine(name, request, WALL + now(), ends_at, end, metadata))

    def _of(self, app: str) -> list[FlownMachine]:
        return [machine for machine in self.flown if machine.request.app == app]

    def _machine(self, machine_id: str) -> FlownMachine:
        for machine in self.flown:
            if machine.id == machine_id:
                return machine
        raise MachineGone("404", code="not_found")

    def _asked(self, call: str) -> None:
        self.calls.append((now(), call))
        if self.watch_failing is not None:
            raise self.watch_failing


def _sighting(machine: FlownMachine) -> MachineSummary:
    ended = machine.ended()
    return MachineSummary(machine.id, machine.request.name, "iad", machine.created_at, ended)


@dataclass
class Scenario:
    table: RoutingTable
    launcher: ScriptedLauncher
    limits: Limits
    queues: dict[str, SpiedQueue]
    facts: list[tuple[float, journal.Fact]] = field(default_factory=list)
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    unopenable: dict[str, QueueError] = field(default_factory=dict)
    report_url: str | None = None
    onlookers: list[journal.Observer] = field(default_factory=list)
    """Who is told of the facts beside the scenario; for `prepare` to add to."""
    trace_of: Callable[[str], TraceContext | None] = lambda _: None
    _tables: "asyncio.Queue[RoutingTable]" = field(default_factory=asyncio.Queue)
    router: Router = field(init=False)

    reports: FailureReports = field(init=False)

    def __post_init__(self) -> None:
        self.reports = FailureReports(self.launcher, self.report_url)
        self.router = Router(
            self.table,
            self._open,
            self.launcher,
            self._observe,
            limits=self.limits,
            reports=self.reports,
            jitter=lambda: 1.0,
            trace_of=lambda batch_id: self.trace_of(batch_id),  # noqa: PLW0108 - `prepare` sets it
            clock=lambda: WALL + asyncio.get_running_loop().time(),
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

    def _observe(self, fact: journal.Fact) -> None:
        self.facts.append((now(), fact))
        for observe in self.onlookers:
            observe(fact)

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
    queues: dict[str, SpiedQueue] | None = None,
    report_url: str | None = None,
    prepare: Callable[[Scenario], Any] | None = None,
) -> AsyncIterator[Scenario]:
    """Run a router for the length of the block, then stop it and wait for its end."""
    made = Scenario(
        table,
        launcher or ScriptedLauncher(),
        limits,
        queues or {name: SpiedQueue(MemoryQueue(name)) for name in table.queues},
        report_url=report_url,
    )
    if prepare is not None:
        prepare(made)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(made.router.run(made.stop, made.tables()))
        yield made
        made.stop.set()


def unavailable(text: str = "503") -> QueueUnavailable:
    return QueueUnavailable(text, code="InternalError")
