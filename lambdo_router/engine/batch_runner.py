"""
A closed batch, from its launch to its settlement.

With `acknowledge: launch` its messages are done when Fly has accepted the Machine. With `success`
they are done when the Machine has exited with 0, except those that it reported as failed. Until
then their leases are renewed, less and less often.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchError, LaunchUnavailable
from lambdo_router.core.machine import Machine, batch_id_of
from lambdo_router.core.machine_metadata import Label
from lambdo_router.core.message import Message
from lambdo_router.core.profile import Profile
from lambdo_router.core.settlement import (
    Acknowledge,
    Retry,
    Settlement,
    is_last_attempt,
    of_failure,
)
from lambdo_router.engine.context import Context
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.launcher import NotLaunched
from lambdo_router.engine.machine_tracker import Ended
from lambdo_router.engine.permits import LaunchPermit
from lambdo_router.engine.waiting import unless

_LONGEST_LEASE = 600.0
"""Seconds that a crash of the router may delay a message whose Machine runs."""
_HANDOVER = 5.0
"""Seconds until another router, or the next start, may take over a running Machine."""


@dataclass(frozen=True, slots=True)
class RunningBatch:
    """A batch whose Machine runs, without the bodies that are not needed any more."""

    batch: Batch
    batch_id: str
    machine: Machine
    deadline: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class BatchRunner:
    """Runs the batches of one queue."""

    held_messages: HeldMessages
    context: Context
    stopping: asyncio.Event

    async def run(self, batch: Batch, permit: LaunchPermit) -> bool:
        """
        Launch a batch and settle its messages; return whether all of them left the queue.

        Uses the permit or returns it.
        """
        running = await self.launch(batch, permit)
        del batch  # Fly has the bodies now
        return running if isinstance(running, bool) else await self.wait_for_end(running)

    async def launch(self, batch: Batch, permit: LaunchPermit) -> RunningBatch | bool:
        """
        Launch a batch and return what `wait_for_end` needs.

        If the launch settles the messages already, return whether all of them left the queue.
        Messages whose leases have expired are dropped first; False if that leaves none.
        """
        async with permit:
            lost = self.held_messages.drop_expired(batch.message_ids)
            if lost or permit.app != batch.key.profile.app:
                held = tuple(entry for entry in batch.entries if entry.message.id not in lost)
                if not held:
                    return False
                batch = Batch(batch.key.within(permit.app), held)
            profile = batch.key.profile
            batch_id = batch_id_of(batch)
            self.context.observe(journal.BatchClosed(batch, batch_id, permit.waited))
            deadline = self.held_messages.clock() + profile.timeout
            machine = await self._create(batch, batch_id, deadline, permit)
        if isinstance(machine, NotLaunched):
            await self._settle_unlaunched(batch, machine)
            return False
        acknowledge: str = profile.acknowledge
        earlier = await self._earlier(profile, machine, batch_id) if machine.adopted else None
        if earlier is not None:
            deadline, acknowledge = earlier.deadline, earlier.acknowledge or acknowledge
        if acknowledge == "launch":
            done = Acknowledge("launched")
            return await self.held_messages.acknowledge(
                batch.message_ids, batch.key.route.name, done
            )
        return RunningBatch(_without_bodies(batch), batch_id, machine, deadline)

    async def wait_for_end(self, running: RunningBatch) -> bool:
        """Wait for the Machine's end and settle by it; return whether all messages are gone."""
        batch, key, machine = running.batch, running.batch.key, running.machine
        ended = await self.end_of(key, batch.message_ids, machine.id, running.deadline)
        if ended is None:
            return False
        reported = self.context.launcher.close_report(running.batch_id)
        doubt = None
        if machine.adopted and ended.succeeded:
            # It may have reported to another router, or to an earlier process of this one.
            try:
                reported |= await self._reported_to_fly(key.profile.app, machine.id, batch)
            except LaunchError as error:
                doubt = error
        self.context.observe(
            journal.MachineEnded(
                batch,
                running.batch_id,
                machine.id,
                ended.kind,
                ended.end.exit_code,
                "" if ended.succeeded else ended.failure,
                ended.end.seconds,
                len(reported),
                machine.region,
            )
        )

        def settlement(message: Message) -> Settlement:
            if doubt is not None:
                return self.ask_again(message, doubt)
            return self.settlement(key, message, ended, reported=message.id in reported)

        return await self._settle_all(batch, settlement)

    async def end_of(
        self,
        key: BatchKey,
        message_ids: Iterable[str],
        machine_id: str,
        deadline: float,
        profile: str = "",
    ) -> Ended | None:
        """
        Wait for the end of the Machine that has these messages; None if the router stops before.

        In that case the messages are released with a short delay: another router, or the next
        start, takes the Machine over. `profile` is what it was launched with, if not the key's.
        """
        self.held_messages.grow(message_ids, min(_LONGEST_LEASE, key.profile.timeout))
        profile = profile or key.profile.name
        ending = self.context.tracker.end(key.profile.app, machine_id, profile, deadline)
        ended = await unless(self.stopping, ending)
        if ended is None:
            await self.held_messages.release(message_ids, _HANDOVER)
        return ended

    def settlement(
        self, key: BatchKey, message: Message, ended: Ended, *, reported: bool
    ) -> Settlement:
        """Return what becomes of a message at the end of its Machine; `reported`: as failed."""
        if ended.succeeded and not reported:
            return Acknowledge("succeeded")
        failure = "the Machine reported it as failed" if ended.succeeded else ended.failure
        return self._failed(failure, key, message, launched=True)

    def ask_again(self, message: Message, error: LaunchError) -> Retry:
        """Return the retry of a message of which Fly does not say what became of it."""
        return Retry(self.held_messages.retry_delay(message), str(error))

    async def _create(
        self, batch: Batch, batch_id: str, deadline: float, permit: LaunchPermit
    ) -> Machine | NotLaunched:
        closed_at = asyncio.get_running_loop().time()
        margin = self.held_messages.margin(batch.message_ids)
        outcome = await self.context.launcher.launch(
            batch,
            batch_id,
            permit,
            deadline=deadline,
            generation=self.context.table().generation,
            stopping=self.stopping,
        )
        if isinstance(outcome, NotLaunched):
            return outcome
        machine, attempts = outcome
        seconds = asyncio.get_running_loop().time() - closed_at
        self.context.observe(journal.Launched(batch, machine, seconds, attempts, margin, batch_id))
        return machine

    async def _earlier(self, profile: Profile, machine: Machine, batch_id: str) -> Label | None:
        """
        Return the label of an adopted Machine of an earlier delivery of the same messages.

        It has the token and the deadline of that delivery. None if it is of this delivery, or if
        Fly does not say; what it reported as failed is read at its end in any case.
        """
        try:
            label = await self.context.previous.label_of(profile.app, machine.id)
        except LaunchError as error:
            self.context.observe(journal.WatchFailed(profile.app, machine.id, error, 0.0))
            return None
        if label.batch_id == batch_id:
            return None
        self.context.launcher.close_report(batch_id)
        self.context.tracker.launched(
            profile.app, machine.id, label.profile or profile.name, label.deadline
        )
        return label

    async def _reported_to_fly(self, app: str, machine_id: str, batch: Batch) -> frozenset[str]:
        previous = self.context.previous
        return frozenset(
            [i for i in batch.message_ids if await previous.reported_failed(app, machine_id, i)]
        )

    async def _settle_unlaunched(self, batch: Batch, outcome: NotLaunched) -> None:
        if outcome.interrupted:
            await self.held_messages.release(batch.message_ids)
            return
        error = outcome.error
        asked = (isinstance(error, LaunchUnavailable) and error.retry_after) or 0.0
        await self._settle_all(
            batch,
            lambda message: self._failed(
                str(error), batch.key, message, launched=False, at_least=asked
            ),
        )

    def _failed(
        self, why: str, key: BatchKey, message: Message, *, launched: bool, at_least: float = 0.0
    ) -> Settlement:
        return of_failure(
            why,
            key,
            message,
            launched=launched,
            reject_to=self.context.reject_to(key.queue),
            delay=self.held_messages.retry_delay(message, at_least=at_least),
            now=self.held_messages.clock(),
        )

    async def _settle_all(self, batch: Batch, settlement: Callable[[Message], Settlement]) -> bool:
        messages = (entry.message for entry in batch.entries)
        settlements = [(message, settlement(message)) for message in messages]
        return await self.held_messages.settle_all(settlements, batch.key.route.name)


def without_body(key: BatchKey, message: Message) -> Message:
    """Return the message to keep while its Machine runs, which may take hours."""
    if is_last_attempt(key, message):
        return message  # a reject needs the body
    return replace(message, body="", attributes={})


def _without_bodies(batch: Batch) -> Batch:
    """Return the batch to keep while its Machine runs: bodies only where a reject may need them."""
    entries = tuple(
        entry
        if is_last_attempt(batch.key, entry.message)
        else replace(
            entry,
            message=without_body(batch.key, entry.message),
            event=replace(entry.event, text="", value={}, attributes={}),
            described="",
        )
        for entry in batch.entries
    )
    return Batch(batch.key, entries)
