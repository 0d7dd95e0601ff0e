"""
From a batch with a permit to its Machine: the request, and as many attempts as it takes.

A failure that may pass is tried again a few times under the same name. After an ambiguous answer
(408, 5xx, a lost connection) the Machine may exist, so it is looked up before it is created again:
its name protects only while it lives, and a quick job can be over by then.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable
from lambdo_router.core.machine import Machine, MachineRequest, machine_request
from lambdo_router.core.ports import MachineLauncher
from lambdo_router.core.trace_context import TraceContext
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.permits import LaunchPermit, LaunchPermits
from lambdo_router.engine.waiting import unless

ATTEMPTS = 4
"""Creates per batch and delivery; after that the messages return to the queue with a delay."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class NotLaunched:
    """Fly did not take the Machine. `interrupted`: the router's stop ended the attempts."""

    error: LaunchError
    interrupted: bool


@dataclass(frozen=True, slots=True)
class Launcher:
    """Launches batches; shared by all consumers of a router."""

    fly: MachineLauncher
    permits: LaunchPermits
    reports: FailureReports
    observe: journal.Observer
    jitter: Callable[[], float]
    trace_of: Callable[[str], TraceContext | None]
    """Returns the trace that a batch's Machine continues, by batch ID; None: its messages' own."""

    async def launch(
        self,
        batch: Batch,
        batch_id: str,
        permit: LaunchPermit,
        *,
        deadline: float,
        generation: str,
        stopping: asyncio.Event,
    ) -> tuple[Machine, int] | NotLaunched:
        """
        Return the Machine and the number of attempts it took, or why there is none.

        `deadline` is in unix seconds. The permit has the slot of the first attempt; further ones
        wait for their own. With `acknowledge: success` the Machine may report until `close_report`.
        """
        outcome: tuple[Machine, int] | NotLaunched | None = None
        try:
            report = None
            if batch.key.profile.acknowledge == "success":
                report = self.reports.open(batch_id, permit.app, batch.message_ids, deadline)
            request = machine_request(
                batch,
                batch_id=batch_id,
                generation=generation,
                deadline=deadline,
                report=report,
                trace=self.trace_of(batch_id),
            )
            permit.use_slot()
            outcome = await self._try(batch, request, stopping)
        finally:
            if not isinstance(outcome, tuple):
                self.reports.close(batch_id)
        if isinstance(outcome, NotLaunched):
            if isinstance(outcome.error, LaunchRejected):
                permit.refused(outcome.error)
            return outcome
        machine, _ = outcome
        permit.launched(machine.id, deadline)
        self.reports.launched(batch_id, machine.id)
        return outcome

    def close_report(self, batch_id: str) -> frozenset[str]:
        """Take no more reports of a batch; return the messages that it reported as failed."""
        return self.reports.close(batch_id)

    async def _try(
        self, batch: Batch, request: MachineRequest, stopping: asyncio.Event
    ) -> tuple[Machine, int] | NotLaunched:
        slots, route = self.permits.slots(request.app), batch.key.route.name
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
            if last or not await unless(stopping, self._slot_after(pause, request.app, route)):
                break
        if doubt:
            with suppress(LaunchError):
                if (machine := await self.fly.find(request)) is not None:
                    return machine, attempt
        return NotLaunched(failure, interrupted=attempt < ATTEMPTS)

    async def _attempt(self, request: MachineRequest, *, look_first: bool) -> Machine:
        if look_first and (machine := await self.fly.find(request)) is not None:
            return machine
        return await self.fly.launch(request)

    def _pause(self, error: LaunchUnavailable, attempt: int) -> float:
        wanted = backoff(attempt, first=_FIRST_PAUSE, longest=_LONGEST_PAUSE, jitter=self.jitter())
        return max(wanted, error.retry_after or 0.0)

    async def _slot_after(self, pause: float, app: str, route: str) -> Literal[True]:
        """Wait out the pause, then for a slot. A wait that is cancelled costs nobody a slot."""
        await asyncio.sleep(pause)
        await self.permits.slots(app).acquire(route)
        return True
