"""
The page as it is now, and the server-sent events that keep open pages up to date.

Everybody sees the same, so a state is rendered once for all readers, at most every half second and
only while somebody has the page open. The last few states are kept: a reader who has seen one of
them is sent what has changed since.

Each reader pulls: an event is made when the previous one has been sent, from everything that has
changed meanwhile. So a slow reader gets fewer and larger events, of which one is in memory. One who
takes nothing for half a minute is cut off.
"""

import asyncio
import itertools
import json
import math
import secrets
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.types import Receive, Scope, Send

from lambdo_router.admin.page.rendering import Region, Renderer, patch
from lambdo_router.admin.page.templates import assets
from lambdo_router.admin.page.views import verdict
from lambdo_router.admin.serving import cut, disconnected
from lambdo_router.core import journal
from lambdo_router.engine.waiting import set_within
from lambdo_router.telemetry.status import Status

EVENT_STREAM: Final = "text/event-stream"
MOST_READERS: Final = 64
_FRESH: Final = 0.5
"""Seconds for which a rendered state serves everybody."""
_KEPT: Final = 4
_HEARTBEAT: Final = 15.0
"""Seconds after which something is sent even if nothing has changed."""
_LOOK: Final = 5.0
"""Seconds between two looks while nothing happens: counts of the last minute go down."""
_STALLED: Final = 30.0
"""Seconds that sending one event may take."""
_RECONNECT: Final = 2000
"""Milliseconds before a browser whose connection was cut tries again."""


class TooManyReaders(Exception):
    """As many pages are open as may be."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A state of the page."""

    version: str
    at: float
    words: str
    """The whole in a few words, for the title."""
    tone: str
    regions: Mapping[str, Region]


@dataclass(slots=True)
class LivePage:
    """The states of the page, one after another, and its readers."""

    status: Callable[[], Status]
    most_readers: int = MOST_READERS
    _renderer: Renderer = field(default_factory=Renderer)
    _kept: OrderedDict[str, Rendered] = field(default_factory=OrderedDict)
    _versions: Iterator[int] = field(default_factory=itertools.count)
    _boot: str = field(default_factory=lambda: secrets.token_hex(4))
    """Another process has shown other states under the same numbers."""
    _rendered_at: float = -math.inf
    """When the status was last looked at, by the event loop's clock."""
    _readers: list[asyncio.Event] = field(default_factory=list)

    def observe(self, fact: journal.Fact) -> None:  # noqa: ARG002 - whatever it is
        """Wake the readers: something has happened."""
        for changed in self._readers:
            changed.set()

    @contextmanager
    def reader(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set by every fact. Raises TooManyReaders."""
        if len(self._readers) >= self.most_readers:
            raise TooManyReaders
        changed = asyncio.Event()
        self._readers.append(changed)
        try:
            yield changed
        finally:
            self._readers.remove(changed)

    def now(self, time: float) -> Rendered:
        """Return the state at `time` of the event loop, or one at most half a second older."""
        last = next(reversed(self._kept.values()), None)
        if last is not None and time - self._rendered_at < _FRESH:
            return last
        status = self.status()
        regions = self._renderer.regions(status)
        self._rendered_at = time
        if last is not None and last.regions == regions:
            return last
        version = f"{self._boot}-{next(self._versions)}"
        made = self._kept[version] = Rendered(version, status.at, *verdict(status), regions)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return made

    def seen(self, version: str) -> Rendered | None:
        """Return the state of this version, if it is still known."""
        return self._kept.get(version)

    async def events(
        self, changed: asyncio.Event, seen: Rendered | None
    ) -> AsyncGenerator[str, None]:
        """
        Yield the events for a reader who has seen that state of the page, at most two a second.

        Never ends by itself.
        """
        loop = asyncio.get_running_loop()
        yield f"retry: {_RECONNECT}\n\n"
        quiet_since = loop.time()
        while True:
            woken = loop.time()
            now = self.now(woken)
            if seen is None or now.version != seen.version:
                yield event(seen, now)
                seen, quiet_since = now, loop.time()
            elif loop.time() - quiet_since >= _HEARTBEAT:
                yield ": still here\n\n"
                quiet_since = loop.time()
            await asyncio.sleep(_FRESH)
            # A state rendered for another reader may be from before what woke this one.
            if self._rendered_at >= woken:
                await set_within(changed, _LOOK)
                changed.clear()


def event(before: Rendered | None, after: Rendered) -> str:
    """Return one server-sent event; for a reader who has seen nothing, everything is different."""
    change: dict[str, Any] = {
        "at": after.at,
        "assets": assets().digest,
        "regions": patch({} if before is None else before.regions, after.regions),
    }
    return f"id: {after.version}\ndata: {json.dumps(change, separators=(',', ':'))}\n\n"


async def send_events(
    scope: Scope, receive: Receive, send: Send, source: AsyncGenerator[str, None]
) -> None:
    """Answer a request with these events until its client has gone or takes no more of them."""
    headers = [(b"content-type", f"{EVENT_STREAM}; charset=utf-8".encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    sending = asyncio.ensure_future(_send_all(source, send))
    leaving = asyncio.ensure_future(disconnected(receive))
    try:
        await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if sending.done():
            with suppress(TimeoutError):
                sending.result()
            cut(scope)
    finally:
        sending.cancel()
        leaving.cancel()
        await asyncio.gather(sending, leaving, return_exceptions=True)


async def _send_all(source: AsyncGenerator[str, None], send: Send) -> None:
    """Send them; raise TimeoutError if one takes too long."""
    async with aclosing(source) as events:
        async for text in events:
            async with asyncio.timeout(_STALLED):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
