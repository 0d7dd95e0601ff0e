"""
One standard queue: what is visible, what is hidden and until when.

A message is on one of two shelves: `_ready`, in the order in which messages became visible, or
`_hidden`, a heap by the time at which they become visible again. It is never searched for on a
shelf: when it moves, its `placement` number grows, and what lies there under an older number
is passed over. Time comes in as `now`, seconds since the epoch.
"""

import heapq
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.dev.sqs_server.rules import LONGEST_VISIBILITY, SqsError
from lambdo_router.events import Attribute


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is sent. `delay` in seconds; None: the queue's own."""

    body: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    delay: int | None = None
    trace_header: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it is received, with all of its attributes."""

    message_id: str
    receipt: str
    body: str
    attributes: Mapping[str, Attribute]
    system: Mapping[str, str]


@dataclass(slots=True, eq=False)
class Stored:
    """A message on its queue."""

    id: str
    content: Outgoing
    sent_at: float
    visible_at: float
    receives: int = 0
    received_at: float | None = None
    first_received_at: float | None = None
    source_arn: str | None = None
    """ARN of the queue that a dead-lettered message came from."""
    placement: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """What one receive found: messages to hand out, to dead-letter, and too old to keep."""

    received: tuple[Stored, ...]
    exhausted: tuple[Stored, ...]
    expired: tuple[Stored, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """The three counts of GetQueueAttributes, exact here."""

    visible: int
    in_flight: int
    delayed: int


@dataclass(slots=True)
class StandardQueue:
    """Messages of one queue, and its attributes as SQS spells them."""

    name: str
    arn: str
    attributes: dict[str, str]
    created_at: float
    modified_at: float
    purged_at: float | None = None
    _messages: dict[str, Stored] = field(default_factory=dict)
    _ready: deque[tuple[int, Stored]] = field(default_factory=deque)
    _hidden: list[tuple[float, int, Stored]] = field(default_factory=list)
    _placements: int = 0

    def messages(self) -> tuple[Stored, ...]:
        """All messages, visible or hidden, in the order in which they came."""
        return tuple(self._messages.values())

    def number(self, attribute: str) -> int:
        """A numeric queue attribute."""
        return int(self.attributes[attribute])

    def add(self, message: Stored, now: float) -> None:
        """Put a new message on the queue, or one that comes from another."""
        self._messages[message.id] = message
        self._place(message, now)

    def take(self, limit: int, visibility: float, most_receives: int | None, now: float) -> Taken:
        """
        Receive up to `limit` visible messages and hide them for `visibility` seconds.

        Messages that were received `most_receives` times already are taken off the queue
        instead: this, and not the end of their visibility, is when SQS dead-letters.
        """
        self._ripen(now)
        received: list[Stored] = []
        exhausted: list[Stored] = []
        expired: list[Stored] = []
        while self._ready and len(received) < limit:
            placement, message = self._ready.popleft()
            if placement != message.placement:
                continue
            if message.sent_at + self.number("MessageRetentionPeriod") <= now:
                expired.append(self._remove(message))
            elif most_receives is not None and message.receives >= most_receives:
                exhausted.append(self._remove(message))
            else:
                received.append(message)
        for message in received:
            message.receives += 1
            message.received_at = now
            if message.first_received_at is None:
                message.first_received_at = now
            message.visible_at = now + visibility
            self._place(message, now)
        return Taken(tuple(received), tuple(exhausted), tuple(expired))

    def delete(self, receipt: str) -> bool:
        """Delete by the latest receipt; False for a stale one, or if the message is gone."""
        message = self._held_by(receipt)
        if message is not None:
            self._remove(message)
        return message is not None

    def change_visibility(self, receipt: str, seconds: float, now: float) -> Stored:
        """Hide the message for `seconds` from now, 0 to show it; also after its expiry."""
        message = self._held_by(receipt)
        if message is None or message.received_at is None:
            raise SqsError(
                "InvalidParameterValue",
                f"Value {receipt} for parameter ReceiptHandle is invalid. Reason: Message does not "
                "exist or is not available for visibility timeout change.",
            )
        if now - message.received_at + seconds > LONGEST_VISIBILITY:
            raise SqsError(
                "InvalidParameterValue",
                f"Value {seconds:g} for parameter VisibilityTimeout is invalid. Reason: Total "
                f"VisibilityTimeout for the message is beyond the limit [{LONGEST_VISIBILITY} "
                "seconds].",
            )
        message.visible_at = now + seconds
        self._place(message, now)
        return message

    def show(self, message_id: str, now: float) -> None:
        """Make a message visible at once, held or not: SQS may deliver one inside its lease."""
        message = self._messages[message_id]
        message.visible_at = now
        self._place(message, now)

    def purge(self) -> list[Stored]:
        """Everything that was on the queue, in flight or not."""
        removed = [self._remove(message) for message in list(self._messages.values())]
        self._ready.clear()
        self._hidden.clear()
        return removed

    def counts(self, now: float) -> Counts:
        hidden = [message for message in self._messages.values() if message.visible_at > now]
        in_flight = sum(1 for message in hidden if message.receives)
        return Counts(len(self._messages) - len(hidden), in_flight, len(hidden) - in_flight)

    def in_flight_reaches(self, limit: int, now: float) -> bool:
        # Counting is slow on a long queue, and a shorter one cannot reach the limit.
        return len(self._messages) >= limit and self.counts(now).in_flight >= limit

    def next_visible_at(self) -> float | None:
        """When the next hidden message becomes visible; None if none is hidden."""
        while self._hidden and self._hidden[0][1] != self._hidden[0][2].placement:
            heapq.heappop(self._hidden)
        return self._hidden[0][0] if self._hidden else None

    def receipt_of(self, message: Stored) -> str:
        """The receipt of its latest delivery. It names the queue: it is worth nothing elsewhere."""
        plain = f"{self.name}/{message.id}/{message.receives}"
        return urlsafe_b64encode(plain.encode()).decode()

    def read_receipt(self, receipt: str) -> tuple[str, int]:
        """The message id and the receive that a receipt of this queue is of."""
        try:
            queue, message_id, receives = urlsafe_b64decode(receipt.encode()).decode().split("/")
            count = int(receives)
        except ValueError:
            queue, message_id, count = "", "", 0
        if queue != self.name:
            text = f'The input receipt handle "{receipt}" is not a valid receipt handle.'
            raise SqsError("ReceiptHandleIsInvalid", text)
        return message_id, count

    def _held_by(self, receipt: str) -> Stored | None:
        message_id, count = self.read_receipt(receipt)
        message = self._messages.get(message_id)
        return message if message is not None and message.receives == count else None

    def _place(self, message: Stored, now: float) -> None:
        self._placements += 1
        message.placement = self._placements
        if message.visible_at > now:
            heapq.heappush(self._hidden, (message.visible_at, self._placements, message))
        else:
            self._ripen(now)  # those that became visible before this one go first
            self._ready.append((self._placements, message))

    def _ripen(self, now: float) -> None:
        while (at := self.next_visible_at()) is not None and at <= now:
            _, placement, message = heapq.heappop(self._hidden)
            self._ready.append((placement, message))

    def _remove(self, message: Stored) -> Stored:
        del self._messages[message.id]
        message.placement = 0
        return message
