"""
All Machines of the simulated Fly, and how each gets from its creation to its end.

    created ── start ──> started ── exit ──> stopped ── destroy ──> destroying ──> destroyed

A one-shot Machine (`auto_destroy`) leaves six events: pending, created, started, exit, destroying,
destroyed. A destroyed Machine stays readable for 48 hours, while its name is free at once. A
Machine that `failed` to start stays until somebody destroys it.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol, Self

from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.access import Access, ApiCall, RateLimits
from lambdo_router.local.machines_server.create import CreateRequest, candidates
from lambdo_router.local.machines_server.machine import (
    KILLED,
    OUT_OF_MEMORY,
    Exit,
    Identities,
    MachineEvent,
    MachineRecord,
    State,
    exit_request,
)
from lambdo_router.local.machines_server.mishaps import Mishap, Mishaps
from lambdo_router.local.machines_server.processes import LineSink
from lambdo_router.local.machines_server.refusals import Refusal

_CALLS_KEPT: Final = 100_000
_READABLE_FOR: Final = 48 * 3600.0
"""Seconds that a destroyed Machine can still be read."""


class Runner(Protocol):
    """Runs what is in a Machine. Cancelling `run` ends it at once and leaves nothing behind."""

    async def run(self, machine: MachineRecord, on_line: LineSink) -> Exit:
        """Run the Machine's command to its end."""
        ...


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds between the steps of a Machine's life. Fly takes about 1.8, 0.4 and 0.4."""

    start: float = 0.2
    destroy: float = 0.05
    """From the exit to `destroying`."""
    gone: float = 0.05
    """From there to `destroyed`."""


AT_ONCE: Final = Delays(0.0, 0.0, 0.0)
MachineObserver = Callable[[MachineRecord, MachineEvent], None]


@dataclass(slots=True, eq=False)
class MachinesServer:
    """
    One simulated Fly; `api.py` puts the API in front of it.

    Its methods raise Refusal for what the API would refuse. Machines live inside of `async with
    server.running()` only.
    """

    runner: Runner
    access: Access
    delays: Delays = Delays()
    limits: RateLimits = field(default_factory=RateLimits)
    mishaps: Mishaps = field(default_factory=Mishaps)
    home: str = "iad"
    """The region of a create that names none."""
    images: Collection[str] | None = None
    """The images that exist; None: all."""
    full_regions: set[str] = field(default_factory=set)
    """Regions without room: a create that may go nowhere else is refused."""
    full: tuple[int, str] | tuple[int, str, str] = refusals.REGION_FULL
    """How such a create is refused: the arguments of a Refusal."""
    on_line: LineSink = lambda *_: None
    """Gets every line of output."""
    observers: list[MachineObserver] = field(default_factory=list)
    """Each gets every event of a Machine, after the record was changed."""
    calls: deque[ApiCall] = field(default_factory=lambda: deque(maxlen=_CALLS_KEPT))
    """The newest calls, as they arrived; also those that were refused, or that a fault lost."""
    _epoch: float = field(default=0.0, init=False)
    _identities: Identities = field(default_factory=lambda: Identities(0), init=False)
    _records: dict[str, MachineRecord] = field(default_factory=dict, init=False)
    _ids: defaultdict[str, list[str]] = field(default_factory=lambda: defaultdict(list), init=False)
    _names: dict[tuple[str, str], str] = field(default_factory=dict, init=False)
    _lives: dict[str, asyncio.Task[None]] = field(default_factory=dict, init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """
        Let the Machines live. At the end all that runs is killed, and its files are removed.

        A bug in the server itself, which no client would hear of, is raised at the end.
        """
        self._epoch = time.time() - asyncio.get_running_loop().time()
        # No TaskGroup: it would wrap the exceptions of the block into groups.
        try:
            yield self
        finally:
            lives = list(self._lives.values())
            for life in lives:
                life.cancel()
            for end in await asyncio.gather(*lives, return_exceptions=True):
                if isinstance(end, Exception):
                    raise end

    def now(self) -> float:
        """Return unix time by the loop's clock, which does not jump."""
        return self._epoch + asyncio.get_running_loop().time()

    def machines(self) -> tuple[MachineRecord, ...]:
        """Return every Machine there ever was, of all apps, in the order of creation."""
        return tuple(self._records.values())

    def create(self, app: str, request: CreateRequest) -> MachineRecord:
        """Create a Machine, with whatever is to go wrong; it starts by itself."""
        image = request.config["image"]
        if self.images is not None and image not in self.images:
            raise refusals.no_such_image(image)
        record = self._new(app, request)
        self._happens(record.id, "launch", "pending", "created", source="user")
        record = self._happens(record.id, "launch", "created", "created")
        mishap = self.mishaps.next("create", record.id)
        self._spawn(record.id, self._live(record.id, mishap))
        if mishap == "late_answer":
            raise Refusal(*refusals.DEADLINE)
        return record

    def machine(self, app: str, machine_id: str) -> MachineRecord:
        """Return one Machine; unknown if it was destroyed more than 48 hours ago."""
        record = self._records.get(machine_id)
        if record is None or record.app != app or self._is_forgotten(record):
            raise Refusal(*refusals.NO_SUCH_MACHINE)
        return record

    def machines_of(self, app: str) -> list[MachineRecord]:
        """Return the Machines of an app as a list shows them now, which may lag."""
        records = (self._records[machine_id] for machine_id in self._ids.get(app, ()))
        records = (record for record in records if not self._is_forgotten(record))
        match self.mishaps.next("list"):
            case "empty_list":
                return []
            case "stale_list":
                moment = self.now() - self.mishaps.stale_by
                states = ((record, record.state_at(moment)) for record in records)
                return [replace(record, state=state) for record, state in states if state]
            case _:
                return list(records)

    def events_of(self, app: str, machine_id: str) -> tuple[MachineEvent, ...]:
        """Return the events of a Machine as the API shows them now, which may lag."""
        events = self.machine(app, machine_id).events
        if self.mishaps.next("events", machine_id) == "stale_events":
            moment = self.now() - self.mishaps.stale_by
            events = tuple(event for event in events if event.at <= moment)
            if not events:
                raise Refusal(*refusals.NO_SUCH_MACHINE)
        return events

    def destroy(self, app: str, machine_id: str, *, force: bool) -> None:
        """Destroy a Machine; a running one only by `force`. Doing it twice is harmless."""
        record = self.machine(app, machine_id)
        if record.state in ("destroying", "destroyed"):
            return
        runs = record.state == "started"
        if runs and not force:
            raise refusals.wrong_state("destroy", record.state)
        self._records[machine_id] = replace(record, stop_requested=runs)
        self._happens(machine_id, "destroy", "destroying", "destroying", source="user")
        self._spawn(machine_id, self._end(machine_id, self._lives.get(machine_id), runs=runs))

    def set_metadata(self, app: str, machine_id: str, key: str, value: str) -> None:
        """Set one metadata key; an empty text removes it. No new version, no restart."""
        record = self.machine(app, machine_id)
        if record.state == "destroyed":
            raise refusals.wrong_state("update", record.state)
        metadata = {k: v for k, v in {**record.metadata, key: value}.items() if v}
        config = {**record.config, "metadata": metadata}
        self._records[machine_id] = replace(record, config=config, updated_at=self.now())

    def _new(self, app: str, request: CreateRequest) -> MachineRecord:
        machine_id, now = self._identities.machine(), self.now()
        name = request.name or f"machine-{machine_id}"
        if (holder := self._names.get((app, name))) is not None:
            raise Refusal(
                409,
                f"already_exists: unique machine name violation, machine ID {holder} "
                f'already exists with name "{name}"',
            )
        regions = candidates(request.region, self.home)
        region = next((code for code in regions if code not in self.full_regions), None)
        if region is None:
            raise Refusal(*self.full)
        record = MachineRecord(
            id=machine_id,
            app=app,
            name=name,
            region=region,
            version=self._identities.ulid(now),
            private_ip=f"fdaa:0:3ec2:a7b:e5:{machine_id[:4]}:{machine_id[4:8]}:2",
            created_at=now,
            updated_at=now,
            config=request.config,
        )
        self._records[machine_id] = record
        self._ids[app].append(machine_id)
        self._names[app, name] = machine_id
        return record

    def _spawn(self, machine_id: str, life: Coroutine[Any, Any, None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            # One that failed is kept: `running` raises its exception.
            if self._lives.get(machine_id) is task and (task.cancelled() or not task.exception()):
                del self._lives[machine_id]

        self._lives[machine_id] = task = asyncio.create_task(life)
        task.add_done_callback(ended)

    async def _live(self, machine_id: str, mishap: Mishap | None) -> None:
        if mishap == "never_runs":
            await asyncio.sleep(self.delays.destroy)
        else:
            await asyncio.sleep(self.delays.start)
            if mishap == "fails":
                # What Fly writes into the event is not documented.
                self._happens(machine_id, "launch", "failed", "failed")
                return
            record = self._happens(machine_id, "start", "started", "started", request={})
            end = await self.runner.run(record, self.on_line)
            self._exit(machine_id, OUT_OF_MEMORY if mishap == "out_of_memory" else end, "stopped")
            if not record.config.get("auto_destroy"):
                return
            await asyncio.sleep(self.delays.destroy)
        self._happens(machine_id, "destroy", "destroying", "destroying")
        await self._vanish(machine_id)

    async def _end(self, machine_id: str, life: asyncio.Task[None] | None, *, runs: bool) -> None:
        """End a Machine's life on request."""
        if life is not None:
            life.cancel()
            await asyncio.wait({life})
            if not life.cancelled():
                life.result()
        if runs:
            self._exit(machine_id, KILLED, "destroying")
        await self._vanish(machine_id)

    def _exit(self, machine_id: str, end: Exit, state: State) -> None:
        record = replace(self._records[machine_id], exit=end)
        self._records[machine_id] = record
        request = exit_request(end, record, self.now())
        self._happens(machine_id, "exit", "stopped", state, request=request)

    async def _vanish(self, machine_id: str) -> None:
        await asyncio.sleep(self.delays.gone)
        record = self._records[machine_id]
        del self._names[record.app, record.name]
        self._records[machine_id] = replace(record, destroyed_at=self.now())
        self._happens(machine_id, "destroy", "destroyed", "destroyed")

    def _happens(
        self,
        machine_id: str,
        kind: str,
        status: str,
        state: State,
        *,
        source: Literal["user", "flyd"] = "flyd",
        request: dict[str, Any] | None = None,
    ) -> MachineRecord:
        now, record = self.now(), self._records[machine_id]
        event = MachineEvent(self._identities.ulid(now), kind, status, source, now, state, request)
        record = replace(record, state=state, updated_at=now, events=(*record.events, event))
        self._records[machine_id] = record
        for observe in self.observers:
            observe(record, event)
        return record

    def _is_forgotten(self, record: MachineRecord) -> bool:
        gone_at = record.destroyed_at
        return gone_at is not None and gone_at + _READABLE_FOR <= self.now()
