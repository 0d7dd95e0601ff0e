"""A message as it is sent, as it is kept, and as it is received."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from lambdo_router.core.message import Attribute


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is sent. `delay` in seconds; None: the queue's own."""

    body: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    delay: int | None = None
    trace_header: str | None = None
    group: str | None = None
    """On a FIFO queue the group whose order is kept; on a standard queue no more than a label."""
    deduplication: str | None = None
    """For FIFO queues only. None: the SHA-256 of the body, where the queue says so."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the sender is told. `sequence` is the message's number on a FIFO queue."""

    message_id: str
    sequence: str | None = None


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
    sequence: str | None = None
    receives: int = 0
    received_at: float | None = None
    first_received_at: float | None = None
    source_arn: str | None = None
    """ARN of the queue that a dead-lettered message came from."""
    changes: int = 0
    """How often its visibility was changed."""
    placement: int = 0
