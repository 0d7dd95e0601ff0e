"""
What lies on a reject queue or a dead-letter queue, which of it is meant, and what is sent back.

Two hands put messages there. The router says why, in the attribute `lambdo_rejection`. SQS, where a
redrive policy has it move what was received too often, gives no reason but says from where
(DeadLetterQueueSourceArn). And any sender may write an attribute that looks like the router's: the
router replaces it when it rejects, SQS moves it along. So SQS's word goes first, and what the
attribute claims of a message that SQS has moved is not believed: it would let a sender choose the
queue that a replay sends to. Only what SQS has moved from a reject queue was the router's before.

Pure: wall-clock time (unix seconds) is an argument.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from lambdo_router.core.message import Attribute, Message, NotAnEvent, read_event
from lambdo_router.core.patterns import Pattern
from lambdo_router.core.routing import Queue, Reason
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE
from lambdo_router.core.strict_json import parse_json

REDRIVE: Final = "redrive"
"""The reason of a message that SQS itself has moved."""
UNKNOWN: Final = "unknown"
"""The reason of a message that nothing is said of."""
REASONS: Final = (*get_args(Reason), REDRIVE, UNKNOWN)

_SOURCE = "DeadLetterQueueSourceArn"
_LATEST: Final = 253_402_300_799
"""The last second of the year 9999: a later time is not one."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The queues that messages may have come from: those of a routes file, or none."""

    queues: Mapping[str, Queue] = field(default_factory=dict)
    """By their names in the file."""
    names: Mapping[str, str] = field(default_factory=dict)
    """From a queue's name in SQS to its name in the file, where it has only one there."""

    def name_of(self, arn: str) -> str:
        """
        What the file calls the queue with this ARN; else its name in SQS, or the ARN itself where
        the file calls another queue by that name.
        """
        name = arn.rpartition(":")[2]
        return self.names.get(name, arn if name in self.queues else name)

    def is_reject_queue(self, name: str) -> bool:
        """Whether the router rejects messages to this queue."""
        return any(queue.reject_to == name for queue in self.queues.values())

    def envelope_of(self, name: str) -> Literal["none", "sns"]:
        """What the events on this queue are wrapped in, as far as the file says."""
        return self.queues[name].envelope if name in self.queues else "none"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that was moved aside, and what is known of it."""

    message: Message
    reason: str
    """The router's, `redrive` or `unknown`."""
    detail: str
    source: str | None = None
    """The queue that it came from, by its name in the routes file, or in SQS; None: unknown."""
    source_arn: str | None = None
    """The ARN of that queue, if it was SQS that moved the message."""
    route: str | None = None
    original_id: str = ""
    """Its message id on the queue that it came from."""
    attempts: int | None = None
    """How often the router had received it; None if it was not the router that moved it."""
    at: float | None = None
    """When it was rejected, or else when it was sent; unix seconds."""
    envelope: Literal["none", "sns"] = "none"
    """What its event is wrapped in, as the routes file says of the queue that it came from."""


def read_rejected(message: Message, sources: Sources) -> Rejected:
    """What a message on a reject queue or a dead-letter queue tells of itself."""
    arn = message.system.get(_SOURCE)
    if arn is not None and not sources.is_reject_queue(sources.name_of(arn)):
        return _moved_by_sqs(message, arn, sources)
    written = message.attributes.get(REJECTION_ATTRIBUTE)
    if written is None:
        return _unknown(message, f"it has no attribute {REJECTION_ATTRIBUTE}")
    by_router = _moved_by_router(message, written, sources)
    return by_router or _unknown(message, f"its {REJECTION_ATTRIBUTE} is not as the router's")


@dataclass(frozen=True, slots=True)
class Filters:
    """Which messages are meant: those that meet every one of these. What is empty asks nothing."""

    reasons: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    """Names or ARNs of queues."""
    ids: frozenset[str] = frozenset()
    older_than: float | None = None
    """Seconds since the rejection, at least."""
    newer_than: float | None = None
    """Seconds since the rejection, at most."""
    pattern: Pattern | None = None
    """Of the event, as the body of a route's `match`."""

    def meets(self, rejected: Rejected, now: float) -> bool:
        """Whether this message is meant. One whose time is not known is neither old nor new."""
        age = None if rejected.at is None else now - rejected.at
        return (
            _among(self.reasons, rejected.reason)
            and _among(self.routes, rejected.route)
            and _among(self.sources, rejected.source, rejected.source_arn)
            and _among(self.ids, rejected.message.id, rejected.original_id)
            and (self.older_than is None or (age is not None and age >= self.older_than))
            and (self.newer_than is None or (age is not None and age <= self.newer_than))
            and (self.pattern is None or _matches(self.pattern, rejected))
        )


@dataclass(frozen=True, slots=True)
class NoTarget:
    """A message that cannot be sent back; `why` says what would help."""

    why: str


def target_of(rejected: Rejected, sources: Sources) -> Queue | NoTarget:
    """The queue that the message came from, as it can be opened."""
    if rejected.source_arn is not None:
        return Queue(rejected.source or rejected.source_arn, url=rejected.source_arn)
    if rejected.source is None:
        return NoTarget("nothing says which queue it came from; name one with --to")
    if rejected.source in sources.queues:
        return sources.queues[rejected.source]
    file = "is not in the routes file" if sources.queues else "is in no routes file"
    return NoTarget(f"queue `{rejected.source}` {file}; name a queue with --to")


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is sent back."""

    body: str
    attributes: Mapping[str, Attribute]
    group: str | None
    deduplication: str

    @property
    def size(self) -> int:
        """About what it takes in memory, in bytes."""
        return len(self.body) + sum(len(each.value) for each in self.attributes.values())


def outgoing(message: Message) -> Outgoing:
    """
    The message with its original body and attributes, in its group if it has one.

    Its deduplication id is another than the original's, which SQS may remember still, and is made
    of the message's own id: a FIFO queue that was sent this very message within five minutes, by a
    replay that did not get as far as the delete, takes it for the same.
    """
    attributes = {
        name: attribute
        for name, attribute in message.attributes.items()
        if name != REJECTION_ATTRIBUTE
    }
    group = message.system.get("MessageGroupId")
    return Outgoing(message.body, attributes, group, f"replay-{message.id}")


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """What SQS tells of a queue. None: it does not, or may not."""

    visible: int | None = None
    """Messages that could be received; like the other counts, approximate."""
    in_flight: int | None = None
    delayed: int | None = None
    redrive_to: str | None = None
    """The ARN of the queue that SQS moves messages to which were received too often."""
    most_receives: int | None = None


def read_facts(attributes: Mapping[str, str]) -> QueueFacts:
    """The queue's attributes, as GetQueueAttributes gives them."""
    count = "ApproximateNumberOfMessages"
    to, most = _read_policy(attributes.get("RedrivePolicy", ""))
    return QueueFacts(
        _count(attributes.get(count)),
        _count(attributes.get(f"{count}NotVisible")),
        _count(attributes.get(f"{count}Delayed")),
        to,
        most,
    )


@dataclass(slots=True)
class ReplayRate:
    """At most `rate` turns a second, evenly; None: as they come. `now` is of any steady clock."""

    rate: float | None = None
    _next: float = 0.0

    def reserve(self, now: float) -> float:
        """Take the next turn; return how many seconds to wait before it."""
        if self.rate is None:
            return 0.0
        turn = max(self._next, now)
        self._next = turn + 1 / self.rate
        return turn - now


def _moved_by_sqs(message: Message, arn: str, sources: Sources) -> Rejected:
    name = sources.name_of(arn)
    times = message.receive_count
    return Rejected(
        message,
        REDRIVE,
        f"SQS moved it from {arn}; received {times} {'time' if times == 1 else 'times'} in all",
        source=name,
        source_arn=arn,
        original_id=message.id,
        at=message.sent_at,
        envelope=sources.envelope_of(name),
    )


def _unknown(message: Message, detail: str) -> Rejected:
    return Rejected(message, UNKNOWN, detail, original_id=message.id, at=message.sent_at)


def _moved_by_router(message: Message, written: Attribute, sources: Sources) -> Rejected | None:
    try:
        fields = parse_json(written.value)
    except ValueError:
        return None
    match fields:
        case {
            "reason": str(reason),
            "detail": str(detail),
            "route": str() | None as route,
            "queue": str(queue),
            "message_id": str(original_id),
            "attempts": int(attempts),
            "time": int() | float() as at,
        } if not isinstance(attempts, bool) and not isinstance(at, bool) and 0 <= at <= _LATEST:
            return Rejected(
                message,
                reason,
                detail,
                source=queue,
                route=route,
                original_id=original_id,
                attempts=attempts,
                at=float(at),
                envelope=sources.envelope_of(queue),
            )
    return None


def _among(wanted: frozenset[str], *found: str | None) -> bool:
    return not wanted or not wanted.isdisjoint(found)


def _matches(pattern: Pattern, rejected: Rejected) -> bool:
    try:
        event = read_event(rejected.message, rejected.envelope)
    except NotAnEvent:
        return False
    return pattern.matches(event.value)


def _count(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() else None


def _read_policy(text: str) -> tuple[str | None, int | None]:
    try:
        policy = parse_json(text) if text else None
    except ValueError:
        policy = None
    match policy:
        case {"deadLetterTargetArn": str(arn), "maxReceiveCount": int() | str() as most}:
            return arn, _count(str(most))
        case {"deadLetterTargetArn": str(arn)}:
            return arn, None
    return None, None
