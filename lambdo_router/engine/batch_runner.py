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
from lambdo_router.engine.dispatch import NotLaunched
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.machine_tracker import Ended
from lambdo_router.engine.previous_launches import Label
from lambdo_router.engine.waiting import unless

_LONGEST_LEASE = 600.0
"""Seconds; so long a crash of the router may delay a message whose Machine runs."""
_CHOOSE_AGAIN = 5.0
"""Seconds that a batch waits for a slot of one app, before it looks at the others again."""
_WORTH_LEAVING = 2.0
"""Seconds that it must gain by going to another."""
_HANDOVER = 5.0
"""Seconds until another router, or the next start, may take over what is running."""


@dataclass(frozen=True, slots=True)
class LaunchPermit:
    """The right to launch one batch in an app, and the seconds that it took to get it."""

    app: str
    waited: float


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

    async def enter(self, key: BatchKey) -> LaunchPermit:
        """Wait for the gate of the profile, then for a slot; to be followed by `fly` or `leave`."""
        began = asyncio.get_running_loop().time()
        gates, slot = self.context.gates, False
        while True:
            profile = await gates.enter(key.profile, self._app_for)
            try:
                slot = await self._slot_for(profile, key.route.name)
            finally:
                if not slot:
                    gates.leave(profile)
            if slot:
                return LaunchPermit(profile.app, asyncio.get_running_loop().time() - began)

    async def _slot_for(self, profile: Profile, route: str) -> bool:
        """Wait for a slot of the profile's app; False if another of its apps has one sooner."""
        slots = self.context.dispatch.slots(profile.app)
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
        context = self.context
        waits = (
            context.dispatch.slots(app).expected_wait()
            for app in profile.apps[1:]
            if context.gates.room_within(profile.within(app)) != 0
        )
        mine = context.dispatch.slots(profile.app).expected_wait()
        return min(waits, default=mine) + _WORTH_LEAVING < mine

    def leave(self, key: BatchKey, clearance: LaunchPermit) -> None:
        """Nothing is launched after all."""
        self.context.dispatch.slots(clearance.app).release()
        self.context.gates.leave(key.profile.within(clearance.app))

    def _app_for(self, profile: Profile) -> str:
        """Of the profile's apps the one that will take a Machine first."""
        if not profile.more_apps:
            return profile.app
        context = self.context
        return min(
            profile.apps,
            key=lambda app: (
                context.gates.room_within(profile.within(app)) == 0,
                context.dispatch.slots(app).expected_wait(),
            ),
        )

    async def fly(self, batch: Batch, clearance: LaunchPermit) -> bool:
        """
        Launch a batch after `enter`, and settle its messages.

        True if the queue has none of them any more.
        """
        flown = await self.launch(batch, clearance)
        del batch  # the bodies are at Fly now
        return flown if isinstance(flown, bool) else await self.wait_for_end(flown)

    async def launch(self, batch: Batch, clearance: LaunchPermit) -> RunningBatch | bool:
        """
        The first half of `fly`: what is to be handed to `wait_for_end`.

        Where the launch settles the messages already: whether the queue has none of them any more.
        Messages whose leases have run out are forgotten, and False if none is left.
        """
        lost = self.held_messages.drop_expired(batch.message_ids)
        held = tuple(entry for entry in batch.entries if entry.message.id not in lost)
        if not held:
            self.leave(batch.key, clearance)
            return False
        batch = Batch(batch.key.within(clearance.app), held)
        profile = batch.key.profile
        batch_id = batch_id_of(batch)
        self.context.observe(journal.BatchClosed(batch, batch_id, clearance.waited))
        deadline = self.context.wall() + profile.timeout
        outcome = await self._launch(batch, batch_id, deadline)
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

    async def _launch(self, batch: Batch, batch_id: str, deadline: float) -> Machine | NotLaunched:
        """Create the Machine; whatever comes of it, the place taken by `enter` is accounted for."""
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
                    now=context.wall(),
                )
            request = machine_request(
                batch,
                generation=context.table().generation,
                deadline=deadline,
                report=report,
                trace=context.trace_of(batch_id),
            )
            outcome = await context.dispatch.launch(batch, request, self.stopping)
        finally:
            if not isinstance(outcome, tuple):
                context.reports.close(batch_id)
                self._account_for(profile, outcome)
        if isinstance(outcome, NotLaunched):
            return outcome
        machine, attempts = outcome
        context.gates.launched(profile, machine.id, deadline)
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

    def _account_for(self, profile: Profile, outcome: NotLaunched | None) -> None:
        """Nothing was launched: Fly refused the profile, or it was not the profile's fault."""
        if outcome is not None and isinstance(outcome.error, LaunchRejected):
            self.context.gates.refused(profile, outcome.error)
        else:
            self.context.gates.leave(profile)

    async def wait_for_end(self, aloft: RunningBatch) -> bool:
        """The second half of `fly`: wait for the Machine's end, and settle by it."""
        batch, key, machine = aloft.batch, aloft.batch.key, aloft.machine
        ended = await self.end_of(key, batch.message_ids, machine.id, aloft.deadline)
        if ended is None:
            return False
        reported = self.context.reports.close(aloft.batch_id)
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
                aloft.batch_id,
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
            wall=self.context.wall(),
        )

    async def _settle_unlaunched(self, batch: Batch, outcome: NotLaunched) -> None:
        key = batch.key
        if outcome.interrupted:
            await self.held_messages.release(batch.message_ids)
            return
        jitter, wall = self.context.jitter(), self.context.wall()
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
                    wall=wall,
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
