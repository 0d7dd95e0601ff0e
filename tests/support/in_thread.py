"""An async context on a loop of its own, in a thread, for tests that must not be async."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class InThread(Generic[T]):
    """What the context yields, and the way to its loop."""

    value: T
    loop: asyncio.AbstractEventLoop

    def call(self, function: Callable[[], R]) -> R:
        """What the function returns, called on the loop."""

        async def called() -> R:
            return function()

        return asyncio.run_coroutine_threadsafe(called(), self.loop).result(10)


@contextmanager
def in_thread(block: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[InThread[T]]:
    """Enter the block in a thread; leave it at the end."""
    entered: Future[InThread[T]] = Future()
    leave = asyncio.Event()

    async def main() -> None:
        try:
            async with block() as value:
                entered.set_result(InThread(value, asyncio.get_running_loop()))
                await leave.wait()
        except BaseException as error:
            if not entered.done():
                entered.set_exception(error)
            raise

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        inside = entered.result(10)
        try:
            yield inside
        finally:
            inside.loop.call_soon_threadsafe(leave.set)
    finally:
        thread.join(30)
