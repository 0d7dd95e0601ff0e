"""
A MessageQueue in memory, with SQS's visible behaviour.

Underneath is the embedded server's own queue, so visibility, receipts, receive counts and what SQS
refuses are the same here as over HTTP; only the connection is missing. The clock is the event
loop's: on a loop with virtual time, hours pass at once. What a connection would do wrong can
be scripted with `fail`.

A name that ends in `.fifo` makes it a FIFO queue. As with the adapter over boto3, the receive after
one that failed then gets what that one took.
"""

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Literal

from lambdo_router.core.errors import QueueError, QueueRefused
from lambdo_router.core.lease import LONGEST_VISIBILITY, MOST_PER_CALL
from lambdo_router.core.message import Attribute, Message
from lambdo_router.local.sqs_server import Ledger, NewMessage, Sqs, SqsError

Action = Literal["receive", "delete", "set_visibility", "send"]


@dataclass(slots=True)
class MemoryQueue:
    """One queue. To be used in one event loop, like any queue."""

    name: str
    """Its name in the routes file and at SQS."""
    wait_time: float = 20.0
    """Seconds that a receive waits for a message."""
    receives: int = field(default=0, init=False)
    """How often `receive` was called."""
    _sqs: Sqs = field(init=False, repr=False)
    _changed: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)
    _lost: str | None = field(default=None, init=False, repr=False)
    """Attempt id of a receive on a FIFO queue that failed: it may have taken messages."""
    _ids: Iterator[int] = field(default_factory=lambda: count(1), init=False, repr=False)
    _failures: defaultdict[str, deque[tuple[QueueError, bool]]] = field(
        default_factory=lambda: defaultdict(deque), init=False, repr=False
    )

    def __post_init__(self) -> None:
        numbers = count(1)
        self._sqs = Sqs(new_id=lambda: f"{self.name}-{next(numbers)}")
        self._sqs.create_queue(self.name, {"FifoQueue": "true"} if self.fifo else {}, now=0.0)

    @property
    def fifo(self) -> bool:
        """Whether the order of each message group is kept."""
        return self.name.endswith(".fifo")

    @property
    def ledger(self) -> Ledger:
        """All that happened to the messages, by the loop's time."""
        return self._sqs.ledger

    @property
    def empty(self) -> bool:
        """Whether no message is left, neither visible nor hidden."""
        return not self._sqs.queue(self.name).messages()

    def put(
        self,
        body: str,
        attributes: Mapping[str, Attribute] | None = None,
        *,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str:
        """
        Send a message as someone else would; its id. SqsError if SQS would not take it.

        A FIFO queue wants a `group`. Without `deduplication` the message is a duplicate of none.
        """
        if self.fifo and deduplication is None:
            deduplication = self._unique()
        content = NewMessage(body, attributes or {}, group=group, deduplication=deduplication)
        message_id = self._sqs.send(self.name, content, _now())
        self._changed.set()
        return message_id

    def show(self, message_id: str) -> None:
        """Make a message visible at once, held or not: SQS may deliver one inside its lease."""
        self._sqs.queue(self.name).show(message_id, _now())
        self._changed.set()

    def fail(self, action: Action, *errors: QueueError, after_effect: bool = False) -> None:
        """Let the next calls of `action` raise these, `after_effect` only once the work is done."""
        self._failures[action].extend((error, after_effect) for error in errors)

    async def receive(self, limit: int, visibility: float) -> Sequence[Message]:
        """Long-poll: at most `limit` messages, as soon as there is one or after `wait_time`."""
        self.receives += 1
        lost, self._lost = self._lost, None
        attempt = lost or (self._unique() if self.fifo else None)
        try:
            with self._failing("receive"):
                try:
                    return await self._poll(limit, visibility, attempt)
                except SqsError:
                    if lost is None:
                        raise
                # What the lost answer brought has been given to others since.
                attempt = self._unique()
                return await self._poll(limit, visibility, attempt)
        except QueueError:
            self._lost = attempt
            raise

    async def delete(self, receipts: Sequence[str]) -> Mapping[str, str]:
        """Delete; what is no receipt of this queue comes back with SQS's reason."""
        with self._failing("delete"):
            refused = self._each(receipts, lambda one: self._sqs.delete(self.name, one, _now()))
            if self.fifo:  # the groups of what was deleted may go on
                self._changed.set()
            return refused

    async def set_visibility(self, seconds: Mapping[str, float]) -> Mapping[str, str]:
        """Hide for whole seconds, rounded up; refused receipts come back with SQS's reason."""

        def change(receipt: str) -> None:
            whole = max(0, min(math.ceil(seconds[receipt]), LONGEST_VISIBILITY))
            self._sqs.change_visibility(self.name, receipt, whole, _now())

        with self._failing("set_visibility"):
            refused = self._each(seconds, change)
            self._changed.set()
            return refused

    async def send(
        self,
        body: str,
        attributes: Mapping[str, Attribute],
        *,
        group: str | None = None,
        deduplication: str | None = None,
    ) -> str:
        """
        Send a message; its id. QueueRefused if SQS would not take it.

        To a FIFO queue, without a `group` it goes as a group of its own. To a standard queue
        `deduplication` says nothing.
        """
        if self.fifo:
            group = group or self._unique()
        else:
            deduplication = None
        with self._failing("send"):
            try:
                return self.put(body, attributes, group=group, deduplication=deduplication)
            except SqsError as error:
                raise QueueRefused(f"{error.code}: {error.message}", code=error.code) from error

    async def _poll(self, limit: int, visibility: float, attempt: str | None) -> Sequence[Message]:
        most, seconds = min(limit, MOST_PER_CALL), math.ceil(visibility)
        give_up = _now() + self.wait_time
        while True:
            found = self._sqs.receive(self.name, most, seconds, _now(), attempt=attempt)
            if found or _now() >= give_up:
                return found
            next_at = self._sqs.queue(self.name).next_visible_at(_now())
            look_at = give_up if next_at is None else min(give_up, next_at)
            self._changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(look_at):
                    await self._changed.wait()

    def _unique(self) -> str:
        return f"{self.name}-unique-{next(self._ids)}"

    @contextmanager
    def _failing(self, action: Action) -> Iterator[None]:
        """Raise what was scripted for this call, before or after the block."""
        failures = self._failures[action]
        error, after_effect = failures.popleft() if failures else (None, False)
        if error is not None and not after_effect:
            raise error
        yield
        if error is not None:
            raise error

    def _each(self, receipts: Iterable[str], act: Callable[[str], None]) -> dict[str, str]:
        refused: dict[str, str] = {}
        for receipt in dict.fromkeys(receipts):
            try:
                act(receipt)
            except SqsError as error:
                failure = error.in_batch
                refused[receipt] = f"{failure.code}: {failure.message}"
        return refused


def _now() -> float:
    return asyncio.get_running_loop().time()
