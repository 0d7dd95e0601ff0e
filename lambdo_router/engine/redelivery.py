"""
Check whether a redelivered message was already launched before launching it again.

Its newest Machine decides, whichever route launched it, by the settings it was launched with. With
`acknowledge: launch` the message is deleted. Otherwise a running Machine is taken over, and after
one that succeeded, and did not report the message as failed, the message is deleted. In all other
cases it is launched again. If Fly does not answer, nothing is launched: the message is retried with
a delay, and the next delivery asks again.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.batch import BatchKey
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MachineEnd
from lambdo_router.core.settlement import Acknowledge, Settlement
from lambdo_router.engine.batch_runner import BatchRunner, without_body
from lambdo_router.engine.context import Context
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.machine_tracker import Ended
from lambdo_router.engine.previous_launches import Holder
from lambdo_router.engine.waiting import set_within, unless

_LOOKS = 4
_SAME_RECEIVE = 1.0
"""Seconds: far less than any lease, and more than rounding errors."""


@dataclass(frozen=True, slots=True)
class TakeOver:
    """A message whose earlier Machine runs, without the body that is not needed any more."""

    key: BatchKey
    message: Message
    holder: Holder


@dataclass(frozen=True, slots=True)
class Redelivery:
    """Settles redelivered messages of one queue by their earlier Machines."""

    runner: BatchRunner
    held_messages: HeldMessages
    context: Context
    stopping: asyncio.Event

    async def settle(self, key: BatchKey, message: Message) -> TakeOver | bool | None:
        """
        Settle the message by an earlier Machine, if there is one that decides.

        True: it left the queue. False: it was released, or SQS will redeliver it. None: nothing was
        launched for it, or its Machine failed, so launch it. TakeOver: its Machine runs; drop every
        reference to the message's body and call `wait_for_end`.
        """
        context, held_messages = self.context, self.held_messages
        try:
            holder = await self._holder(key, message)
            if holder is None:
                return None
            context.observe(journal.MachineAdopted(key.queue, message.id, holder.machine_id))
            if _done_by_launch(key, holder):
                done = Acknowledge("launched")
                return await held_messages.acknowledge((message.id,), key.route.name, done)
            if holder.end is None:
                return TakeOver(key, without_body(key, message), holder)
            settlement = await self._by_the_past(key, message, holder, holder.end)
            if settlement is None:
                return None
            return await held_messages.settle(message, key.route.name, settlement)
        except LaunchError as error:
            if self.stopping.is_set():
                await held_messages.release((message.id,))
            else:
                later = self.runner.ask_again(message, error)
                await held_messages.settle(message, key.route.name, later)
            return False

    async def wait_for_end(self, taken: TakeOver) -> bool:
        """Wait for the end of the Machine and settle by it; return whether it left the queue."""
        key, message, holder = taken.key, taken.message, taken.holder
        ended = await self.runner.end_of(
            key.within(holder.app),
            (message.id,),
            holder.machine_id,
            holder.label.deadline,
            holder.label.profile,
        )
        if ended is None:
            return False
        settlement: Settlement
        try:
            reported = await self._reported(holder, ended, message)
            settlement = self.runner.settlement(key, message, ended, reported=reported)
        except LaunchError as error:
            settlement = self.runner.ask_again(message, error)
        return await self.held_messages.settle(message, key.route.name, settlement)

    async def is_due(self, key: BatchKey, message: Message) -> bool:
        """Return whether the message may be launched with others: `settle` would return None."""
        try:
            holder = await self._holder(key, message)
            if holder is None:
                return True
            if _done_by_launch(key, holder) or holder.end is None:
                return False
            return await self._by_the_past(key, message, holder, holder.end) is None
        except LaunchError:
            return False

    async def _holder(self, key: BatchKey, message: Message) -> Holder | None:
        """
        Return the Machine that decides. Tries a few times before it raises LaunchError.

        The profile's own apps are asked first. Others, of other profiles or earlier tables, are
        asked only if that does not settle the message.
        """
        own = key.profile.apps
        while True:
            received_at = self._received_at(message)
            found = await self._newest(own, own, message)
            if found is None or not await self._settles(key, found, message):
                others = [app for app in self.context.previous.apps() if app not in own]
                elsewhere = await self._newest(others, own, message)
                both = [holder for holder in (found, elsewhere) if holder is not None]
                found = max(both, key=lambda holder: holder.created_at, default=None)
            anew = self._received_at(message) > received_at + _SAME_RECEIVE
            if not anew or self.held_messages.is_lost(message.id):
                return found
            # Its lease was lost and renewed by a redelivery meanwhile: another router may have
            # launched it.

    async def _newest(
        self, apps: Iterable[str], own: tuple[str, ...], message: Message
    ) -> Holder | None:
        looking = (self._holder_in(app, message, own=app in own) for app in apps)
        holders = await asyncio.gather(*looking, return_exceptions=True)
        newest: Holder | None = None
        for holder in holders:
            if isinstance(holder, BaseException):
                raise holder
            if holder is not None and (newest is None or holder.created_at > newest.created_at):
                newest = holder
        return newest

    async def _holder_in(self, app: str, message: Message, *, own: bool) -> Holder | None:
        context, stopping = self.context, self.stopping
        attempt = 0
        while True:
            attempt += 1
            try:
                received_at = self._received_at(message)
                looking = context.previous.holder_of(app, message, received_at)
                found = await unless(stopping, looking)
            except LaunchError as error:
                pause = backoff(
                    attempt, first=1.0, longest=10.0, jitter=self.held_messages.jitter()
                )
                context.observe(journal.WatchFailed(app, None, error, pause))
                if not own and isinstance(error, LaunchRejected):
                    return None  # an app that Fly refuses must not stop other profiles
                if attempt == _LOOKS or await set_within(stopping, pause):
                    raise
            else:
                if found is None and stopping.is_set():
                    raise LaunchUnavailable("the router stops", code="stopping")
                return found

    def _received_at(self, message: Message) -> float:
        """Return when the message was received, in the loop's time; now if it is not held."""
        now = asyncio.get_running_loop().time()
        return now - self.held_messages.held_for(message.id)

    async def _settles(self, key: BatchKey, holder: Holder, message: Message) -> bool:
        """Return whether no other Machine can matter: this one has done the message, or may yet."""
        if _done_by_launch(key, holder) or holder.end is None:
            return True
        ended = Ended(holder.end)
        return ended.succeeded and not await self._reported(holder, ended, message)

    async def _by_the_past(
        self, key: BatchKey, message: Message, holder: Holder, end: MachineEnd
    ) -> Settlement | None:
        """Return what a Machine that has ended decides; None: it failed, so launch another."""
        ended = Ended(end)
        reported = await self._reported(holder, ended, message)
        settlement = self.runner.settlement(key, message, ended, reported=reported)
        most = key.profile.max_attempts
        used_up = most is not None and message.receive_count > most
        return settlement if isinstance(settlement, Acknowledge) or used_up else None

    async def _reported(self, holder: Holder, ended: Ended, message: Message) -> bool:
        """Return whether the Machine reported this message as failed. Raises LaunchError."""
        previous = self.context.previous
        return ended.succeeded and await previous.reported_failed(
            holder.app, holder.machine_id, message.id
        )


def _done_by_launch(key: BatchKey, holder: Holder) -> bool:
    """Return whether the launch alone settled it; a Machine of an old release does not say."""
    return (holder.label.acknowledge or key.profile.acknowledge) == "launch"
