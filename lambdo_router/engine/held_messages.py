"""
What a queue's consumer holds: leases kept alive, and messages settled in SQS.

Every message is held from receipt until SQS has confirmed its settlement, and its lease is renewed
all the while. Nothing is deleted but what was launched, dropped on purpose, or sent to the reject
queue first.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
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
"""Tries to send a rejected message, before it is left to the queue."""


@dataclass(slots=True)
class _About:
    """What is kept of a message that is held, beside its lease."""

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
    """Set whenever something is held no more."""
    _keeper: LeaseKeeper = field(init=False)
    _leases: LeaseBook = field(init=False)
    _about: dict[str, _About] = field(default_factory=dict)
    _in_machines: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._keeper = LeaseKeeper(self.queue, self.observe, self.jitter, self._release)
        self._leases = self._keeper.leases

    def __len__(self) -> int:
        return len(self._leases)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._leases

    @property
    def waiting(self) -> int:
        """Messages that are held and in no running Machine: their bodies are in memory."""
        return len(self._leases) - len(self._in_machines)

    def hold(self, message: Message, seconds: float) -> bool:
        """Lease a message from now on; False for a redelivery of one that is held already."""
        self._about[message.id] = _About(message.sent_at, message.receive_count)
        return self._keeper.hold(message.id, message.receipt, seconds)

    def margin(self, message_ids: tuple[str, ...]) -> float:
        """Seconds until the first of these leases runs out; negative if one has."""
        return self._leases.margin(message_ids, asyncio.get_running_loop().time())

    def least_margin(self) -> float | None:
        """Seconds until the first of all leases runs out; None if nothing is held."""
        return self._leases.least_margin(asyncio.get_running_loop().time())

    def is_lost(self, message_id: str) -> bool:
        """Whether others may have the message: its lease ran out, or it is held no more."""
        return message_id not in self._leases or self._leases.is_lost(message_id)

    def drop_expired(self, message_ids: Iterable[str]) -> frozenset[str]:
        """
        Forget those of these messages whose lease has run out by now, or was lost before.

        To be called right before a launch: a process that was frozen, or that had no CPU, may wake
        up to the slot that it waited for before it has had a look at its leases.
        """
        ids, now = tuple(message_ids), asyncio.get_running_loop().time()
        self._keeper.lose(i for i in ids if not self._leases.is_healthy(i, now))
        lost = frozenset(filter(self.is_lost, ids))
        self._release(lost)
        return lost

    def held_for(self, message_id: str) -> float:
        """Seconds since the receive."""
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

        A message whose lease was lost is handed to `on_lost`; if that returns True it was not
        launched yet and is forgotten, else it stays to be settled as well as may be.
        """
        await self._keeper.run(on_lost)

    async def settle(self, message: Message, route: str | None, settlement: Settlement) -> bool:
        """
        Carry out what was decided for one message.

        True if the queue has it no more: it was deleted, after a copy was sent where it is
        rejected.
        """
        match settlement:
            case Acknowledge():
                return await self.acknowledge((message.id,), route, settlement)
            case Retry():
                await self._retry({message.id: settlement}, {message.id: route})
            case Leave():
                self.observe(self._settled(message.id, route, settlement))
                self._release((message.id,))
            case Reject():
                return await self._reject(message, route, settlement)
            case unreachable:
                assert_never(unreachable)
        return False

    async def settle_all(
        self, settlements: Iterable[tuple[Message, Settlement]], route: str
    ) -> bool:
        """
        Settle the messages of one batch; those to be settled alike go to SQS together.

        True if the queue has none of them any more.
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
        Delete messages; goes on until SQS has said of each that it is deleted or can't be.

        True if all of them were deleted.

        The messages stay held meanwhile: a delete that is refused or unanswered must not end in a
        second launch by the next delivery, as long as this router lives.
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
        """Their Machine runs: renew them less and less often, with leases up to `longest` s."""
        ids = [message_id for message_id in message_ids if message_id in self._leases]
        self._leases.grow(ids, longest)
        self._in_machines.update(ids)
        self.waiting_messages.remove(ids)
        self.released.set()  # they wait no more

    async def release(self, message_ids: Iterable[str], delay: float = 0.0) -> None:
        """Make messages visible again, at once or after `delay` seconds."""
        wanted = dict.fromkeys(message_ids, delay)
        failed = await self._keeper.hide(wanted)
        self._report_failed(failed, "give back")
        if given_back := tuple(i for i in wanted if i not in failed):
            self.observe(journal.GivenBack(self.queue.name, given_back))

    async def park(self, route_of: Mapping[str, str]) -> tuple[Parked, ...]:
        """
        Hide messages for long, each with its route; those that SQS has hidden.

        Their receipts are good until somebody receives them.
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

    def drop(self, message_ids: tuple[str, ...]) -> None:
        """Hold these no more: their leases run out by themselves."""
        self._release(message_ids)

    async def _delete(
        self, message_ids: tuple[str, ...], route: str | None, settlement: Acknowledge | Reject
    ) -> tuple[tuple[str, ...], Mapping[str, str]]:
        """
        One call for all.

        Returns the messages that a redelivery gave a new receipt meanwhile, to be deleted again,
        and those that SQS refuses to delete, each with its reason.
        """
        asked = self._leases.receipts(message_ids)
        refused = await self.queue.delete(tuple(asked))
        current = self._leases.receipts(message_ids)
        again, over, failed = [], [], {}
        for receipt, message_id in asked.items():
            if receipt in refused and receipt not in current:
                again.append(message_id)
                continue
            over.append(message_id)
            if receipt not in refused:
                self.observe(self._settled(message_id, route, settlement))
            else:
                failed[message_id] = refused[receipt]
        self._report_failed(failed, "delete")
        self._release(over)
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
                    self._release((message.id,))
                    self._report_failed({message.id: str(error)}, f"send to {reject.to}")
                    return False
                pause = backoff(failures, first=1.0, longest=30.0, jitter=self.jitter())
                self.observe(journal.QueueFailed(reject.to, "send", error, pause))
                await asyncio.sleep(pause)
        return await self.acknowledge((message.id,), route, reject)

    async def _retry(
        self, retries: Mapping[str, Retry], route_of: Mapping[str, str | None]
    ) -> Mapping[str, str]:
        """Returns the messages that SQS did not hide, each with the reason."""
        settled = [self._settled(i, route_of.get(i), each) for i, each in retries.items()]
        failed = await self._keeper.hide({i: each.delay for i, each in retries.items()})
        self._report_failed(failed, "retry")
        for fact in settled:
            if fact.message_id not in failed:
                self.observe(fact)
        return failed

    def _release(self, message_ids: Iterable[str]) -> None:
        ids = tuple(message_ids)
        self._leases.release(ids)
        self.waiting_messages.remove(ids)
        for message_id in ids:
            self._about.pop(message_id, None)
        self._in_machines.difference_update(ids)
        self.released.set()

    def _settled(
        self, message_id: str, route: str | None, settlement: Settlement
    ) -> journal.Settled:
        """The fact, to be made while the message is still held."""
        about = self._about.get(message_id)
        return journal.Settled(
            self.queue.name,
            message_id,
            route,
            settlement,
            about.sent_at if about is not None else None,
            self.held_for(message_id),
        )

    def _report_failed(self, failed: Mapping[str, str], action: str) -> None:
        """Tell of messages that could not be settled: one fact for all with the same reason."""
        for why in dict.fromkeys(failed.values()):
            message_ids = tuple(i for i in failed if failed[i] == why)
            self.observe(journal.SettlementFailed(self.queue.name, message_ids, action, why))
