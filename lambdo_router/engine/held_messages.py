"""
The messages that a consumer holds: their leases are renewed, and they are settled in SQS.

A message is held, and its lease renewed, from its receipt until SQS has confirmed its settlement.
Only a message that was launched, dropped on purpose, or sent to the reject queue is deleted.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError
from lambdo_router.core.lease import LeaseBook
from lambdo_router.core.message import Message
from lambdo_router.core.parking import Parked, WaitingMessages
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.settlement import (
    Acknowledge,
    Leave,
    Reject,
    Retry,
    Settlement,
    park_delay,
    rejected_attributes,
    retry_delay,
)
from lambdo_router.engine.lease_keeper import LeaseKeeper

_SENDS = 5
"""Attempts to send a rejected message before it is left on its queue."""


@dataclass(slots=True)
class _About:
    """What is kept of a held message beside its lease."""

    sent_at: float | None
    receive_count: int


@dataclass(slots=True)
class HeldMessages:
    """The messages that one consumer holds."""

    queue: MessageQueue
    reject_queue: Callable[[str], Awaitable[MessageQueue]]
    """Connects a queue of the routes file to send rejected messages to; may raise QueueError."""
    observe: journal.Observer
    jitter: Callable[[], float]
    clock: Callable[[], float] = time.time
    """Returns unix seconds."""
    waiting_messages: WaitingMessages = field(default_factory=WaitingMessages)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a message is dropped, or waits no longer."""
    _keeper: LeaseKeeper = field(init=False)
    _leases: LeaseBook = field(init=False)
    _about: dict[str, _About] = field(default_factory=dict)
    _in_machines: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._keeper = LeaseKeeper(self.queue, self.observe, self.jitter, self.drop)
        self._leases = self._keeper.leases

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._leases

    @property
    def waiting(self) -> int:
        """The number of held messages that no Machine has; their bodies are in memory."""
        return len(self._leases) - len(self._in_machines)

    def hold(self, messages: Sequence[Message], seconds: float) -> list[bool]:
        """Start leases now; return for each message whether it was not held already."""
        for message in messages:
            self._about[message.id] = _About(message.sent_at, message.receive_count)
        return self._keeper.hold(messages, seconds)

    def margin(self, message_ids: tuple[str, ...]) -> float:
        """Return the seconds until the first of these leases expires; negative if one has."""
        return self._leases.margin(message_ids, asyncio.get_running_loop().time())

    def least_margin(self) -> float | None:
        """Return the seconds until the first of all leases expires; None if nothing is held."""
        return self._leases.least_margin(asyncio.get_running_loop().time())

    def is_lost(self, message_id: str) -> bool:
        """Return whether others may have the message: its lease expired, or it is not held."""
        return message_id not in self._leases or self._leases.is_lost(message_id)

    def drop_expired(self, message_ids: Iterable[str]) -> frozenset[str]:
        """
        Drop and return those of these messages whose lease has expired or was lost.

        Call it right before a launch: a process that was frozen, or had no CPU, may wake up with
        its permit before it has looked at its leases.
        """
        now = asyncio.get_running_loop().time()
        lost = [i for i in message_ids if not self._leases.is_healthy(i, now)]
        if lost:
            self._keeper.lose(lost)
            self.drop(lost)
        return frozenset(lost)

    def held_for(self, message_id: str) -> float:
        """Return the seconds since the message was received."""
        return self._leases.held_for(message_id, asyncio.get_running_loop().time())

    def retry_delay(self, message: Message, *, at_least: float = 0.0) -> float:
        """Return for how many seconds to hide a message before its next delivery."""
        held_for, jitter = self.held_for(message.id), self.jitter()
        return retry_delay(
            message.receive_count, jitter=jitter, at_least=at_least, held_for=held_for
        )

    async def keep_alive(self, on_lost: Callable[[str], bool]) -> None:
        """
        Renew every lease at half-life, and carry out delays, until cancelled.

        A message whose lease was lost is passed to `on_lost`. If that returns True, the message was
        not launched and is dropped; otherwise it stays, to be settled if that still works.
        """
        await self._keeper.run(on_lost)

    async def settle(self, message: Message, route: str | None, settlement: Settlement) -> bool:
        """
        Settle one message; return whether it left the queue.

        It does when it was deleted; a rejected message is sent to the reject queue first.
        """
        match settlement:
            case Acknowledge():
                return await self.acknowledge((message.id,), route, settlement)
            case Retry():
                await self._retry({message.id: settlement}, {message.id: route})
            case Leave():
                for fact in self._settled((message.id,), route, settlement):
                    self.observe(fact)
                self.drop((message.id,))
            case Reject():
                return await self._reject(message, route, settlement)
            case unreachable:
                assert_never(unreachable)
        return False

    async def settle_all(
        self, settlements: Iterable[tuple[Message, Settlement]], route: str
    ) -> bool:
        """
        Settle the messages of one batch; return whether all of them left the queue.

        Messages with the same settlement share calls to SQS.
        """
        done: dict[Acknowledge, list[str]] = {}
        again: dict[str, Retry] = {}
        settling: list[asyncio.Task[bool]] = []
        async with asyncio.TaskGroup() as tasks:
            for message, settlement in settlements:
                match settlement:
                    case Acknowledge():
                        done.setdefault(settlement, []).append(message.id)
                    case Retry():
                        again[message.id] = settlement
                    case _:
                        one = self.settle(message, route, settlement)
                        settling.append(tasks.create_task(one))
            for acknowledge, message_ids in done.items():
                all_of_them = self.acknowledge(tuple(message_ids), route, acknowledge)
                settling.append(tasks.create_task(all_of_them))
            if again:
                tasks.create_task(self._retry(again, dict.fromkeys(again, route)))
        return not again and all(task.result() for task in settling)

    async def acknowledge(
        self, message_ids: tuple[str, ...], route: str | None, settlement: Acknowledge | Reject
    ) -> bool:
        """
        Delete messages; return whether all were deleted.

        Repeats the call until SQS has deleted or refused each of them. They stay held meanwhile, so
        that a delete without an answer does not lead to a second launch by this router.
        """
        pending = message_ids
        failures, all_deleted = 0, True
        self._keeper.deleting.update(message_ids)
        try:
            while pending:
                try:
                    pending, refused = await self._delete(pending, route, settlement)
                    all_deleted = all_deleted and not refused
                except QueueError as error:
                    failures += 1
                    pause = backoff(failures, first=0.5, longest=30.0, jitter=self.jitter())
                    self.observe(journal.QueueFailed(self.queue.name, "delete", error, pause))
                    await asyncio.sleep(pause)
        finally:
            self._keeper.deleting.difference_update(message_ids)
        return all_deleted

    def grow(self, message_ids: Iterable[str], longest: float) -> None:
        """Renew messages in a Machine ever less often, with leases of up to `longest` seconds."""
        ids = [message_id for message_id in message_ids if message_id in self._leases]
        self._leases.grow(ids, longest)
        self._in_machines.update(ids)
        self.waiting_messages.remove(ids)
        self.released.set()

    async def release(self, message_ids: Iterable[str], delay: float = 0.0) -> None:
        """Make messages visible again, at once or after `delay` seconds."""
        wanted = dict.fromkeys(message_ids, delay)
        failed = await self._keeper.hide(wanted)
        self._report_failed(failed, "give back")
        if given_back := tuple(i for i in wanted if i not in failed):
            self.observe(journal.GivenBack(self.queue.name, given_back))

    async def park(self, route_of: Mapping[str, str]) -> tuple[Parked, ...]:
        """
        Hide messages, given with their routes, for a long time; return those that SQS hid.

        Their receipts are valid until the messages are received again.
        """
        receipt_of = {i: receipt for receipt, i in self._leases.receipts(route_of).items()}
        retries = {
            message_id: Retry(
                park_delay(
                    self._about[message_id].receive_count, held_for=self.held_for(message_id)
                ),
                "its profile may launch nothing at the moment",
            )
            for message_id in receipt_of
        }
        failed = await self._retry(retries, route_of)
        now = asyncio.get_running_loop().time()
        return tuple(
            Parked(message_id, receipt, now + retries[message_id].delay)
            for message_id, receipt in receipt_of.items()
            if message_id not in failed
        )

    def drop(self, message_ids: Iterable[str]) -> None:
        """Forget messages without settling them; SQS redelivers them when their leases expire."""
        ids = tuple(message_ids)
        self._leases.release(ids)
        self.waiting_messages.remove(ids)
        for message_id in ids:
            self._about.pop(message_id, None)
        self._in_machines.difference_update(ids)
        self.released.set()

    async def _delete(
        self, message_ids: tuple[str, ...], route: str | None, settlement: Acknowledge | Reject
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """
        Delete messages in one call.

        Return those that were redelivered with a new receipt meanwhile, which must be deleted
        again, and those that SQS refuses to delete, each with its reason.
        """
        asked = self._leases.receipts(message_ids)
        refused = await self.queue.delete(tuple(asked))
        current = self._leases.receipts(message_ids)
        deleted = [i for receipt, i in asked.items() if receipt not in refused]
        again = [i for receipt, i in asked.items() if receipt in refused and receipt not in current]
        failed = {i: refused[r] for r, i in asked.items() if r in refused and r in current}
        for fact in self._settled(deleted, route, settlement):
            self.observe(fact)
        self._report_failed(failed, "delete")
        self.drop((*deleted, *failed))
        return tuple(again), failed

    async def _reject(self, message: Message, route: str | None, reject: Reject) -> bool:
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
                    self.drop((message.id,))
                    self._report_failed({message.id: str(error)}, f"send to {reject.to}")
                    return False
                pause = backoff(failures, first=1.0, longest=30.0, jitter=self.jitter())
                self.observe(journal.QueueFailed(reject.to, "send", error, pause))
                await asyncio.sleep(pause)
        return await self.acknowledge((message.id,), route, reject)

    async def _retry(
        self, retries: Mapping[str, Retry], route_of: Mapping[str, str | None]
    ) -> Mapping[str, str]:
        """Hide messages; return those that SQS did not hide, each with the reason."""
        settled = [
            fact
            for i, each in retries.items()
            for fact in self._settled((i,), route_of.get(i), each)
        ]
        failed = await self._keeper.hide({i: each.delay for i, each in retries.items()})
        self._report_failed(failed, "retry")
        for fact in settled:
            if fact.message_id not in failed:
                self.observe(fact)
        return failed

    def _settled(
        self, message_ids: Iterable[str], route: str | None, settlement: Settlement
    ) -> Iterator[journal.Settled]:
        """Yield the facts; the messages must still be held."""
        now, name = asyncio.get_running_loop().time(), self.queue.name
        for message_id in message_ids:
            about, held = self._about.get(message_id), self._leases.held_for(message_id, now)
            sent_at = about.sent_at if about is not None else None
            yield journal.Settled(name, message_id, route, settlement, sent_at, held)

    def _report_failed(self, failed: Mapping[str, str], action: str) -> None:
        """Report messages that could not be settled, in one fact for each reason."""
        for why in dict.fromkeys(failed.values()):
            message_ids = tuple(i for i in failed if failed[i] == why)
            self.observe(journal.SettlementFailed(self.queue.name, message_ids, action, why))
