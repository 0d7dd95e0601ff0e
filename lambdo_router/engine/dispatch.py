"""
One closed batch to one Machine, with the attempts that it takes.

What may pass is tried again a few times under the same name. After an ambiguous answer (408, 5xx,
a lost connection) the Machine may exist: it is looked up before it is created again, since its
name guards only while it lives, and a quick job can be over by then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchError, LaunchUnavailable
from lambdo_router.core.machine import Machine, MachineRequest
from lambdo_router.core.ports import MachineLauncher
from lambdo_router.engine.slots import LaunchSlots
from lambdo_router.engine.waiting import unless

ATTEMPTS = 4
"""Creates per batch and delivery; after that the messages go back to the queue with a delay."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class NotLaunched:
    """Fly did not take the Machine. `interrupted`: the router's stop ended the attempts."""

    error: LaunchError
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Launches batches; shared by all consumers of a router."""

    launcher: MachineLauncher
    slots: Callable[[str], LaunchSlots]
    """The launch slots of an app."""
    observe: journal.Observer
    jitter: Callable[[], float]

    async def launch(
        self, batch: Batch, request: MachineRequest, stopping: asyncio.Event
    ) -> tuple[Machine, int] | NotLaunched:
        """
        The Machine and the number of attempts it took, or why there is none.

        The caller holds a launch slot for the first attempt; further ones wait for their own.
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

    async def _attempt(self, request: MachineRequest, *, look_first: bool) -> Machine:
        if look_first and (machine := await self.launcher.find(request)) is not None:
            return machine
        return await self.launcher.launch(request)

    async def _last_look(self, request: MachineRequest) -> Machine | None:
        with suppress(LaunchError):
            return await self.launcher.find(request)
        return None

    def _pause(self, error: LaunchUnavailable, attempt: int) -> float:
        wanted = backoff(attempt, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE, jitter=self.jitter())
        return max(wanted, error.retry_after or 0.0)


async def _slot_after(pause: float, slots: LaunchSlots, route: str) -> Literal[True]:
    """Wait out the pause, then for a slot. A wait that is cancelled costs nobody a slot."""
    await asyncio.sleep(pause)
    await slots.acquire(route)
    return True
