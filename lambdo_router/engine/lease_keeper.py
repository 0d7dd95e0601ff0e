"""
All changes of visibility of one queue: leases renewed, and messages hidden for a while.

Renewals go out when they are due, each call on its own, so that one that hangs delays only its own
messages, and an expiry is noticed meanwhile. Delays (retries, messages given back) wait for the
call before them and then go out together: a thousand retries are ten calls of the port. A renewal
that is under way must not land on top of a delay that was asked for later, so a message's delay
also waits for its own renewal.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError
from lambdo_router.core.lease import LeaseBook, Renewal
from lambdo_router.core.ports import MessageQueue
from lambdo_router.engine.waiting import set_by

_AT_ONCE = 100
"""Messages renewed by one call of the port, and delays that go out together."""
_PER_CALL = 10
"""Delays in one call: one that fails must say nothing of the others."""
_RAN_OUT = "its time ran out"
_LOST = "its lease was lost before, and others may have the message"


@dataclass(slots=True)
class _Delay:
    """Messages to be hidden, until SQS has answered for each of them."""

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
    """Keeps the leases of one consumer's messages, and ends them with a delay."""

    queue: MessageQueue
    observe: journal.Observer
    jitter: Callable[[], float]
    release: Callable[[Iterable[str]], None]
    """Told of messages that are held no more."""
    deleting: set[str] = field(default_factory=set)
    """Messages whose delete is under way: that SQS then refuses to renew them is no loss."""
    leases: LeaseBook = field(default_factory=LeaseBook)
    _renewing: set[str] = field(default_factory=set)
    _delays: dict[str, tuple[float, _Delay]] = field(default_factory=dict)
    _leases_changed: asyncio.Event = field(default_factory=asyncio.Event)
    _delays_changed: asyncio.Event = field(default_factory=asyncio.Event)

    def hold(self, message_id: str, receipt: str, seconds: float) -> bool:
        """Start a lease now; False for a redelivery of a message that is held already."""
        self._leases_changed.set()
        return self.leases.hold(message_id, receipt, asyncio.get_running_loop().time(), seconds)

    async def run(self, on_lost: Callable[[str], bool]) -> None:
        """
        Renew every lease at half-life, and carry out delays, until cancelled.

        A message whose lease was lost is handed to `on_lost`; if that returns True it was not
        launched yet and is forgotten, else it stays to be settled as well as may be.
        """
        async with asyncio.TaskGroup() as calls:
            calls.create_task(self._send_delays())
            while True:
                self._leases_changed.clear()
                await set_by(self._leases_changed, self.leases.next_due())
                now = asyncio.get_running_loop().time()
                self._report_lost(self.leases.expire(now), _RAN_OUT, on_lost)
                for renewal in self.leases.due(now, _AT_ONCE):
                    self.leases.suspend(renewal.message_ids)
                    self._renewing.update(renewal.message_ids)
                    calls.create_task(self._renew(renewal, on_lost))

    async def hide(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """
        Hide each message for so many seconds, and hold it no more.

        Returns the messages for which SQS did not do it, each with the reason: those stay hidden
        until their leases run out. Needs `run`, which makes the calls.
        """
        if not seconds:
            return {}
        delay = _Delay(set(seconds))
        for message_id, length in seconds.items():
            _, other = self._delays.get(message_id, (0.0, None))
            if other is not None:
                other.answer(message_id, None)  # the later wish counts
            self._delays[message_id] = (length, delay)
        self._delays_changed.set()
        await delay.answered.wait()
        return delay.failed

    def lose(self, message_ids: Iterable[str]) -> None:
        """These leases are known to have run out."""
        self._report_lost(self.leases.lose(message_ids), _RAN_OUT, lambda _: False)

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
        # With the receipt of a lost lease SQS might change the lease of who has the message now.
        kept = [i for i in delays if self.leases.is_healthy(i, now)]
        receipts = self.leases.receipts(kept)
        failed = dict.fromkeys(delays.keys() - receipts.values(), _LOST)
        # Released first: from here on no renewal may overwrite the delay.
        self.release(delays)
        wanted = [(receipt, delays[message_id][0]) for receipt, message_id in receipts.items()]
        tens = [dict(wanted[at : at + _PER_CALL]) for at in range(0, len(wanted), _PER_CALL)]
        for refused in await asyncio.gather(*map(self._set_visibility, tens)):
            failed |= {receipts[receipt]: why for receipt, why in refused.items()}
        for message_id, (_, delay) in delays.items():
            delay.answer(message_id, failed.get(message_id))

    async def _set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """The receipts for which it was not done, each with the reason."""
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
        kept = [message_id for receipt, message_id in asked.items() if receipt not in refused]
        if kept:
            margin = self.leases.margin(kept, asyncio.get_running_loop().time())
            self.observe(journal.LeasesRenewed(self.queue.name, len(kept), margin))
        self.leases.renewed(kept, asked_at, seconds)
        current = self.leases.receipts(asked.values())
        for receipt, why in refused.items():
            # Deleted by ourselves just now, or delivered anew: refused, and nothing is lost.
            if receipt in current and current[receipt] not in self.deleting:
                self._report_lost(self.leases.lose((current[receipt],)), why, on_lost)
            elif receipt in current:
                self.leases.postpone((current[receipt],), asked_at + seconds / 2)

    def _report_lost(
        self, message_ids: tuple[str, ...], why: str, on_lost: Callable[[str], bool]
    ) -> None:
        if message_ids:
            self.observe(journal.LeaseLost(self.queue.name, message_ids, why))
            self.release([i for i in message_ids if on_lost(i)])
