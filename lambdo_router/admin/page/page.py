"""
Where the page is: `/`, its events, its assets, and the form for a pasted message.

    GET  /               the page
    GET  /events         what changes, as server-sent events
    GET  /assets/{name}  stylesheet, script, icons
    POST /explain        the page with an answer, or with `Accept: text/x-part` the answer alone

Nothing here changes anything, so nothing needs a secret.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from lambdo_router.admin.page.live import (
    EVENT_STREAM,
    LivePage,
    Rendered,
    TooManyReaders,
    send_events,
)
from lambdo_router.admin.page.templates import Html, assets, render
from lambdo_router.admin.page.try_message import (
    NotAForm,
    TryForm,
    TryResult,
    read_form,
    try_message,
)
from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.telemetry.status import Status

_POLICY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )
}
_KEEP: Final = {"Cache-Control": "public, max-age=31536000, immutable"}
_PART: Final = "text/x-part"
"""What the script accepts."""
_TOGETHER: Final = 2
"""Forms in memory at a time; with ten thousand routes one takes a second."""
_MOST_ASKING: Final = 10
"""Forms that are being answered or waiting; more are refused."""
_NO_TABLE: Final = TryResult("bad", "No routing table is in use yet")


@dataclass(slots=True)
class Page:
    """The page of one router: `observe` is for its journal, `routes` for the server."""

    status: Callable[[], Status]
    table: Callable[[], RoutingTable | None]
    clock: Callable[[], float] = time.time
    """Gives unix seconds."""
    live: LivePage = field(init=False)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TOGETHER))
    _asking: int = 0

    def __post_init__(self) -> None:
        self.live = LivePage(self.status)

    @property
    def observe(self) -> journal.Observer:
        """An observer, which lets open pages know of changes."""
        return self.live.observe

    def routes(self) -> list[BaseRoute]:
        """Return the routes for the server."""
        return [
            Route("/", self._show),
            Route("/events", _Events(self.live), methods=["GET"]),
            Route("/assets/{name:str}", _asset),
            Route("/explain", self._explain, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:  # noqa: ARG002 - starlette's signature
        return _page(self._now(), self.table(), TryForm(), Html())

    def _now(self) -> Rendered:
        return self.live.now(asyncio.get_running_loop().time())

    async def _explain(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("this form can only be sent from its own page\n", 403)
        if self._asking >= _MOST_ASKING:
            text = "too many messages are being tried; try again in a few seconds\n"
            return PlainTextResponse(text, 503, {"Retry-After": "5"})
        self._asking += 1
        try:
            # A place first and then the body: what waits is not in memory yet.
            async with self._places:
                body = await request.body()
                alone = request.headers.get("accept", "").startswith(_PART)
                state = None if alone else self._now()
                # This takes as long as the form is large: in a thread, the loop goes on.
                return await asyncio.to_thread(_explained, body, self.table(), self.clock(), state)
        finally:
            self._asking -= 1


def _explained(
    body: bytes, table: RoutingTable | None, now: float, state: Rendered | None
) -> Response:
    """Return the answer to a form, alone or within the page in this state."""
    try:
        form = read_form(body)
    except NotAForm as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    result = _NO_TABLE if table is None else try_message(table, form, now)
    answer = render("answer", {"answer": result})
    if state is None:
        return HTMLResponse(answer, headers=_POLICY)
    return _page(state, table, form, answer)


def _page(state: Rendered, table: RoutingTable | None, form: TryForm, answer: Html) -> Response:
    """Return the whole page, with the form as it was filled in, and the answer to it."""
    values = {
        "state": state,
        "assets": assets(),
        "queue_names": () if table is None else tuple(table.queues),
        "asked": form,
        "answer": answer,
    }
    return HTMLResponse(render("page", values), headers=_POLICY)


@dataclass(frozen=True, slots=True)
class _Events:
    """The ASGI app of the events."""

    live: LivePage

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method != "GET":  # a HEAD would never end
            await Response(media_type=EVENT_STREAM)(scope, receive, send)
            return
        version = request.headers.get("last-event-id") or request.query_params.get("from", "")
        try:
            with self.live.reader() as changed:
                source = self.live.events(changed, self.live.seen(version))
                await send_events(scope, receive, send, source)
        except TooManyReaders:
            text = f"{self.live.most_readers} pages are open already; close some\n"
            refusal = PlainTextResponse(text, 503, {"Retry-After": "30"})
            await refusal(scope, receive, send)


async def _asset(request: Request) -> Response:
    content, media_type = assets().by_name.get(request.path_params["name"], (b"", ""))
    if not media_type:
        return PlainTextResponse("there is no such file; reload the page\n", 404)
    return Response(content, headers={**_KEEP, "Content-Type": media_type})
