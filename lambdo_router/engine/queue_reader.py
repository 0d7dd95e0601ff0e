"""The parts that a standard and a FIFO consumer have in common, wired up."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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


@dataclass(eq=False)
class QueueReader(ABC):
    """Reads one queue until told to stop."""

    MOST_POLLS: ClassVar[int]
    """Receives under way at once, while there is a backlog."""

    queue: MessageQueue
    held_messages: HeldMessages
    context: Context
    current: Callable[[], QueueRoutes | None]
    """Returns the queue in the current table; None if no route reads it now."""
    observe: journal.Observer = field(init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _sharing: Sharing = field(init=False)
    _receiver: Receiver = field(init=False)
    _runner: BatchRunner = field(init=False)
    _redelivery: Redelivery = field(init=False)

    def __post_init__(self) -> None:
        self.observe = self.context.observe
        self._sharing = Sharing(
            self.queue,
            self.held_messages,
            self.held_messages.waiting_messages,
            self.context.permits,
            self.observe,
            self.current,
            self._withdraw,
        )
        self._receiver = Receiver(
            self.queue,
            self.held_messages,
            self._sharing,
            self._stopping,
            self.current,
            self.observe,
            self.MOST_POLLS,
        )
        self._runner = BatchRunner(self.held_messages, self.context, self._stopping)
        self._redelivery = Redelivery(
            self._runner, self.held_messages, self.context, self._stopping
        )

    @property
    def held(self) -> int:
        """The number of messages received and not settled yet."""
        return len(self.held_messages)

    def snapshot(self, state: QueueState) -> QueueSnapshot:
        """Return what is held now."""
        return QueueSnapshot(
            self.queue.name,
            state,
            held=len(self.held_messages),
            waiting=self.held_messages.waiting,
            batched=self._batched(),
            margin=self.held_messages.least_margin(),
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
        self.observe(journal.Decided(self.queue.name, message.id, admission.decision))
        return admission

    def _refusal(
        self, routes: QueueRoutes, message: Message, refused: NotAdmitted | TooLarge
    ) -> tuple[str | None, Settlement]:
        """Return the route of a message that gets into no batch, and what becomes of it."""
        return routes.settle(message, refused, self.held_messages.clock())
