"""
Launch slots: who launches next.

Each app has a launch budget. Whoever wants to launch waits here for a slot of its app, and of the
routes that wait the one that was served longest ago is next, so that a route with a flood of
batches does not starve a quiet one.
"""

import asyncio
from collections import deque

from lambdo_router.core.throttle import TokenBucket

# A wait below the step of the loop's clock would come back at the same time, for ever.
_SHORTEST_WAIT = 0.001


class LaunchSlots:
    """The slots of one app, on the running event loop's clock."""

    def __init__(self, budget: TokenBucket) -> None:
        self._budget = budget
        self._turns: dict[str, deque[asyncio.Future[None]]] = {}
        self._served: dict[str, int] = {}
        self._grants = 0
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, route: str) -> None:
        """Wait for a slot. Cancelling the wait costs nobody a slot."""
        turn = asyncio.get_running_loop().create_future()
        self._turns.setdefault(route, deque()).append(turn)
        self._grant()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release()
            else:
                self._leave(route, turn)
            raise

    def expected_wait(self) -> float:
        """Seconds that one who asked now would wait, if all who wait came before."""
        waiting = sum(map(len, self._turns.values()))
        return self._budget.wait_behind(waiting, asyncio.get_running_loop().time())

    def release(self) -> None:
        """A slot that was acquired is not needed after all."""
        self._budget.release()
        self._grant()

    def pause(self, seconds: float) -> None:
        """Fly wants us to wait: hand out nothing for so long."""
        self._budget.pause(asyncio.get_running_loop().time() + seconds)

    def _grant(self) -> None:
        """Hand out what the budget allows, and come back for the rest."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._turns:
            wait = self._budget.wait(loop.time())
            if wait > 0:
                self._timer = loop.call_later(max(wait, _SHORTEST_WAIT), self._grant)
                return
            route = min(self._turns, key=lambda waiting: self._served.get(waiting, 0))
            turn = self._turns[route].popleft()
            if not self._turns[route]:
                del self._turns[route]
            if not turn.done():  # else its waiter was cancelled and has yet to notice
                self._grants += 1
                self._served[route] = self._grants
                self._budget.take(loop.time())
                turn.set_result(None)

    def _leave(self, route: str, turn: asyncio.Future[None]) -> None:
        waiting = self._turns.get(route)
        if waiting is not None and turn in waiting:
            waiting.remove(turn)
            if not waiting:
                del self._turns[route]
