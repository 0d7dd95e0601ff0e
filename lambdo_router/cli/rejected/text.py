"""
Rejected messages as text and as JSON.

Senders may have written any of it: lines of text are escaped by `layout`, which all of them go
through, and JSON is in ASCII, where halves of surrogate pairs are possible.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime

from lambdo_router.cli.output.layout import columns
from lambdo_router.cli.rejected.session import Session
from lambdo_router.config.diagnostics import counted
from lambdo_router.core.message import Attribute
from lambdo_router.core.rejection import LATEST_TIME, Rejected
from lambdo_router.core.strict_json import parse_json

_LONGEST_DETAIL = 100
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def table(messages: Sequence[Rejected], now: float) -> list[str]:
    """Return one line for each message, below a heading."""
    heading = ("ID", "REASON", "ROUTE", "FROM", "RECEIVED", "AGE", "DETAIL")
    return columns([heading, *(_row(rejected, now) for rejected in messages)])


def details(rejected: Rejected, session: Session, now: float) -> Iterator[str]:
    """Yield the lines of everything that is known about one message."""
    message = rejected.message
    yield from columns(_facts(rejected, session, now))
    shown = message.attributes if rejected.attempts is None else rejected.original_attributes
    if shown:
        yield ""
        yield "attributes"
        yield from columns([_attribute(name, shown[name]) for name in sorted(shown)], "  ")
    if message.system:
        yield ""
        yield "SQS's own attributes"
        yield from columns(sorted(message.system.items()), "  ")
    yield ""
    lines = pretty(message.body)
    kind = "as received" if lines is None else "JSON, indented"
    yield f"body, {counted(len(message.body.encode('utf-8', 'surrogatepass')), 'byte')}, {kind}"
    yield from (f"  {line}" for line in lines or message.body.split("\n"))


def pretty(body: str) -> list[str] | None:
    """
    Return a JSON document as lines, one value on each; None if it is not JSON.

    Only the whitespace changes: strings and numbers stay exactly as they were sent.
    """
    try:
        parse_json(body)
    except ValueError:
        return None
    lines, depth = [""], 0
    pieces = _PIECE.findall(body)
    for piece, following in zip(pieces, [*pieces[1:], ""], strict=True):
        if piece in "}]" and lines[-1][-1:] not in ("{", "["):
            lines.append("  " * (depth - 1))
        depth += (piece in "{[") - (piece in "}]")
        lines[-1] += f"{piece} " if piece == ":" else piece
        if piece == "," or (piece in "{[" and following not in ("}", "]")):
            lines.append("  " * depth)
    return lines


def list_json(messages: Sequence[Rejected], session: Session) -> str:
    """Return the JSON of `rejected list`."""
    return _document(session, messages=[_message_json(rejected) for rejected in messages])


def show_json(rejected: Rejected, session: Session) -> str:
    """Return the JSON of `rejected show`."""
    return _document(session, message=_message_json(rejected))


def message_file(rejected: Rejected, session: Session) -> str:
    """Return the message as a message file, for `explain --message` and the like."""
    file = {
        "queue": rejected.source or session.queue.name,
        "attributes": _attributes_json(rejected.original_attributes),
        "body_text": rejected.message.body,
    }
    return json.dumps(file, indent=2)


def _document(session: Session, **content: object) -> str:
    queue = {
        "name": session.queue.name,
        "url": session.queue.url,
        **asdict(session.state),
        "looked_at": session.browser.taken,
        "complete": session.browser.ended,
    }
    return json.dumps({"format_version": "1.0", "queue": queue, **content}, indent=2)


def _message_json(rejected: Rejected) -> dict[str, object]:
    message = rejected.message
    return {
        "id": message.id,
        "reason": rejected.reason,
        "detail": rejected.detail,
        "route": rejected.route,
        "source": rejected.source,
        "source_arn": rejected.source_arn,
        "original_id": rejected.original_id,
        "attempts": rejected.attempts,
        "at": _time(rejected.at),
        "receive_count": message.receive_count,
        "sent_at": _time(message.sent_at),
        "attributes": _attributes_json(message.attributes),
        "system": dict(message.system),
        "body": message.body,
    }


def _row(rejected: Rejected, now: float) -> tuple[str, ...]:
    detail, message = rejected.detail, rejected.message
    return (
        message.id,
        rejected.reason,
        rejected.route or "-",
        rejected.source or "-",
        str(message.receive_count if rejected.attempts is None else rejected.attempts),
        "-" if rejected.at is None else _age(now - rejected.at),
        detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}...",
    )


def _facts(rejected: Rejected, session: Session, now: float) -> Iterator[tuple[str, str]]:
    message = rejected.message
    yield "message", message.id
    yield "on", f"{session.queue.name}  {session.queue.url}"
    yield "reason", rejected.reason
    yield "detail", rejected.detail
    if rejected.route is not None:
        yield "route", rejected.route
    yield "came from", rejected.source or "unknown"
    if rejected.original_id != message.id:
        yield "original ID", rejected.original_id
    if rejected.attempts is not None:
        yield "received", counted(rejected.attempts, "time") + " before it was rejected"
    if rejected.at is not None:
        what = "sent" if rejected.attempts is None else "rejected"
        yield what, f"{_time(rejected.at)}, {_age(now - rejected.at)} ago"


def _age(seconds: float) -> str:
    """Return the two largest units: `3d 4h`, `5m 1s`, `0s`."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        if rest >= size or (unit == "s" and not parts):
            parts.append(f"{rest // size}{unit}")
            rest %= size
        elif parts:
            break
    return " ".join(parts[:2])


def _attribute(name: str, attribute: Attribute) -> tuple[str, str, str]:
    value = attribute.value
    if isinstance(value, bytes):
        size = counted(len(value), "byte")
        return name, attribute.data_type, f"{_base64(value)}  ({size}, base64)"
    return name, attribute.data_type, value


def _attributes_json(attributes: Mapping[str, Attribute]) -> dict[str, object]:
    """Return attributes in the form of a message file."""
    found: dict[str, object] = {}
    for name, attribute in sorted(attributes.items()):
        value = attribute.value
        text = _base64(value) if isinstance(value, bytes) else value
        is_string = attribute.data_type == "String"
        found[name] = text if is_string else {"type": attribute.data_type, "value": text}
    return found


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _time(seconds: float | None) -> str | None:
    if seconds is None or not 0 <= seconds <= LATEST_TIME:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
