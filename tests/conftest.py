"""Virtual time for `async def` tests: the loop's clock jumps to the next timer, nobody waits."""

import asyncio
import inspect
import os
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import settings
from virtual_time import VirtualLoop

Ends = list[Callable[[], Coroutine[None, None, None]]]

# How fast an example runs says something about the machine, and nothing about the code.
settings.register_profile("quick", deadline=None, max_examples=30)
settings.register_profile("thorough", deadline=None, max_examples=100)
settings.load_profile("thorough" if os.environ.get("CI") else "quick")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "real_time: run on an ordinary loop (sockets, threads)")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments: dict[str, Any] = {name: pyfuncitem.funcargs[name] for name in names}
    real = pyfuncitem.get_closest_marker("real_time") is not None
    factory = None if real else VirtualLoop
    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            runner.run(pyfuncitem.obj(**arguments))
        finally:
            ends: Any = pyfuncitem.funcargs.get("at_end", [])
            for end in ends:
                runner.run(end())
    return True


@pytest.fixture
def at_end() -> Ends:
    """What an `async def` test runs at its end, on its loop."""
    return []


@pytest.fixture(autouse=True)
def _no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that reads AWS_ or FLY_ variables says so by setting them."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "FLY_", "LAMBDO_")):
            monkeypatch.delenv(name)
