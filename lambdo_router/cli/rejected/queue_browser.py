"""
Browse a queue: receive its messages, hold them, and release them at the end.

SQS has no call that only reads, so browsing costs every message a receive. Leases are renewed
meanwhile, so no message comes twice. At the end, also after an error or Ctrl-C, everything that was
not deleted becomes visible again at once. Only a process that is killed leaves messages hidden,
until their leases expire.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

from lambdo_router.adapters.sqs.failures import may_have_happened
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.engine.lease_keeper import LeaseKeeper
from lambdo_router.engine.waiting import set_within

_T = TypeVar("_T")
LEASE: Final = 120.0
"""
Seconds that messages stay hidden after a kill: well below the five minutes for which a FIFO queue
remembers deduplication IDs, so that a second replay can complete the first.
"""
MOST_HELD: Final = 50_000
"""Messages: each is renewed every minute, and SQS allows about 120,000 in flight."""
TRIES: Final = 4
"""Attempts of a call, if SQS is only unavailable."""
_MOST_PER_RECEIVE = 10
_RELEASE_TIMEOUT = 10.0
"""Seconds to wait for the release after a cancellation."""


@dataclass(slots=True)
class QueueBrowser:
    """The messages of one queue, held until the block of `browse` ends."""

    queue: MessageQueue
    stop: asyncio.Event
    """Once set, nothing more is received."""
    ended: bool = False
    """Whether the last poll of the queue returned nothing."""
    full: bool = False
    """Whether receiving ended because of the number of held messages."""
    taken: int = 0
    """Messages received, each counted once."""
    lost_answers: int = 0
    """Polls without an answer: each may have hidden up to ten messages until LEASE is over."""
    stuck: int = 0
    """Messages that could not be released: they stay hidden until their leases expire."""
    _receipts: dict[str, str] = field(default_factory=dict)
    """The latest receipt of each held message."""
    _keeper: LeaseKeeper = field(init=False)

    def __post_init__(self) -> None:
        self._keeper = LeaseKeeper(self.queue, lambda _: None, random.random, self._release)

    @property
    def held(self) -> int:
        """The number of messages that are neither deleted nor released."""
        return len(self._receipts)

    async def receive(self, limit: int | None = None) -> list[Message]:
        """
        Return the next messages, about `limit` at most.

        Empty at the end of the queue, when the browser is full and after a stop. Raises QueueError.
        """
        while not self.stop.is_set():
            self.full = self.held >= MOST_HELD
            if self.full:
                break
            try:
                found = await until_answered(
                    lambda: self.queue.receive(min(limit or 10, _MOST_PER_RECEIVE), LEASE),
                    self.stop,
                    on_failure=self._count_lost_answers,
                )
            except QueueUnavailable:
                if self.stop.is_set():
                    break
                raise
            self.ended = not found
            new = [message for message in found if self._hold(message)]
            if new or not found:
                return new
        return []

    def margin(self, message_id: str) -> float:
        """Return the seconds until the message's lease expires; zero or less if it is lost."""
        return self._keeper.leases.margin((message_id,), asyncio.get_running_loop().time())

    async def delete(self, message_id: str) -> str | None:
        """Delete a message, stop or not; return why that failed. It is no longer held after it."""
        receipt = self._receipts.pop(message_id)
        self._release((message_id,))
        try:
            refused = await until_answered(
                lambda: self.queue.delete((receipt,)), asyncio.Event(), first=0.5
            )
        except QueueError as error:
            return str(error)
        return refused.get(receipt)

    async def keep_alive(self) -> None:
        """Renew the leases until cancelled. A lost one is no longer renewed."""
        await self._keeper.run(lambda _: True)

    async def release(self) -> None:
        """Make all held messages visible again."""
        self.stuck = len(await self._keeper.hide(dict.fromkeys(self._receipts, 0.0)))
        self._receipts.clear()

    def _release(self, message_ids: Iterable[str]) -> None:
        self._keeper.leases.release(message_ids)

    def _count_lost_answers(self, error: QueueUnavailable) -> None:
        self.lost_answers += may_have_happened(error)

    def _hold(self, message: Message) -> bool:
        """Hold a message; return False if it was received before and its lease perhaps lost."""
        new = message.id not in self._receipts
        self._keeper.hold((message,), LEASE)
        self._receipts[message.id] = message.receipt
        self.taken += new
        return new


@asynccontextmanager
async def browse(queue: MessageQueue, stop: asyncio.Event) -> AsyncIterator[QueueBrowser]:
    """Hold messages of a queue until the block ends."""
    browser = QueueBrowser(queue, stop)
    timeout = None
    # Not in a TaskGroup, which would wrap the errors of the block.
    renewing = asyncio.create_task(browser.keep_alive())
    try:
        yield browser
    except asyncio.CancelledError:
        timeout = _RELEASE_TIMEOUT
        raise
    finally:
        try:
            async with asyncio.timeout(timeout):
                await browser.release()
        except TimeoutError:
            browser.stuck = browser.held
        finally:
            renewing.cancel()
            with suppress(asyncio.CancelledError):
                await renewing


async def until_answered(
    call: Callable[[], Awaitable[_T]],
    stop: asyncio.Event,
    *,
    first: float = 1.0,
    on_failure: Callable[[QueueUnavailable], None] = lambda _: None,
) -> _T:
    """
    Repeat a call while SQS is unavailable, with growing pauses that begin at `first` seconds.

    Raises the QueueError of the last attempt: a refusal, the last of TRIES, or the one before a
    stop. `on_failure` gets every other error, and may raise it to end the attempts.
    """
    failures = 0
    while True:
        try:
            return await call()
        except QueueUnavailable as error:
            on_failure(error)
            failures += 1
            pause = backoff(failures, first=first, longest=10.0, jitter=random.random())  # noqa: S311 # no secret
            pause = max(pause, error.retry_after or 0.0)
            if failures == TRIES or await set_within(stop, pause):
                raise
