"""
Which messages may be received now, and in which order.

A standard queue hands out its messages one by one, in the order in which they became visible. A
FIFO queue hands out groups: of each group the messages from its first one up to, and not with, the
first that is hidden. So while any message of a group is in flight nobody gets one that was sent
after it; and of three that were received together the first comes back at its own time, although
the second was hidden for longer, and the third does not.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Generic, Protocol, TypeVar

from lambdo_router.local.sqs_server.messages import Stored


class _Placed(Protocol):
    placement: int

    @property
    def visible_at(self) -> float: ...


_P = TypeVar("_P", bound=_Placed)


@dataclass(slots=True)
class _Shelves(Generic[_P]):
    """
    Things that are ready, in the order in which they became visible, and things that are hidden, a
    heap by the time at which they become visible again.

    A thing is never searched for on a shelf: when it moves, its `placement` number grows, and
    what lies there under an older number is passed over.
    """

    _ready: deque[tuple[int, _P]] = field(default_factory=deque)
    _hidden: list[tuple[float, int, _P]] = field(default_factory=list)
    _placements: int = 0

    def place(self, thing: _P, now: float) -> None:
        self._placements += 1
        thing.placement = self._placements
        if thing.visible_at > now:
            heapq.heappush(self._hidden, (thing.visible_at, self._placements, thing))
        else:
            self._ripen(now)  # those that became visible before this one go first
            self._ready.append((self._placements, thing))

    def withdraw(self, thing: _P) -> None:
        thing.placement = 0

    def take(self, now: float) -> _P | None:
        """Take off what has been visible for the longest; None if nothing is."""
        self._ripen(now)
        while self._ready:
            placement, thing = self._ready.popleft()
            if placement == thing.placement:
                return thing
        return None

    def next_visible_at(self, now: float) -> float | None:
        """When the next hidden thing becomes visible; None if none is hidden."""
        self._ripen(now)
        return self._hidden[0][0] if self._hidden else None

    def _ripen(self, now: float) -> None:
        while self._hidden and (self._is_outdated() or self._hidden[0][0] <= now):
            _, placement, thing = heapq.heappop(self._hidden)
            if placement == thing.placement:
                self._ready.append((placement, thing))

    def _is_outdated(self) -> bool:
        _, placement, thing = self._hidden[0]
        return placement != thing.placement


class Order(Protocol):
    """The order of one queue. Time comes in as `now`, seconds since the epoch."""

    def place(self, message: Stored, now: float) -> None:
        """Take account of a message that is new, or whose `visible_at` has changed."""
        ...

    def remove(self, message: Stored, now: float) -> None:
        """Forget a message that has left the queue."""
        ...

    def visible(self, now: float) -> Iterator[Stored]:
        """
        The messages that may be received, in order, one at a time.

        Each that this yields has to be placed or removed afterwards, and none before the end.
        """
        ...

    def next_visible_at(self, now: float) -> float | None:
        """When more messages become visible by themselves; None if none will."""
        ...


@dataclass(slots=True)
class StandardOrder:
    """First visible, first received."""

    _shelves: _Shelves[Stored] = field(default_factory=_Shelves[Stored])

    def place(self, message: Stored, now: float) -> None:
        self._shelves.place(message, now)

    def remove(self, message: Stored, now: float) -> None:  # noqa: ARG002 # part of the protocol
        self._shelves.withdraw(message)

    def visible(self, now: float) -> Iterator[Stored]:
        while (message := self._shelves.take(now)) is not None:
            yield message

    def next_visible_at(self, now: float) -> float | None:
        return self._shelves.next_visible_at(now)


@dataclass(slots=True, eq=False)
class _Group:
    """Messages of one group in the order of sending; its first decides when it is visible."""

    messages: OrderedDict[str, Stored] = field(default_factory=OrderedDict)
    placement: int = 0

    @property
    def first(self) -> Stored:
        return next(iter(self.messages.values()))

    @property
    def visible_at(self) -> float:
        return self.first.visible_at


@dataclass(slots=True)
class FifoOrder:
    """Groups in the order in which they became visible, and each in the order of sending."""

    _groups: dict[str, _Group] = field(default_factory=dict)
    _shelves: _Shelves[_Group] = field(default_factory=_Shelves[_Group])

    def place(self, message: Stored, now: float) -> None:
        group = self._groups.setdefault(_name_of_group(message), _Group())
        group.messages[message.id] = message
        if message is group.first:
            self._shelves.place(group, now)

    def remove(self, message: Stored, now: float) -> None:
        name = _name_of_group(message)
        group = self._groups[name]
        was_first = message is group.first
        del group.messages[message.id]
        if not group.messages:
            self._shelves.withdraw(self._groups.pop(name))
        elif was_first:
            self._shelves.place(group, now)

    def visible(self, now: float) -> Iterator[Stored]:
        while (group := self._shelves.take(now)) is not None:
            yield from takewhile(lambda each: each.visible_at <= now, group.messages.values())

    def next_visible_at(self, now: float) -> float | None:
        return self._shelves.next_visible_at(now)


def _name_of_group(message: Stored) -> str:
    return message.content.group or ""
