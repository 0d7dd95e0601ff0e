"""
From a batch that is due to its Machine: a permit first, then the attempts that it takes.

A permit is a place for one more Machine of the profile (gates.py), and a launch slot of an app
(slots.py). It is a block: what was not used is released at its end, whatever happens in it.

What may pass is tried again a few times under the same name. After an ambiguous answer (408, 5xx,
a lost connection) the Machine may exist: it is looked up before it is created again, since its
name guards only while it lives, and a quick job can be over by then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Literal, Self

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchError, LaunchUnavailable
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.ports import MachineLauncher
from lambdo_router.core.profile import Profile
from lambdo_router.engine.gates import Gates
from lambdo_router.engine.slots import LaunchSlots
from lambdo_router.engine.waiting import unless

ATTEMPTS = 4
"""Creates per batch and delivery; after that the messages go back to the queue with a delay."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_CHOOSE_AGAIN = 5.0
"""Seconds that a batch waits for a slot of one app, before it looks at the others again."""
_WORTH_LEAVING = 2.0
"""Seconds that it must gain by going to another."""


@dataclass(frozen=True, slots=True)
class NotLaunched:
    """Fly did not take the Machine. `interrupted`: the router's stop ended the attempts."""

    error: LaunchError
    interrupted: bool


@dataclass(slots=True)
class LaunchPermit:
    """The right to launch one batch in an app, for the length of a block."""

    profile: Profile
    """The profile within the app that the permit is for."""
    waited: float
    """Seconds that it took to get it."""
    _gates: Gates
    _slots: LaunchSlots
    _has_place: bool = True
    _has_slot: bool = True

    @property
    def app(self) -> str:
        """Where the batch may be launched."""
        return self.profile.app

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._has_slot:
            self._slots.release()
        if self._has_place:
            self._gates.leave(self.profile)
        self._has_slot = self._has_place = False

    def hand_on(self) -> "LaunchPermit":
        """The same permit for the block of another task; this one is worth nothing any more."""
        handed = replace(self)
        self._has_slot = self._has_place = False
        return handed

    def use_slot(self) -> None:
        """A create goes out."""
        self._has_slot = False

    def launched(self, machine_id: str, deadline: float) -> None:
        """Fly has accepted a Machine, which has the place now; `deadline` in unix seconds."""
        self._has_place = False
        self._gates.launched(self.profile, machine_id, deadline)

    def refused(self, error: LaunchError) -> None:
        """Fly has refused the profile: the next batches wait, and one of them probes."""
        self._has_place = False
        self._gates.refused(self.profile, error)


@dataclass(frozen=True, slots=True)
class Launcher:
    """Launches batches; shared by all consumers of a router."""

    machines: MachineLauncher
    gates: Gates
    slots: Callable[[str], LaunchSlots]
    """The launch slots of an app."""
    observe: journal.Observer
    jitter: Callable[[], float]

    async def permit(self, key: BatchKey) -> LaunchPermit:
        """Wait until a batch of this key may be launched in one of its apps."""
        began = asyncio.get_running_loop().time()
        slot = False
        while True:
            profile = await self.gates.enter(key.profile, self._app_for)
            try:
                slot = await self._slot_for(profile, key.route.name)
            finally:
                if not slot:
                    self.gates.leave(profile)
            if slot:
                waited = asyncio.get_running_loop().time() - began
                return LaunchPermit(profile, waited, self.gates, self.slots(profile.app))

    async def launch(
        self, batch: Batch, request: MachineRequest, stopping: asyncio.Event
    ) -> tuple[Machine, int] | NotLaunched:
        """
        The Machine and the number of attempts it took, or why there is none.

        The caller's permit has the slot of the first attempt; further ones wait for their own.
        """
        slots = self.slots(request.app)
        doubt = False
        for attempt in range(1, ATTEMPTS + 1):
            try:
                return await self._attempt(request, look_first=doubt), attempt
            except LaunchUnavailable as error:
                failure = error
            except LaunchError as error:
                self.observe(journal.LaunchFailed(batch, error, attempt, None))
                return NotLaunched(error, interrupted=False)
            doubt = doubt or failure.ambiguous
            pause = self._pause(failure, attempt)
            if failure.code == "rate_limited":
                slots.pause(pause)
            last = attempt == ATTEMPTS or stopping.is_set()
            self.observe(journal.LaunchFailed(batch, failure, attempt, None if last else pause))
            route = batch.key.route.name
            if last or not await unless(stopping, _slot_after(pause, slots, route)):
                break
        if doubt and (machine := await self._last_look(request)) is not None:
            return machine, attempt
        return NotLaunched(failure, interrupted=attempt < ATTEMPTS)

    async def _slot_for(self, profile: Profile, route: str) -> bool:
        """Wait for a slot of the profile's app; False if another of its apps has one sooner."""
        slots = self.slots(profile.app)
        if not profile.more_apps:
            await slots.acquire(route)
            return True
        acquiring = asyncio.ensure_future(slots.acquire(route))
        try:
            while not acquiring.done() and not self._is_sooner_elsewhere(profile):
                await asyncio.wait({acquiring}, timeout=_CHOOSE_AGAIN)
        except asyncio.CancelledError:
            if not acquiring.cancel():
                slots.release()
            raise
        # A slot that is granted while the wait for it is cancelled goes back by itself.
        return not acquiring.cancel()

    def _is_sooner_elsewhere(self, profile: Profile) -> bool:
        """Whether another app of the profile has room, and a slot much sooner than its first."""
        waits = (
            self.slots(app).expected_wait()
            for app in profile.apps[1:]
            if self.gates.room_within(profile.within(app)) != 0
        )
        mine = self.slots(profile.app).expected_wait()
        return min(waits, default=mine) + _WORTH_LEAVING < mine

    def _app_for(self, profile: Profile) -> str:
        """Of the profile's apps the one that will take a Machine first."""
        if not profile.more_apps:
            return profile.app
        return min(
            profile.apps,
            key=lambda app: (
                self.gates.room_within(profile.within(app)) == 0,
                self.slots(app).expected_wait(),
            ),
        )

    async def _attempt(self, request: MachineRequest, *, look_first: bool) -> Machine:
        if look_first and (machine := await self.machines.find(request)) is not None:
            return machine
        return await self.machines.launch(request)

    async def _last_look(self, request: MachineRequest) -> Machine | None:
        with suppress(LaunchError):
            return await self.machines.find(request)
        return None

    def _pause(self, error: LaunchUnavailable, attempt: int) -> float:
        wanted = backoff(attempt, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE, jitter=self.jitter())
        return max(wanted, error.retry_after or 0.0)


async def _slot_after(pause: float, slots: LaunchSlots, route: str) -> Literal[True]:
    """Wait out the pause, then for a slot. A wait that is cancelled costs nobody a slot."""
    await asyncio.sleep(pause)
    await slots.acquire(route)
    return True
