"""
One queue: its messages, their leases and receipts.

`order` knows which messages may be received and when; what happens to a message as it is received,
deleted, hidden or released is here, and is nearly the same for both kinds of queue. Time comes in
as `now`, seconds since the epoch.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field

from lambdo_router.local.sqs_server.messages import Sent, Stored
from lambdo_router.local.sqs_server.order import ReceiveOrder
from lambdo_router.local.sqs_server.recent import Recent
from lambdo_router.local.sqs_server.rules import (
    LONGEST_VISIBILITY,
    ReceiptExpired,
    SqsError,
    invalid,
)


@dataclass(frozen=True, slots=True)
class _Held:
    """A message as a receive left it: anything that happens to it afterwards changes a number."""

    message: Stored
    receives: int
    changes: int


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
    _attempts: Recent[str, tuple[_Held, ...]] = field(default_factory=Recent)

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
        held = tuple(_Held(each, each.receives, each.changes) for each in received)
        self._attempts.note(attempt, held, now)

    def taken_before(self, attempt: str, visibility: float, now: float) -> list[Stored]:
        """
        Return what the receive with this attempt id took in the last five minutes, hidden again.

        Nothing if there was none, or if its messages are visible again by themselves. Raises
        SqsError if any of them was deleted, changed, or received by someone else since.
        """
        held = self._attempts.get(attempt, now) or ()
        if not all(
            self._messages.get(each.message.id) is each.message
            and each.message.receives == each.receives
            and each.message.changes == each.changes
            for each in held
        ):
            raise invalid(
                attempt,
                "ReceiveRequestAttemptId",
                "The receiveRequestAttemptId is not valid anymore since the receive call is not "
                "retryable.",
            )
        if any(each.message.visible_at <= now for each in held):
            return []
        for each in held:
            self._hide(each.message, visibility, now)
        return [each.message for each in held]

    def delete(self, receipt: str, now: float) -> tuple[Stored | None, bool]:
        """
        Delete by the latest receipt; return the message, None if gone, and whether it was deleted.

        A stale receipt deletes nothing. On a FIFO queue a stale receipt, or one whose message is
        visible again, raises ReceiptExpired.
        """
        message, receives = self._of_receipt(receipt)
        if message is None:
            return None, False
        stale = message.receives != receives
        if self.fifo and (stale or message.visible_at <= now):
            raise ReceiptExpired(receipt)
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

    def in_flight_reaches(self, limit: int, now: float) -> bool:
        # Counting is slow on a long queue, and a shorter one cannot reach the limit.
        return len(self._messages) >= limit and self.counts(now)[1] >= limit

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
