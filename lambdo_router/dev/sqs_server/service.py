"""
All queues of one account and region: creation, lookup, and what passes between queues.

Every method takes `now`, in seconds since the epoch, and either has its whole effect, written to
the ledger, or raises an SqsError and has none.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from lambdo_router.dev.sqs_server.ledger import Entry, Kind, Ledger
from lambdo_router.dev.sqs_server.queue import Delivery, Outgoing, StandardQueue, Stored
from lambdo_router.dev.sqs_server.rules import (
    DEFAULTS,
    LONGEST_DELAY,
    LONGEST_VISIBILITY,
    MOST_IN_FLIGHT,
    MOST_PER_CALL,
    SqsError,
    check_attribute_names,
    check_content,
    check_queue_attributes,
    check_queue_name,
    check_range,
    invalid,
    read_redrive_policy,
)

_PAUSE = 60.0
"""Seconds after a purge before the next, and after a deletion before the name is free again."""
_SENDER = "AIDALAMBDOROUTERDEV00"


def _new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True, slots=True)
class _Redrive:
    """Where messages go that were received `most_receives` times."""

    target: StandardQueue
    most_receives: int


@dataclass(slots=True)
class Sqs:
    """The queues, by name. `limit_in_flight` is SQS's own unless an experiment needs it low."""

    region: str = "us-east-1"
    account: str = "000000000000"
    ledger: Ledger = field(default_factory=Ledger)
    limit_in_flight: int = MOST_IN_FLIGHT
    new_id: Callable[[], str] = _new_id
    _queues: dict[str, StandardQueue] = field(default_factory=dict)
    _deleted_at: dict[str, float] = field(default_factory=dict)

    def create_queue(self, name: str, attributes: Mapping[str, str], now: float) -> StandardQueue:
        """Create a queue, or find the one of this name if its attributes are the same."""
        check_queue_name(name)
        self._check_attributes(attributes)
        if existing := self._queues.get(name):
            for attribute, value in attributes.items():
                if existing.attributes.get(attribute) != value:
                    text = "A queue already exists with the same name and a different value for "
                    raise SqsError("QueueNameExists", f"{text}attribute {attribute}")
            return existing
        if now - self._deleted_at.get(name, -_PAUSE) < _PAUSE:
            text = "You must wait 60 seconds after deleting a queue before you can create another "
            raise SqsError("QueueDeletedRecently", f"{text}with the same name.")
        arn = f"arn:aws:sqs:{self.region}:{self.account}:{name}"
        queue = StandardQueue(name, arn, {**DEFAULTS, **attributes}, int(now), int(now))
        self._queues[name] = queue
        return queue

    def queue(self, name: str) -> StandardQueue:
        if name not in self._queues:
            raise SqsError("QueueDoesNotExist", "The specified queue does not exist.")
        return self._queues[name]

    def names(self, prefix: str = "") -> list[str]:
        """The queues whose names begin with `prefix`, sorted."""
        return sorted(name for name in self._queues if name.startswith(prefix))

    def delete_queue(self, name: str, now: float) -> None:
        self._write_all("purged", self.queue(name), self.queue(name).purge(), now)
        del self._queues[name]
        self._deleted_at[name] = now

    def attributes(self, name: str, wanted: Sequence[str], now: float) -> dict[str, str]:
        """Those of `wanted` that are set; `All` is all."""
        queue = self.queue(name)
        counts = queue.counts(now)
        known = {
            "QueueArn": queue.arn,
            "ApproximateNumberOfMessages": str(counts.visible),
            "ApproximateNumberOfMessagesNotVisible": str(counts.in_flight),
            "ApproximateNumberOfMessagesDelayed": str(counts.delayed),
            "CreatedTimestamp": f"{queue.created_at:.0f}",
            "LastModifiedTimestamp": f"{queue.modified_at:.0f}",
            **queue.attributes,
        }
        check_attribute_names(wanted)
        if "All" in wanted:
            return known
        return {attribute: known[attribute] for attribute in wanted if attribute in known}

    def set_attributes(self, name: str, attributes: Mapping[str, str], now: float) -> None:
        """Replace attributes; an empty text takes RedrivePolicy and the like away."""
        queue = self.queue(name)
        self._check_attributes(attributes)
        queue.attributes.update(attributes)
        for attribute in [key for key, value in queue.attributes.items() if not value]:
            del queue.attributes[attribute]
        queue.modified_at = int(now)

    def send(self, name: str, content: Outgoing, now: float) -> str:
        """The new message's id."""
        queue = self.queue(name)
        check_content(content.body, content.attributes, queue.number("MaximumMessageSize"))
        delay = queue.number("DelaySeconds") if content.delay is None else content.delay
        check_range("DelaySeconds", delay, 0, LONGEST_DELAY)
        message = Stored(self.new_id(), content, sent_at=now, visible_at=now + delay)
        queue.add(message, now)
        self.ledger.write(Entry(now, "sent", name, message.id, seconds=delay))
        return message.id

    def receive(
        self, name: str, limit: int, visibility: int | None, now: float, *, long: bool
    ) -> list[Delivery]:
        """
        What is visible now. `long` says that the caller is a long poll: one gets nothing, where a
        short poll is refused, when as many messages are in flight as SQS allows.
        """
        queue = self.queue(name)
        check_range("MaxNumberOfMessages", limit, 1, MOST_PER_CALL)
        hidden = queue.number("VisibilityTimeout") if visibility is None else visibility
        check_range("VisibilityTimeout", hidden, 0, LONGEST_VISIBILITY)
        if queue.in_flight_reaches(self.limit_in_flight, now):
            if long:
                return []
            text = f"The maximum number of messages in flight is reached: {self.limit_in_flight}."
            raise SqsError("OverLimit", text)
        redrive = self._redrive_of(queue)
        taken = queue.take(limit, hidden, redrive.most_receives if redrive else None, now)
        self._write_all("expired", queue, taken.expired, now)
        if redrive is not None:
            for message in taken.exhausted:
                self._dead_letter(message, queue, redrive.target, now)
        deliveries = [_delivery(queue, message) for message in taken.received]
        for message, delivery in zip(taken.received, deliveries, strict=True):
            entry = Entry(
                now, "received", name, message.id, delivery.receipt, message.receives, hidden
            )
            self.ledger.write(entry)
        return deliveries

    def delete(self, name: str, receipt: str, now: float) -> None:
        """Delete a message. A stale receipt is accepted and has no effect, as SQS allows."""
        queue = self.queue(name)
        message_id, receives = queue.read_receipt(receipt)
        kind: Kind = "deleted" if queue.delete(receipt) else "delete_ignored"
        self.ledger.write(Entry(now, kind, name, message_id, receipt, receives))

    def change_visibility(self, name: str, receipt: str, seconds: int, now: float) -> None:
        """Hide a message for `seconds` from now, up to twelve hours after its receive."""
        queue = self.queue(name)
        check_range("VisibilityTimeout", seconds, 0, LONGEST_VISIBILITY)
        message = queue.change_visibility(receipt, seconds, now)
        entry = Entry(now, "visibility", name, message.id, receipt, message.receives, seconds)
        self.ledger.write(entry)

    def purge(self, name: str, now: float) -> None:
        queue = self.queue(name)
        if queue.purged_at is not None and now - queue.purged_at < _PAUSE:
            text = f"Only one PurgeQueue operation on {name} is allowed every 60 seconds."
            raise SqsError("PurgeQueueInProgress", text)
        queue.purged_at = now
        self._write_all("purged", queue, queue.purge(), now)

    def _check_attributes(self, attributes: Mapping[str, str]) -> None:
        check_queue_attributes(attributes)
        text = attributes.get("RedrivePolicy", "")
        redrive = read_redrive_policy(text)
        if redrive is not None and self._by_arn(redrive[0]) is None:
            raise invalid(text, "RedrivePolicy", "Dead letter target does not exist.")

    def _by_arn(self, arn: str) -> StandardQueue | None:
        return next((queue for queue in self._queues.values() if queue.arn == arn), None)

    def _redrive_of(self, queue: StandardQueue) -> _Redrive | None:
        policy = read_redrive_policy(queue.attributes.get("RedrivePolicy", ""))
        if policy is None:
            return None
        target = self._by_arn(policy[0])
        return None if target is None else _Redrive(target, policy[1])

    def _dead_letter(
        self, message: Stored, source: StandardQueue, target: StandardQueue, now: float
    ) -> None:
        message.source_arn = source.arn
        message.visible_at = now
        target.add(message, now)
        entry = Entry(now, "dead_lettered", source.name, message.id, receives=message.receives)
        self.ledger.write(replace(entry, target=target.name))

    def _write_all(
        self, kind: Kind, queue: StandardQueue, messages: Sequence[Stored], now: float
    ) -> None:
        for message in messages:
            self.ledger.write(Entry(now, kind, queue.name, message.id, receives=message.receives))


def _delivery(queue: StandardQueue, message: Stored) -> Delivery:
    """The message as it leaves, with all that SQS would tell of it."""
    first = message.first_received_at or 0.0
    system = {
        "SenderId": _SENDER,
        "SentTimestamp": f"{message.sent_at * 1000:.0f}",
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": f"{first * 1000:.0f}",
    }
    optional = {
        "AWSTraceHeader": message.content.trace_header,
        "MessageGroupId": message.content.group,
        "DeadLetterQueueSourceArn": message.source_arn,
    }
    system |= {name: value for name, value in optional.items() if value is not None}
    content = message.content
    receipt = queue.receipt_of(message)
    return Delivery(message.id, receipt, content.body, content.attributes, system)
