"""
All visibility changes of one queue: renewed leases, and messages hidden for a while.

Renewals are sent when they are due, each call in a task of its own, so that a hanging call delays
only its own messages and expired leases are noticed meanwhile. Delays (retries, releases) wait for
the call before them and are sent together: a thousand retries are ten calls of the port. A renewal
in flight must not overwrite a later delay, so a message's delay also waits for its own renewal.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError
from lambdo_router.core.lease import MOST_PER_CALL, LeaseBook, Renewal
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.engine.waiting import set_by

_AT_ONCE = 100
"""Messages renewed by one call of the port, and delays sent together."""
_EXPIRED = "its lease expired"
_LOST = "its lease was lost before, and others may have the message"


@dataclass(slots=True)
class _Delay:
    """Messages to hide, until SQS has answered for each of them."""

    pending: set[str]
    failed: dict[str, str] = field(default_factory=dict)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def answer(self, message_id: str, failure: str | None) -> None:
        if failure is not None:
            self.failed[message_id] = failure
        self.pending.discard(message_id)
        if not self.pending:
            self.answered.set()


@dataclass(slots=True)
class LeaseKeeper:
    """Renews the leases of one consumer's messages, or ends them with a delay."""

    queue: MessageQueue
    observe: journal.Observer
    jitter: Callable[[], float]
    drop: Callable[[Iterable[str]], None]
    """Called with the messages that are not held any more."""
    deleting: set[str] = field(default_factory=set)
    """Messages whose delete is in flight; if SQS refuses to renew one, its lease is not lost."""
    leases: LeaseBook = field(default_factory=LeaseBook)
    _renewing: set[str] = field(default_factory=set)
    _delays: dict[str, tuple[float, _Delay]] = field(default_factory=dict)
    _leases_changed: asyncio.Event = field(default_factory=asyncio.Event)
    _delays_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self, messages: Iterable[Message], seconds: float) -> list[bool]:
        """Start leases now; return for each message whether it was not held already."""
        self._leases_changed.set()
        now, hold = asyncio.get_running_loop().time(), self.leases.hold
        return [hold(message.id, message.receipt, now, seconds) for message in messages]

    async def run(self, on_lost: Callable[[str], bool]) -> None:
        """
        Renew every lease at half-life, and carry out delays, until cancelled.

        A message whose lease was lost is passed to `on_lost`. If that returns True, the message was
        not launched and is dropped; otherwise it stays.
        """
        async with asyncio.TaskGroup() as calls:
            calls.create_task(self._send_delays())
            while True:
                self._leases_changed.clear()
                await set_by(self._leases_changed, self.leases.next_due())
                now = asyncio.get_running_loop().time()
                self._report_lost(self.leases.expire(now), _EXPIRED, on_lost)
                for renewal in self.leases.due(now, _AT_ONCE):
                    self.leases.suspend(renewal.message_ids)
                    self._renewing.update(renewal.message_ids)
                    calls.create_task(self._renew(renewal, on_lost))

    async def hide(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """
        Hide each message for its seconds, and drop it.

        Return the messages that SQS did not hide, each with the reason; those stay hidden until
        their leases expire. The calls are made by `run`, which must be running.
        """
        if not seconds:
            return {}
        delay = _Delay(set(seconds))
        for message_id, length in seconds.items():
            _, other = self._delays.get(message_id, (0.0, None))
            if other is not None:
                other.answer(message_id, None)  # the later delay counts
            self._delays[message_id] = (length, delay)
        self._delays_changed.set()
        await delay.answered.wait()
        return delay.failed

    def lose(self, message_ids: Iterable[str]) -> None:
        """Mark leases that are known to have expired as lost."""
        self._report_lost(self.leases.lose(message_ids), _EXPIRED, lambda _: False)

    async def _send_delays(self) -> None:
        while True:
            self._delays_changed.clear()
            free = (i for i in self._delays if i not in self._renewing)
            ready = tuple(islice(free, _AT_ONCE))
            if ready:
                await self._send({message_id: self._delays.pop(message_id) for message_id in ready})
            else:
                await self._delays_changed.wait()

    async def _send(self, delays: Mapping[str, tuple[float, _Delay]]) -> None:
        now = asyncio.get_running_loop().time()
        # With the receipt of a lost lease SQS might change the lease of its new holder.
        kept = [i for i in delays if self.leases.is_healthy(i, now)]
        receipts = self.leases.receipts(kept)
        failed = dict.fromkeys(delays.keys() - receipts.values(), _LOST)
        # Dropped first: from here on no renewal may overwrite the delay.
        self.drop(delays)
        wanted = [(receipt, delays[message_id][0]) for receipt, message_id in receipts.items()]
        # One call of SQS each: a failure says nothing about the others.
        tens = [
            dict(wanted[at : at + MOST_PER_CALL]) for at in range(0, len(wanted), MOST_PER_CALL)
        ]
        for refused in await asyncio.gather(*map(self._set_visibility, tens)):
            failed |= {receipts[receipt]: why for receipt, why in refused.items()}
        for message_id, (_, delay) in delays.items():
            delay.answer(message_id, failed.get(message_id))

    async def _set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """Return the receipts whose message was not hidden, each with the reason."""
        try:
            return await self.queue.set_visibility(seconds)
        except QueueError as error:
            return dict.fromkeys(seconds, str(error))

    async def _renew(self, renewal: Renewal, on_lost: Callable[[str], bool]) -> None:
        asked = self.leases.receipts(renewal.message_ids)
        asked_at = asyncio.get_running_loop().time()
        try:
            if asked:
                refused = await self.queue.set_visibility(dict.fromkeys(asked, renewal.seconds))
                self._renewed(asked, asked_at, renewal.seconds, refused, on_lost)
        except QueueError as error:
            pause = backoff(1, first=2.0, longest=2.0, jitter=self.jitter())
            self.observe(journal.QueueFailed(self.queue.name, "renew", error, pause))
            self.leases.postpone(asked.values(), asyncio.get_running_loop().time() + pause)
        finally:
            self._renewing.difference_update(renewal.message_ids)
            self._leases_changed.set()
            self._delays_changed.set()

    def _renewed(
        self,
        asked: Mapping[str, str],
        asked_at: float,
        seconds: float,
        refused: Mapping[str, str],
        on_lost: Callable[[str], bool],
    ) -> None:
        # What was settled before the answer came has no lease, and so no margin, any more.
        kept = [i for receipt, i in asked.items() if receipt not in refused and i in self.leases]
        if kept:
            margin = self.leases.margin(kept, asyncio.get_running_loop().time())
            self.observe(journal.LeasesRenewed(self.queue.name, len(kept), margin))
        self.leases.renewed(kept, asked_at, seconds)
        current = self.leases.receipts(asked.values())
        for receipt, why in refused.items():
            # Refused because it was just deleted here, or redelivered: not lost.
            if receipt in current and current[receipt] not in self.deleting:
                self._report_lost(self.leases.lose((current[receipt],)), why, on_lost)
            elif receipt in current:
                self.leases.postpone((current[receipt],), asked_at + seconds / 2)

    def _report_lost(
        self, message_ids: tuple[str, ...], why: str, on_lost: Callable[[str], bool]
    ) -> None:
        if message_ids:
            self.observe(journal.LeaseLost(self.queue.name, message_ids, why))
            self.drop([i for i in message_ids if on_lost(i)])
