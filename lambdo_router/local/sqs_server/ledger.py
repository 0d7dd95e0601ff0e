"""What happened to which message, in order: the embedded server's own account."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

Kind = Literal[
    "sent",
    "deduplicated",  # a duplicate for a FIFO queue, by the id of the message that it repeats
    "received",
    "replayed",  # received again by the same ReceiveRequestAttemptId, with the same receipt
    "deleted",
    "delete_ignored",  # the receipt was stale or the message gone: SQS answers 200 all the same
    "visibility",
    "dead_lettered",
    "expired",
    "purged",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One effect on one message, at `at` seconds since the epoch."""

    at: float
    kind: Kind
    queue: str
    message_id: str
    receipt: str = ""
    receives: int = 0
    """How often the message had been received by then, the receive of this entry included."""
    seconds: float | None = None
    """How long the message is hidden from now on: sent, received, replayed, visibility."""
    target: str = ""
    """Name of the queue a dead-lettered message went to."""
    group: str = ""
    """The message's MessageGroupId, if it has one."""
    fault: str = ""
    """Kind of the fault that the call had met, such as `LoseAnswer`; empty without one."""


@dataclass(slots=True)
class Ledger:
    """The entries, oldest first; with a `limit` the oldest are forgotten beyond it."""

    limit: int | None = None
    listeners: list[Callable[[Entry], None]] = field(default_factory=list)
    """Called with each entry as it is written."""
    entries: deque[Entry] = field(init=False)
    _fault: str = ""
    """The fault of the call under way, for the entries it writes."""

    def __post_init__(self) -> None:
        self.entries = deque(maxlen=self.limit)

    @contextmanager
    def under(self, fault: str) -> Iterator[None]:
        """Entries that are written in this block were caused by a call that met `fault`."""
        self._fault = fault
        try:
            yield
        finally:
            self._fault = ""

    def write(self, entry: Entry) -> None:
        """Add the entry, with the fault it happened under."""
        entry = replace(entry, fault=self._fault) if self._fault else entry
        self.entries.append(entry)
        for listener in self.listeners:
            listener(entry)

    def of(self, message_id: str) -> list[Entry]:
        """All that happened to one message, oldest first."""
        return [entry for entry in self.entries if entry.message_id == message_id]
