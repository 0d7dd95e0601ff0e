"""
A closed batch from its launch to its settlement.

With `acknowledge: launch` its messages are done when Fly has accepted the Machine. With `success`
they are done when the Machine has exited with 0, less those that it reported as failed; until then
their leases are renewed, less and less often.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchError, LaunchRejected
from lambdo_router.core.machine import Machine, batch_id_of, machine_request
from lambdo_router.core.message import Message
from lambdo_router.core.profile import Profile
from lambdo_router.core.settlement import (
    Acknowledge,
    Retry,
    Settlement,
    is_last_attempt,
    of_launch_failure,
    of_machine_failure,
    retry_delay,
)
from lambdo_router.engine.context import Context
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.launcher import LaunchPermit, NotLaunched
from lambdo_router.engine.machine_tracker import Ended
from lambdo_router.engine.previous_launches import Label
from lambdo_router.engine.waiting import unless

_LONGEST_LEASE = 600.0
"""Seconds; so long a crash of the router may delay a message whose Machine runs."""
_HANDOVER = 5.0
"""Seconds until another router, or the next start, may take over what is running."""


@dataclass(frozen=True, slots=True)
class RunningBatch:
    """A batch whose Machine runs, without the bodies that nobody needs any more."""

    batch: Batch
    batch_id: str
    machine: Machine
    deadline: float
    """Unix seconds."""


@dataclass(frozen=True, slots=True)
class BatchRunner:
    """The launches of one queue's batches."""

    held_messages: HeldMessages
    context: Context
    stopping: asyncio.Event

    async def run(self, batch: Batch, permit: LaunchPermit) -> bool:
        """
        Launch a batch and settle its messages; True if the queue has none of them any more.

        The permit is used up or released.
        """
        running = await self.launch(batch, permit)
        del batch  # the bodies are at Fly now
        return running if isinstance(running, bool) else await self.wait_for_end(running)

    async def launch(self, batch: Batch, permit: LaunchPermit) -> RunningBatch | bool:
        """
        The first half of `run`: what is to be handed to `wait_for_end`.

        Where the launch settles the messages already: whether the queue has none of them any more.
        Messages whose leases have run out are forgotten, and False if none is left.
        """
        async with permit:
            lost = self.held_messages.drop_expired(batch.message_ids)
            held = tuple(entry for entry in batch.entries if entry.message.id not in lost)
            if not held:
                return False
            batch = Batch(batch.key.within(permit.app), held)
            profile = batch.key.profile
            batch_id = batch_id_of(batch)
            self.context.observe(journal.BatchClosed(batch, batch_id, permit.waited))
            deadline = self.context.clock() + profile.timeout
            outcome = await self._launch(batch, batch_id, deadline, permit)
        if isinstance(outcome, NotLaunched):
            await self._settle_unlaunched(batch, outcome)
            return False
        acknowledge: str = profile.acknowledge
        earlier = await self._earlier(profile, outcome, batch_id) if outcome.adopted else None
        if earlier is not None:
            deadline, acknowledge = earlier.deadline, earlier.acknowledge or acknowledge
        if acknowledge == "launch":
            done = Acknowledge("launched")
            return await self.held_messages.acknowledge(
                batch.message_ids, batch.key.route.name, done
            )
        return RunningBatch(_lightened(batch), batch_id, outcome, deadline)

    async def _launch(
        self, batch: Batch, batch_id: str, deadline: float, permit: LaunchPermit
    ) -> Machine | NotLaunched:
        """Create the Machine, and tell the permit, the reports and the journal how it went."""
        context, profile = self.context, batch.key.profile
        closed_at = asyncio.get_running_loop().time()
        margin = self.held_messages.margin(batch.message_ids)
        outcome: tuple[Machine, int] | NotLaunched | None = None
        try:
            report = None
            if profile.acknowledge == "success":
                report = context.reports.open(
                    batch_id,
                    profile.app,
                    batch.message_ids,
                    deadline=deadline,
                    now=context.clock(),
                )
            request = machine_request(
                batch,
                generation=context.table().generation,
                deadline=deadline,
                report=report,
                trace=context.trace_of(batch_id),
            )
            permit.use_slot()
            outcome = await context.launcher.launch(batch, request, self.stopping)
        finally:
            if not isinstance(outcome, tuple):
                context.reports.close(batch_id)
        if isinstance(outcome, NotLaunched):
            if isinstance(outcome.error, LaunchRejected):
                permit.refused(outcome.error)
            return outcome
        machine, attempts = outcome
        permit.launched(machine.id, deadline)
        context.reports.launched(batch_id, machine.id)
        seconds = asyncio.get_running_loop().time() - closed_at
        context.observe(journal.Launched(batch, machine, seconds, attempts, margin, batch_id))
        return machine

    async def _earlier(self, profile: Profile, machine: Machine, batch_id: str) -> Label | None:
        """
        What is known of an adopted Machine that is of an earlier delivery of the same messages.

        It has the token of that delivery, and its deadline. None if it is of this delivery, or if
        Fly does not say; what it reported as failed is read at its end in any case.
        """
        try:
            label = await self.context.previous.label_of(profile.app, machine.id)
        except LaunchError as error:
            self.context.observe(journal.WatchFailed(profile.app, machine.id, error, 0.0))
            return None
        if label.batch_id == batch_id:
            return None
        self.context.reports.close(batch_id)
        self.context.tracker.launched(
            profile.app, machine.id, label.profile or profile.name, label.deadline
        )
        return label

    async def wait_for_end(self, running: RunningBatch) -> bool:
        """The second half of `run`: wait for the Machine's end, and settle by it."""
        batch, key, machine = running.batch, running.batch.key, running.machine
        ended = await self.end_of(key, batch.message_ids, machine.id, running.deadline)
        if ended is None:
            return False
        reported = self.context.reports.close(running.batch_id)
        doubt = None
        if machine.adopted and ended.succeeded:
            # It may have reported to another router, or to an earlier life of this one.
            try:
                reported |= await self._reported_at_fly(key.profile.app, machine.id, batch)
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
        settlements = [
            (
                message,
                self.verdict(key, message, ended, reported=message.id in reported)
                if doubt is None
                else self.later(message, doubt),
            )
            for message in (entry.message for entry in batch.entries)
        ]
        return await self.held_messages.settle_all(settlements, key.route.name)

    async def _reported_at_fly(self, app: str, machine_id: str, batch: Batch) -> frozenset[str]:
        previous = self.context.previous
        return frozenset(
            [i for i in batch.message_ids if await previous.reported_failed(app, machine_id, i)]
        )

    def later(self, message: Message, error: LaunchError) -> Retry:
        """Fly does not say what became of a message: its next delivery asks again."""
        held_for = self.held_messages.held_for(message.id)
        jitter = self.context.jitter()
        return Retry(
            retry_delay(message.receive_count, jitter=jitter, held_for=held_for), str(error)
        )

    async def end_of(
        self,
        key: BatchKey,
        message_ids: Iterable[str],
        machine_id: str,
        deadline: float,
        profile: str = "",
    ) -> Ended | None:
        """
        Wait for the end of the Machine that these messages are in; None if the router stops before.

        Then the messages are given back with a short delay: another router, or the next start,
        takes the Machine over. `profile` is what it was launched with, if not the key's.
        """
        self.held_messages.grow(message_ids, min(_LONGEST_LEASE, key.profile.timeout))
        profile = profile or key.profile.name
        ending = self.context.tracker.end(key.profile.app, machine_id, profile, deadline)
        ended = await unless(self.stopping, ending)
        if ended is None:
            await self.held_messages.release(message_ids, _HANDOVER)
        return ended

    def verdict(
        self, key: BatchKey, message: Message, ended: Ended, *, reported: bool
    ) -> Settlement:
        """What becomes of a message by the end of its Machine; `reported`: as failed."""
        if ended.succeeded and not reported:
            return Acknowledge("succeeded")
        failure = "the Machine reported it as failed" if ended.succeeded else ended.failure
        return of_machine_failure(
            failure,
            key,
            message,
            reject_to=self.context.reject_to(key.queue),
            held_for=self.held_messages.held_for(message.id),
            jitter=self.context.jitter(),
            now=self.context.clock(),
        )

    async def _settle_unlaunched(self, batch: Batch, outcome: NotLaunched) -> None:
        key = batch.key
        if outcome.interrupted:
            await self.held_messages.release(batch.message_ids)
            return
        jitter, now = self.context.jitter(), self.context.clock()
        reject_to = self.context.reject_to(key.queue)
        settlements = [
            (
                message,
                of_launch_failure(
                    outcome.error,
                    key,
                    message,
                    reject_to=reject_to,
                    held_for=self.held_messages.held_for(message.id),
                    jitter=jitter,
                    now=now,
                ),
            )
            for message in (entry.message for entry in batch.entries)
        ]
        await self.held_messages.settle_all(settlements, key.route.name)


def lightened(key: BatchKey, message: Message) -> Message:
    """The message as it is kept while its Machine runs, which may be for hours."""
    if is_last_attempt(key, message):
        return message
    return replace(message, body="", attributes={})


def _lightened(batch: Batch) -> Batch:
    """The batch as it is kept while its Machine runs: bodies only where a reject may need them."""
    entries = tuple(
        entry
        if is_last_attempt(batch.key, entry.message)
        else replace(
            entry,
            message=lightened(batch.key, entry.message),
            event=replace(entry.event, text="", value={}, attributes={}),
            described="",
        )
        for entry in batch.entries
    )
    return Batch(batch.key, entries)
