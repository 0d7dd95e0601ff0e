"""
The Machines API over HTTP, as far as the router uses it; `machines_app` lists the endpoints.

All else is 404. Every answer carries a `fly-request-id`, and every refusal is a JSON object with an
`error`, as Fly's are; a fault plan's 5xx is a page of HTML, as a gateway's is.
"""

from collections.abc import Callable
from typing import Any, Final

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lambdo_router.local.door import Door
from lambdo_router.local.faults import ErrorAnswer, FaultPlan, FaultyApp, Throttle
from lambdo_router.local.machines_server import refusals
from lambdo_router.local.machines_server.access import ApiCall
from lambdo_router.local.machines_server.create import (
    BODY_LIMIT,
    REGIONS,
    parse_create,
    parse_object,
)
from lambdo_router.local.machines_server.machine import (
    Identities,
    MachineRecord,
    as_json,
    newest,
    summary,
)
from lambdo_router.local.machines_server.refusals import Refusal
from lambdo_router.local.machines_server.server import MachinesServer

SERVICE: Final = "machines"
"""This server's name in a fault plan; its actions are those that `action_of` names."""

_MACHINES: Final = "/v1/apps/{app}/machines"
_TRUE: Final = ("1", "t", "T", "true", "TRUE", "True")


def machines_app(server: MachinesServer, faults: FaultPlan | None = None) -> ASGIApp:
    """Return the API of `server` as an ASGI app for `serving.serve`, under the plan's faults."""
    api = _Api(server)
    app: ASGIApp = Starlette(
        routes=[
            api.route("POST", _MACHINES, api.create),
            api.route("GET", _MACHINES, api.list_machines),
            api.route("GET", f"{_MACHINES}/{{machine}}", api.get),
            api.route("DELETE", f"{_MACHINES}/{{machine}}", api.destroy),
            api.route("GET", f"{_MACHINES}/{{machine}}/events", api.events),
            api.route("GET", f"{_MACHINES}/{{machine}}/metadata", api.metadata),
            api.route("POST", f"{_MACHINES}/{{machine}}/metadata/{{key}}", api.set_metadata),
            Route("/v1/tokens/current", api.tokens),
            Route("/v1/platform/regions", api.regions),
        ],
        exception_handlers={Refusal: api.refused, HTTPException: api.no_such_route},
    )
    if faults is not None:
        app = FaultyApp(app, faults, SERVICE, action_of, _planned)
    return Door(_with_request_ids(app, server))


def action_of(scope: Scope) -> str:
    """
    Return what a request asks for, in one word: the unit of rate limits and of fault plans.

    create, list, get, delete, update, events, metadata, or other.
    """
    return _call_of(scope, 0.0).action


def _call_of(scope: Scope, now: float) -> ApiCall:
    parts = scope["path"].strip("/").split("/")
    if parts[:2] != ["v1", "apps"] or parts[3:4] != ["machines"]:
        return ApiCall("", "other", "", now)
    app, action = parts[2], "other"
    match scope["method"], parts[4:]:
        case "POST", []:
            action = "create"
        case "GET", []:
            action = "list"
        case method, [_]:
            action = {"GET": "get", "DELETE": "delete", "POST": "update"}.get(method, "other")
        case _, [_, ("events" | "metadata") as verb, *_]:
            action = verb
    return ApiCall(app, action, "".join(parts[4:5]), now)


class _Json(JSONResponse):
    media_type = "application/json; charset=utf-8"


class _Api:
    """One method an endpoint; what it raises as Refusal is answered by `refused`."""

    def __init__(self, server: MachinesServer) -> None:
        self._server = server

    def route(
        self, method: str, path: str, endpoint: Callable[[str, Request, bytes], object]
    ) -> Route:
        """Return the route of an endpoint that gets the app, the request and its body."""

        async def answer(request: Request) -> Response:
            # Read before anything is refused: a client that is still sending would see the
            # connection break.
            try:
                body = await _body(request)
            except ClientDisconnect:
                return Response()  # nobody is left to read it
            app = str(request.path_params["app"])
            self._server.access.check(request.headers.get("authorization", ""), app)
            if not self._server.limits.admits(_call_of(request.scope, self._server.now())):
                raise Refusal(*refusals.RATE_LIMITED)
            found = endpoint(app, request, body)
            return found if isinstance(found, Response) else _Json(found)

        return Route(path, answer, methods=[method])

    def create(self, app: str, _: Request, body: bytes) -> object:
        return as_json(self._server.create(app, parse_create(body)))

    def list_machines(self, app: str, request: Request, _: bytes) -> object:
        query = request.query_params
        limit = query.get("limit") or "1000"
        if not limit.isdecimal() or not 1 <= int(limit) <= 1000:  # noqa: PLR2004 - Fly's limit
            raise refusals.invalid_argument(f"invalid limit {limit!r}")
        show = summary if query.get("summary") in _TRUE else as_json
        listed = [it for it in self._server.machines_of(app) if _is_asked_for(it, query)]
        return [show(record) for record in (listed[: int(limit)] if "limit" in query else listed)]

    def get(self, app: str, request: Request, _: bytes) -> object:
        return as_json(self._machine(app, request))

    def destroy(self, app: str, request: Request, _: bytes) -> object:
        machine_id, query = request.path_params["machine"], request.query_params
        # Fly documents `force`; its own clients send `kill`.
        force = query.get("force") in _TRUE or query.get("kill") in _TRUE
        self._server.destroy(app, machine_id, force=force)
        return {"ok": True}

    def events(self, app: str, request: Request, _: bytes) -> object:
        limit = request.query_params.get("limit") or "20"
        if not limit.isdecimal() or limit == "0":
            raise refusals.invalid_argument(f"invalid limit {limit!r}")
        events = self._server.events_of(app, request.path_params["machine"])
        return newest(events, min(int(limit), 50))

    def metadata(self, app: str, request: Request, _: bytes) -> object:
        return dict(self._machine(app, request).metadata)

    def set_metadata(self, app: str, request: Request, body: bytes) -> object:
        record, value = self._machine(app, request), parse_object(body).get("value")
        if not isinstance(value, str):
            raise refusals.invalid_argument("value must be a string")
        key = request.path_params["key"]
        self._server.set_metadata(app, record.id, key, value)
        return Response(status_code=204)

    async def tokens(self, request: Request) -> Response:
        allowed = self._server.access.apps_of(request.headers.get("authorization", ""))
        if not allowed:
            raise Refusal(*refusals.BAD_TOKEN)
        known = {"organization": "local", "org_slug": "local"}
        tokens = [
            known | {"token_id": str(number)} | ({} if apps is None else {"apps": sorted(apps)})
            for number, apps in enumerate(allowed, 1)
        ]
        return _Json({"tokens": tokens})

    async def regions(self, _: Request) -> Response:
        rows: list[Any] = [{"code": code, "deprecated": False} for code in REGIONS]
        return _Json({"regions": rows, "nearest": self._server.home})

    async def refused(self, _: Request, refusal: Exception) -> Response:
        if not isinstance(refusal, Refusal):
            raise refusal
        return _refused(refusal)

    async def no_such_route(self, _: Request, error: Exception) -> Response:
        text = "not_found: no such endpoint here"
        return _Json({"error": text}, getattr(error, "status_code", 404))

    def _machine(self, app: str, request: Request) -> MachineRecord:
        return self._server.machine(app, request.path_params["machine"])


def _with_request_ids(app: ASGIApp, server: MachinesServer) -> ASGIApp:
    """Note every call, and give every answer its `fly-request-id`: a ULID and the region."""
    identities = Identities(seed=0)

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                request_id = f"{identities.ulid(server.now())}-{server.home}"
                MutableHeaders(scope=message)["fly-request-id"] = request_id
            await send(message)

        if scope["type"] == "http":
            server.calls.append(_call_of(scope, server.now()))
        await app(scope, receive, send_with_id)

    return noting


async def _body(request: Request) -> bytes:
    """Read the request's body to its end; of one that is too large keep only the beginning."""
    kept = bytearray()
    async for chunk in request.stream():
        if len(kept) <= BODY_LIMIT:
            kept += chunk
    return bytes(kept)


def _is_asked_for(record: MachineRecord, query: QueryParams) -> bool:
    if record.state == "destroyed" and query.get("include_deleted") not in _TRUE:
        return False
    return all(
        record.metadata.get(key.removeprefix("metadata.")) == value
        for key, value in query.multi_items()
        if key.startswith("metadata.")
    )


def _planned(fault: ErrorAnswer | Throttle) -> Response:
    """Answer as Fly would where a fault plan says so."""
    if isinstance(fault, Throttle):
        return _refused(Refusal(*refusals.RATE_LIMITED), fault.retry_after)
    if answer := refusals.PLANNED.get(fault.status):
        return _refused(Refusal(*answer))
    title = f"{fault.status} Server Error"
    return HTMLResponse(f"<html><head><title>{title}</title></head></html>", fault.status)


def _refused(refusal: Refusal, retry_after: int | None = None) -> Response:
    headers = {} if retry_after is None else {"retry-after": str(retry_after)}
    return _Json(refusal.body, refusal.http, headers=headers)
