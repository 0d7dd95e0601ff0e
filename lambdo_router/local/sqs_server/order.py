"""
Which messages may be received now, and in which order.

A standard queue hands out its messages one by one, in the order in which they became visible. A
FIFO queue hands out groups: of each group the messages from its first one up to, and not including,
the first that is hidden. So while any message of a group is in flight nobody gets one that was sent
after it; and of three that were received together the first comes back at its own time, although
the second was hidden for longer, and the third does not.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import takewhile

from lambdo_router.local.sqs_server.messages import Stored


@dataclass(slots=True, eq=False)
class _Group:
    """Messages in the order of sending; the first decides when they may be received."""

    messages: OrderedDict[str, Stored] = field(default_factory=OrderedDict)
    placement: int = 0

    @property
    def first(self) -> Stored:
        return next(iter(self.messages.values()))


@dataclass(slots=True)
class ReceiveOrder:
    """
    Groups in the order in which they became visible; on a standard queue each message is a group.

    A group is never searched for: when it moves, its `placement` number grows, and entries with an
    older number are skipped.
    """

    fifo: bool
    _groups: dict[str, _Group] = field(default_factory=dict)
    _ready: deque[tuple[int, _Group]] = field(default_factory=deque)
    _hidden: list[tuple[float, int, _Group]] = field(default_factory=list)
    """A heap by the time at which groups become visible."""
    _placements: int = 0

    def place(self, message: Stored, now: float) -> None:
        """Take account of a message that is new, or whose `visible_at` has changed."""
        group = self._groups.setdefault(self._key(message), _Group())
        group.messages[message.id] = message
        if message is group.first:
            self._move(group, now)

    def remove(self, message: Stored, now: float) -> None:
        """Forget a message that has left the queue."""
        group = self._groups[self._key(message)]
        was_first = message is group.first
        del group.messages[message.id]
        if not group.messages:
            del self._groups[self._key(message)]
            group.placement = 0
        elif was_first:
            self._move(group, now)

    def visible(self, now: float) -> Iterator[Stored]:
        """
        Yield the messages that may be received, in order.

        Each must be placed or removed afterwards, and none before the end.
        """
        self._show_due(now)
        while self._ready:
            placement, group = self._ready.popleft()
            if placement == group.placement:
                yield from takewhile(lambda each: each.visible_at <= now, group.messages.values())

    def next_visible_at(self, now: float) -> float | None:
        """Return when more messages become visible by themselves; None if none will."""
        self._show_due(now)
        return self._hidden[0][0] if self._hidden else None

    def _key(self, message: Stored) -> str:
        return message.content.group or "" if self.fifo else message.id

    def _move(self, group: _Group, now: float) -> None:
        self._placements += 1
        group.placement = self._placements
        if group.first.visible_at > now:
            heapq.heappush(self._hidden, (group.first.visible_at, self._placements, group))
        else:
            self._show_due(now)  # those that became visible before this one go first
            self._ready.append((self._placements, group))

    def _show_due(self, now: float) -> None:
        while self._hidden:
            visible_at, placement, group = self._hidden[0]
            outdated = placement != group.placement
            if visible_at > now and not outdated:
                break
            heapq.heappop(self._hidden)
            if not outdated:
                self._ready.append((placement, group))
