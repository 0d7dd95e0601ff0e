"""
What a queue's consumer holds: leases kept alive, and messages settled in SQS.

Every message is held from receipt until SQS has confirmed its settlement, and its lease is renewed
all the while. Nothing is deleted but what was launched, dropped on purpose, or sent to the reject
queue first.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import assert_never

from lambdo_router import journal
from lambdo_router.backoff import backoff
from lambdo_router.errors import QueueError
from lambdo_router.events import Message
from lambdo_router.leases import LeaseBook, Renewal
from lambdo_router.ports import MessageQueue
from lambdo_router.settlement import (
    Acknowledge,
    Leave,
    Reject,
    Retry,
    Settlement,
    rejected_attributes,
)
from lambdo_router.waiting import set_by

_RENEWED_AT_ONCE = 100
_RAN_OUT = "its time ran out"
_SENDS = 5
"""Tries to send a rejected message, before it is left to the queue."""


@dataclass(slots=True)
class Holdings:
    """The messages that one consumer holds."""

    queue: MessageQueue
    reject_queue: Callable[[str], Awaitable[MessageQueue]]
    """Connects a queue of the routes file to send rejected messages to; may raise QueueError."""
    observe: journal.Observer
    jitter: Callable[[], float]
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever something is held no more."""
    _leases: LeaseBook = field(default_factory=LeaseBook)
    _sent_at: dict[str, float | None] = field(default_factory=dict)
    _aloft: set[str] = field(default_factory=set)
    _deleting: set[str] = field(default_factory=set)
    _held: asyncio.Event = field(default_factory=asyncio.Event)
    # A renewal that is under way must not land on top of a later change of visibility.
    _visibility: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __len__(self) -> int:
        return len(self._leases)

    @property
    def waiting(self) -> int:
        """Messages that are held and in no running Machine: their bodies are in memory."""
        return len(self._leases) - len(self._aloft)

    def hold(self, message: Message, seconds: float) -> bool:
        """Lease a message from now on; False for a redelivery of one that is held already."""
        now = asyncio.get_running_loop().time()
        self._held.set()
        self._sent_at[message.id] = message.sent_at
        return self._leases.hold(message.id, message.receipt, now, seconds)

    def margin(self, message_ids: tuple[str, ...]) -> float:
        """Seconds until the first of these leases runs out; negative if one has."""
        return self._leases.margin(message_ids, asyncio.get_running_loop().time())

    def least_margin(self) -> float | None:
        """Seconds until the first of all leases runs out; None if nothing is held."""
        return self._leases.least_margin(asyncio.get_running_loop().time())

    def is_lost(self, message_id: str) -> bool:
        """Whether others may have the message: its lease ran out, or it is held no more."""
        return message_id not in self._leases or self._leases.is_lost(message_id)

    def shed(self, message_ids: Iterable[str]) -> frozenset[str]:
        """
        Forget those of these messages whose lease has run out by now, or was lost before.

        To be called right before a launch: a process that was frozen, or that had no CPU, may wake
        up to the slot that it waited for before it has had a look at its leases.
        """
        ids, now = tuple(message_ids), asyncio.get_running_loop().time()
        over = [i for i in ids if i in self._leases and self._leases.margin((i,), now) <= 0.0]
        if newly := self._leases.lose(over):
            self.observe(journal.LeaseLost(self.queue.name, newly, _RAN_OUT))
        lost = frozenset(filter(self.is_lost, ids))
        self._release(lost)
        return lost

    def held_for(self, message_id: str) -> float:
        """Seconds since the receive."""
        return self._leases.held_for(message_id, asyncio.get_running_loop().time())

    async def keep_alive(self, on_lost: Callable[[str], bool]) -> None:
        """
        Renew every lease at half-life, until cancelled.

        A message whose lease was lost is handed to `on_lost`; if that returns True it was not
        launched yet and is forgotten, else it stays to be settled as well as may be.
        """
        loop = asyncio.get_running_loop()
        while True:
            self._held.clear()
            await set_by(self._held, self._leases.next_due())
            now = loop.time()
            self._report_lost(self._leases.expire(now), _RAN_OUT, on_lost)
            for renewal in self._leases.due(now, _RENEWED_AT_ONCE):
                await self._renew(renewal, on_lost)

    async def settle(self, message: Message, route: str | None, settlement: Settlement) -> None:
        """Carry out what was decided for one message."""
        match settlement:
            case Acknowledge():
                await self.acknowledge((message.id,), route, settlement)
            case Retry():
                await self._retry((message.id,), route, settlement)
            case Leave():
                self.observe(self._settled(message.id, route, settlement))
                self._release((message.id,))
            case Reject():
                await self._reject(message, route, settlement)
            case unreachable:
                assert_never(unreachable)

    async def settle_all(
        self, settlements: Iterable[tuple[Message, Settlement]], route: str
    ) -> None:
        """Settle the messages of one batch; those to be settled alike go to SQS together."""
        done: dict[Acknowledge, list[str]] = {}
        again: dict[Retry, list[str]] = {}
        async with asyncio.TaskGroup() as settling:
            for message, settlement in settlements:
                match settlement:
                    case Acknowledge():
                        done.setdefault(settlement, []).append(message.id)
                    case Retry():
                        again.setdefault(settlement, []).append(message.id)
                    case _:
                        settling.create_task(self.settle(message, route, settlement))
            for acknowledge, message_ids in done.items():
                settling.create_task(self.acknowledge(tuple(message_ids), route, acknowledge))
            for retry, message_ids in again.items():
                settling.create_task(self._retry(tuple(message_ids), route, retry))

    async def acknowledge(
        self, message_ids: tuple[str, ...], route: str | None, settlement: Acknowledge | Reject
    ) -> None:
        """
        Delete messages; goes on until SQS has said of each that it is deleted or can't be.

        The messages stay held meanwhile: a delete that is refused or unanswered must not end in a
        second launch by the next delivery, as long as this router lives.
        """
        pending = message_ids
        failures = 0
        self._deleting.update(message_ids)
        try:
            while pending:
                try:
                    pending = await self._delete(pending, route, settlement)
                except QueueError as error:
                    failures += 1
                    pause = backoff(failures, first=0.5, longest=30.0, jitter=self.jitter())
                    self.observe(journal.QueueFailed(self.queue.name, "delete", error, pause))
                    await asyncio.sleep(pause)
        finally:
            self._deleting.difference_update(message_ids)

    def grow(self, message_ids: Iterable[str], longest: float) -> None:
        """Their Machine runs: renew them less and less often, with leases up to `longest` s."""
        ids = [message_id for message_id in message_ids if message_id in self._leases]
        self._leases.grow(ids, longest)
        self._aloft.update(ids)
        self.released.set()  # they wait no more

    async def give_back(self, message_ids: Iterable[str], delay: float = 0.0) -> None:
        """Make messages visible again, at once or after `delay` seconds."""
        ids = tuple(message_ids)
        if ids:
            await self._hide(ids, delay, "give back")
            self.observe(journal.GivenBack(self.queue.name, ids))

    def forget(self, message_ids: tuple[str, ...]) -> None:
        """Hold these no more: their leases run out by themselves."""
        self._release(message_ids)

    async def _delete(
        self, message_ids: tuple[str, ...], route: str | None, settlement: Acknowledge | Reject
    ) -> tuple[str, ...]:
        """One call for all; returns those that a redelivery gave a new receipt meanwhile."""
        asked = self._leases.receipts(message_ids)
        refused = await self.queue.delete(tuple(asked))
        current = self._leases.receipts(message_ids)
        again, over = [], []
        for receipt, message_id in asked.items():
            if receipt in refused and receipt not in current:
                again.append(message_id)
                continue
            over.append(message_id)
            if receipt not in refused:
                self.observe(self._settled(message_id, route, settlement))
            else:
                self._failed((message_id,), "delete", refused[receipt])
        self._release(over)
        return tuple(again)

    async def _reject(self, message: Message, route: str | None, reject: Reject) -> None:
        attributes = rejected_attributes(message, reject.rejection)
        if attributes is None:
            raise AssertionError("a message that cannot be rejected is settled as one to be left")
        failures = 0
        while True:
            try:
                target = await self.reject_queue(reject.to)
                # In a standard queue the group is only a label; a replay needs it.
                group = message.system.get("MessageGroupId")
                once = message.id if target.fifo else None
                await target.send(message.body, attributes, group=group, deduplication=once)
                break
            except QueueError as error:
                failures += 1
                if failures == _SENDS:
                    self._release((message.id,))
                    self._failed((message.id,), f"send to {reject.to}", str(error))
                    return
                pause = backoff(failures, first=1.0, longest=30.0, jitter=self.jitter())
                self.observe(journal.QueueFailed(reject.to, "send", error, pause))
                await asyncio.sleep(pause)
        await self.acknowledge((message.id,), route, reject)

    async def _renew(self, renewal: Renewal, on_lost: Callable[[str], bool]) -> None:
        async with self._visibility:
            asked = self._leases.receipts(renewal.message_ids)
            asked_at = asyncio.get_running_loop().time()
            if not asked:
                return
            try:
                refused = await self.queue.set_visibility(tuple(asked), renewal.seconds)
            except QueueError as error:
                pause = backoff(1, first=2.0, longest=2.0, jitter=self.jitter())
                self.observe(journal.QueueFailed(self.queue.name, "renew", error, pause))
                self._leases.postpone(asked.values(), asked_at + pause)
                return
            kept = [message_id for receipt, message_id in asked.items() if receipt not in refused]
            if kept:
                margin = self.margin(tuple(kept))
                self.observe(journal.LeasesRenewed(self.queue.name, len(kept), margin))
            self._leases.renewed(kept, asked_at, renewal.seconds)
            current = self._leases.receipts(asked.values())
            for receipt, why in refused.items():
                # Deleted by ourselves just now, or delivered anew: refused, and nothing is lost.
                if receipt in current and current[receipt] not in self._deleting:
                    self._report_lost(self._leases.lose((current[receipt],)), why, on_lost)
                elif receipt in current:
                    self._leases.postpone((current[receipt],), asked_at + renewal.seconds / 2)

    async def _retry(self, message_ids: tuple[str, ...], route: str | None, retry: Retry) -> None:
        settled = [self._settled(message_id, route, retry) for message_id in message_ids]
        failed = await self._hide(message_ids, retry.delay, "retry")
        for fact in settled:
            if fact.message_id not in failed:
                self.observe(fact)

    async def _hide(
        self, message_ids: tuple[str, ...], seconds: float, action: str
    ) -> frozenset[str]:
        """Hold them no more, and change their visibility; those for which SQS did not do it."""
        # Released first: from here on no renewal may overwrite the delay.
        async with self._visibility:
            receipts = self._leases.receipts(message_ids)
            self._release(message_ids)
            try:
                refused = await self.queue.set_visibility(tuple(receipts), seconds)
            except QueueError as error:
                self._failed(message_ids, action, str(error))
                return frozenset(message_ids)
            for receipt, why in refused.items():
                self._failed((receipts[receipt],), action, why)
            return frozenset(receipts[receipt] for receipt in refused)

    def _report_lost(
        self, message_ids: tuple[str, ...], why: str, on_lost: Callable[[str], bool]
    ) -> None:
        if message_ids:
            self.observe(journal.LeaseLost(self.queue.name, message_ids, why))
            self._release([i for i in message_ids if on_lost(i)])

    def _release(self, message_ids: Iterable[str]) -> None:
        ids = tuple(message_ids)
        self._leases.release(ids)
        for message_id in ids:
            self._sent_at.pop(message_id, None)
        self._aloft.difference_update(ids)
        self.released.set()

    def _settled(
        self, message_id: str, route: str | None, settlement: Settlement
    ) -> journal.Settled:
        """The fact, to be made while the message is still held."""
        return journal.Settled(
            self.queue.name,
            message_id,
            route,
            settlement,
            self._sent_at.get(message_id),
            self.held_for(message_id),
        )

    def _failed(self, message_ids: tuple[str, ...], action: str, why: str) -> None:
        self.observe(journal.SettlementFailed(self.queue.name, message_ids, action, why))
