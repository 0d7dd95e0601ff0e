"""
Calls to the Machines API: one token, its connections, and the rate that Fly accepts.

Nothing is retried here. A call whose answer was lost may have had its effect, so the caller decides
whether to repeat it. `adapters.http` says of each failure whether the request can have reached Fly.

Fly accepts one call a second of each kind, with a burst of three, counted per app for calls without
a Machine, and per Machine otherwise. So lists wait here for their turn, app by app; calls for
single Machines are sent at once, at most sixteen at a time, which leaves connections to launches.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final, Self, TypeVar
from urllib.parse import quote, urlencode

import aiohttp

from lambdo_router import __version__
from lambdo_router.adapters.fly.address import (
    PUBLIC_API,
    authorization,
    full_address,
    is_private,
    secret_parts,
)
from lambdo_router.adapters.fly.answers import Answer, failure, shown
from lambdo_router.adapters.fly.bounds import MOST_HEADERS, is_success, pieces_of
from lambdo_router.adapters.fly.bounds import text_of as body_of
from lambdo_router.adapters.fly.lists import ElementsOfArray
from lambdo_router.adapters.fly.pace import RateLimiter
from lambdo_router.adapters.http import (
    FAILURES,
    HttpSession,
    NoAnswer,
    Once,
    Server,
    payload,
    server_at,
)
from lambdo_router.core.errors import LaunchError, LaunchUnavailable, MachineGone

NEW_FOR: Final = 60.0
"""Seconds after its launch in which a Machine that Fly does not know is only not known yet."""
_CONNECT: Final = 10.0
_PAGES: Final = 200
"""More than an app can fill: what is created in 48 hours at one a second takes 173 full pages."""
_AT_ONCE: Final = 16
_CONNECTIONS: Final = 1000
"""Creates of many apps may be under way at once; each takes seconds."""
_MOST_KEPT: Final = 200_000
"""Machines of a list: those created in 48 hours at one a second are 172,800."""
_LONGEST_NAME: Final = 255
_NO_SUCH_ENDPOINT: Final = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.NOT_IMPLEMENTED,
)

Fields = Mapping[str, object]
"""A JSON object."""
_Kept = TypeVar("_Kept")


class FlyClient:
    """
    One token's calls to the Machines API. Close it, or use `async with`.

    The token is in the requests and nowhere else: not in `repr`, and no error repeats it, even
    where an answer does.
    """

    def __init__(
        self,
        *,
        token: str,
        base_url: str = PUBLIC_API,
        timeout: float = 30.0,
        rate: float = 1.0,
        burst: int = 3,
        session: HttpSession | None = None,
    ) -> None:
        """
        `base_url` may lack its scheme and may end in `/` or `/v1`. `timeout` is the longest wait
        for an answer, in seconds; a create takes 1 to 3 as a rule. `rate` lists a second go out
        per app, `burst` at once. `session` carries the requests in place of TCP.

        Raises SettingsError for an address, a token or a proxy that cannot be right.
        """
        self._address = full_address(base_url)
        self._server = (
            server_at(self._address, direct=is_private(self._address))
            if session is None
            else Server(self._address)
        )
        self._timeout = timeout
        self._rate, self._burst = rate, burst
        self._secrets = secret_parts(token)
        self._headers = {
            "Authorization": authorization(token),
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": f"lambdo-router/{__version__}",
        }
        # The time to connect has all of it: the name, TCP, a proxy's tunnel, TLS.
        self._waits = aiohttp.ClientTimeout(connect=min(_CONNECT, timeout), sock_read=timeout)
        self._session = session or HttpSession()
        self._connections = asyncio.Semaphore(_CONNECTIONS)
        self._paces: dict[str, RateLimiter] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._new_until: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._address!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections; calls under way fail."""
        await self._session.aclose()

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: str = ""
    ) -> Answer:
        """One request and its answer, whatever it says. LaunchUnavailable if there is none."""
        async with self._opened(method, path, query=query, body=body) as response:
            return await self._read(response)

    async def _call_machine(
        self,
        method: str,
        app: str,
        machine_id: str,
        part: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: str = "",
    ) -> Answer:
        """As `_call`, about one Machine: `part` is what follows it in the path, as `/events`."""
        path = f"{machines_path(app)}/{quote(machine_id, '')}{part}"
        async with self._places:
            return await self._call(method, path, query=query, body=body)

    async def _list(
        self, app: str, query: Mapping[str, str], keep: Callable[[Fields], _Kept | None]
    ) -> list[_Kept]:
        """
        Return what `keep` makes of a list's Machines, on all its pages, without None.

        A list is read as it comes, since that of a busy app's destroyed Machines is longer than
        memory. LaunchUnavailable, ambiguous, for one that does not come to its end.
        """
        kept: list[_Kept] = []
        cursor = ""
        for _ in range(_PAGES):
            page = {**query, "cursor": cursor} if cursor else query
            last, cursor = cursor, await self._list_page(app, page, keep, kept)
            if not cursor:
                return kept
            if cursor == last:
                break
        raise _endless(app)

    async def _list_page(
        self,
        app: str,
        query: Mapping[str, str],
        keep: Callable[[Fields], _Kept | None],
        kept: list[_Kept],
    ) -> str:
        """One page, into `kept`; the cursor of the next, or nothing."""
        await self._turn_to_list(app)
        async with self._opened("GET", machines_path(app), query=query) as response:
            if not is_success(response):
                raise self._list_failure(await self._read(response), app)
            elements, head = ElementsOfArray(), ""
            try:
                async for text in pieces_of(response):
                    head = head or text
                    kept.extend(_kept(elements.feed(text), keep))
                    if len(kept) > _MOST_KEPT:
                        raise _endless(app)
                kept.extend(_kept(elements.close(), keep))
            except (ValueError, RecursionError):
                said = shown(head, self._secrets)
                raise LaunchUnavailable(
                    f"Machines API: the list of Machines is none: {said}", code="unreadable"
                ) from None
            cursor: str = response.headers.get("fly-next-cursor", "")
            return cursor

    async def _turn_to_list(self, app: str) -> None:
        """Wait until Fly will take a list of this app."""
        await self._paces.setdefault(app, RateLimiter(self._rate, self._burst)).turn()

    def _list_failure(self, answer: Answer, app: str) -> LaunchError:
        error = self._failure(answer, app)
        if isinstance(error, LaunchUnavailable) and error.code == "rate_limited":
            # Somebody else lists as well: without a word from Fly, its next one is a second away.
            pause = 1.0 if error.retry_after is None else error.retry_after
            self._paces[app].pause(pause)
        return error

    async def _metadata_of(self, app: str, machine_id: str) -> Mapping[str, str]:
        """
        Return a Machine's metadata, even if destroyed. Raises MachineGone if Fly does not know it.

        The Machine itself has its metadata too, and for a destroyed one Fly promises neither.
        """
        answer = await self._call_machine("GET", app, machine_id, "/metadata")
        if answer.is_success and (metadata := _texts(answer.fields())):
            return metadata
        if not answer.is_success and answer.status not in _NO_SUCH_ENDPOINT:
            raise self._failure(answer, app)
        answer = await self._call_machine("GET", app, machine_id)
        if not answer.is_success:
            raise self._machine_failure(answer, app, machine_id)
        config = answer.fields().get("config")
        if not isinstance(config, Mapping):
            raise LaunchUnavailable(
                f"Machines API: the Machine {machine_id} is shown without its config, so without "
                "its metadata",
                code="unreadable",
            )
        return _texts(config.get("metadata"))

    def _failure(self, answer: Answer, app: str) -> LaunchError:
        return failure(answer, app, time.time())

    def _machine_failure(self, answer: Answer, app: str, machine_id: str) -> LaunchError:
        """
        As `failure`, and MachineGone where the API says that there is no such Machine.

        A page of HTML does not say so: it comes from something in between. Nor does a 404 right
        after the launch, which Fly's own tool tries again.
        """
        error = self._failure(answer, app)
        says_so = answer.fields().get("error") or answer.fields().get("message")
        if error.code != "not_found" or not says_so:
            return error
        if self._new_until.get(machine_id, 0.0) > asyncio.get_running_loop().time():
            return LaunchUnavailable(f"{error}; it was only just launched", code="not_known_yet")
        return MachineGone(str(error), code="machine_gone")

    def _launched_just_now(self, machine_id: str) -> None:
        """Remember that the Machine exists, whatever Fly says for a while."""
        now = asyncio.get_running_loop().time()
        while self._new_until and next(iter(self._new_until.values())) <= now:
            del self._new_until[next(iter(self._new_until))]
        self._new_until.pop(machine_id, None)  # so that the oldest stay in front
        self._new_until[machine_id] = now + NEW_FOR

    @asynccontextmanager
    async def _opened(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: str = ""
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and return it; its answer is still to be read."""
        headers = {**self._headers, "Content-Type": "application/json"} if body else self._headers
        async with self._room():
            try:
                async with (
                    # aiohttp counts its own anew with every byte that comes.
                    asyncio.timeout(_CONNECT + 2 * self._timeout),
                    self._session.open().request(
                        method,
                        f"{self._address}{path}?{urlencode(query)}"
                        if query
                        else self._address + path,
                        data=payload(body.encode()) if body else None,
                        headers=headers,
                        allow_redirects=False,
                        ssl=self._server.context,
                        proxy=self._server.proxy,
                        timeout=self._waits,
                        max_headers=MOST_HEADERS,
                        middlewares=(Once(),),
                    ) as response,
                ):
                    yield response
            except tuple(FAILURES) as error:
                lost = NoAnswer(error)
                raise self._lost(str(lost), sent=lost.sent) from error

    @asynccontextmanager
    async def _room(self) -> AsyncIterator[None]:
        """Wait until one more connection may be open."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._connections.acquire()
        except TimeoutError as error:
            raise self._lost("all connections are in use", sent=False) from error
        try:
            yield
        finally:
            self._connections.release()

    async def _read(self, response: aiohttp.ClientResponse) -> Answer:
        text = await body_of(response)
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, text, self._secrets)

    def _lost(self, words: str, *, sent: bool) -> LaunchUnavailable:
        return LaunchUnavailable(
            f"Machines API at {self._address}: {shown(words, self._secrets)}",
            code="connection",
            ambiguous=sent,
        )


def _kept(elements: Iterator[object], keep: Callable[[Fields], _Kept | None]) -> Iterator[_Kept]:
    for fields in elements:
        if isinstance(fields, Mapping) and (item := keep(fields)) is not None:
            yield item


def _endless(app: str) -> LaunchUnavailable:
    return LaunchUnavailable(
        f"Machines API: the list of the app {app}'s Machines does not come to an end",
        code="lookup",
        ambiguous=True,
    )


def machines_path(app: str) -> str:
    """Return the path of an app's Machines; the app's name is always one part of it."""
    return f"/v1/apps/{quote(app, '')}/machines"


def text_of(value: object) -> str:
    """Return a short text of an answer, such as an ID or a name; empty if it is not one."""
    return value if isinstance(value, str) and len(value) <= _LONGEST_NAME else ""


def _texts(fields: object) -> Mapping[str, str]:
    if not isinstance(fields, Mapping):
        return {}
    return {key: value for key, value in fields.items() if isinstance(value, str)}
