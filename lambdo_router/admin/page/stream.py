"""
Server-sent events: what has changed on the page, for as long as somebody has it open.

Each reader pulls: the next event is made when the one before is on its way, of everything that has
changed meanwhile. So a slow reader gets fewer and larger events, and holds one of them in memory,
never more. One who takes nothing for half a minute is cut off.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final

from starlette.types import Receive, Scope, Send

from lambdo_router.admin.changes import Watcher
from lambdo_router.admin.page.rendering import Rendered
from lambdo_router.admin.page.watching import FRESH, Watching, change
from lambdo_router.admin.serving import cut, disconnected

EVENT_STREAM: Final = "text/event-stream"
HEARTBEAT: Final = 15.0
"""Seconds after which something is sent even if nothing has changed."""
_LOOK: Final = 5.0
"""Seconds between two looks while nothing happens: counts of the last minute go down."""
_STALLED: Final = 30.0
"""Seconds that one event may take to leave."""
_RECONNECT: Final = 2000
"""Milliseconds before a browser whose connection was cut tries again."""


async def events(
    watching: Watching, watcher: Watcher, seen: Rendered | None
) -> AsyncGenerator[str, None]:
    """
    The events for one reader, who has seen that state of the page (None: nothing of it).

    At most two a second. Never ends by itself.
    """
    loop = asyncio.get_running_loop()
    yield f"retry: {_RECONNECT}\n\n"
    quiet_since = loop.time()
    while True:
        woken = loop.time()
        now = watching.now(woken)
        if seen is None or now.version != seen.version:
            yield event(now.version, change(seen, now))
            seen, quiet_since = now, loop.time()
        elif loop.time() - quiet_since >= HEARTBEAT:
            yield ": still here\n\n"
            quiet_since = loop.time()
        await asyncio.sleep(FRESH)
        # A state that was rendered for another reader may be from before what woke this one.
        if watching.rendered_at >= woken:
            await watcher.wait(_LOOK)


def event(version: str, data: object) -> str:
    """One event, in the format of the standard; JSON has no line breaks of its own here."""
    return f"id: {version}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


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
    """Raises TimeoutError if one event does not leave in time."""
    async with aclosing(source) as events_of:
        async for text in events_of:
            async with asyncio.timeout(_STALLED):
                await send({"type": "http.response.body", "body": text.encode(), "more_body": True})
