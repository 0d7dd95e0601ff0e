"""Waiting for an event, but not for ever; and for something else, but not past an event."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def set_by(event: asyncio.Event, at: float | None) -> bool:
    """Whether the event is set by that time of the loop; returns then, or as soon as it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(at):
            await event.wait()
    return event.is_set()


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Whether the event is set within so many seconds; returns after them, or as soon as it is."""
    return await set_by(event, asyncio.get_running_loop().time() + seconds)


async def unless(event: asyncio.Event, unit: Awaitable[_T]) -> _T | None:
    """What the unit comes to; None, and the unit is cancelled, if the event is set before."""
    waiting = asyncio.ensure_future(unit)
    stopped = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        stopped.cancel()
