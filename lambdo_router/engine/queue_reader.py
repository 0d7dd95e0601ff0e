"""What reads a queue, standard or FIFO: its holdings, its polls, its launches, and the stop."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar

from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.snapshot import QueueLevel, QueueState
from lambdo_router.engine.batch_runner import Flights
from lambdo_router.engine.context import Surroundings
from lambdo_router.engine.held_messages import Holdings
from lambdo_router.engine.receiver import Intake
from lambdo_router.engine.redelivery import LookBack
from lambdo_router.engine.sharing import Current, Sharing


class QueueReader(ABC):
    """Reads one queue until told to stop."""

    MOST_POLLS: ClassVar[int]
    """Receives under way at once, while there is a backlog."""

    def __init__(self, queue: MessageQueue, around: Surroundings, current: Current) -> None:
        self._name = queue.name
        self._around = around
        self._holdings = Holdings(queue, around.reject_queue, around.observe, around.jitter)
        self._stopping = asyncio.Event()
        self._sharing = Sharing(
            self._holdings, around.gates, around.observe, current, self._withdraw
        )
        self._intake = Intake(
            queue, self._holdings, around, self._sharing, self._stopping, self.MOST_POLLS
        )
        self._flights = Flights(self._holdings, around, self._stopping)
        self._look_back = LookBack(self._flights)

    @property
    def held(self) -> int:
        """Messages received and not settled yet."""
        return len(self._holdings)

    def level(self, state: QueueState) -> QueueLevel:
        """What is held at this moment."""
        holdings = self._holdings
        return QueueLevel(
            self._name,
            state,
            len(holdings),
            holdings.waiting,
            self._batched(),
            holdings.least_margin(),
        )

    def stop(self) -> None:
        """Take no more; `run` returns when what is under way has ended."""
        self._stopping.set()
        self._holdings.released.set()  # wakes an intake that waits for room

    @abstractmethod
    async def run(self) -> None:
        """Receive, route, launch and settle until `stop`."""

    @abstractmethod
    def _withdraw(self, message_id: str) -> str | None:
        """Take a message that waits out of its batch, and tell its route; None if it is in none."""

    def _batched(self) -> Mapping[str, int]:
        """Events in open batches, by route."""
        return {}
