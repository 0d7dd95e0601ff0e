"""Wait for an event with a deadline, or for something else until an event is set."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

_T = TypeVar("_T")


async def set_by(event: asyncio.Event, at: float | None) -> bool:
    """Wait for the event until this time of the loop; return whether it is set."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(at):
            await event.wait()
    return event.is_set()


async def set_within(event: asyncio.Event, seconds: float) -> bool:
    """Wait for the event for so many seconds; return whether it is set."""
    return await set_by(event, asyncio.get_running_loop().time() + seconds)


async def unless(event: asyncio.Event, unit: Awaitable[_T]) -> _T | None:
    """Return the result of `unit`; None, and it is cancelled, if the event is set first."""
    waiting = asyncio.ensure_future(unit)
    stopped = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({waiting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        return waiting.result() if waiting.done() else None
    finally:
        waiting.cancel()
        stopped.cancel()
