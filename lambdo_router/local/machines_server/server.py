"""
The Machines server at work: the platform's clock, and the commands of its Machines.

`platform.py` knows what should happen and when; here it does happen. One task sleeps until the
platform's next step is due, starts what is to run, and each command's end is told to the platform.
`http.py` puts the API in front of it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self, assert_never

from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.access import Access
from lambdo_router.local.machines_server.calls import Calls
from lambdo_router.local.machines_server.limits import RateLimits
from lambdo_router.local.machines_server.mishaps import Mishaps
from lambdo_router.local.machines_server.platform import Order, Platform, Run, Signal
from lambdo_router.local.machines_server.record import (
    OUT_OF_MEMORY,
    MachineEvent,
    MachineRecord,
    State,
)
from lambdo_router.local.machines_server.requests import CreateRequest
from lambdo_router.local.machines_server.runners import LineSink, Runner, job_of

_SETTLED = ("started", "stopped", "failed", "destroyed")


def _unheard(machine_id: str, stream: str, line: str) -> None:
    """Where output goes that nobody listens to."""


@dataclass(slots=True, eq=False)
class MachinesServer:
    """
    One simulated Fly: its platform, and what runs inside its Machines.

    Nothing moves outside of `async with server.running()`. `on_line` hears every line of output;
    every event of a Machine is heard by `platform.observers`.
    """

    runner: Runner
    access: Access
    platform: Platform = field(default_factory=Platform)
    limits: RateLimits = field(default_factory=RateLimits)
    mishaps: Mishaps = field(default_factory=Mishaps)
    calls: Calls = field(default_factory=Calls)
    """What was asked of the API, and when."""
    on_line: LineSink = _unheard
    _epoch: float = field(default=0.0, init=False)
    _due: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _changes: dict[str, asyncio.Event] = field(default_factory=dict, init=False)
    _jobs: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """
        Let the Machines live. At the end all that runs is killed, and its files are removed.

        A mistake in the server itself, which cannot be told to any client, is raised at the end.
        """
        self._epoch = time.time() - asyncio.get_running_loop().time()
        self.platform.observers.append(self._notice)
        # No TaskGroup: it would wrap the exceptions of the block into groups.
        driver = asyncio.create_task(self._drive())
        try:
            yield self
        finally:
            tasks = [driver, *self._jobs.values()]
            for task in tasks:
                task.cancel()
            ends = await asyncio.gather(*tasks, return_exceptions=True)
            self.platform.observers.remove(self._notice)
            for end in ends:
                if isinstance(end, Exception):
                    raise end

    def now(self) -> float:
        """Unix time by the loop's clock, which does not jump."""
        return self._epoch + asyncio.get_running_loop().time()

    def machines(self) -> tuple[MachineRecord, ...]:
        """Every Machine there ever was, in the order of creation, with its files and its end."""
        return self.platform.ledger()

    def create(self, app: str, request: CreateRequest) -> MachineRecord:
        """Create a Machine, with what may go wrong. Raises Refusal."""
        if not self.runner.knows(request.config["image"]):
            raise refusals.no_such_image(request.config["image"])
        now = self.now()
        record = self.platform.create(app, request, now)
        mishap = self.mishaps.on_create(record)
        if mishap == "never_runs":
            self.platform.doom(record.id, None, now)
        elif mishap == "fails":
            self.platform.fail(record.id, now)
        elif mishap == "out_of_memory":
            self.platform.doom(record.id, OUT_OF_MEMORY, now)
        elif mishap == "late_answer":
            raise refusals.deadline()
        return record

    def machines_of(self, app: str) -> list[tuple[MachineRecord, State]]:
        """The Machines of an app as a list shows them now, which may lag, each with its state."""
        now = self.now()
        records = self.platform.machines(app, now)
        match self.mishaps.on_list():
            case "empty_list":
                return []
            case "stale_list":
                moment = now - self.mishaps.stale_by
                states = ((record, record.state_at(moment)) for record in records)
                return [(record, state) for record, state in states if state is not None]
            case None:
                return [(record, record.state) for record in records]

    def events_of(self, app: str, machine_id: str) -> tuple[MachineEvent, ...]:
        """The events of a Machine as the API tells them now, which may lag. Raises Refusal."""
        now = self.now()
        events = self.platform.machine(app, machine_id, now).events
        if self.mishaps.on_events(machine_id) == "stale_events":
            moment = now - self.mishaps.stale_by
            events = tuple(event for event in events if event.at <= moment)
            if not events:
                raise refusals.no_such_machine()
        return events

    async def wait(
        self, app: str, machine_id: str, wanted: Collection[str], seconds: float, after: str = ""
    ) -> tuple[MachineRecord, MachineEvent]:
        """
        Wait until a Machine is in one of the `wanted` states, passing ones included.

        What happened up to the event with the id `after` does not count. Raises Refusal when
        the `seconds` are over, and for an unknown Machine.
        """
        give_up = asyncio.get_running_loop().time() + seconds
        record = self.platform.machine(app, machine_id, self.now())
        ids = [event.id for event in record.events]
        seen = ids.index(after) + 1 if after in ids else len(ids) - 1
        while True:
            for event in record.events[seen:]:
                if event.state in wanted or ("settled" in wanted and event.state in _SETTLED):
                    return record, event
            seen = len(record.events)
            change = self._changes.setdefault(machine_id, asyncio.Event())
            try:
                async with asyncio.timeout_at(give_up):
                    await change.wait()
            except TimeoutError:
                raise refusals.wait_over(", ".join(wanted), record.state) from None
            record = self.platform.machine(app, machine_id, self.now())

    def _notice(self, record: MachineRecord, _: MachineEvent) -> None:
        self._due.set()
        if (change := self._changes.pop(record.id, None)) is not None:
            change.set()

    async def _drive(self) -> None:
        while True:
            self._due.clear()
            for order in self.platform.advance(self.now()):
                self._carry_out(order)
            due = self.platform.next_due()
            try:
                async with asyncio.timeout(None if due is None else due - self.now()):
                    await self._due.wait()
            except TimeoutError:
                pass

    def _carry_out(self, order: Order) -> None:
        match order:
            case Run(record):
                self._jobs[record.id] = asyncio.create_task(self._run(record))
            case Signal(machine_id, name):
                if machine_id in self._jobs:
                    self.runner.signal(machine_id, name)
            case unreachable:
                assert_never(unreachable)

    async def _run(self, record: MachineRecord) -> None:
        end = await self.runner.run(job_of(record), self.on_line)
        del self._jobs[record.id]
        self.platform.ended(record.id, end, self.now())
