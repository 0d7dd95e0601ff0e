"""
Receives of a FIFO queue, and what becomes of one whose answer was lost.

Messages that such a receive took hold up their groups until they are visible again. But a receive
that is made with the ReceiveRequestAttemptId of an earlier one gets the same messages once more,
for five minutes and as long as nobody else has them. So each receive has an id of its own, which
the next one uses again where no answer came.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar
from uuid import uuid4

from lambdo_router.adapters.sqs.failures import may_have_happened
from lambdo_router.core.errors import QueueError, QueueRefused

_FIVE_MINUTES = 300.0
_T = TypeVar("_T")


class Attempts:
    """Knows the id for the next receive of one queue. One receive at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lost: str | None = None
        self._lost_since = 0.0

    async def make(self, receive: Callable[[str], Awaitable[_T]]) -> _T:
        """
        Call `receive` with the ID to use, and return its result.

        An id whose answer was lost stays in use until one comes; throttling is none. If SQS
        refuses an id that was used before, the messages are past getting, and a new id is tried at
        once: a receive that was refused has taken nothing.
        """
        if self._lost is not None and self._clock() - self._lost_since < _FIVE_MINUTES:
            with suppress(QueueRefused):
                answer = await receive(self._lost)
                self._lost = None
                return answer
        attempt, self._lost, self._lost_since = str(uuid4()), None, self._clock()
        try:
            return await receive(attempt)
        except QueueError as error:
            if may_have_happened(error):
                self._lost = attempt
            raise
