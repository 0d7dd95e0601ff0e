"""
Machines after their launch: awaited to their end, counted, and destroyed after their deadline.

One list of an app's living Machines serves all three, every two seconds while an end is awaited and
once a minute otherwise, however many Machines run. If a launched Machine is missing from the list,
its events are read, since it may have ended; if it is still there after its deadline, it is
destroyed. Lists lag and have been wrong (Fly has reported an empty one), so only its events end a
Machine, never a list.

The deadline is in the Machine's metadata, so any router of the app destroys an overdue Machine,
even if the router that launched it has crashed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field

from lambdo_router.core import journal
from lambdo_router.core.app_machines import AppMachines
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import LaunchError, LaunchRejected, MachineGone
from lambdo_router.core.machine_metadata import read_label
from lambdo_router.core.ports import MachineEnd, MachineWatcher
from lambdo_router.core.profile import Profile
from lambdo_router.core.snapshot import MachinesSnapshot
from lambdo_router.engine.waiting import set_by, set_within

_WATCHING = 2.0
"""Seconds between lists while the end of some Machine is awaited; Fly takes one a second."""
_IDLE = 60.0
_AT_ONCE = 16
"""Calls for single Machines in flight at once."""
_GONE = MachineEnd(None, error="Fly does not know the Machine any more")


@dataclass(frozen=True, slots=True)
class Ended:
    """How an awaited Machine ended. `timed_out`: it was destroyed here, after its deadline."""

    end: MachineEnd
    timed_out: bool = False

    @property
    def succeeded(self) -> bool:
        """Whether the code ran to its end and exited with 0."""
        return self.kind == "succeeded"

    @property
    def kind(self) -> journal.EndKind:
        """The kind of end."""
        if self.timed_out:
            return "timeout"
        if self.end.oom_killed:
            return "oom"
        if self.end.exit_code is None:
            return "never_ran"
        if self.end.requested_stop:
            return "stopped"
        return "succeeded" if self.end.exit_code == 0 else "failed"

    @property
    def failure(self) -> str:
        """The failure in words, for a Machine that did not succeed."""
        match self.kind:
            case "timeout":
                return "timed out and was destroyed"
            case "oom":
                return "ran out of memory and was killed (OOM, exit code 137)"
            case "never_ran":
                return self.end.error or "was destroyed without having run"
            case "stopped":
                return f"was stopped from outside (exit code {self.end.exit_code})"
            case _:
                return f"exited with code {self.end.exit_code}"


@dataclass(slots=True)
class _TrackedApp:
    name: str
    machines: AppMachines = field(default_factory=AppMachines)
    awaited: dict[str, asyncio.Future[Ended]] = field(default_factory=dict)
    overdue: set[str] = field(default_factory=set)
    gone_once: set[str] = field(default_factory=set)
    reserved: dict[str, int] = field(default_factory=dict)
    waiting_for_room: int = 0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    swept: bool = False
    """Whether a task lists its Machines."""

    @property
    def in_use(self) -> bool:
        """Whether anything here waits for a Machine of the app, or for room for one."""
        return bool(self.awaited or self.reserved or self.waiting_for_room)

    def taken(self, profile: str | None = None) -> int:
        """Return how many Machines run or are being launched, of one profile or of all."""
        if profile is None:
            return self.machines.running() + sum(self.reserved.values())
        return self.machines.running(profile) + self.reserved.get(profile, 0)


_Action = Callable[[_TrackedApp, str], Awaitable[None]]


class MachineTracker:
    """The Machines of all apps; one for a router."""

    def __init__(
        self,
        watcher: MachineWatcher,
        observe: journal.Observer,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`clock` returns unix seconds: deadlines are shared with other routers."""
        self._watcher = watcher
        self._observe = observe
        self._jitter = jitter
        self._clock = clock
        self._apps: dict[str, _TrackedApp] = {}
        self._overseen: frozenset[str] = frozenset()
        self._new_app = asyncio.Event()
        self._freed = asyncio.Event()
        self._limits: dict[str, int | None] = {}

    async def run(self) -> None:
        """List the Machines of every app that is watched or in use, until cancelled."""
        async with asyncio.TaskGroup() as sweeps:
            while True:
                self._new_app.clear()
                for app in self._apps.values():
                    if not app.swept:
                        app.swept = True
                        sweeps.create_task(self._sweep_while_needed(app))
                await self._new_app.wait()

    def oversee(self, apps: Iterable[str]) -> None:
        """
        Destroy overdue Machines in these apps, whoever launched them.

        An app that is not among them any more is watched until the last Machine that was launched
        from here has ended.
        """
        self._overseen = frozenset(apps)
        for name in self._overseen:
            self._app(name)

    def limit(self, profiles: Iterable[Profile]) -> None:
        """
        Apply the `max_machines` of a new routing table's profiles from now on.

        They also apply to batches that an older table routed and that still wait: with a lower
        limit those might wait for ever, while later batches keep more Machines running.
        """
        limits: dict[str, set[int | None]] = {}
        for profile in profiles:
            limits.setdefault(profile.name, set()).add(profile.max_machines)
        self._limits = {name: most.pop() for name, most in limits.items() if len(most) == 1}
        self._freed.set()

    def limit_of(self, profile: Profile) -> int | None:
        """Return how many Machines of this profile may run at once; None: any number."""
        return self._limits.get(profile.name, profile.max_machines)

    def reserve(self, profile: Profile) -> None:
        """
        Count a Machine of this profile as being launched in its first app.

        Must be followed by `launched` or `unreserve`.
        """
        reserved = self._app(profile.app).reserved
        reserved[profile.name] = reserved.get(profile.name, 0) + 1

    async def until_freed(self, profile: Profile, of_app: int | None, at: float | None) -> None:
        """
        Wait until one more Machine of this profile might run in one of its apps, or until `at`.

        Full apps are listed often meanwhile: another router's Machine may end there.
        """
        full = (a for a in profile.apps if self.room(profile.within(a), of_app) == 0)
        apps = [self._app(name) for name in full]
        for app in apps:
            app.waiting_for_room += 1
            app.wake.set()
        try:
            self._freed.clear()
            await set_by(self._freed, at)
        finally:
            for app in apps:
                app.waiting_for_room -= 1

    def unreserve(self, profile: Profile) -> None:
        """Undo `reserve`: nothing is being launched any more."""
        reserved = self._app(profile.app).reserved
        reserved[profile.name] -= 1
        if reserved[profile.name] == 0:
            del reserved[profile.name]
        self._freed.set()

    def snapshot(self) -> Iterator[MachinesSnapshot]:
        """Yield how many Machines run and are being launched, by app and profile."""
        for app in self._apps.values():
            for profile in sorted(app.machines.profiles() | app.reserved.keys()):
                running, launching = app.machines.running(profile), app.reserved.get(profile, 0)
                yield MachinesSnapshot(app.name, profile, running, launching)

    def room(self, profile: Profile, of_app: int | None) -> int | None:
        """
        Return how many more Machines of this profile could be launched now; None: any number.

        `max_machines` counts those in all apps of the profile; `of_app` limits all that run in its
        first app.
        """
        rooms = []
        most = self.limit_of(profile)
        if most is not None:
            taken = sum(self._app(name).taken(profile.name) for name in profile.apps)
            rooms.append(most - taken)
        if of_app is not None:
            rooms.append(of_app - self._app(profile.app).taken())
        return max(0, min(rooms)) if rooms else None

    def launched(self, app: str, machine_id: str, profile: str, deadline: float) -> None:
        """Add a Machine that was launched or adopted; `deadline` in unix seconds."""
        self._app(app).machines.launched(machine_id, profile, deadline, self._clock())

    async def end(self, app: str, machine_id: str, profile: str, deadline: float) -> Ended:
        """Wait for the end of a Machine, whoever launched it."""
        known = self._app(app)
        if machine_id not in known.machines:
            self.launched(app, machine_id, profile, deadline)
        future = known.awaited.get(machine_id)
        if future is None:
            future = asyncio.get_running_loop().create_future()
            known.awaited[machine_id] = future
            known.wake.set()
        return await asyncio.shield(future)

    def _app(self, name: str) -> _TrackedApp:
        if name not in self._apps:
            self._apps[name] = _TrackedApp(name)
            self._new_app.set()
        return self._apps[name]

    async def _sweep_while_needed(self, app: _TrackedApp) -> None:
        failures = 0
        while True:
            try:
                await self._sweep(app)
                failures = 0
                pause = _WATCHING if app.awaited or app.waiting_for_room else _IDLE
                needed = app.name in self._overseen or app.in_use or app.machines.has_launched()
            except LaunchError as error:
                failures += 1
                refused = isinstance(error, LaunchRejected)  # a deleted app, or a token taken away
                needed = app.name in self._overseen or app.in_use or not refused
                pause = backoff(failures, first=2.0, longest=30.0, jitter=self._jitter())
                self._observe(journal.WatchFailed(app.name, None, error, pause))
            if not needed:
                del self._apps[app.name]
                return
            app.wake.clear()
            if pause == _IDLE:
                await set_within(app.wake, _IDLE)
                pause = _WATCHING  # a Machine that was just launched ends no sooner
            await asyncio.sleep(pause)

    async def _sweep(self, app: _TrackedApp) -> None:
        living = await self._watcher.living(app.name)
        sweep = app.machines.swept(living, self._clock())
        await self._each(app, sweep.unknown, self._learn)
        await self._each(app, sweep.overdue, self._destroy)
        for machine_id in sweep.vanished:
            if machine_id not in app.awaited:
                self._over(app, machine_id)
        await self._each(app, [i for i in sweep.vanished if i in app.awaited], self._ask)
        await self._each(app, sweep.resting, self._clear)
        await self._each(app, sweep.lingering, self._remove)

    async def _each(
        self,
        app: _TrackedApp,
        ids: Iterable[str],
        act: _Action,
    ) -> None:
        """Run `act` for each Machine, some at a time; the next sweep retries what fails."""
        todo = list(ids)
        for start in range(0, len(todo), _AT_ONCE):
            async with asyncio.TaskGroup() as looks:
                for machine_id in todo[start : start + _AT_ONCE]:
                    looks.create_task(self._look(app, machine_id, act))

    async def _look(self, app: _TrackedApp, machine_id: str, act: _Action) -> None:
        try:
            await act(app, machine_id)
        except LaunchError as error:
            self._observe(journal.WatchFailed(app.name, machine_id, error, _WATCHING))

    async def _learn(self, app: _TrackedApp, machine_id: str) -> None:
        try:
            metadata = await self._watcher.metadata(app.name, machine_id)
        except MachineGone:
            return
        app.machines.learned(machine_id, read_label(metadata), self._clock())

    async def _destroy(self, app: _TrackedApp, machine_id: str) -> None:
        app.overdue.add(machine_id)
        await self._watcher.destroy(app.name, machine_id)
        seen = app.machines.listed(machine_id)
        state, host = ("", "") if seen is None else (seen.state, seen.host)
        self._observe(journal.MachineOverdue(app.name, machine_id, state, host))

    async def _ask(self, app: _TrackedApp, machine_id: str) -> None:
        try:
            end = await self._watcher.end_of(app.name, machine_id)
        except MachineGone:
            # The answer can lag, so a missing Machine counts as gone only the second time.
            if machine_id not in app.gone_once:
                app.gone_once.add(machine_id)
                return
            end = _GONE
        if end is not None:
            self._set_end(app, machine_id, end)

    async def _clear(self, app: _TrackedApp, machine_id: str) -> None:
        """
        End a Machine at rest, in which nothing runs and which nobody destroys.

        It is destroyed first, if possible: the next attempt at its messages needs its name.
        """
        end = await self._watcher.end_of(app.name, machine_id, at_rest=True)
        if end is None:
            return
        await self._look(app, machine_id, self._remove)
        self._set_end(app, machine_id, end)
        app.machines.spent(machine_id)

    async def _remove(self, app: _TrackedApp, machine_id: str) -> None:
        await self._watcher.destroy(app.name, machine_id)

    def _set_end(self, app: _TrackedApp, machine_id: str, end: MachineEnd) -> None:
        """Set the end of a Machine for whoever awaits it."""
        ended = Ended(end, timed_out=machine_id in app.overdue)
        future = app.awaited.pop(machine_id, None)
        self._over(app, machine_id)
        if future is not None and not future.done():
            future.set_result(ended)

    def _over(self, app: _TrackedApp, machine_id: str) -> None:
        app.machines.ended(machine_id)
        app.overdue.discard(machine_id)
        app.gone_once.discard(machine_id)
        self._freed.set()
