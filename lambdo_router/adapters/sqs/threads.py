"""
Daemon threads that make blocking calls for an event loop.

asyncio's own executor would do but for two things: at exit Python waits for its threads, up to
half a minute for a long poll, and what a call brings after its caller has gone is lost. Here
nobody waits for a thread, and such a late result is handed to `late`.
"""

import asyncio
import itertools
import logging
import queue
import threading
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


def _let_go(_: object) -> None:
    """Do nothing: the outcome of most calls concerns only the caller."""


_IDLE = 60.0
"""Seconds after which a thread that nobody needs ends."""


class _Calls:
    """The calls that wait for a thread, and what the threads know of each other."""

    def __init__(self, idle: float) -> None:
        self.waiting: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        """None only wakes a thread, so that it sees that `idle` has changed."""
        self.idle = idle
        self.open = 0
        """Calls that wait or are being made."""
        self.threads = 0
        self.lock = threading.RLock()
        """Reentrant, because a garbage collection while it is held may stop these very threads."""


class Threads:
    """
    At most `count` threads that make calls in the order in which they come.

    A thread is started when there is a call for it, and ends when it has been idle for `idle`
    seconds: a quiet queue has one poll under way, a busy one many. All of them end when nobody
    holds this object any more and the calls that wait have been made.
    """

    def __init__(self, name: str, count: int, idle: float = _IDLE) -> None:
        self._name = name
        self._count = count
        self._numbers = itertools.count()
        self._calls = _Calls(idle)
        weakref.finalize(self, _stop, self._calls).atexit = False

    async def run(self, call: Callable[[], _T], late: Callable[[_T], None] = _let_go) -> _T:
        """
        Run `call` in one of the threads and return its result. Cancelling does not end the call.

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
        calls = self._calls
        with calls.lock:
            if calls.threads < min(calls.open + 1, self._count):
                name = f"{self._name}-{next(self._numbers)}"
                threading.Thread(target=_work, args=(calls,), name=name, daemon=True).start()
                calls.threads += 1
            calls.open += 1
            calls.waiting.put(call)

    def stop(self) -> None:
        """End the threads once they have made the calls that wait; returns at once."""
        _stop(self._calls)


def _stop(calls: _Calls) -> None:
    with calls.lock:
        calls.idle = 0.0
        for _ in range(calls.threads):
            calls.waiting.put(None)


def _work(calls: _Calls) -> None:
    """Not a method: a thread that holds its owner would keep it, and so itself, for ever."""
    while True:
        try:
            call = calls.waiting.get(timeout=calls.idle)
        except queue.Empty:
            with calls.lock:
                if calls.waiting.empty():
                    calls.threads -= 1
                    return
            continue
        if call is None:
            continue
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
