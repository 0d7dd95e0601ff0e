"""The parts that a standard and a FIFO consumer have in common, wired up."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar

from lambdo_router.core import journal
from lambdo_router.core.admission import Admission, NotAdmitted, QueueRoutes, TooLarge
from lambdo_router.core.message import Message
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.settlement import Settlement
from lambdo_router.core.snapshot import QueueSnapshot, QueueState
from lambdo_router.engine.batch_runner import BatchRunner
from lambdo_router.engine.context import Context
from lambdo_router.engine.held_messages import HeldMessages
from lambdo_router.engine.receiver import Receiver
from lambdo_router.engine.redelivery import Redelivery
from lambdo_router.engine.sharing import Sharing


class QueueReader(ABC):
    """Reads one queue until told to stop."""

    MOST_POLLS: ClassVar[int]
    """Receives under way at once, while there is a backlog."""

    def __init__(
        self,
        queue: MessageQueue,
        held_messages: HeldMessages,
        context: Context,
        current: Callable[[], QueueRoutes | None],
    ) -> None:
        """Wire up; `current` returns the queue in the current table, None if no route reads it."""
        self._name = queue.name
        self._context = context
        self._observe = context.observe
        self._held_messages = held_messages
        self._stopping = asyncio.Event()
        self._sharing = Sharing(
            queue,
            held_messages,
            held_messages.waiting_messages,
            context.permits,
            context.observe,
            current,
            self._withdraw,
        )
        self._receiver = Receiver(
            queue,
            held_messages,
            self._sharing,
            self._stopping,
            current,
            context.observe,
            self.MOST_POLLS,
        )
        self._runner = BatchRunner(held_messages, context, self._stopping)
        self._redelivery = Redelivery(self._runner, held_messages, context, self._stopping)

    @property
    def held(self) -> int:
        """The number of messages received and not settled yet."""
        return len(self._held_messages)

    def snapshot(self, state: QueueState) -> QueueSnapshot:
        """Return what is held now."""
        return QueueSnapshot(
            self._name,
            state,
            held=len(self._held_messages),
            waiting=self._held_messages.waiting,
            batched=self._batched(),
            margin=self._held_messages.least_margin(),
        )

    def stop(self) -> None:
        """Receive no more; `run` returns when everything under way has ended."""
        self._receiver.stop()

    @abstractmethod
    async def run(self) -> None:
        """Receive, route, launch and settle until `stop`."""

    @abstractmethod
    def _withdraw(self, message_id: str) -> str | None:
        """Take a waiting message out of its batch and return its route; None if it is in none."""

    def _batched(self) -> Mapping[str, int]:
        """Return the number of events in open batches, by route."""
        return {}

    def _admit(self, routes: QueueRoutes, message: Message) -> Admission:
        admission = routes.admit(message)
        self._observe(journal.Decided(self._name, message.id, admission.decision))
        return admission

    def _refusal(
        self, routes: QueueRoutes, message: Message, refused: NotAdmitted | TooLarge
    ) -> tuple[str | None, Settlement]:
        """Return the route of a message that gets into no batch, and what becomes of it."""
        return routes.settle(message, refused, self._held_messages.clock())
