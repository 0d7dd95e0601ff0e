"""
Messages that wait for their profile, here or put back because it may launch nothing now.

Parked messages are hidden for long, since each delivery counts against a message, and remembered by
receipt alone, so that they can be shown again as soon as their profile may launch. Pure: time is an
argument, in seconds of any clock that does not jump.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

_REMEMBERED = 10_000
"""
Messages of one queue, a few kB each ten. Those beyond come back when their time is up; SQS hides no
more than about 120,000 of a queue.
"""
_AWAITED = 60.0
"""Seconds in which a message that was recalled should come; after that another router has it."""
_MARGIN = 2.0
"""Seconds before the end of its time in which a message is left to come by itself."""


class Group(NamedTuple):
    """What messages wait for: a profile as written, or all variants by senders' overrides."""

    profile: str
    """Its name in the routes file."""
    overridden: bool = False


@dataclass(slots=True)
class WaitingMessages:
    """The messages that wait for a launch, by what they wait for."""

    _group_of: dict[str, Group] = field(default_factory=dict)
    _counts: Counter[Group] = field(default_factory=Counter)

    def add(self, message_ids: Iterable[str], group: Group) -> None:
        """Count these messages among those that wait for `group`, and for nothing else."""
        for message_id in message_ids:
            before = self._group_of.get(message_id)
            if before != group:
                if before is not None:
                    self.remove((message_id,))
                self._group_of[message_id] = group
                self._counts[group] += 1

    def remove(self, message_ids: Iterable[str]) -> None:
        """Count these messages no more; those that do not wait are ignored."""
        for message_id in message_ids:
            group = self._group_of.pop(message_id, None)
            if group is not None:
                self._counts[group] -= 1
                if not self._counts[group]:
                    del self._counts[group]

    def all_wait_for(self, message_ids: Iterable[str], group: Group) -> bool:
        """Return whether all these messages wait for `group` already."""
        return all(self._group_of.get(message_id) == group for message_id in message_ids)

    def count(self, group: Group) -> int:
        """Return how many messages wait for `group`."""
        return self._counts[group]

    def newest(self, group: Group, count: int) -> list[str]:
        """Return at most `count` messages that wait for `group`, the last first."""
        newest = (i for i, waits_for in reversed(self._group_of.items()) if waits_for == group)
        return list(islice(newest, count))


@dataclass(frozen=True, slots=True)
class Parked:
    """A hidden message; its receipt is good until somebody receives it."""

    message_id: str
    receipt: str
    hidden_until: float
    weight: int = 1
    """How many messages a receive will bring with it: in a FIFO queue, those of its group."""


@dataclass(slots=True)
class _ParkedGroup:
    parked: dict[str, Parked] = field(default_factory=dict)
    recalled: dict[str, tuple[float, int]] = field(default_factory=dict)
    """Until when each message that was shown again is awaited, and its weight."""


@dataclass(slots=True)
class ParkingLot:
    """The parked messages of one queue, by what they wait for."""

    _groups: dict[Group, _ParkedGroup] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(group.parked) for group in self._groups.values())

    def groups(self) -> tuple[Group, ...]:
        """Return what some message is parked for."""
        return tuple(name for name, group in self._groups.items() if group.parked)

    def park(self, group: Group, messages: Iterable[Parked]) -> None:
        """Remember hidden messages, as far as there is room."""
        known = self._groups.setdefault(group, _ParkedGroup())
        for message in messages:
            known.recalled.pop(message.message_id, None)
            if len(self) < _REMEMBERED:
                known.parked[message.message_id] = message

    def arrived(self, message_id: str) -> None:
        """Forget a message that was received again."""
        for name, group in tuple(self._groups.items()):
            group.parked.pop(message_id, None)
            group.recalled.pop(message_id, None)
            if not group.parked and not group.recalled:
                del self._groups[name]

    def awaited(self, group: Group, now: float) -> int:
        """Return the weight of a group's recalled messages that were not received yet."""
        known = self._groups.get(group)
        if known is None:
            return 0
        for message_id in [i for i, (until, _) in known.recalled.items() if until <= now]:
            del known.recalled[message_id]
        return sum(weight for _, weight in known.recalled.values())

    def recall(self, group: Group, count: int, now: float) -> tuple[Parked, ...]:
        """Take out messages to be shown again, longest parked first, until they weigh `count`."""
        known = self._groups.get(group)
        taken: list[Parked] = []
        while known is not None and known.parked and count > 0:
            message = known.parked.pop(next(iter(known.parked)))
            if message.hidden_until > now + _MARGIN:
                known.recalled[message.message_id] = (now + _AWAITED, message.weight)
                taken.append(message)
                count -= message.weight
        return tuple(taken)
