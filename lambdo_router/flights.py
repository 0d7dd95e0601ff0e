"""
Messages whose Machine runs: from its launch to its end, and what was launched before this delivery.

With `acknowledge: success` a batch is done when its Machine has exited with 0, less the messages
that it reported as failed. A message that SQS delivers again is looked up first: its newest Machine
decides, and nothing is launched twice for want of a look.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from lambdo_router import journal
from lambdo_router.backoff import backoff
from lambdo_router.batching import Batch, BatchKey
from lambdo_router.completion import Completion, Ended
from lambdo_router.errors import LaunchError
from lambdo_router.events import Message
from lambdo_router.holding import Holdings
from lambdo_router.leases import LONGEST_VISIBILITY
from lambdo_router.ports import MachineEnd, MachineWatcher
from lambdo_router.recall import Holder, Recall
from lambdo_router.reports import Reports
from lambdo_router.settlement import (
    Acknowledge,
    Retry,
    Settlement,
    is_last_attempt,
    of_machine_failure,
    retry_delay,
)

_T = TypeVar("_T")

_LONGEST_LEASE = 600.0
"""Seconds; so long a crash of the router may delay a message whose Machine runs."""
_HANDOVER = 5.0
"""Seconds until another router, or the next start, may take over what is running."""
_LOOKS = 4


@dataclass(frozen=True, slots=True)
class Aloft:
    """What all consumers need to know of running Machines."""

    watcher: MachineWatcher
    completion: Completion
    recall: Recall
    reports: Reports


def lightened(batch: Batch) -> Batch:
    """The batch as it is kept while its Machine runs: bodies only where a reject may need them."""
    entries = tuple(
        entry
        if is_last_attempt(batch.key, entry.message)
        else replace(
            entry,
            message=replace(entry.message, body="", attributes={}),
            event=replace(entry.event, text="", value={}, attributes={}),
        )
        for entry in batch.entries
    )
    return Batch(batch.key, entries)


@dataclass(frozen=True, slots=True)
class Flights:
    """The running Machines of one queue's messages."""

    holdings: Holdings
    aloft: Aloft
    observe: journal.Observer
    jitter: Callable[[], float]
    wall: Callable[[], float]
    """Unix seconds."""
    stopping: asyncio.Event

    async def see_through(
        self, batch: Batch, batch_id: str, machine_id: str, deadline: float, reject_to: str | None
    ) -> None:
        """Wait for the end of a batch's Machine, and settle each message by it."""
        key = batch.key
        self.holdings.grow(batch.message_ids, min(_LONGEST_LEASE, key.profile.timeout))
        ending = self.aloft.completion.end(key.profile.app, machine_id, key.profile.name, deadline)
        ended = await self._unless_stopped(ending)
        if ended is None:
            await self.holdings.give_back(batch.message_ids, _HANDOVER)
            return
        reported = self.aloft.reports.close(batch_id)
        self._report_end(key, machine_id, ended)
        settlements = [
            (entry.message, self._verdict(key, entry.message, ended, reported, reject_to))
            for entry in batch.entries
        ]
        await self.holdings.settle_all(settlements, key.route.name)

    async def look_back(self, key: BatchKey, message: Message, reject_to: str | None) -> bool:
        """
        Settle a redelivered message by an earlier Machine, if there is one that decides.

        False: nothing was launched for it, or what was has failed, and it is to be launched.
        """
        try:
            holder = await self._holder(key, message)
            if holder is None:
                return False
            self.observe(journal.TakenOver(key.queue, message.id, holder.machine_id))
            if key.profile.acknowledge == "launch":
                done = Acknowledge("launched")
                await self.holdings.acknowledge((message.id,), key.route.name, done)
                return True
            if holder.end is None:
                await self._take_over(key, message, holder, reject_to)
                return True
            return await self._settle_by_the_past(key, message, holder, holder.end, reject_to)
        except LaunchError as error:
            await self._undecided(key, message, error)
            return True

    async def _holder(self, key: BatchKey, message: Message) -> Holder | None:
        """The Machine that decides. Tries a few times before it raises LaunchError."""
        first = message.first_received_at
        if first is None:
            first = self.wall() - LONGEST_VISIBILITY
        app = key.profile.app
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self.aloft.recall.holder_of(app, key.route.name, message.id, first)
            except LaunchError as error:
                pause = backoff(attempt, first=1.0, longest=10.0, jitter=self.jitter())
                self.observe(journal.WatchFailed(app, None, error, pause))
                if attempt == _LOOKS or await self._stopped_within(pause):
                    raise

    async def _take_over(
        self, key: BatchKey, message: Message, holder: Holder, reject_to: str | None
    ) -> None:
        """Wait for the end of a Machine that another router, or an earlier life, has launched."""
        self.holdings.grow((message.id,), min(_LONGEST_LEASE, key.profile.timeout))
        ending = self.aloft.completion.end(
            holder.app, holder.machine_id, key.profile.name, holder.deadline
        )
        ended = await self._unless_stopped(ending)
        if ended is None:
            await self.holdings.give_back((message.id,), _HANDOVER)
            return
        reported = await self._reported(holder, ended, message)
        settlement = self._verdict(key, message, ended, reported, reject_to)
        await self.holdings.settle(message, key.route.name, settlement)

    async def _settle_by_the_past(
        self,
        key: BatchKey,
        message: Message,
        holder: Holder,
        end: MachineEnd,
        reject_to: str | None,
    ) -> bool:
        """Settle by a Machine that has ended; False: it failed, and another may be launched."""
        ended = Ended(end)
        reported = await self._reported(holder, ended, message)
        settlement = self._verdict(key, message, ended, reported, reject_to)
        most = key.profile.max_attempts
        used_up = most is not None and message.receive_count > most
        if not isinstance(settlement, Acknowledge) and not used_up:
            return False
        await self.holdings.settle(message, key.route.name, settlement)
        return True

    async def _reported(self, holder: Holder, ended: Ended, message: Message) -> frozenset[str]:
        """The message's id, if the Machine reported it as failed. Raises LaunchError."""
        if ended.succeeded and await self.aloft.recall.reported_failed(holder, message.id):
            return frozenset({message.id})
        return frozenset()

    def _verdict(
        self,
        key: BatchKey,
        message: Message,
        ended: Ended,
        reported: frozenset[str],
        reject_to: str | None,
    ) -> Settlement:
        if ended.succeeded and message.id not in reported:
            return Acknowledge("succeeded")
        failure = "the Machine reported it as failed" if ended.succeeded else ended.failure
        return of_machine_failure(
            failure,
            key,
            message,
            reject_to=reject_to,
            held_for=self.holdings.held_for(message.id),
            jitter=self.jitter(),
            wall=self.wall(),
        )

    async def _undecided(self, key: BatchKey, message: Message, error: LaunchError) -> None:
        """Fly does not say whether it was launched: come back later, launch nothing."""
        held_for = self.holdings.held_for(message.id)
        delay = retry_delay(message.receive_count, jitter=self.jitter(), held_for=held_for)
        await self.holdings.settle(message, key.route.name, Retry(delay, str(error)))

    def _report_end(self, key: BatchKey, machine_id: str, ended: Ended) -> None:
        failure = "" if ended.succeeded else ended.failure
        end = ended.end
        self.observe(
            journal.MachineEnded(
                key.queue, key.route.name, machine_id, end.exit_code, failure, end.seconds
            )
        )

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return False
        return True

    async def _unless_stopped(self, unit: Awaitable[_T]) -> _T | None:
        """What the unit comes to; None if the router stops before."""
        waiting = asyncio.ensure_future(unit)
        stopped = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return waiting.result() if waiting.done() else None
        finally:
            waiting.cancel()
            stopped.cancel()
