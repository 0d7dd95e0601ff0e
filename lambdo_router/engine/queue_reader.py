"""What reads a queue, standard or FIFO: held messages, polls, launches, and the stop."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.snapshot import QueueSnapshot, QueueState
from lambdo_router.engine.batch_runner import BatchRunner
from lambdo_router.engine.context import Context
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.receiver import Intake
from lambdo_router.engine.redelivery import Redelivery
from lambdo_router.engine.sharing import Current, Sharing


class QueueReader(ABC):
    """Reads one queue until told to stop."""

    MOST_POLLS: ClassVar[int]
    """Receives under way at once, while there is a backlog."""

    def __init__(self, queue: MessageQueue, context: Context, current: Current) -> None:
        self._name = queue.name
        self._context = context
        self._held_messages = HeldMessages(
            queue, context.reject_queue, context.observe, context.jitter
        )
        self._stopping = asyncio.Event()
        self._sharing = Sharing(
            self._held_messages, context.launcher.gates, context.observe, current, self._withdraw
        )
        self._intake = Intake(
            queue, self._held_messages, context, self._sharing, self._stopping, self.MOST_POLLS
        )
        self._runner = BatchRunner(self._held_messages, context, self._stopping)
        self._redelivery = Redelivery(self._runner)

    @property
    def held(self) -> int:
        """Messages received and not settled yet."""
        return len(self._held_messages)

    def level(self, state: QueueState) -> QueueSnapshot:
        """What is held at this moment."""
        held_messages = self._held_messages
        return QueueSnapshot(
            self._name,
            state,
            len(held_messages),
            held_messages.waiting,
            self._batched(),
            held_messages.least_margin(),
        )

    def stop(self) -> None:
        """Take no more; `run` returns when what is under way has ended."""
        self._stopping.set()
        self._held_messages.released.set()  # wakes an intake that waits for room

    @abstractmethod
    async def run(self) -> None:
        """Receive, route, launch and settle until `stop`."""

    @abstractmethod
    def _withdraw(self, message_id: str) -> str | None:
        """Take a message that waits out of its batch, and tell its route; None if it is in none."""

    def _batched(self) -> Mapping[str, int]:
        """Events in open batches, by route."""
        return {}
