"""
What comes from one queue: long polls as an async iterator, until the stop.

There is room before there is a poll: a receive counts against a message whether or not it can be
used. What a poll brings is leased at once, also while the consumer is busy.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Self

from lambdo_router.core import journal
from lambdo_router.core.admission import QueueRoutes
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueRefused, QueueUnavailable
from lambdo_router.core.lease import MOST_PER_CALL
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.sharing import Sharing
from lambdo_router.engine.waiting import set_by, set_within

# A server that answers "nothing" at once, or a wait of 0 seconds, must not become a busy loop.
_SHORTEST_POLL = 0.25
_LOOK_AGAIN = 5.0
_GATHERING = 0.2
"""
Seconds from one receive to the next while events wait for their batch anyway and the queue has no
more at the moment: one receive then brings what five would, and SQS counts each.
"""
_MORE_WITHIN = 0.1
"""
Seconds after a full receive in which the next one brings what there is: batches that are not full
wait for it, so that a backlog goes into few full Machines and not into many small ones.
"""

Received = tuple[QueueRoutes, Sequence[Message]]
"""The messages of one receive, leased, and the table that decides all of them."""


@dataclass(slots=True)
class Receiver:
    """
    Polls one queue; iterate over it for what it brings.

    One long poll is under way while the queue is quiet, which costs about five cents a month. A
    receive that comes back full starts another series of polls beside it, up to `most_polls`; a
    series ends with the first receive that is not full.
    """

    queue: MessageQueue
    held_messages: HeldMessages
    sharing: Sharing
    stopping: asyncio.Event
    current: Callable[[], QueueRoutes | None]
    """Returns the queue in the current table; None if no route reads it now."""
    observe: journal.Observer
    most_polls: int
    _received: asyncio.Queue[Received | None] = field(default_factory=asyncio.Queue)
    """None ends the iteration."""
    _receiving: set[asyncio.Timeout] = field(default_factory=set)
    """What can end the receives under way."""
    more_until: float = 0.0
    """Until when (the loop's time) the queue is expected to bring more at once."""
    _series: int = 1
    _asked: int = 0
    """Messages that the receives under way may bring."""

    def stop(self) -> None:
        """
        Start no more polls, give up those under way, and end the iteration.

        What a poll that is given up still brings is released by its queue.
        """
        if not self.stopping.is_set():
            self.stopping.set()
            self._received.put_nowait(None)
            self.held_messages.released.set()  # wakes a poll that waits for room
            now = asyncio.get_running_loop().time()
            for receive in self._receiving:
                receive.reschedule(now)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        received = await self._received.get()
        self._received.task_done()
        if received is None:
            raise StopAsyncIteration
        return received

    async def poll(self) -> None:
        """Poll until the stop, and release what has just come then."""
        failures = 0
        async with asyncio.TaskGroup() as others:
            while not self.stopping.is_set():
                asked_at = asyncio.get_running_loop().time()
                try:
                    received = await self._receive(others)
                except QueueError as error:
                    failures += 1
                    await self._pause_after(error, failures)
                    continue
                failures = 0
                if received is None:
                    await self._until_released()
                elif received == 0:
                    await set_by(self.stopping, asked_at + _SHORTEST_POLL)
                elif received < MOST_PER_CALL and self.held_messages.waiting > received:
                    await set_by(self.stopping, asked_at + _GATHERING)

    async def _poll_while_full(self, others: asyncio.TaskGroup) -> None:
        """Poll beside the first series, which meets any failure that lasts."""
        try:
            while not self.stopping.is_set():
                if await self._receive(others) != MOST_PER_CALL:
                    break
        except QueueError:
            pass
        finally:
            self._series -= 1

    async def _receive(self, others: asyncio.TaskGroup) -> int | None:
        """Return how many messages one receive brought; None if there was no room for any."""
        routes = self.current()
        if routes is None:
            return None
        limit = min(MOST_PER_CALL, self.sharing.room(routes) - self._asked)
        if limit <= 0:
            return None
        queue = routes.queue
        asked_at = asyncio.get_running_loop().time()
        messages = await self._ask(limit, queue.visibility)
        now = asyncio.get_running_loop().time()
        self.more_until = now + _MORE_WITHIN if len(messages) == MOST_PER_CALL else 0.0
        self.observe(journal.Polled(queue.name, len(messages), now - asked_at, limit))
        if messages:
            await self._hold(queue.visibility, messages)
        if len(messages) == MOST_PER_CALL and self._series < self.most_polls:
            self._series += 1
            others.create_task(self._poll_while_full(others))
        return len(messages)

    async def _ask(self, limit: int, visibility: float) -> Sequence[Message]:
        """One receive, or nothing if it is given up because of the stop."""
        self._asked += limit
        try:
            async with asyncio.timeout(None) as stopped:
                self._receiving.add(stopped)
                return await self.queue.receive(limit, visibility)
        except TimeoutError:
            if not stopped.expired():
                raise
            return ()
        finally:
            self._receiving.discard(stopped)
            self._asked -= limit

    async def _hold(self, visibility: float, messages: Sequence[Message]) -> None:
        """
        Lease the messages and hand them to the consumer; release them if it is stopping.

        One table decides all that a receive brings: the one that is current when it comes. The
        receive may have begun 20 s before, under a table whose routes are gone.
        """
        name, new = self.queue.name, []
        held_anew = self.held_messages.hold(messages, visibility)
        for message, is_new in zip(messages, held_anew, strict=True):
            if is_new:
                new.append(message)
                self.sharing.arrived(message.id)
                self.observe(journal.Received(name, message))
            else:
                self.observe(journal.Redelivered(name, message.id))
        routes = self.current()
        if self.stopping.is_set() or routes is None:
            await self.held_messages.release(message.id for message in new)
        else:
            self._received.put_nowait((routes, new))
            # Before there is another receive, these must count among what waits for their profiles.
            await self._received.join()

    async def _until_released(self) -> None:
        """Wait until a message is released; but not for long, since permits come with time."""
        self.held_messages.released.clear()
        if not self.stopping.is_set():
            await set_within(self.held_messages.released, _LOOK_AGAIN)

    async def _pause_after(self, error: QueueError, failures: int) -> None:
        """Pause for long after a refusal, which needs a person, and briefly after the rest."""
        first = 15.0 if isinstance(error, QueueRefused) else 1.0
        jitter = self.held_messages.jitter()
        pause = backoff(failures, first=first, longest=60.0, jitter=jitter)
        if isinstance(error, QueueUnavailable):
            pause = max(pause, error.retry_after or 0.0)
        self.observe(journal.QueueFailed(self.queue.name, "receive", error, pause))
        await set_within(self.stopping, pause)
