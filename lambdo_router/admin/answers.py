"""How the server answers: JSON, also where something is wrong, and never the text of a defect."""

from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from lambdo_router.telemetry.status import json_text


class JsonAnswer(Response):
    """A value of the overview, or anything else that has a JSON, as the body."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - starlette's signature
        return json_text(content).encode()


def failure(status: int, error: str, headers: Mapping[str, str] | None = None) -> Response:
    """An answer that says what is wrong and what to do."""
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def bearer(request: Request) -> str | None:
    """The token of `Authorization: Bearer TOKEN`; None if there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def failure_handlers() -> Mapping[Any, ExceptionHandler]:
    """For what starlette finds wrong, and for defects of ours."""
    return {HTTPException: _refused, ClientDisconnect: _left, Exception: _crashed}


_WHY = {404: "there is nothing here", 405: "this method is not allowed here"}


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    reason = _WHY.get(error.status_code, error.detail)
    return failure(
        error.status_code, f"{request.method} {request.url.path}: {reason}", error.headers
    )


async def _left(request: Request, error: Exception) -> Response:  # noqa: ARG001 - nobody hears it
    """Whoever leaves in the middle of a body has not met a defect, and is worth no line."""
    return Response(status_code=400)


async def _crashed(request: Request, error: Exception) -> Response:  # noqa: ARG001 - it is logged
    return failure(500, "a defect of lambdo-router; its log has more")
