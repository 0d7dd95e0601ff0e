"""
How a message is settled: acknowledged, retried, left or rejected.

Pure: the time (unix seconds) and the jitter (0.0 to 1.0) are arguments.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, assert_never

from lambdo_router.core.backoff import backoff
from lambdo_router.core.batch import BatchKey, Entry
from lambdo_router.core.lease import LARGEST_MESSAGE, MOST_ATTRIBUTES, longest_hiding
from lambdo_router.core.log_event import log_event
from lambdo_router.core.machine import room_for_entries
from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.routing import Queue, Reason, Refused

REJECTION_ATTRIBUTE = "lambdo_rejection"

_FIRST_RETRY = 5.0
_LONGEST_RETRY = 900.0
_FIRST_PARKING = 600.0
_MOST_DOUBLINGS = 7  # beyond SQS's 12 hours
_LONGEST_DETAIL = 2_000


_FIELDS = "queue route message=message_id held"
"""What the log shows of every settlement: fields of the fact `Settled`."""


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Delete the message. `why` is `launched`, `succeeded` or `dropped`."""

    outcome: ClassVar = "deleted"
    operation: ClassVar = "delete"
    detail: ClassVar = ""
    log: ClassVar = log_event("message.deleted", "debug", f"{_FIELDS} why=settlement.why")
    why: str

    @property
    def reason(self) -> str:
        """Why it is deleted."""
        return self.why

    @property
    def summary(self) -> str:
        """The rest of a sentence that begins with the outcome."""
        return ""


@dataclass(frozen=True, slots=True)
class Retry:
    """Hide the message for `delay` seconds; SQS then delivers it again."""

    outcome: ClassVar = "retried"
    operation: ClassVar = "change_visibility"
    reason: ClassVar = "retried"
    log: ClassVar = log_event(
        "message.retried",
        "debug",
        f"{_FIELDS} delay=settlement.delay why=settlement.why",
        "The message is hidden for `delay` seconds, then SQS delivers it again.",
    )
    delay: float
    why: str

    @property
    def detail(self) -> str:
        """Why it is retried."""
        return self.why

    @property
    def summary(self) -> str:
        """The rest of a sentence that begins with the outcome."""
        return f"in {self.delay:.0f} s: {self.why}"


@dataclass(frozen=True, slots=True)
class Leave:
    """Let the lease expire, and leave the message to the queue's redrive policy."""

    outcome: ClassVar = "left"
    operation: ClassVar = "leave"
    log: ClassVar = log_event(
        "message.left",
        "warning",
        f"{_FIELDS} reason=settlement.reason detail=settlement.detail",
        "The message is left to its queue's redrive policy; without one SQS redelivers it "
        "until it expires.",
        "As for `message.rejected`. Give the queue a `reject_to`, or a redrive policy.",
        folded_by="queue route reason",
    )
    reason: str
    detail: str

    @property
    def summary(self) -> str:
        """The rest of a sentence that begins with the outcome."""
        return f"on the queue as {self.reason}"


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why a message was rejected: the JSON in its attribute `lambdo_rejection`."""

    reason: Reason
    detail: str
    route: str | None
    queue: str
    message_id: str
    attempts: int
    time: float
    """Unix seconds."""

    def attribute(self) -> Attribute:
        """Return the message attribute, in ASCII: SQS refuses most control characters."""
        fields = asdict(self)
        if len(self.detail) > _LONGEST_DETAIL:
            fields["detail"] = self.detail[:_LONGEST_DETAIL] + "..."
        return Attribute("String", json.dumps(fields))


@dataclass(frozen=True, slots=True)
class Reject:
    """Send the message to the queue `to` with its rejection, then delete it here."""

    outcome: ClassVar = "rejected"
    operation: ClassVar = "send_and_delete"
    log: ClassVar = log_event(
        "message.rejected",
        "warning",
        f"{_FIELDS} to=settlement.to reason=settlement.reason detail=settlement.detail",
        "The message was moved to the reject queue `to`.",
        "`lambdo-router rejected` lists such messages with their reasons, and sends them back "
        "once the cause is fixed. `lambdo-router explain` shows why a message takes no route.",
        folded_by="queue route reason",
    )
    to: str
    rejection: Rejection

    @property
    def reason(self) -> str:
        """Why it is rejected, in one word."""
        return self.rejection.reason

    @property
    def detail(self) -> str:
        """Why it is rejected, for people."""
        return self.rejection.detail

    @property
    def summary(self) -> str:
        """The rest of a sentence that begins with the outcome."""
        return f"to {self.to} as {self.reason}"


Settlement = Acknowledge | Retry | Leave | Reject


def of_refusal(refused: Refused, queue: Queue, message: Message, now: float) -> Settlement:
    """Settle a message that does not become part of a batch."""
    match refused.policy:
        case "drop":
            return Acknowledge("dropped")
        case "leave":
            return Leave(refused.reason, refused.detail)
        case "reject":
            route = refused.route.name if refused.route is not None else None
            rejection = _rejection(refused.reason, refused.detail, route, queue.name, message, now)
            return _reject_or_leave(rejection, queue.reject_to, message)
        case unreachable:
            assert_never(unreachable)


def of_too_large(key: BatchKey, entry: Entry, queue: Queue, now: float) -> Settlement:
    """Settle an event that does not fit into a create request of its route."""
    detail = (
        f"the event takes {entry.raw_bytes} bytes, and {entry.rendered_bytes} in the create "
        f"request; the limits are {key.profile.batch_bytes} (batch_bytes) and "
        f"{room_for_entries(key)}"
    )
    rejection = _rejection("too_large", detail, key.route.name, queue.name, entry.message, now)
    return _reject_or_leave(rejection, queue.reject_to, entry.message)


def of_failure(
    why: str,
    key: BatchKey,
    message: Message,
    *,
    launched: bool,
    reject_to: str | None,
    delay: float,
    now: float,
) -> Settlement:
    """
    Settle a message whose Machine failed, reported it as failed, or was not `launched` at all.

    Retry it after `delay` seconds, for which its ID and receive count are enough. With
    `max_attempts` used up, reject it, for which the message must have its body.
    """
    if not is_last_attempt(key, message):
        return Retry(delay, why)
    attempts = message.receive_count
    detail = why if launched else f"not launched in {attempts} attempts; the last failure: {why}"
    rejection = _rejection("max_attempts", detail, key.route.name, key.queue, message, now)
    return _reject_or_leave(rejection, reject_to, message)


def is_last_attempt(key: BatchKey, message: Message) -> bool:
    """Return whether a failure of this delivery is the last."""
    most = key.profile.max_attempts
    return most is not None and message.receive_count >= most


def retry_delay(
    receive_count: int, *, jitter: float, at_least: float = 0.0, held_for: float = 0.0
) -> float:
    """
    Return the seconds to hide a message before its next delivery.

    5 s after the first receive, doubled with each further one up to 15 minutes; `jitter` chooses
    between half of that and all. It is no less than the service asked for (`at_least`), and no more
    than the rest of SQS's 12 hours since the receive.
    """
    wanted = backoff(receive_count, first=_FIRST_RETRY, longest=_LONGEST_RETRY, jitter=jitter)
    return min(max(wanted, at_least), longest_hiding(held_for))


def park_delay(receive_count: int, *, held_for: float) -> float:
    """
    Return the seconds to hide a message whose profile may launch nothing, unless shown earlier.

    10 minutes, doubled with each receive: a day costs a message seven of them. If the router
    crashes, a message is delayed by about as long as it had waited already.
    """
    wanted = _FIRST_PARKING * 2.0 ** min(receive_count - 1, _MOST_DOUBLINGS)
    return min(wanted, longest_hiding(held_for))


def rejected_attributes(message: Message, rejection: Rejection) -> Mapping[str, Attribute] | None:
    """
    Return the attributes of the rejected message: its own and `lambdo_rejection`.

    None if SQS would not accept them: more than ten attributes, or more than 1 MiB in all.
    """
    attributes = {**message.attributes, REJECTION_ATTRIBUTE: rejection.attribute()}
    size = len(message.body.encode()) + sum(map(_attribute_bytes, attributes, attributes.values()))
    if len(attributes) > MOST_ATTRIBUTES or size > LARGEST_MESSAGE:
        return None
    return attributes


def _attribute_bytes(name: str, attribute: Attribute) -> int:
    value = attribute.value
    length = len(value) if isinstance(value, bytes) else len(value.encode())
    return len(name.encode()) + len(attribute.data_type.encode()) + length


def _rejection(
    reason: Reason, detail: str, route: str | None, queue: str, message: Message, now: float
) -> Rejection:
    return Rejection(
        reason=reason,
        detail=detail,
        route=route,
        queue=queue,
        message_id=message.id,
        attempts=message.receive_count,
        time=now,
    )


def _reject_or_leave(rejection: Rejection, reject_to: str | None, message: Message) -> Settlement:
    if reject_to is None:
        return Leave(rejection.reason, rejection.detail)
    if rejected_attributes(message, rejection) is None:
        return Leave(
            rejection.reason,
            f"{rejection.detail} (cannot be rejected: with {REJECTION_ATTRIBUTE} the message would "
            f"have more than {MOST_ATTRIBUTES} attributes or {LARGEST_MESSAGE} bytes)",
        )
    return Reject(reject_to, rejection)
