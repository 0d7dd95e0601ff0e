"""
Daemon threads that make blocking calls for an event loop.

asyncio's own executor would do but for two things: at exit Python waits for its threads, up to
half a minute for a long poll, and what a call brings after its caller has gone is lost. Here
nobody waits for a thread, and such a late result is handed to `late`.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def _let_go(_: object) -> None:
    """The outcome of most calls is worth nothing to anyone but the caller."""


class _Calls:
    """The calls that wait for a thread, and how many wait or are being made."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self.open = 0
        self.lock = threading.Lock()


class Threads:
    """
    At most `count` threads that work off calls in the order in which they come.

    They are started as they are needed: a queue that is quiet has one poll under way, and a busy
    one many.
    """

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._started = 0
        self._calls = _Calls()

    async def run(self, call: Callable[[], _T], late: Callable[[_T], None] = _let_go) -> _T:
        """
        What `call` returns or raises in one of the threads. Cancelling does not end the call.

        If the caller has gone by the time it returns, `late` gets its result, on the loop or, if
        that is closed, in the thread; it must not block.
        """
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[_T] = loop.create_future()

        def make() -> None:
            try:
                result = call()
            except Exception as error:  # noqa: BLE001 - it goes to the caller, whatever it is
                _tell(loop, partial(_fail, outcome, error))
            else:
                if not _tell(loop, partial(_hand_over, outcome, result, late)):
                    late(result)

        self.submit(make)
        return await outcome

    def submit(self, call: Callable[[], None]) -> None:
        """Have a call made whose outcome nobody waits for."""
        with self._calls.lock:
            self._calls.open += 1
            if self._started < min(self._calls.open, self._count):
                self._start()
        self._calls.waiting.put(call)

    def stop(self) -> None:
        """End the threads once they have made the calls that wait; returns at once."""
        with self._calls.lock:
            for _ in range(self._started):
                self._calls.waiting.put(None)
            self._started = 0

    def _start(self) -> None:
        name = f"{self._name}-{self._started}"
        self._started += 1
        threading.Thread(target=_work, args=(self._calls,), name=name, daemon=True).start()


def _work(calls: _Calls) -> None:
    """Not a method: a thread that holds its owner would keep it, and so itself, for ever."""
    while (call := calls.waiting.get()) is not None:
        try:
            call()
        except Exception:  # noqa: BLE001 - what fails for nobody must not end the thread
            _log.exception("thread.failed")
        del call
        with calls.lock:
            calls.open -= 1


def _tell(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> bool:
    """Have the loop call this; False if it is closed, and the caller with it."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(call)
        return True
    return False


def _hand_over(outcome: "asyncio.Future[_T]", result: _T, late: Callable[[_T], None]) -> None:
    if outcome.done():
        late(result)
    else:
        outcome.set_result(result)


def _fail(outcome: "asyncio.Future[_T]", error: Exception) -> None:
    if not outcome.done():
        outcome.set_exception(error)
