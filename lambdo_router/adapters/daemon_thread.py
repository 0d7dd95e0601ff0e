"""
A blocking call in a thread of its own, whose end nobody needs to wait for.

asyncio.to_thread would do but for the exit: Python waits there for its threads, and so for a
program that gives credentials or a store that does not answer.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

_T = TypeVar("_T")


async def in_daemon_thread(call: Callable[[], _T], name: str) -> _T:
    """
    Return the result of `call`, or raise its error, from a daemon thread of this name.

    Cancelling does not end the call; what it brings then is lost.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[_T] = loop.create_future()

    def make() -> None:
        try:
            settle = partial(outcome.set_result, call())
        except Exception as error:  # noqa: BLE001 - it goes to the caller, whatever it is
            settle = partial(outcome.set_exception, error)
        with suppress(RuntimeError):  # the loop is closed, and the caller with it
            loop.call_soon_threadsafe(lambda: None if outcome.done() else settle())

    threading.Thread(target=make, name=name, daemon=True).start()
    return await outcome
