"""The rate of calls of one kind: Fly accepts one a second, with a burst of three."""

import asyncio
from typing import Final

from lambdo_router.core.throttle import TokenBucket

_SHORTEST: Final = 0.001
"""Seconds: a wait below the clock's own steps might never end."""


class RateLimiter:
    """Lets callers through at a rate, in order of arrival."""

    def __init__(self, rate: float, burst: int) -> None:
        """`rate` a second, `burst` at once."""
        # Fly counts creates, lists and all other calls alike, each kind for itself.
        self._budget = TokenBucket(rate, burst)
        self._queue = asyncio.Lock()

    async def turn(self) -> None:
        """Wait for a turn. Cancelling the wait costs nobody else's."""
        clock = asyncio.get_running_loop().time
        async with self._queue:
            while (wait := self._budget.wait(clock())) > 0:  # noqa: ASYNC110 - for the clock
                await asyncio.sleep(max(wait, _SHORTEST))
            self._budget.take(clock())

    def pause(self, seconds: float) -> None:
        """Let nobody through for this many seconds."""
        self._budget.pause(asyncio.get_running_loop().time() + seconds)
