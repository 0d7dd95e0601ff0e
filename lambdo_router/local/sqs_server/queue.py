"""
One queue: its messages, their leases and receipts.

`order` knows which messages may be received and when; what happens to a message as it is received,
deleted, hidden or released is here, and is nearly the same for both kinds of queue. Time comes in
as `now`, seconds since the epoch.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lambdo_router.core.lease import LONGEST_VISIBILITY
from lambdo_router.local.sqs_server.messages import Sent, Stored
from lambdo_router.local.sqs_server.order import ReceiveOrder
from lambdo_router.local.sqs_server.rules import SqsError, invalid

_FIVE_MINUTES = 300.0
_K = TypeVar("_K", bound=Hashable)
_V = TypeVar("_V")
_Held = tuple[Stored, int, int]
"""A message with its receives and changes as a receive left it; anything later changes these."""


@dataclass(slots=True)
class Recent(Generic[_K, _V]):
    """
    What a FIFO queue remembers for five minutes, so that a repeated call has no further effect.

    The sender of a repeated message gets the id of the first one, even if that was received and
    deleted meanwhile. A repeated receive gets the same messages and receipts, as long as none of
    them was touched.
    """

    _values: OrderedDict[_K, tuple[float, _V]] = field(default_factory=OrderedDict)

    def note(self, key: _K, value: _V, now: float) -> None:
        """Remember a value, in place of what was remembered under the key."""
        self._values[key] = (now, value)
        self._values.move_to_end(key)

    def get(self, key: _K, now: float) -> _V | None:
        """Return what was noted under this key less than five minutes ago."""
        while self._values and next(iter(self._values.values()))[0] + _FIVE_MINUTES <= now:
            self._values.popitem(last=False)
        found = self._values.get(key)
        return None if found is None else found[1]


@dataclass(slots=True)
class LocalQueue:
    """Messages of one queue, and its attributes as SQS spells them."""

    name: str
    arn: str
    attributes: dict[str, str]
    created_at: float
    modified_at: float
    purged_at: float | None = None
    sent: Recent[str | tuple[str, str], Sent] = field(default_factory=Recent)
    """On a FIFO queue: what was sent lately, by what duplicates are recognised by."""
    _messages: dict[str, Stored] = field(default_factory=dict)
    _order: ReceiveOrder = field(init=False)
    _attempts: Recent[str, list[_Held]] = field(default_factory=Recent)

    def __post_init__(self) -> None:
        self._order = ReceiveOrder(self.fifo)

    @property
    def fifo(self) -> bool:
        """Whether the order of each message group is kept."""
        return self.attributes.get("FifoQueue") == "true"

    def messages(self) -> tuple[Stored, ...]:
        """Return all messages, visible or hidden, in the order in which they came."""
        return tuple(self._messages.values())

    def number(self, attribute: str) -> int:
        """Return a numeric queue attribute."""
        return int(self.attributes[attribute])

    def add(self, message: Stored, now: float) -> None:
        """Put a new message on the queue, or one that comes from another."""
        self._messages[message.id] = message
        self._order.place(message, now)

    def take(
        self, limit: int, visibility: float, most_receives: int | None, now: float
    ) -> tuple[list[Stored], list[Stored], list[Stored]]:
        """
        Receive up to `limit` messages and hide them for `visibility` seconds.

        Returns those, the exhausted and the expired ones. Messages that were received
        `most_receives` times already are exhausted and leave the queue: this, and not the end of
        their visibility, is when SQS dead-letters.
        """
        received: list[Stored] = []
        exhausted: list[Stored] = []
        expired: list[Stored] = []
        for message in self._order.visible(now):
            if message.sent_at + self.number("MessageRetentionPeriod") <= now:
                expired.append(message)
            elif most_receives is not None and message.receives >= most_receives:
                exhausted.append(message)
            else:
                received.append(message)
            if len(received) == limit:
                break
        for message in (*expired, *exhausted):
            self._remove(message, now)
        for message in received:
            message.receives += 1
            message.received_at = now
            if message.first_received_at is None:
                message.first_received_at = now
            self._hide(message, visibility, now)
        return received, exhausted, expired

    def note_attempt(self, attempt: str, received: Sequence[Stored], now: float) -> None:
        """Remember what the receive with this ReceiveRequestAttemptId took."""
        held = [(each, each.receives, each.changes) for each in received]
        self._attempts.note(attempt, held, now)

    def taken_before(self, attempt: str, visibility: float, now: float) -> list[Stored]:
        """
        Return what the receive with this attempt id took in the last five minutes, hidden again.

        Nothing if there was none, or if its messages are visible again by themselves. Raises
        SqsError if any of them was deleted, changed, or received by someone else since.
        """
        held = self._attempts.get(attempt, now) or []
        messages = [message for message, _, _ in held]
        if any(
            self._messages.get(message.id) is not message
            or (message.receives, message.changes) != (receives, changes)
            for message, receives, changes in held
        ):
            raise invalid(
                attempt,
                "ReceiveRequestAttemptId",
                "The receiveRequestAttemptId is not valid anymore since the receive call is not "
                "retryable.",
            )
        if any(message.visible_at <= now for message in messages):
            return []
        for message in messages:
            self._hide(message, visibility, now)
        return messages

    def delete(self, receipt: str, now: float) -> tuple[Stored | None, bool]:
        """
        Delete by the latest receipt; return the message, None if gone, and whether it was deleted.

        A stale receipt deletes nothing. On a FIFO queue a stale receipt, or one whose message is
        visible again, raises SqsError.
        """
        message, receives = self._of_receipt(receipt)
        if message is None:
            return None, False
        stale = message.receives != receives
        if self.fifo and (stale or message.visible_at <= now):
            text = "The receipt handle has expired"
            in_batch = SqsError("ReceiptHandleIsInvalid", text)
            raise invalid(receipt, "ReceiptHandle", f"{text}.", in_batch)
        if not stale:
            self._remove(message, now)
        return message, not stale

    def change_visibility(self, receipt: str, seconds: float, now: float) -> Stored:
        """
        Hide the message for `seconds` from now, 0 to show it.

        Works after its expiry too, until somebody receives it again; but not on a FIFO queue.
        """
        message, receives = self._of_receipt(receipt)
        if (
            message is None
            or message.received_at is None
            or message.receives != receives
            or (self.fifo and message.visible_at <= now)
        ):
            reason = "Message does not exist or is not available for visibility timeout change."
            raise invalid(receipt, "ReceiptHandle", reason)
        if now - message.received_at + seconds > LONGEST_VISIBILITY:
            raise invalid(
                f"{seconds:g}",
                "VisibilityTimeout",
                "Total VisibilityTimeout for the message is beyond the limit "
                f"[{LONGEST_VISIBILITY} seconds].",
            )
        message.changes += 1
        self._hide(message, seconds, now)
        return message

    def show(self, message_id: str, now: float) -> None:
        """Make a message visible at once, held or not: SQS may deliver one inside its lease."""
        self._hide(self._messages[message_id], 0, now)

    def purge(self, now: float) -> list[Stored]:
        """Remove and return everything on the queue, in flight or not."""
        removed = list(self._messages.values())
        for message in removed:
            self._remove(message, now)
        return removed

    def counts(self, now: float) -> tuple[int, int, int]:
        """Return the numbers of visible, in-flight and delayed messages; exact, unlike SQS's."""
        hidden = [message for message in self._messages.values() if message.visible_at > now]
        in_flight = sum(1 for message in hidden if message.receives)
        return len(self._messages) - len(hidden), in_flight, len(hidden) - in_flight

    def next_visible_at(self, now: float) -> float | None:
        """Return when more messages become visible by themselves; None if none will."""
        return self._order.next_visible_at(now)

    def receipt_of(self, message: Stored) -> str:
        """Return the receipt of its latest delivery, which only this queue accepts."""
        plain = f"{self.name}/{message.id}/{message.receives}"
        return urlsafe_b64encode(plain.encode()).decode()

    def read_receipt(self, receipt: str) -> tuple[str, int]:
        """Return the message id, and the number of the receive, that a receipt is of."""
        try:
            queue, message_id, receives = urlsafe_b64decode(receipt.encode()).decode().split("/")
            count = int(receives)
        except ValueError:
            queue, message_id, count = "", "", 0
        if queue != self.name:
            text = f'The input receipt handle "{receipt}" is not a valid receipt handle.'
            raise SqsError("ReceiptHandleIsInvalid", text)
        return message_id, count

    def _of_receipt(self, receipt: str) -> tuple[Stored | None, int]:
        message_id, receives = self.read_receipt(receipt)
        return self._messages.get(message_id), receives

    def _hide(self, message: Stored, seconds: float, now: float) -> None:
        message.visible_at = now + seconds
        self._order.place(message, now)

    def _remove(self, message: Stored, now: float) -> None:
        del self._messages[message.id]
        self._order.remove(message, now)
