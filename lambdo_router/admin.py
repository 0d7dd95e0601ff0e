"""
The router's own HTTP server: for now, the reports of running Machines.

    POST /reports/{batch id}
    Authorization: Bearer $LAMBDO_REPORT_TOKEN
    {"batchItemFailures": [{"itemIdentifier": "<message id>"}]}

The shape is that of Lambda's SQS event source. 200 means that the report is recorded at Fly; after
any other answer the Machine should exit with 1, and its whole batch is retried.
"""

from collections.abc import Mapping
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lambdo_router.events import parse_json
from lambdo_router.reports import ReportRefused, Reports

_LARGEST_BODY: Final = 256 * 1024
"""Bytes; a thousand message ids take about 60 KiB."""


def admin_app(reports: Reports) -> Starlette:
    """The ASGI app, for `serving.serve`."""

    async def take_report(request: Request) -> JSONResponse:
        try:
            token = _token(request.headers)
            failed = _failed(await _body(request))
            named = await reports.take(request.path_params["batch"], token, failed)
        except ReportRefused as refused:
            return JSONResponse({"error": str(refused)}, status_code=refused.status)
        return JSONResponse({"failed": named})

    return Starlette(routes=[Route("/reports/{batch:str}", take_report, methods=["POST"])])


def _token(headers: Mapping[str, str]) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ReportRefused(401, "send the header `Authorization: Bearer $LAMBDO_REPORT_TOKEN`")
    return token.strip()


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_BODY:
            raise ReportRefused(413, f"a report has at most {_LARGEST_BODY} bytes")
    return body


def _failed(body: bytes) -> list[str]:
    """The message ids of a report. Raises ReportRefused for anything of another shape."""
    try:
        report = parse_json(body)
    except ValueError as problem:
        raise ReportRefused(400, f"the report is not JSON: {problem}") from problem
    items = report.get("batchItemFailures") if isinstance(report, dict) else None
    if not isinstance(items, list):
        raise ReportRefused(400, 'write {"batchItemFailures": [{"itemIdentifier": "..."}]}')
    failed = [item.get("itemIdentifier") if isinstance(item, dict) else None for item in items]
    named = [message_id for message_id in failed if isinstance(message_id, str) and message_id]
    if len(named) != len(items):
        raise ReportRefused(400, "each of batchItemFailures needs an itemIdentifier, a message id")
    return named
