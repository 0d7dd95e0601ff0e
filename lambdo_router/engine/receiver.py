"""
Polls of one queue: only for what may be held, with pauses after failures, until the stop.

Permits come before polls: a receive counts against a message whether or not it can be used.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lambdo_router.core import journal
from lambdo_router.core.backoff import backoff
from lambdo_router.core.errors import QueueError, QueueRefused, QueueUnavailable
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.engine.context import Context
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.sharing import Sharing
from lambdo_router.engine.waiting import set_by, set_within

MOST_PER_RECEIVE = 10
"""SQS hands out at most ten messages a call."""
# A server that answers "nothing" at once, or a wait of 0 seconds, must not become a busy loop.
_SHORTEST_POLL = 0.25
_LOOK_AGAIN = 5.0
_GATHERING = 0.2
"""
Seconds from one receive to the next while events wait for their batch anyway, and the queue has no
more at the moment: one receive then brings what five would, and SQS counts each.
"""

Take = Callable[[RoutingTable, Queue, Sequence[Message]], None]
"""Sends newly leased messages on their way. Does not wait, and does not raise."""


@dataclass(slots=True)
class Intake:
    """
    What comes into one consumer.

    One long poll is under way while the queue is quiet, which costs about five cents a month. A
    receive that comes back full calls for a second one beside it, and so on up to `most_polls`;
    one that does not is the last of its line.
    """

    queue: MessageQueue
    held_messages: HeldMessages
    context: Context
    sharing: Sharing
    stopping: asyncio.Event
    most_polls: int = 1
    _lines: int = 1
    _asked: int = 0
    """Messages that the receives under way may bring."""

    async def run(self, take: Take) -> None:
        """Poll until the stop; what the last polls bring is given back."""
        async with asyncio.TaskGroup() as others:
            await self._poll_for_ever(take, others)

    async def _poll_for_ever(self, take: Take, others: asyncio.TaskGroup) -> None:
        failures = 0
        while not self.stopping.is_set():
            asked_at = asyncio.get_running_loop().time()
            try:
                received = await self._poll(take, others)
            except QueueError as error:
                failures += 1
                await self._pause_after(error, failures)
                continue
            failures = 0
            if received is None:
                await self._until_released()
            elif received == 0:
                await set_by(self.stopping, asked_at + _SHORTEST_POLL)
            elif received < MOST_PER_RECEIVE and self.held_messages.waiting > received:
                await set_by(self.stopping, asked_at + _GATHERING)

    async def _poll_while_full(self, take: Take, others: asyncio.TaskGroup) -> None:
        """Beside the others; a failure is left to the one that goes on for ever."""
        try:
            while not self.stopping.is_set():
                if await self._poll(take, others) != MOST_PER_RECEIVE:
                    break
        except QueueError:
            pass  # the other line meets it too, if it stays
        finally:
            self._lines -= 1

    async def _poll(self, take: Take, others: asyncio.TaskGroup) -> int | None:
        """One receive; how many messages it brought, None if there was no room for any."""
        current = self.sharing.current()
        if current is None:
            return None
        limit = min(MOST_PER_RECEIVE, self.sharing.room(*current) - self._asked)
        if limit <= 0:
            return None
        _, queue = current
        asked_at = asyncio.get_running_loop().time()
        self._asked += limit
        try:
            messages = await self.queue.receive(limit, queue.visibility)
        finally:
            self._asked -= limit
        seconds = asyncio.get_running_loop().time() - asked_at
        self.context.observe(journal.Polled(queue.name, len(messages), seconds, limit))
        if messages:
            await self._hold(queue.visibility, messages, take)
        if len(messages) == MOST_PER_RECEIVE and self._lines < self.most_polls:
            self._lines += 1
            others.create_task(self._poll_while_full(take, others))
        return len(messages)

    async def _hold(self, visibility: float, messages: Sequence[Message], take: Take) -> None:
        """
        Lease what came and hand it on; give it back if the router or this queue is stopping.

        One table decides all that a receive brings: the one that is current when it comes. A
        receive may have begun 20 s before, under a table whose routes are gone.
        """
        name, new = self.queue.name, []
        for message in messages:
            if self.held_messages.hold(message, visibility):
                new.append(message)
                self.sharing.arrived(message.id)
                self.context.observe(journal.Received(name, message))
            else:
                self.context.observe(journal.Redelivered(name, message.id))
        current = self.sharing.current()
        if self.stopping.is_set() or current is None:
            await self.held_messages.release(message.id for message in new)
        else:
            take(*current, new)

    async def _until_released(self) -> None:
        """Wait until something is held no more; but not for long, since gates open by time."""
        self.held_messages.released.clear()
        if self.stopping.is_set():
            return
        await set_within(self.held_messages.released, _LOOK_AGAIN)

    async def _pause_after(self, error: QueueError, failures: int) -> None:
        """A refusal is for a person to mend: ask again slowly. The rest may pass: ask sooner."""
        first = 15.0 if isinstance(error, QueueRefused) else 1.0
        pause = backoff(failures, first=first, longest=60.0, jitter=self.context.jitter())
        if isinstance(error, QueueUnavailable):
            pause = max(pause, error.retry_after or 0.0)
        self.context.observe(journal.QueueFailed(self.queue.name, "receive", error, pause))
        await set_within(self.stopping, pause)
