"""A client of Fly whose answers a test gives."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import aiohttp
import httpx
import pytest
from multidict import CIMultiDict

from lambdo_router.adapters.fly import FlyLauncher
from lambdo_router.adapters.http import HttpSession
from lambdo_router.core.errors import (
    LaunchError,
)

TOKEN = "fm2_planted-token,fm2_second-half"


Handler = Callable[[httpx.Request], httpx.Response | Awaitable[httpx.Response]]


class Mocked(HttpSession):
    """Has its requests answered by a handler in httpx's types, or by an ASGI app; no sockets."""

    def __init__(self, handler: Any = None, *, app: Any = None) -> None:
        super().__init__()
        self._transport = httpx.MockTransport(handler) if app is None else httpx.ASGITransport(app)

    def open(self) -> aiohttp.ClientSession:
        return cast("aiohttp.ClientSession", self)

    @asynccontextmanager
    async def request(
        self, method: str, url: str, *, headers: dict[str, str], data: bytes | None, **_: Any
    ) -> AsyncIterator["_Response"]:
        request = httpx.Request(method, url, headers=headers, content=data)
        response = await self._transport.handle_async_request(request)
        try:
            yield _Response(response)
        finally:
            await response.aclose()


class _Response:
    """As much of aiohttp's as is used of it."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = CIMultiDict(response.headers.multi_items())
        self.content = self
        self._pieces = aiter(cast("httpx.AsyncByteStream", response.stream))

    async def readany(self) -> bytes:
        while (piece := await anext(self._pieces, None)) is not None:
            if piece:
                return piece
        return b""

    def at_eof(self) -> bool:
        return False


def launcher(handler: Any, **settings: Any) -> FlyLauncher:
    return FlyLauncher(token=TOKEN, session=Mocked(handler), **settings)


def always(status: int, **answer: Any) -> Handler:
    return lambda _: httpx.Response(status, **answer)


async def outcome(call: Awaitable[object]) -> LaunchError:
    with pytest.raises(LaunchError) as caught:
        await call
    return caught.value
