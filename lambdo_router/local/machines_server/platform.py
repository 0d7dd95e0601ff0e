"""
The platform: all Machines of the server, and how each gets from its creation to its end.

    created ── start ──> started ── exit ──> stopped ── destroy ──> destroying ──> destroyed
                            ^                   │
                            └──── restart ──────┘

A one-shot Machine (`restart: no`, `auto_destroy`) leaves six events: pending, created, started,
exit, destroying, destroyed. A destroyed Machine stays readable for 48 hours, while its name is free
at once. Without a restart policy a command that fails is run again in place, ten times. A Machine
that `failed` to start stays so until somebody destroys it.

Pure: time is an argument, in seconds of unix time. `advance` takes every step that is due and
returns what is to be done in the outside world; `next_due` says when to call it again.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.identities import Identities
from lambdo_router.local.machines_server.record import (
    Exit,
    MachineEvent,
    MachineRecord,
    State,
    exit_request,
)
from lambdo_router.local.machines_server.regions import candidates
from lambdo_router.local.machines_server.requests import (
    CreateRequest,
    parse_duration,
    parse_signal,
)

READABLE_FOR: Final = 48 * 3600.0
"""Seconds that a destroyed Machine can still be read."""
_RETRIES: Final = 10
_STOP_SIGNAL: Final = "SIGINT"
_STOP_TIMEOUT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Delays:
    """Seconds between the steps of a Machine's life. Fly takes about 1.8, 1, 0.4 and 0.4."""

    start: float = 0.2
    restart: float = 1.0
    destroy: float = 0.05
    """From the exit to `destroying`."""
    gone: float = 0.05
    """From there to `destroyed`."""


QUICK: Final = Delays()
AT_ONCE: Final = Delays(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Run:
    """Start this Machine's command; its end is reported with `ended`."""

    record: MachineRecord


@dataclass(frozen=True, slots=True)
class Signal:
    """Send this signal to the Machine's command."""

    machine_id: str
    signal: str


Order = Run | Signal
_Step = Literal["start", "fail", "kill", "destroy", "gone"]
Observer = Callable[[MachineRecord, MachineEvent], None]


class Platform:
    """
    The state of one Machines server. Its methods raise Refusal for what the API would refuse.

    Each of the `observers` is called with each event, after the record was changed.
    """

    def __init__(self, *, delays: Delays = QUICK, home: str = "iad", seed: int = 0) -> None:
        """`home` is the region of a create that names none. The seed makes the ids."""
        self.delays = delays
        self.home = home
        self.full_regions: set[str] = set()
        """Regions without room: a create that may go nowhere else is refused."""
        self.refuse_full: Callable[[], refusals.Refusal] = refusals.region_full
        """How it is refused; `refusals` has further ways that Fly is known to word it."""
        self.machine_limit: int | None = None
        """How many Machines of an app may exist at a time; None: any number."""
        self.observers: list[Observer] = []
        self._identities = Identities(seed)
        self._records: dict[str, MachineRecord] = {}
        self._ids: dict[str, list[str]] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._doomed: dict[str, Exit] = {}
        self._steps: list[tuple[float, int, str, _Step]] = []
        self._pending: dict[str, int] = {}
        self._count = 0
        self._orders: list[Order] = []

    def create(self, app: str, request: CreateRequest, now: float) -> MachineRecord:
        """A new Machine, in `created`; it starts by itself unless the request says otherwise."""
        name = request.name or self._identities.name()
        if (holder := self._names.get((app, name))) is not None:
            raise refusals.name_taken(holder, name)
        regions = candidates(request.region, self.home)
        region = next((code for code in regions if code not in self.full_regions), None)
        if region is None:
            raise self.refuse_full()
        if self.machine_limit is not None and self._living(app) >= self.machine_limit:
            raise refusals.machine_limit()
        record = MachineRecord(
            number=len(self._records) + 1,
            id=self._identities.machine(),
            app=app,
            name=name,
            region=region,
            version=self._identities.ulid(now),
            private_ip=self._identities.private_ip(),
            created_at=now,
            updated_at=now,
            config=request.config,
        )
        self._records[record.id] = record
        self._ids.setdefault(app, []).append(record.id)
        self._names[app, name] = record.id
        self._happens(record.id, now, "launch", "pending", "created", source="user")
        if not request.skip_launch:
            self._in(self.delays.start, "start", record.id, now)
        return self._happens(record.id, now, "launch", "created", "created")

    def machine(self, app: str, machine_id: str, now: float) -> MachineRecord:
        """One Machine; refused as unknown if it was destroyed longer ago than 48 hours."""
        record = self._records.get(machine_id)
        if record is None or record.app != app or _is_forgotten(record, now):
            raise refusals.no_such_machine()
        return record

    def machines(self, app: str, now: float) -> Iterator[MachineRecord]:
        """The Machines of an app in the order of their creation, destroyed ones included."""
        for machine_id in self._ids.get(app, ()):
            if not _is_forgotten(record := self._records[machine_id], now):
                yield record

    def ledger(self) -> tuple[MachineRecord, ...]:
        """Every Machine there ever was, of all apps, in the order of their creation."""
        return tuple(self._records.values())

    def start(self, app: str, machine_id: str, now: float) -> State:
        """Start a Machine that is stopped or was created unlaunched; the state it was in."""
        record = self.machine(app, machine_id, now)
        idle = record.state == "stopped" or (
            record.state == "created" and machine_id not in self._pending
        )
        if not idle:
            raise refusals.wrong_state("start", record.state)
        self._records[machine_id] = replace(record, restarts=0, stop_requested=False)
        self._happens(machine_id, now, "start", "starting", "starting", source="user")
        self._in(self.delays.start, "start", machine_id, now)
        return record.state

    def stop(
        self, app: str, machine_id: str, now: float, *, signal: object = None, timeout: str = ""
    ) -> None:
        """
        Stop a Machine: the signal now, SIGKILL after the timeout (one of Go's durations).

        What the call leaves open is taken from the Machine's `stop_config`. Stopping one that is
        stopped already changes nothing.
        """
        record = self.machine(app, machine_id, now)
        configured = record.config.get("stop_config") or {}
        sent = parse_signal(signal or configured.get("signal"), _STOP_SIGNAL)
        patience = parse_duration(timeout or configured.get("timeout") or "", _STOP_TIMEOUT)
        if record.state in ("stopping", "stopped", "destroying"):
            return
        if record.state == "restarting":
            self._records[machine_id] = replace(record, stop_requested=True)
            self._pending.pop(machine_id, None)
            self._happens(machine_id, now, "stop", "stopping", "stopped", source="user")
            self._destroy_if_asked(machine_id, now)
            return
        if record.state != "started":
            raise refusals.wrong_state("stop", record.state)
        self._records[machine_id] = replace(record, stop_requested=True)
        self._happens(
            machine_id, now, "stop", "stopping", "stopping", source="user", request={"reason": ""}
        )
        self._orders.append(Signal(machine_id, sent))
        self._in(patience, "kill", machine_id, now)

    def destroy(self, app: str, machine_id: str, now: float, *, force: bool) -> None:
        """Destroy a Machine; one that runs only by `force`. Doing it twice is harmless."""
        record = self.machine(app, machine_id, now)
        if record.state in ("destroying", "destroyed"):
            return
        if record.state not in ("created", "stopped", "failed") and not force:
            raise refusals.wrong_state("destroy", record.state)
        runs = record.state in ("started", "stopping")
        self._records[machine_id] = replace(record, stop_requested=runs or record.stop_requested)
        self._pending.pop(machine_id, None)
        self._happens(machine_id, now, "destroy", "destroying", "destroying", source="user")
        if runs:
            self._orders.append(Signal(machine_id, "SIGKILL"))
        else:
            self._in(self.delays.gone, "gone", machine_id, now)

    def set_metadata(
        self, app: str, machine_id: str, changes: dict[str, str | None], now: float
    ) -> None:
        """Set metadata keys; None or an empty text removes one. No new version, no restart."""
        record = self.machine(app, machine_id, now)
        if record.state == "destroyed":
            raise refusals.wrong_state("update", record.state)
        merged = {**record.metadata, **changes}
        config = {
            **record.config,
            "metadata": {key: value for key, value in merged.items() if value},
        }
        self._records[machine_id] = replace(record, config=config, updated_at=now)

    def doom(self, machine_id: str, end: Exit | None, now: float) -> None:
        """Make a Machine just created end like this whatever it does; None: it never runs."""
        if end is None:
            self._in(self.delays.destroy, "destroy", machine_id, now)
        else:
            self._doomed[machine_id] = end

    def fail(self, machine_id: str, now: float) -> None:
        """Make a Machine just created fail instead of starting, and stay until it is destroyed."""
        self._in(self.delays.start, "fail", machine_id, now)

    def ended(self, machine_id: str, end: Exit, now: float) -> None:
        """The command that a Run had started has ended."""
        record = self._records[machine_id]
        end = self._doomed.get(machine_id, end)
        restarting = record.state == "started" and _restarts(record, end)
        request = exit_request(end, record, restarting=restarting, at=now)
        self._records[machine_id] = replace(record, exit=end, restarts=record.restarts + restarting)
        if record.state == "destroying":
            self._happens(machine_id, now, "exit", "stopped", "destroying", request=request)
            self._in(self.delays.gone, "gone", machine_id, now)
        elif restarting:
            self._happens(machine_id, now, "exit", "stopped", "restarting", request=request)
            self._in(self.delays.restart, "start", machine_id, now)
        else:
            self._happens(machine_id, now, "exit", "stopped", "stopped", request=request)
            self._pending.pop(machine_id, None)
            self._destroy_if_asked(machine_id, now)

    def next_due(self) -> float | None:
        """When `advance` has something to do; None: not before another call."""
        if self._orders:
            return 0.0
        self._forget_void_steps()
        return self._steps[0][0] if self._steps else None

    def advance(self, now: float) -> list[Order]:
        """Take every step that is due by now; what is to be done outside, in order."""
        self._forget_void_steps()
        while self._steps and self._steps[0][0] <= now:
            due, _, machine_id, step = heapq.heappop(self._steps)
            del self._pending[machine_id]
            self._take(step, machine_id, max(due, self._records[machine_id].events[-1].at))
            self._forget_void_steps()
        orders, self._orders = self._orders, []
        return orders

    def _take(self, step: _Step, machine_id: str, now: float) -> None:
        match step:
            case "start":
                record = self._happens(machine_id, now, "start", "started", "started", request={})
                self._orders.append(Run(record))
            case "fail":
                # What Fly writes into the event is not documented.
                self._happens(machine_id, now, "launch", "failed", "failed")
            case "kill":
                self._orders.append(Signal(machine_id, "SIGKILL"))
            case "destroy":
                self._happens(machine_id, now, "destroy", "destroying", "destroying")
                self._in(self.delays.gone, "gone", machine_id, now)
            case "gone":
                record = self._records[machine_id]
                del self._names[record.app, record.name]
                self._records[machine_id] = replace(record, destroyed_at=now)
                self._happens(machine_id, now, "destroy", "destroyed", "destroyed")

    def _destroy_if_asked(self, machine_id: str, now: float) -> None:
        if self._records[machine_id].config.get("auto_destroy"):
            self._in(self.delays.destroy, "destroy", machine_id, now)

    def _in(self, seconds: float, step: _Step, machine_id: str, now: float) -> None:
        """Plan the Machine's next step; one that was planned before is void."""
        self._count += 1
        self._pending[machine_id] = self._count
        heapq.heappush(self._steps, (now + seconds, self._count, machine_id, step))

    def _forget_void_steps(self) -> None:
        while self._steps and self._pending.get(self._steps[0][2]) != self._steps[0][1]:
            heapq.heappop(self._steps)

    def _happens(
        self,
        machine_id: str,
        now: float,
        kind: str,
        status: str,
        state: State,
        *,
        source: Literal["user", "flyd"] = "flyd",
        request: dict[str, Any] | None = None,
    ) -> MachineRecord:
        event = MachineEvent(self._identities.ulid(now), kind, status, source, now, state, request)
        record = self._records[machine_id]
        record = replace(record, state=state, updated_at=now, events=(*record.events, event))
        self._records[machine_id] = record
        for observe in self.observers:
            observe(record, event)
        return record

    def _living(self, app: str) -> int:
        return sum(1 for holder, _ in self._names if holder == app)


def _restarts(record: MachineRecord, end: Exit) -> bool:
    restart = record.config.get("restart") or {}
    match restart.get("policy") or "on-failure":
        case "always":
            return True
        case "on-failure":
            return end.code != 0 and record.restarts < (restart.get("max_retries") or _RETRIES)
        case _:
            return False


def _is_forgotten(record: MachineRecord, now: float) -> bool:
    return record.destroyed_at is not None and record.destroyed_at + READABLE_FOR <= now
