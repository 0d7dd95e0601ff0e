"""
All queues of one account and region: creation, lookup, and what passes between queues.

Every method takes `now`, in seconds since the epoch, and either has its whole effect, written to
the ledger, or raises an SqsError and has none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from lambdo_router.core.lease import LONGEST_VISIBILITY, MOST_PER_CALL
from lambdo_router.core.message import Message
from lambdo_router.local.sqs_server import rules
from lambdo_router.local.sqs_server.messages import (
    EffectKind,
    Ledger,
    LedgerEntry,
    NewMessage,
    Sent,
    Stored,
)
from lambdo_router.local.sqs_server.queue import LocalQueue
from lambdo_router.local.sqs_server.queue_attributes import (
    check_attribute_names,
    check_changes,
    new_queue_attributes,
    read_redrive_policy,
)
from lambdo_router.local.sqs_server.rules import SqsError, check_range, check_token, invalid

_PURGE_PAUSE = 60.0  # seconds
_SENDER = "AIDALAMBDOROUTERDEV00"
_FIRST_SEQUENCE = 18_849_496_460_467_696_128
_SEQUENCE_STEP = 256  # the numbers of FIFO messages are large and not consecutive


@dataclass(slots=True)
class Sqs:
    """The queues, by name."""

    region: str = "us-east-1"
    account: str = "000000000000"
    ledger: Ledger = field(default_factory=Ledger)
    new_id: Callable[[], str] = lambda: str(uuid4())
    _queues: dict[str, LocalQueue] = field(default_factory=dict)
    _sequence: int = _FIRST_SEQUENCE

    def create_queue(self, name: str, attributes: Mapping[str, str], now: float) -> LocalQueue:
        """Create a queue, or find the one of this name if its attributes are the same."""
        complete = new_queue_attributes(name, attributes)
        self._check_redrive(attributes, fifo="FifoQueue" in complete)
        if existing := self._queues.get(name):
            for attribute, value in attributes.items():
                if existing.attributes.get(attribute) != value:
                    text = "A queue already exists with the same name and a different value for "
                    raise SqsError("QueueNameExists", f"{text}attribute {attribute}")
            return existing
        arn = f"arn:aws:sqs:{self.region}:{self.account}:{name}"
        self._queues[name] = LocalQueue(name, arn, complete, int(now), int(now))
        return self._queues[name]

    def queue(self, name: str) -> LocalQueue:
        if name not in self._queues:
            raise SqsError("QueueDoesNotExist", "The specified queue does not exist.")
        return self._queues[name]

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of the queues that begin with `prefix`, sorted."""
        return sorted(name for name in self._queues if name.startswith(prefix))

    def delete_queue(self, name: str, now: float) -> None:
        queue = self.queue(name)
        self._purge(queue, now)
        del self._queues[name]

    def attributes(self, name: str, wanted: Sequence[str], now: float) -> dict[str, str]:
        """Return those of the `wanted` attributes that are set; `All` means every one."""
        queue = self.queue(name)
        visible, in_flight, delayed = queue.counts(now)
        known = {
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "CreatedTimestamp": f"{queue.created_at:.0f}",
            "LastModifiedTimestamp": f"{queue.modified_at:.0f}",
            **queue.attributes,
        }
        check_attribute_names(wanted, known)
        if "All" in wanted:
            return known
        return {attribute: known[attribute] for attribute in wanted if attribute in known}

    def set_attributes(self, name: str, attributes: Mapping[str, str], now: float) -> None:
        """Replace attributes; an empty text removes RedrivePolicy and the like."""
        queue = self.queue(name)
        check_changes(queue.attributes, attributes)
        self._check_redrive(attributes, fifo=queue.fifo)
        queue.attributes.update(attributes)
        for attribute in [key for key, value in queue.attributes.items() if not value]:
            del queue.attributes[attribute]
        queue.modified_at = int(now)

    def send(self, name: str, content: NewMessage, now: float) -> str:
        """Send a message and return its id; of a duplicate, the first one's."""
        return self.accept(name, content, now)[0]

    def accept(self, name: str, content: NewMessage, now: float) -> Sent:
        """Take a message, and return what the sender is told; a duplicate has no effect."""
        queue = self.queue(name)
        rules.check_content(content.body, content.attributes, queue.number("MaximumMessageSize"))
        check_token("MessageGroupId", content.group)
        check_token("MessageDeduplicationId", content.deduplication)
        if queue.fifo:
            by_content = queue.attributes.get("ContentBasedDeduplication") == "true"
            deduplication = rules.deduplication_of(content, by_content=by_content)
            content = replace(content, deduplication=deduplication, delay=None)
            if (first := queue.sent.get(_duplicate_key(queue, content), now)) is not None:
                group = content.group or ""
                self.ledger.write(LedgerEntry(now, "deduplicated", name, first[0], group=group))
                return first
        elif content.deduplication is not None:
            raise rules.not_for_this_queue("MessageDeduplicationId", content.deduplication)
        delay = queue.number("DelaySeconds") if content.delay is None else content.delay
        check_range("DelaySeconds", delay, 0, rules.LONGEST_DELAY)
        message = Stored(self.new_id(), content, sent_at=now, visible_at=now + delay)
        self._add(queue, message, now)
        self.ledger.note("sent", name, message, now, seconds=delay)
        return message.id, message.sequence

    def receive(
        self,
        name: str,
        limit: int,
        visibility: int | None,
        now: float,
        *,
        attempt: str | None = None,
    ) -> list[Message]:
        """
        Receive what is visible now; or, if `attempt` (ReceiveRequestAttemptId) is that of an
        earlier receive, what that one took.
        """
        queue = self.queue(name)
        check_range("MaxNumberOfMessages", limit, 1, MOST_PER_CALL)
        hidden = queue.number("VisibilityTimeout") if visibility is None else visibility
        check_range("VisibilityTimeout", hidden, 0, LONGEST_VISIBILITY)
        if attempt is not None:
            check_token("ReceiveRequestAttemptId", attempt)
            if not queue.fifo:
                raise rules.not_for_this_queue("ReceiveRequestAttemptId", attempt)
            if again := queue.taken_before(attempt, hidden, now):
                return self._deliver("replayed", queue, again, now, hidden)
        received = self._take(queue, limit, hidden, now)
        if attempt is not None and received:
            queue.note_attempt(attempt, received, now)
        return self._deliver("received", queue, received, now, hidden)

    def delete(self, name: str, receipt: str, now: float) -> None:
        """
        Delete a message. A stale receipt is accepted and has no effect, as SQS allows; on a FIFO
        queue it is refused, as is the receipt of a message that is visible again.
        """
        queue = self.queue(name)
        message_id, receives = queue.read_receipt(receipt)
        message, deleted = queue.delete(receipt, now)
        kind: EffectKind = "deleted" if deleted else "delete_ignored"
        group = (message.content.group if message else None) or ""
        self.ledger.write(LedgerEntry(now, kind, name, message_id, receipt, receives, group=group))

    def change_visibility(self, name: str, receipt: str, seconds: int, now: float) -> None:
        """Hide a message for `seconds` from now, up to twelve hours after its receive."""
        queue = self.queue(name)
        check_range("VisibilityTimeout", seconds, 0, LONGEST_VISIBILITY)
        message = queue.change_visibility(receipt, seconds, now)
        self.ledger.note("visibility", name, message, now, receipt=receipt, seconds=seconds)

    def purge(self, name: str, now: float) -> None:
        queue = self.queue(name)
        if queue.purged_at is not None and now - queue.purged_at < _PURGE_PAUSE:
            text = f"Only one PurgeQueue operation on {name} is allowed every 60 seconds."
            raise SqsError("PurgeQueueInProgress", text)
        queue.purged_at = now
        self._purge(queue, now)

    def _purge(self, queue: LocalQueue, now: float) -> None:
        for message in queue.purge(now):
            self.ledger.note("purged", queue.name, message, now)

    def _check_redrive(self, attributes: Mapping[str, str], *, fifo: bool) -> None:
        """Raise SqsError if dead letters could not be moved as `attributes` say."""
        text = attributes.get("RedrivePolicy", "")
        policy = read_redrive_policy(text)
        if policy is None:
            return
        target = self._by_arn(policy[0])
        if target is None:
            raise invalid(text, "RedrivePolicy", "Dead letter target does not exist.")
        if target.fifo is not fifo:
            reason = "Dead-letter queue must be same type of queue as the source."
            raise invalid(text, "RedrivePolicy", reason)

    def _by_arn(self, arn: str) -> LocalQueue | None:
        return next((queue for queue in self._queues.values() if queue.arn == arn), None)

    def _take(self, queue: LocalQueue, limit: int, hidden: int, now: float) -> list[Stored]:
        """Receive messages; expired and exhausted ones leave the queue on the way."""
        policy = read_redrive_policy(queue.attributes.get("RedrivePolicy", ""))
        target = self._by_arn(policy[0]) if policy else None
        most_receives = policy[1] if policy and target else None
        received, exhausted, expired = queue.take(limit, hidden, most_receives, now)
        for message in expired:
            self.ledger.note("expired", queue.name, message, now)
        if target is not None:
            for message in exhausted:
                self._dead_letter(message, queue, target, now)
        return received

    def _dead_letter(
        self, message: Stored, source: LocalQueue, target: LocalQueue, now: float
    ) -> None:
        if target.fifo:
            # It begins anew there: a later number, a later time, and a duplicate of nothing.
            message.content = replace(message.content, deduplication=message.id)
            message.sent_at = now
        message.source_arn = source.arn
        message.visible_at = now
        self._add(target, message, now)
        self.ledger.note("dead_lettered", source.name, message, now, target=target.name)

    def _add(self, queue: LocalQueue, message: Stored, now: float) -> None:
        if queue.fifo:
            self._sequence += _SEQUENCE_STEP
            message.sequence = str(self._sequence)
            known = message.id, message.sequence
            queue.sent.note(_duplicate_key(queue, message.content), known, now)
        queue.add(message, now)

    def _deliver(
        self,
        kind: EffectKind,
        queue: LocalQueue,
        messages: Sequence[Stored],
        now: float,
        hidden: int,
    ) -> list[Message]:
        for message in messages:
            receipt = queue.receipt_of(message)
            self.ledger.note(kind, queue.name, message, now, receipt=receipt, seconds=hidden)
        return [_delivery(queue, message) for message in messages]


def _duplicate_key(queue: LocalQueue, content: NewMessage) -> str | tuple[str, str]:
    """Return what duplicates of this message have in common, on the queue or within its group."""
    deduplication = content.deduplication or ""
    if queue.attributes.get("DeduplicationScope") == "messageGroup":
        return content.group or "", deduplication
    return deduplication


def _delivery(queue: LocalQueue, message: Stored) -> Message:
    content, first = message.content, message.first_received_at or 0.0
    system = {
        "SenderId": _SENDER,
        "SentTimestamp": f"{message.sent_at * 1000:.0f}",
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": f"{first * 1000:.0f}",
    }
    optional = {
        "AWSTraceHeader": content.trace_header,
        "MessageGroupId": content.group,
        "MessageDeduplicationId": content.deduplication,
        "SequenceNumber": message.sequence,
        "DeadLetterQueueSourceArn": message.source_arn,
    }
    system |= {name: value for name, value in optional.items() if value is not None}
    receipt = queue.receipt_of(message)
    return Message(message.id, receipt, content.body, content.attributes, system)
