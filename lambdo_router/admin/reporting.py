"""
`POST /reports/{batch id}`: running Machines report which events of their batch failed.

    Authorization: Bearer $LAMBDO_REPORT_TOKEN
    {"batchItemFailures": [{"itemIdentifier": "<message id>"}]}

The format is that of Lambda's SQS event source. 200 means that the report is recorded at Fly; after
any other answer the Machine should exit with 1, so that its whole batch is retried.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lambdo_router.admin.answers import bearer, failure
from lambdo_router.core import journal
from lambdo_router.core.strict_json import parse_json
from lambdo_router.engine.failure_reports import FailureReports, ReportError

_LARGEST_REPORT: Final = 256 * 1024
"""Bytes; a thousand message ids take about 60 KiB."""
_LONGEST_ID: Final = 64
"""Characters of the alleged batch id that are logged."""


def report_route(reports: FailureReports, observe: journal.Observer) -> Route:
    """Return the route; `observe` gets a fact for each report, accepted or not."""

    async def take_report(request: Request) -> Response:
        batch_id = request.path_params["batch"]
        shown_id = batch_id[:_LONGEST_ID]
        try:
            token = _token(request)
            reports.admit(batch_id, token)  # before anything of a stranger's body is kept
            failed = _failed(await _body(request))
            named = await reports.take(batch_id, token, failed)
        except ReportError as refused:
            observe(journal.ReportRefused(shown_id, refused.status, str(refused)))
            return failure(refused.status, str(refused))
        observe(journal.ReportTaken(shown_id, named))
        return JSONResponse({"failed": named})

    return Route("/reports/{batch:str}", take_report, methods=["POST"])


def _token(request: Request) -> str:
    token = bearer(request)
    if token is None:
        raise ReportError(401, "send the header `Authorization: Bearer $LAMBDO_REPORT_TOKEN`")
    return token


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST_REPORT:
            raise ReportError(413, f"a report has at most {_LARGEST_REPORT} bytes")
    return body


def _failed(body: bytes) -> list[str]:
    """Return the message ids of a report. Raises ReportError for any other format."""
    try:
        report = parse_json(body)
    except ValueError as problem:
        raise ReportError(400, f"the report is not JSON: {problem}") from problem
    items = report.get("batchItemFailures") if isinstance(report, dict) else None
    if not isinstance(items, list):
        raise ReportError(400, 'write {"batchItemFailures": [{"itemIdentifier": "..."}]}')
    failed = [item.get("itemIdentifier") if isinstance(item, dict) else None for item in items]
    named = [message_id for message_id in failed if isinstance(message_id, str) and message_id]
    if len(named) != len(items):
        raise ReportError(400, "each of batchItemFailures needs an itemIdentifier, a message id")
    return named
