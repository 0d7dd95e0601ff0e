"""A message as it is sent, kept and received, and the account of what happened to it."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from lambdo_router.core.message import Attribute


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as it is sent. `delay` in seconds; None: the queue's own."""

    body: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    delay: int | None = None
    trace_header: str | None = None
    group: str | None = None
    """On a FIFO queue the group whose order is kept; on a standard queue only a label."""
    deduplication: str | None = None
    """For FIFO queues only. None: the SHA-256 of the body, if the queue says so."""


Sent = tuple[str, str | None]
"""What the sender is told: the message's id, and on a FIFO queue its number."""


@dataclass(slots=True, eq=False)
class Stored:
    """A message on its queue."""

    id: str
    content: NewMessage
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


EffectKind = Literal[
    "sent",
    "deduplicated",  # a duplicate for a FIFO queue, by the id of the message that it repeats
    "received",
    "replayed",  # received again by the same ReceiveRequestAttemptId, with the same receipt
    "deleted",
    "delete_ignored",  # the receipt was stale or the message gone: SQS still answers 200
    "visibility",
    "dead_lettered",
    "expired",
    "purged",
]


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One effect on one message, at `at` seconds since the epoch."""

    at: float
    kind: EffectKind
    queue: str
    message_id: str
    receipt: str = ""
    receives: int = 0
    """How often the message had been received, the receive of this entry included."""
    seconds: float | None = None
    """How long the message is hidden from now on: sent, received, replayed, visibility."""
    target: str = ""
    """Name of the queue that a dead-lettered message went to."""
    group: str = ""
    """The message's MessageGroupId, if it has one."""
    fault: str = ""
    """Kind of the fault that the call had met, such as `LoseAnswer`; empty without one."""


@dataclass(slots=True)
class Ledger:
    """The entries, oldest first; with a `limit` the oldest are forgotten beyond it."""

    limit: int | None = None
    listeners: list[Callable[[LedgerEntry], None]] = field(default_factory=list)
    """Called with each entry as it is written."""
    entries: deque[LedgerEntry] = field(init=False)
    _fault: str = ""

    def __post_init__(self) -> None:
        self.entries = deque(maxlen=self.limit)

    @contextmanager
    def under(self, fault: str) -> Iterator[None]:
        """Mark entries written in this block as caused by a call that met `fault`."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = ""

    def write(self, entry: LedgerEntry) -> None:
        """Add the entry, with the fault it happened under."""
        entry = replace(entry, fault=self._fault) if self._fault else entry
        self.entries.append(entry)
        for listener in self.listeners:
            listener(entry)

    def note(
        self,
        kind: EffectKind,
        queue: str,
        message: Stored,
        now: float,
        *,
        receipt: str = "",
        seconds: float | None = None,
        target: str = "",
    ) -> None:
        """Write an entry about a message as it is now."""
        group, receives = message.content.group or "", message.receives
        self.write(
            LedgerEntry(now, kind, queue, message.id, receipt, receives, seconds, target, group)
        )

    def of(self, message_id: str) -> list[LedgerEntry]:
        """Return everything that happened to one message, oldest first."""
        return [entry for entry in self.entries if entry.message_id == message_id]
