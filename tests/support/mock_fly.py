"""A client of Fly whose answers a test gives."""

from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from lambdo_router.adapters.fly import FlyLauncher
from lambdo_router.core.errors import (
    LaunchError,
)

TOKEN = "fm2_planted-token,fm2_second-half"


Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


def launcher(handler: Any, **settings: Any) -> FlyLauncher:
    return FlyLauncher(token=TOKEN, transport=httpx.MockTransport(handler), **settings)


def always(status: int, **answer: Any) -> Handler:
    return lambda _: httpx.Response(status, **answer)


async def outcome(call: Awaitable[object]) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        await call
    return caught.value
