"""
Tells who watches that something has changed, and nothing more.

However many facts come in, a watcher has at most one word waiting for it: that it should look
again. So a slow reader costs nothing, and a flood of messages does not become a flood of events.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lambdo_router.core import journal
from lambdo_router.engine.waiting import set_within


class TooManyWatchers(Exception):
    """There are as many as there may be."""


@dataclass(slots=True)
class Watcher:
    """One who watches."""

    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, at_most: float) -> bool:
        """Wait for a change since the last call, at most so many seconds; whether there was one."""
        await set_within(self._changed, at_most)
        changed = self._changed.is_set()
        self._changed.clear()
        return changed

    def tell(self) -> None:
        """Something has changed."""
        self._changed.set()


@dataclass(slots=True)
class Changes:
    """All watchers; an Observer tells them."""

    most: int = 64
    _watchers: list[Watcher] = field(default_factory=list)

    @contextmanager
    def watched(self) -> Iterator[Watcher]:
        """Watch for as long as the block lasts. Raises TooManyWatchers."""
        if len(self._watchers) >= self.most:
            raise TooManyWatchers
        watcher = Watcher()
        self._watchers.append(watcher)
        try:
            yield watcher
        finally:
            self._watchers.remove(watcher)

    def observe(self, fact: journal.Fact) -> None:  # noqa: ARG002 - whatever it is
        """Something has happened: an Observer."""
        for watcher in self._watchers:
            watcher.tell()
