"""
The service on HTTP: AWS's JSON protocol 1.0.

Every call is a POST that names its action in the header `X-Amz-Target`. An error is a JSON body
with `__type`, and its older code is in the header `x-amzn-query-error`, which is the one that
boto3 shows. A request must be signed; the signature itself is not checked.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope

from lambdo_router.admin.serving import disconnected
from lambdo_router.local.door import Door
from lambdo_router.local.faults import ErrorAnswer, FaultPlan, FaultyApp, Throttle, injected
from lambdo_router.local.sqs_server.actions import ACTIONS, SqsCall, receive
from lambdo_router.local.sqs_server.messages import LedgerEntry
from lambdo_router.local.sqs_server.parameters import Parameters, Wire
from lambdo_router.local.sqs_server.rules import SqsError, check_range
from lambdo_router.local.sqs_server.service import Sqs

SERVICE: Final = "sqs"
"""This server's name in a fault plan; its actions have their AWS names."""
_LONGEST_WAIT = 20
_SHOWING = frozenset({"sent", "visibility", "dead_lettered"})
"""Ledger entries after which something may be visible, or will be sooner than before."""


def sqs_app(
    sqs: Sqs, plan: FaultPlan | None = None, clock: Callable[[], float] = time.time
) -> ASGIApp:
    """
    Return `sqs` over HTTP, under a fault plan: an ASGI app for `serving.serve`.

    `clock` returns seconds since the epoch.
    """
    protocol = _Protocol(sqs, clock)
    sqs.ledger.listeners.append(protocol.notice)
    # boto3 posts to the root, other clients to the queue's own path.
    paths = ("/", "/{account}/{queue}")
    app = Starlette(routes=[Route(path, protocol.answer, methods=["POST"]) for path in paths])
    return Door(FaultyApp(app, plan or FaultPlan(), SERVICE, _action_of, _planned))


@dataclass(slots=True)
class _Protocol:
    """Reads requests, has them carried out, writes answers; makes long polls wait."""

    sqs: Sqs
    clock: Callable[[], float]
    _changed: dict[str, asyncio.Event] = field(default_factory=dict)
    """Of each queue that a poll waits for: set when it should look again."""

    def notice(self, entry: LedgerEntry) -> None:
        """Wake the polls that wait for a queue of this entry."""
        # What is deleted from a FIFO queue no longer holds up its group.
        freeing = entry.kind == "deleted" and entry.queue.endswith(".fifo")
        if freeing or entry.kind in _SHOWING:
            for queue in (entry.queue, entry.target):
                if queue in self._changed:
                    self._changed.pop(queue).set()

    async def answer(self, request: Request) -> Response:
        try:
            _check_signed(request)
            return _json(200, await self._act(request, Parameters.read(await request.body())))
        except SqsError as error:
            return _error(error.status, error.shape, error.code, error.message)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it

    async def _act(self, request: Request, parameters: Parameters) -> Wire:
        action = _action_of(request.scope)
        if action == "ReceiveMessage":
            return await self._poll(request, parameters)
        if action not in ACTIONS:
            raise SqsError("InvalidAction", f"The action {action} is not valid for this endpoint.")
        met, base_url = injected(request.scope), str(request.base_url).rstrip("/")
        failing = met.entries(len(parameters.entries())) if met else frozenset()
        with self.sqs.ledger.under(met.kind if met else ""):
            call = SqsCall(self.sqs, parameters, base_url, self.clock(), failing)
            return ACTIONS[action](call) or {}

    async def _poll(self, request: Request, parameters: Parameters) -> Wire:
        """Receive at once, or as soon as there is something, or nothing after the wait."""
        met = injected(request.scope)
        queue = self.sqs.queue(parameters.queue_name())
        asked = parameters.number("WaitTimeSeconds")
        wait = queue.number("ReceiveMessageWaitTimeSeconds") if asked is None else asked
        check_range("WaitTimeSeconds", wait, 0, _LONGEST_WAIT)
        deadline = self.clock() + wait
        while True:
            now = self.clock()
            with self.sqs.ledger.under(met.kind if met else ""):
                answer = receive(SqsCall(self.sqs, parameters, "", now))
            if answer or now >= deadline:
                return answer
            next_at = queue.next_visible_at(now)
            look_at = deadline if next_at is None else min(deadline, next_at)
            if not await self._changes(queue.name, look_at - now, request.receive):
                return {}

    async def _changes(self, queue: str, seconds: float, receive: Receive) -> bool:
        """Wait until the queue has changed or time is up; return False if the client has gone."""
        changed = self._changed.setdefault(queue, asyncio.Event())
        change = asyncio.ensure_future(changed.wait())
        gone = asyncio.ensure_future(disconnected(receive))
        try:
            await asyncio.wait({change, gone}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            return not gone.done()
        finally:
            change.cancel()
            gone.cancel()


def _check_signed(request: Request) -> None:
    if "authorization" not in request.headers:
        raise SqsError("MissingAuthenticationToken", "The request is not signed.")


def _action_of(scope: Scope) -> str:
    """Return `ReceiveMessage` for `X-Amz-Target: AmazonSQS.ReceiveMessage`."""
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    target = dict(headers).get(b"x-amz-target", b"").decode("latin-1")
    return target.rpartition(".")[2]


def _planned(fault: ErrorAnswer | Throttle) -> Response:
    """Answer as SQS would where a fault plan says so."""
    if isinstance(fault, ErrorAnswer):
        name = "ServiceUnavailable" if fault.status == 503 else "InternalFailure"  # noqa: PLR2004
        text = "The service is faulty on purpose."
        return _error(fault.status, name, name, text, "Receiver")
    shape = "RequestThrottled"
    response = _error(403, shape, shape, "The request was denied due to throttling.")
    if fault.retry_after is not None:
        response.headers["retry-after"] = str(fault.retry_after)
    return response


def _json(status: int, content: Wire) -> Response:
    response = Response(json.dumps(content), status, media_type="application/x-amz-json-1.0")
    response.headers["x-amzn-requestid"] = str(uuid4())
    return response


def _error(status: int, shape: str, code: str, message: str, fault: str = "Sender") -> Response:
    response = _json(status, {"__type": f"com.amazonaws.sqs#{shape}", "message": message})
    response.headers["x-amzn-query-error"] = f"{code};{fault}"
    return response
