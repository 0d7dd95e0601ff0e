"""
A look into a queue: its messages are received, held while the look lasts, and given back.

SQS has no call that only reads, so a look costs every message a receive. While it lasts the leases
are renewed, so that no message comes twice; at its end, also after an error or a Ctrl-C, what was
not deleted is made visible again at once. Only a process that is killed leaves messages hidden,
until the lease runs out.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

from lambdo_router.adapters.sqs.failures import may_have_happened
from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueRefused, QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.waiting import set_within

LEASE: Final = 120.0
"""
Seconds. Who is killed leaves messages hidden for as long: well below the five minutes for which a
FIFO queue knows a duplicate, so that a second replay can complete the first.
"""
MOST_HELD: Final = 50_000
"""Each is renewed every minute; and SQS itself gives out no more than about 120,000."""
TRIES: Final = 4
"""Of a call that failed and may pass."""
_MOST_PER_RECEIVE = 10
_PATIENCE = 10.0
"""Seconds that giving back may take when the look was cancelled."""


class LookedAt(MessageQueue, Protocol):
    """A queue that knows which kind of queue it is."""

    @property
    def fifo(self) -> bool:
        """Whether SQS keeps the order of each message group."""
        ...


@dataclass(slots=True)
class QueueBrowser:
    """Messages of one queue, held until the block of `look_into` ends."""

    queue: LookedAt
    stop: asyncio.Event
    """Set: no more is received."""
    ended: bool = False
    """Whether the last poll of the queue has brought nothing."""
    taken: int = 0
    """Messages received, each counted once."""
    cut: int = 0
    """Polls whose answer was lost: each may have hidden up to ten messages until LEASE is over."""
    stuck: int = 0
    """Messages that could not be given back: they are hidden until their leases run out."""
    _receipts: dict[str, str] = field(default_factory=dict)
    """The newest of each message that was received and not deleted."""
    _held_messages: HeldMessages = field(init=False)

    def __post_init__(self) -> None:
        self._held_messages = HeldMessages(
            self.queue, _no_reject_queue, self._observe, random.random
        )

    @property
    def held(self) -> int:
        """Messages that were received and neither deleted nor given back."""
        return len(self._receipts)

    @property
    def full(self) -> bool:
        """Whether no more is received because so much is held."""
        return self.held >= MOST_HELD

    async def receive(self, limit: int | None = None) -> list[Message]:
        """
        The next messages, about `limit` at most; none at the end of the queue, when the look is
        full, or when it is to stop. Raises QueueError.
        """
        while not self.stop.is_set() and not self.full:
            found = await self._poll(min(limit or _MOST_PER_RECEIVE, _MOST_PER_RECEIVE))
            self.ended = not found
            new = [message for message in found if self._take(message)]
            if new or not found:
                return new
        return []

    def margin(self, message_id: str) -> float:
        """Seconds that are left of the message's lease; not above zero if it was lost."""
        return self._held_messages.margin((message_id,))

    async def delete(self, message_id: str) -> str | None:
        """Delete the message for good; why that failed, or None. It is held no more either way."""
        receipt = self._receipts.pop(message_id)
        self._held_messages.drop((message_id,))
        failure = ""
        for attempt in range(1, TRIES + 1):
            try:
                return (await self.queue.delete((receipt,))).get(receipt)
            except QueueRefused as error:
                return str(error)
            except QueueUnavailable as error:
                failure = str(error)
            if attempt < TRIES:
                await asyncio.sleep(backoff(attempt, first=0.5, longest=5.0, jitter=1.0))
        return failure

    async def keep_alive(self) -> None:
        """Renew the leases, until cancelled. What was lost is held no more."""
        await self._held_messages.keep_alive(lambda _: True)

    async def give_back(self) -> None:
        """Make everything that is held visible again at once."""
        await self._held_messages.release(tuple(self._receipts))
        self._receipts.clear()

    async def _poll(self, limit: int) -> Sequence[Message]:
        failures = 0
        while True:
            try:
                return await self.queue.receive(limit, LEASE)
            except QueueUnavailable as error:
                self.cut += may_have_happened(error)
                failures += 1
                if failures == TRIES or self.stop.is_set():
                    raise
                pause = backoff(failures, first=1.0, longest=10.0, jitter=random.random())  # noqa: S311 # no secret
                await stopped_within(self.stop, max(pause, error.retry_after or 0.0))

    def _take(self, message: Message) -> bool:
        """Hold a message; False if it was received before, and perhaps lost in between."""
        new = message.id not in self._receipts
        self._held_messages.hold(message, LEASE)
        self._receipts[message.id] = message.receipt
        self.taken += new
        return new

    def _observe(self, fact: journal.Fact) -> None:
        if isinstance(fact, journal.SettlementFailed):
            self.stuck += len(fact.message_ids)


@asynccontextmanager
async def look_into(queue: LookedAt, stop: asyncio.Event) -> AsyncIterator[QueueBrowser]:
    """A look that lasts as long as the block."""
    look = QueueBrowser(queue, stop)
    patience = None
    # Not in a TaskGroup, which would wrap the errors of the block.
    renewing = asyncio.create_task(look.keep_alive())
    try:
        yield look
    except asyncio.CancelledError:
        patience = _PATIENCE
        raise
    finally:
        try:
            async with asyncio.timeout(patience):
                await look.give_back()
        except TimeoutError:
            look.stuck = look.held
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing


async def stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    """Wait for `seconds`, or until the stop if that comes first; whether it has come."""
    return stop.is_set() if seconds <= 0 else await set_within(stop, seconds)


async def _no_reject_queue(name: str) -> MessageQueue:
    raise QueueError(f"nothing is rejected here, but something was to be, to {name}")
