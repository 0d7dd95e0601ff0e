"""
The Machines API over HTTP, as far as a launcher of jobs needs it.

    POST    /v1/apps/{app}/machines                      create
    GET     /v1/apps/{app}/machines                      list
    GET     /v1/apps/{app}/machines/{id}                 get
    DELETE  /v1/apps/{app}/machines/{id}                 destroy
    GET     .../{id}/events, .../{id}/wait
    POST    .../{id}/start, .../{id}/stop
    GET, PATCH, PUT              .../{id}/metadata
    GET, POST, DELETE            .../{id}/metadata/{key}
    GET     /v1/tokens/current, /v1/platform/regions     about.py

All else is 404. Every answer carries a `fly-request-id`, and every refusal is a JSON object with an
`error`, as Fly's are; a fault plan's 5xx is a page of HTML, as a gateway's is.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdo_router.local.door import Door
from lambdo_router.local.faults import Answer, FaultPlan, FaultyApp, Throttle
from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.about import about_routes
from lambdo_router.local.machines_server.calls import Call, identifier
from lambdo_router.local.machines_server.identities import Identities
from lambdo_router.local.machines_server.record import (
    MachineRecord,
    State,
    as_json,
    newest,
    summary,
)
from lambdo_router.local.machines_server.refusals import Refusal
from lambdo_router.local.machines_server.requests import BODY_LIMIT, parse_create, parse_object
from lambdo_router.local.machines_server.server import MachinesServer

SERVICE: Final = "machines"
"""This server's name in a fault plan; its actions are those that `action_of` names."""

_MACHINES: Final = "/v1/apps/{app}/machines"
_WAIT_STATES: Final = ("started", "stopped", "suspended", "destroyed", "failed", "settled")
_LONGEST_PAGE: Final = 1000
_CURSOR_LIVES: Final = 30 * 60.0
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")


def machines_app(server: MachinesServer, faults: FaultPlan | None = None) -> ASGIApp:
    """The API of `server` as an ASGI app for `serving.serve`, with the plan's faults in its way."""
    api = _Api(server)
    app: ASGIApp = Starlette(
        routes=[
            _route("POST", "", api.create),
            _route("GET", "", api.list_machines),
            _route("GET", "/{machine}", api.get),
            _route("DELETE", "/{machine}", api.destroy),
            _route("GET", "/{machine}/events", api.events),
            _route("GET", "/{machine}/wait", api.wait),
            _route("POST", "/{machine}/start", api.start),
            _route("POST", "/{machine}/stop", api.stop),
            _route("GET", "/{machine}/metadata", api.metadata),
            _route("PATCH", "/{machine}/metadata", api.change_metadata),
            _route("PUT", "/{machine}/metadata", api.change_metadata),
            _route("GET", "/{machine}/metadata/{key}", api.metadata_value),
            _route("POST", "/{machine}/metadata/{key}", api.set_metadata_value),
            _route("DELETE", "/{machine}/metadata/{key}", api.delete_metadata_value),
            *about_routes(server.access, server.platform.home),
        ],
        exception_handlers={Refusal: api.refused, HTTPException: api.no_such_route},
    )
    if faults is not None:
        app = FaultyApp(app, faults, SERVICE, action_of, _faulty)
    return Door(_FrontDoor(app, server))


def action_of(scope: Scope) -> str:
    """
    What a request asks for, in one word: the unit of rate limits and of fault plans.

    create, list, get, delete, update, events, wait, start, stop, metadata, or other.
    """
    return _call_of(scope, 0.0).action


def _call_of(scope: Scope, now: float) -> Call:
    parts = scope["path"].strip("/").split("/")
    if parts[:2] != ["v1", "apps"] or parts[3:4] != ["machines"]:
        return Call("", "other", "", now)
    app, action = parts[2], "other"
    match scope["method"], parts[4:]:
        case "POST", []:
            action = "create"
        case "GET", []:
            action = "list"
        case method, [_]:
            action = {"GET": "get", "DELETE": "delete", "POST": "update"}.get(method, "other")
        case _, [_, ("events" | "wait" | "start" | "stop" | "metadata") as verb, *_]:
            action = verb
    return Call(app, action, "".join(parts[4:5]), now)


class _Api:
    """One method an endpoint; what it raises as Refusal is answered by `refused`."""

    def __init__(self, server: MachinesServer) -> None:
        self._server = server
        self._platform = server.platform

    async def create(self, request: Request) -> Response:
        app = self._admit(request)
        record = self._server.create(app, parse_create(request.state.body))
        return _Json(as_json(record))

    async def list_machines(self, request: Request) -> Response:
        app, query = self._admit(request), request.query_params
        listed = [
            (record, state)
            for record, state in self._server.machines_of(app)
            if _is_asked_for(record, state, query)
        ]
        listed, headers = _page(listed, query, self._server.now())
        short = query.get("summary") in _TRUE
        shown = [
            summary(record, state) if short else as_json(record) | {"state": state}
            for record, state in listed
        ]
        return _Json(shown, headers=headers)

    async def get(self, request: Request) -> Response:
        record = self._machine(request)
        version = request.query_params.get("version")
        if version not in (None, "", record.version):
            raise refusals.no_such_machine()
        return _Json(as_json(record))

    async def destroy(self, request: Request) -> Response:
        record, query = self._machine(request), request.query_params
        # Fly documents `force`; its own clients send `kill`.
        force = query.get("force") in _TRUE or query.get("kill") in _TRUE
        self._platform.destroy(record.app, record.id, self._server.now(), force=force)
        return _Json({"ok": True})

    async def events(self, request: Request) -> Response:
        app = self._admit(request)
        limit = _integer(request.query_params, "limit", default=20, least=1)
        events = self._server.events_of(app, request.path_params["machine"])
        return _Json(newest(events, min(limit, 50)))

    async def wait(self, request: Request) -> Response:
        record, query = self._machine(request), request.query_params
        wanted = ",".join(query.getlist("state")).split(",") if query.get("state") else ["started"]
        for state in wanted:
            if state not in _WAIT_STATES:
                raise Refusal(400, f"invalid_argument: invalid state {state!r}")
        timeout = query.get("timeout", "60")
        if not timeout.isdecimal() or not 1 <= int(timeout) <= 60:  # noqa: PLR2004 - its text
            raise refusals.wait_timeout_out_of_range()
        if (query.get("version") or query.get("instance_id")) not in (None, "", record.version):
            raise refusals.no_such_machine()
        record, event = await self._server.wait(
            record.app, record.id, wanted, float(timeout), query.get("from_event_id", "")
        )
        return _Json(
            {"ok": True, "state": event.state, "version": record.version, "event_id": event.id}
        )

    async def start(self, request: Request) -> Response:
        record = self._machine(request)
        previous = self._platform.start(record.app, record.id, self._server.now())
        return _Json({"previous_state": previous, "migrated": False, "new_host": ""})

    async def stop(self, request: Request) -> Response:
        record = self._machine(request)
        body: bytes = request.state.body
        fields = parse_object(body) if body.strip() else {}
        timeout = fields.get("timeout") or ""
        if not isinstance(timeout, str):
            raise Refusal(400, "invalid_argument: timeout must be a duration like 10s")
        self._platform.stop(
            record.app,
            record.id,
            self._server.now(),
            signal=fields.get("signal"),
            timeout=timeout,
        )
        return _Json({"ok": True})

    async def metadata(self, request: Request) -> Response:
        return _Json(dict(self._machine(request).metadata))

    async def change_metadata(self, request: Request) -> Response:
        record = self._machine(request)
        fields = parse_object(request.state.body)
        if fields.get("machine_version") not in (None, "", record.version):
            raise refusals.version_moved()
        changes = fields.get("metadata")
        if not isinstance(changes, dict) or not all(
            value is None or isinstance(value, str) for value in changes.values()
        ):
            raise Refusal(400, "invalid_argument: metadata must be an object of strings")
        self._platform.set_metadata(record.app, record.id, changes, self._server.now())
        return Response(status_code=204)

    async def metadata_value(self, request: Request) -> Response:
        value = self._machine(request).metadata.get(request.path_params["key"])
        if value is None:
            raise Refusal(404, "not_found: metadata key not found")
        return _Json({"value": value})

    async def set_metadata_value(self, request: Request) -> Response:
        record = self._machine(request)
        value = parse_object(request.state.body).get("value")
        if not isinstance(value, str):
            raise Refusal(400, "invalid_argument: value must be a string")
        return self._with_metadata(record, request.path_params["key"], value)

    async def delete_metadata_value(self, request: Request) -> Response:
        return self._with_metadata(self._machine(request), request.path_params["key"], None)

    async def refused(self, _: Request, refusal: Exception) -> Response:
        if not isinstance(refusal, Refusal):
            raise refusal
        after = self._server.limits.retry_after
        wait = {"retry-after": str(after)} if refusal.http == 429 and after is not None else {}  # noqa: PLR2004
        return _Json(refusal.body, refusal.http, headers=wait)

    async def no_such_route(self, _: Request, error: Exception) -> Response:
        code = error.status_code if isinstance(error, HTTPException) else 404
        return _Json({"error": "not_found: no such endpoint here"}, code)

    def _with_metadata(self, record: MachineRecord, key: str, value: str | None) -> Response:
        self._platform.set_metadata(record.app, record.id, {key: value}, self._server.now())
        return Response(status_code=204)

    def _admit(self, request: Request) -> str:
        """The app, once the caller is known to be allowed in it and not too quick."""
        app = str(request.path_params["app"])
        self._server.access.check(request.headers.get("authorization", ""), app)
        call = _call_of(request.scope, self._server.now())
        if not self._server.limits.admits(call.action, identifier(call), call.at):
            raise refusals.rate_limited()
        return app

    def _machine(self, request: Request) -> MachineRecord:
        app = self._admit(request)
        return self._platform.machine(app, request.path_params["machine"], self._server.now())


class _FrontDoor:
    """Notes every call, and gives every answer its `fly-request-id`: a ULID and the region."""

    def __init__(self, app: ASGIApp, server: MachinesServer) -> None:
        self._app = app
        self._server = server
        self._identities = Identities(seed=0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._server.calls.note(_call_of(scope, self._server.now()))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                ulid = self._identities.ulid(self._server.now())
                MutableHeaders(scope=message)["fly-request-id"] = (
                    f"{ulid}-{self._server.platform.home}"
                )
            await send(message)

        await self._app(scope, receive, send_with_id)


class _Json(JSONResponse):
    media_type = "application/json; charset=utf-8"


def _route(method: str, path: str, endpoint: Callable[[Request], Awaitable[Response]]) -> Route:
    async def with_body(request: Request) -> Response:
        # Read before anything is refused: who is still sending would see the connection break.
        try:
            request.state.body = await _body(request)
        except ClientDisconnect:
            return Response()  # who was killed while sending hears no answer
        return await endpoint(request)

    return Route(_MACHINES + path, with_body, methods=[method])


async def _body(request: Request) -> bytes:
    """The request's body, read to its end; of what the API does not take, only the beginning."""
    kept = bytearray()
    async for chunk in request.stream():
        if len(kept) <= BODY_LIMIT:
            kept += chunk
    return bytes(kept)


def _is_asked_for(record: MachineRecord, state: State, query: QueryParams) -> bool:
    if state == "destroyed" and query.get("include_deleted") not in _TRUE:
        return False
    if query.get("region") not in (None, "", record.region):
        return False
    if query.get("state") and state not in query["state"].split(","):
        return False
    return all(
        record.metadata.get(key.removeprefix("metadata.")) == value
        for key, value in query.multi_items()
        if key.startswith("metadata.")
    )


def _page(
    listed: list[tuple[MachineRecord, State]], query: QueryParams, now: float
) -> tuple[list[tuple[MachineRecord, State]], Mapping[str, str]]:
    """One page of a list, and the header that leads to the next. Without a limit there is one."""
    if "limit" not in query:
        return listed, {}
    limit = _integer(query, "limit", default=_LONGEST_PAGE, least=1, most=_LONGEST_PAGE)
    after, began = _read_cursor(query.get("cursor", ""), now)
    rest = [(record, state) for record, state in listed if record.number > after]
    page = rest[:limit]
    if len(rest) <= limit:
        return page, {}
    cursor = base64.urlsafe_b64encode(f"{page[-1][0].number} {began}".encode()).decode()
    return page, {"fly-next-cursor": cursor}


def _read_cursor(cursor: str, now: float) -> tuple[int, float]:
    """The number of the last Machine on the page before, and when the first page was asked for."""
    if not cursor:
        return 0, now
    try:
        number, began = base64.urlsafe_b64decode(cursor).decode().split()
        if now - float(began) < _CURSOR_LIVES:
            return int(number), float(began)
    except (ValueError, binascii.Error):
        pass
    raise Refusal(400, "invalid_argument: invalid or expired cursor")


def _integer(
    query: QueryParams, key: str, *, default: int, least: int, most: int | None = None
) -> int:
    text = query.get(key, "")
    if not text:
        return default
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        raise Refusal(400, f"invalid_argument: invalid {key} {text!r}")
    return int(text)


def _faulty(fault: Answer | Throttle) -> Response:
    """The answer of a planned fault, in the words that Fly has for it."""
    if isinstance(fault, Throttle):
        wait = {} if fault.retry_after is None else {"retry-after": str(fault.retry_after)}
        return _Json(refusals.rate_limited().body, 429, headers=wait)
    refusal = _FAULTS.get(fault.status)
    if refusal is not None:
        return _Json(refusal().body, fault.status)
    title = f"{fault.status} Server Error"
    return HTMLResponse(f"<html><head><title>{title}</title></head></html>", fault.status)


_FAULTS: Final[Mapping[int, Callable[[], Refusal]]] = {
    401: refusals.bad_token,
    403: refusals.not_permitted,
    404: refusals.no_such_app,
    408: refusals.deadline,
    409: refusals.host_full,
    412: refusals.volume_full,
    422: refusals.region_full,
}
