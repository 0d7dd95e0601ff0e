"""
Where the page is: `/`, its events, its assets, and the form for a pasted message.

    GET  /               the page
    GET  /events         what has changed since, as server-sent events
    GET  /assets/{name}  stylesheet, script, icons
    POST /explain        the page with an answer, or with `Accept: text/x-part` the answer alone

Nothing here changes anything, and so nothing needs a secret.
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

from lambdo_router.admin.changes import Changes, TooManyWatchers
from lambdo_router.admin.page.assets import assets
from lambdo_router.admin.page.flows import Flows
from lambdo_router.admin.page.rendering import Rendered
from lambdo_router.admin.page.stream import EVENT_STREAM, events, send_events
from lambdo_router.admin.page.templates import Html, render
from lambdo_router.admin.page.trying import Answer, Asked, NotAForm, answer, read_form
from lambdo_router.admin.page.watching import Watching
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
"""Forms that are in memory at a time; a table of ten thousand routes takes a second for one."""
_MOST_ASKING: Final = 10
"""Forms that are answered or wait for that; more are turned away."""
_NO_TABLE: Final = Answer("bad", "No routing table is in use yet")


@dataclass(slots=True)
class Page:
    """
    The page of one router. `observe` is for its journal, `routes` for the server.

    `wall` gives unix seconds.
    """

    status: Callable[[], Status]
    changes: Changes
    wall: Callable[[], float] = time.time
    _table: RoutingTable | None = None
    _flows: Flows = field(default_factory=Flows)
    _watching: Watching = field(init=False)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_TOGETHER))
    _asking: int = 0

    def __post_init__(self) -> None:
        self._watching = Watching(self.status, self._flows.last_minute)

    def observe(self, fact: journal.Fact) -> None:
        """Take a fact into account: an Observer."""
        match fact:
            case journal.Decided():
                self._flows.decided(fact, self.wall())
            case journal.TableActivated(table=table):
                self._table = table
                self._flows.adopt(table)
            case _:
                pass  # the overview tells of it

    def routes(self) -> list[BaseRoute]:
        """For the server."""
        return [
            Route("/", self._show),
            Route("/events", _Events(self._watching, self.changes), methods=["GET"]),
            Route("/assets/{name:str}", _asset),
            Route("/explain", self._explain, methods=["POST"]),
        ]

    async def _show(self, request: Request) -> Response:  # noqa: ARG002 - starlette's signature
        return _page(self._now(), self._table, Asked(), Html())

    def _now(self) -> Rendered:
        return self._watching.now(asyncio.get_running_loop().time())

    async def _explain(self, request: Request) -> Response:
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("this form is filled in on its own page only\n", 403)
        if self._asking >= _MOST_ASKING:
            text = "too many messages are being asked about; try again in a few seconds\n"
            return PlainTextResponse(text, 503, {"Retry-After": "5"})
        self._asking += 1
        try:
            # First a place and then the body: what waits is not in memory yet.
            async with self._places:
                return await self._explained(request)
        finally:
            self._asking -= 1

    async def _explained(self, request: Request) -> Response:
        form, table, wall = await request.body(), self._table, self.wall()
        alone = request.headers.get("accept", "").startswith(_PART)
        now = None if alone else self._now()
        # All of it takes as long as the form is large: in a thread, the loop goes on meanwhile.
        return await asyncio.to_thread(_explanation, form, table, wall, now)


def _explanation(
    form: bytes, table: RoutingTable | None, wall: float, now: Rendered | None
) -> Response:
    """The answer to a form, within the page as it is now or alone."""
    try:
        asked = read_form(form)
    except NotAForm as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    found = _NO_TABLE if table is None else answer(table, asked, wall)
    shown = render("answer", {"answer": found})
    if now is None:
        return HTMLResponse(shown, headers=_POLICY)
    return _page(now, table, asked, shown)


def _page(now: Rendered, table: RoutingTable | None, asked: Asked, shown: Html) -> Response:
    names = () if table is None else tuple(table.queues)
    return HTMLResponse(page_html(now, names, asked, shown), headers=_POLICY)


def page_html(now: Rendered, queue_names: tuple[str, ...], asked: Asked, shown: Html) -> Html:
    """The whole page, with the form as it was filled in, and the answer to it."""
    values = {
        "regions": now.regions,
        "version": now.version,
        "at": now.at,
        "words": now.words,
        "tone": now.tone,
        "assets": assets(),
        "queue_names": queue_names,
        "asked": asked,
        "answer": shown,
    }
    return render("page", values)


@dataclass(frozen=True, slots=True)
class _Events:
    """The ASGI app of the events."""

    watching: Watching
    changes: Changes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if request.method != "GET":  # a HEAD would never end
            await Response(media_type=EVENT_STREAM)(scope, receive, send)
            return
        version = request.headers.get("last-event-id") or request.query_params.get("from", "")
        try:
            with self.changes.watched() as watcher:
                source = events(self.watching, watcher, self.watching.seen(version))
                await send_events(scope, receive, send, source)
        except TooManyWatchers:
            text = f"{self.changes.most} pages are open already; close some\n"
            refusal = PlainTextResponse(text, 503, {"Retry-After": "30"})
            await refusal(scope, receive, send)


async def _asset(request: Request) -> Response:
    asset = assets().by_name.get(request.path_params["name"])
    if asset is None:
        return PlainTextResponse("there is no such file; load the page again\n", 404)
    return Response(asset.content, headers={**_KEEP, "Content-Type": asset.media_type})
