"""
Why a message is on a reject queue or a dead-letter queue, and where a replay sends it.

The router explains each rejection in the attribute `lambdo_rejection`. SQS moves messages by its
redrive policy without a reason, but records the source (DeadLetterQueueSourceArn). Any sender can
forge the router's attribute: the router overwrites it when it rejects, SQS leaves it in place. So
SQS's record takes precedence. Trusting the attribute of a message that SQS moved would let its
sender choose the queue that a replay sends to; only what SQS moved from a reject queue had been
rejected by the router before.

Pure: the time (unix seconds) is an argument.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from lambdo_router.core.message import Attribute, Message, NotAnEvent, read_event
from lambdo_router.core.patterns import Pattern
from lambdo_router.core.routing import Queue, Reason
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE
from lambdo_router.core.strict_json import parse_json

REDRIVE: Final = "redrive"
"""The reason of a message that SQS moved."""
UNKNOWN: Final = "unknown"
"""The reason of a message without any record of one."""
REASONS: Final = (*get_args(Reason), REDRIVE, UNKNOWN)
LATEST_TIME: Final = 253_402_300_799
"""The last second of the year 9999; later times are not accepted as such."""


@dataclass(frozen=True, slots=True)
class Sources:
    """The queues of a routes file, which messages may have come from; empty without a file."""

    queues: Mapping[str, Queue] = field(default_factory=dict)
    """By name in the file."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Queue names in SQS to names in the file, where that is unambiguous."""

    def name_of(self, arn: str) -> str:
        """
        Return the file's name for the queue with this ARN, or else its name in SQS.

        It is the whole ARN if the file uses that name for another queue.
        """
        name = arn.rpartition(":")[2]
        return self.names.get(name, arn if name in self.queues else name)

    def is_reject_queue(self, name: str) -> bool:
        """Return whether the router rejects messages to this queue."""
        return any(queue.reject_to == name for queue in self.queues.values())

    def envelope_of(self, name: str) -> Literal["none", "sns"]:
        """Return the envelope of events on this queue; `none` if the file does not list it."""
        return self.queues[name].envelope if name in self.queues else "none"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rejected message or dead letter, and what is known about it."""

    message: Message
    reason: str
    """One of the router's, `redrive` or `unknown`."""
    detail: str
    source: str | None = None
    """The queue it came from, by its name in the routes file or else in SQS; None if unknown."""
    source_arn: str | None = None
    """The ARN of that queue if SQS moved the message."""
    route: str | None = None
    original_id: str = ""
    """Its message ID on the queue it came from."""
    attempts: int | None = None
    """How often the router had received it; None if the router did not reject it."""
    at: float | None = None
    """When it was rejected, or else sent; unix seconds."""
    envelope: Literal["none", "sns"] = "none"
    """The envelope of its event, by the queue it came from."""

    @property
    def original_attributes(self) -> Mapping[str, Attribute]:
        """The message's attributes without the router's."""
        attributes = self.message.attributes
        return {name: attributes[name] for name in attributes if name != REJECTION_ATTRIBUTE}

    @property
    def group(self) -> str | None:
        """The message group, on a FIFO queue."""
        return self.message.system.get("MessageGroupId")

    @property
    def deduplication(self) -> str:
        """
        The deduplication ID for sending the message back to a FIFO queue.

        It differs from the original's, which SQS may still remember, and is derived from the
        message's ID: if a replay was cut off before its delete, another one within five minutes
        does not send the message twice.
        """
        return f"replay-{self.message.id}"


def read_rejected(message: Message, sources: Sources) -> Rejected:
    """Read what a message on a reject queue or a dead-letter queue says about itself."""
    arn = message.system.get("DeadLetterQueueSourceArn")
    if arn is not None and not sources.is_reject_queue(sources.name_of(arn)):
        return _moved_by_sqs(message, arn, sources)
    written = message.attributes.get(REJECTION_ATTRIBUTE)
    if written is None:
        return _unknown(message, f"no {REJECTION_ATTRIBUTE} attribute")
    by_router = _rejected_by_router(message, written, sources)
    return by_router or _unknown(message, f"malformed {REJECTION_ATTRIBUTE} attribute")


@dataclass(frozen=True, slots=True)
class Filters:
    """A selection of messages: all conditions must hold; empty ones always do."""

    reasons: Collection[str] = ()
    routes: Collection[str] = ()
    sources: Collection[str] = ()
    """Names or ARNs of queues."""
    ids: Collection[str] = ()
    older_than: float | None = None
    """Minimum seconds since the rejection."""
    newer_than: float | None = None
    """Maximum seconds since the rejection."""
    pattern: Pattern | None = None
    """Of the event, like `match.body` of a route."""

    def select(self, rejected: Rejected, now: float) -> bool:
        """Return whether the message is selected. One of unknown age is neither old nor new."""
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
    """A message that cannot be sent back; `why` also says what to do."""

    why: str


def target_of(rejected: Rejected, sources: Sources) -> Queue | NoTarget:
    """Return the queue that the message came from, with its address."""
    if rejected.source_arn is not None:
        return Queue(rejected.source or rejected.source_arn, url=rejected.source_arn)
    if rejected.source is None:
        return NoTarget("unknown source queue; name a queue with --to")
    if rejected.source in sources.queues:
        return sources.queues[rejected.source]
    known = "is not in the routes file" if sources.queues else "cannot be found: no routes file"
    return NoTarget(f"queue `{rejected.source}` {known}; name a queue with --to")


def _moved_by_sqs(message: Message, arn: str, sources: Sources) -> Rejected:
    name, count = sources.name_of(arn), message.receive_count
    return Rejected(
        message,
        REDRIVE,
        f"moved by SQS from {arn}; received {count} {'time' if count == 1 else 'times'} in all",
        source=name,
        source_arn=arn,
        original_id=message.id,
        at=message.sent_at,
        envelope=sources.envelope_of(name),
    )


def _unknown(message: Message, detail: str) -> Rejected:
    return Rejected(message, UNKNOWN, detail, original_id=message.id, at=message.sent_at)


def _rejected_by_router(message: Message, written: Attribute, sources: Sources) -> Rejected | None:
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
        } if not isinstance(attempts, bool) and not isinstance(at, bool) and 0 <= at <= LATEST_TIME:
            envelope = sources.envelope_of(queue)
            return Rejected(
                *(message, reason, detail, queue, None, route),
                *(original_id, attempts, float(at), envelope),
            )
    return None


def _among(wanted: Collection[str], *found: str | None) -> bool:
    return not wanted or any(each in wanted for each in found)


def _matches(pattern: Pattern, rejected: Rejected) -> bool:
    try:
        return pattern.matches(read_event(rejected.message, rejected.envelope).value)
    except NotAnEvent:
        return False
