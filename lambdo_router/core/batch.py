"""
Batches: events of one route that will share a Machine.

A batch is open while it takes events. It is *due* when it is full, or when its window has passed
and the queue is not about to bring more; a due batch still takes events until a launch slot is free
and `take` closes it. So an idle system launches each event at once, and under load batches grow by
themselves.

Pure: time is an argument, in seconds of any clock that does not jump.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from lambdo_router.core.message import Event, Message
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Route


@dataclass(frozen=True, slots=True)
class BatchKey:
    """
    What events must have in common to share a Machine.

    The frozen route is part of it: after a reload an unchanged route goes on filling its batch, a
    changed one is another key, and the old batch launches with what its events were routed by.
    """

    queue: str
    route: Route
    profile: Profile
    """The route's profile with the sender's overrides."""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Of what nearly always differs; equality compares all fields.
        parts = (self.queue, self.route.name, self.profile.image, self.profile.size)
        object.__setattr__(self, "_hash", hash(parts))

    def __hash__(self) -> int:
        return self._hash

    def within(self, app: str) -> "BatchKey":
        """Return the key for a launch in this app of the profile."""
        profile = self.profile.within(app)
        return self if profile is self.profile else replace(self, profile=profile)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event of a batch, with the message that brought it and the room it takes."""

    message: Message
    event: Event
    raw_bytes: int
    """Bytes in /tmp/events.json."""
    rendered_bytes: int
    """The most bytes that it can add to the create request."""
    described: str = "{}"
    """The message's JSON in /tmp/batch.json."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A closed batch: what one Machine gets."""

    key: BatchKey
    entries: tuple[Entry, ...]
    message_ids: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """The messages, in the order of the events."""

    @property
    def raw_bytes(self) -> int:
        """Bytes of its events."""
        return sum([entry.raw_bytes for entry in self.entries])

    def __post_init__(self) -> None:
        ids = tuple([entry.message.id for entry in self.entries])
        object.__setattr__(self, "message_ids", ids)


@dataclass(slots=True)
class _OpenBatch:
    opened_at: float
    entries: dict[str, Entry] = field(default_factory=dict)
    raw_bytes: int = 0
    rendered_bytes: int = 0
    full: bool = False

    def put(self, entry: Entry) -> None:
        self.entries[entry.message.id] = entry
        self.raw_bytes += entry.raw_bytes
        self.rendered_bytes += entry.rendered_bytes

    def remove(self, message_id: str) -> None:
        entry = self.entries.pop(message_id)
        self.raw_bytes -= entry.raw_bytes
        self.rendered_bytes -= entry.rendered_bytes


@dataclass(slots=True)
class _Waiting:
    room: int
    batches: deque[_OpenBatch] = field(default_factory=deque)


_LONGEST_FILLING = 1.0
"""Seconds that a batch waits for a backlog to fill it."""


class Batcher:
    """The open batches of one queue, by key; several per key when events come faster than slots."""

    def __init__(self, room: Callable[[BatchKey], int]) -> None:
        """`room` says how many bytes a create request of this key has for its entries."""
        self._room = room
        self._waiting: dict[BatchKey, _Waiting] = {}
        self._key_of: dict[str, BatchKey] = {}

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._key_of)

    def add(self, key: BatchKey, entry: Entry, now: float) -> None:
        """Put an entry into the newest batch of its key, or open another. It must fit alone."""
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = _Waiting(self._room(key))
        batches = waiting.batches
        if not batches or batches[-1].full or not _has_room(key, waiting.room, batches[-1], entry):
            if batches:
                batches[-1].full = True
            batches.append(_OpenBatch(now))
        batches[-1].put(entry)
        batches[-1].full = len(batches[-1].entries) >= key.profile.batch_size
        self._key_of[entry.message.id] = key

    def waiting_by_route(self) -> dict[str, int]:
        """Return how many events wait, by the names of their routes."""
        counts: dict[str, int] = {}
        for key, waiting in self._waiting.items():
            events = sum(len(batch.entries) for batch in waiting.batches)
            counts[key.route.name] = counts.get(key.route.name, 0) + events
        return counts

    def due_at(self, key: BatchKey, more_until: float = 0.0) -> float | None:
        """
        Return when the oldest batch of this key may launch; None if there is none.

        Until `more_until` the queue is expected to bring more at once. A batch that is not full
        waits for that, for at most a second.
        """
        waiting = self._waiting.get(key)
        if waiting is None:
            return None
        oldest = waiting.batches[0]
        if oldest.full:
            return oldest.opened_at
        filled_at = min(more_until, oldest.opened_at + _LONGEST_FILLING)
        return max(oldest.opened_at + key.profile.batch_window, filled_at)

    def take(self, key: BatchKey) -> Batch | None:
        """Close and return the oldest batch of this key; None if none waits (any more)."""
        waiting = self._waiting.get(key)
        if waiting is None:
            return None
        oldest = waiting.batches.popleft()
        self._forget_if_empty(key, waiting)
        for message_id in oldest.entries:
            del self._key_of[message_id]
        return Batch(key, tuple(oldest.entries.values()))

    def withdraw(self, message_id: str) -> str | None:
        """Take one event out; the name of its route, None if it does not wait here."""
        key = self._key_of.get(message_id)
        return key.route.name if key is not None and self.drop(message_id) else None

    def drop(self, message_id: str) -> bool:
        """Take one event out, because its lease was lost; False if it does not wait here."""
        key = self._key_of.pop(message_id, None)
        if key is None:
            return False
        waiting = self._waiting[key]
        batch = next(batch for batch in waiting.batches if message_id in batch.entries)
        batch.remove(message_id)
        if not batch.entries:
            waiting.batches.remove(batch)
            self._forget_if_empty(key, waiting)
        return True

    def drain(self) -> Iterator[Batch]:
        """Close every batch, oldest first within its key; afterwards nothing waits."""
        for key in tuple(self._waiting):
            while (batch := self.take(key)) is not None:
                yield batch

    def _forget_if_empty(self, key: BatchKey, waiting: _Waiting) -> None:
        if not waiting.batches:
            del self._waiting[key]


def _has_room(key: BatchKey, room: int, batch: _OpenBatch, entry: Entry) -> bool:
    # One byte for the comma between events.
    raw = batch.raw_bytes + len(batch.entries) + entry.raw_bytes
    return raw <= key.profile.batch_bytes and batch.rendered_bytes + entry.rendered_bytes <= room
