"""How the server answers: with JSON, also for errors, and never with the text of an exception."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from lambdo_router.telemetry.status import json_text

_WHY = {404: "there is nothing here", 405: "this method is not allowed here"}


class JsonAnswer(Response):
    """A response whose body is a status, or a part of one, as JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - starlette's signature
        return json_text(content).encode()


def failure(status: int, error: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that says what is wrong and what to do."""
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def bearer(request: Request) -> str | None:
    """Return the token of `Authorization: Bearer TOKEN`, if there is one."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def failure_handlers() -> Mapping[Any, ExceptionHandler]:
    """Return handlers for errors that starlette finds, and for bugs of ours."""
    return {HTTPException: _refused, ClientDisconnect: _left, Exception: _crashed}


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    reason = _WHY.get(error.status_code, error.detail)
    text = f"{request.method} {request.url.path}: {reason}"
    return failure(error.status_code, text, error.headers)


async def _left(request: Request, error: Exception) -> Response:  # noqa: ARG001 - nobody hears it
    """Answer a client that has left in the middle of a body, which is not worth a log line."""
    return Response(status_code=400)


async def _crashed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - it is logged
    return failure(500, "a defect of lambdo-router; see its log")
