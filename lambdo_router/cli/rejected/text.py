"""
Rejected messages as people and programs read them.

All of it may come from whoever may send messages: for people it is escaped by `layout`, which every
line goes through, and in JSON by its own rules.
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from lambdo_router.cli.output.layout import columns
from lambdo_router.config.diagnostics import counted
from lambdo_router.core.message import Attribute
from lambdo_router.core.rejection import QueueFacts, Rejected, outgoing
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE
from lambdo_router.core.strict_json import parse_json

_FORMAT_VERSION = "1.0"
_LONGEST_DETAIL = 100
_LATEST = 253_402_300_799
"""The last second of the year 9999, the last that a date is written for."""
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*+"|[{}\[\],:]|[^\s{}\[\],:"]++')
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True)
class LookedAt:
    """The queue of a look, and how much of it was seen."""

    name: str
    url: str
    facts: QueueFacts
    taken: int
    """Messages that were received."""
    complete: bool
    """Whether the queue had nothing more to give in the end."""

    def fields(self) -> dict[str, object]:
        """For JSON."""
        return {
            "name": self.name,
            "url": self.url,
            **asdict(self.facts),
            "looked_at": self.taken,
            "complete": self.complete,
        }


# For people


def table(messages: Sequence[Rejected], now: float) -> list[str]:
    """One line for each message, below a heading."""
    heading = ("ID", "REASON", "ROUTE", "FROM", "RECEIVED", "AGE", "DETAIL")
    return columns([heading, *(_row(rejected, now) for rejected in messages)])


def by_reason(messages: Sequence[Rejected]) -> str:
    """`2 unmatched, 1 redrive`, the most frequent first."""
    count = Counter(rejected.reason for rejected in messages)
    return ", ".join(f"{number} {reason}" for reason, number in count.most_common())


def in_full(rejected: Rejected, looked_at: LookedAt, now: float) -> Iterator[str]:
    """Everything that is known of one message."""
    message = rejected.message
    yield from columns(_facts(rejected, looked_at, now))
    attributes = {
        name: attribute
        for name, attribute in message.attributes.items()
        if name != REJECTION_ATTRIBUTE or rejected.attempts is None
    }
    if attributes:
        yield ""
        yield "attributes"
        yield from columns(map(_attribute, *zip(*sorted(attributes.items()), strict=True)), "  ")
    if message.system:
        yield ""
        yield "SQS's own attributes"
        yield from columns(sorted(message.system.items()), "  ")
    yield ""
    lines = pretty(message.body)
    kind = "as it came" if lines is None else "JSON, indented for reading"
    yield f"body, {counted(len(message.body.encode('utf-8', 'surrogatepass')), 'byte')}, {kind}"
    yield from (f"  {line}" for line in lines or message.body.split("\n"))


def pretty(body: str) -> list[str] | None:
    """
    The lines of a JSON document, one value on each; None if it is no JSON.

    Names, texts and numbers are letter by letter the sender's: only the space between them is not.
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


def age(seconds: float) -> str:
    """`3d 4h`, `5m 1s`, `0s`: the two largest units of it."""
    rest = max(0, int(seconds))
    parts: list[str] = []
    for unit, size in _UNITS:
        if rest >= size or (unit == "s" and not parts):
            parts.append(f"{rest // size}{unit}")
            rest %= size
        elif parts:
            break
    return " ".join(parts[:2])


# For programs


def list_json(looked_at: LookedAt, messages: Sequence[Rejected]) -> dict[str, object]:
    """What `rejected list` has found."""
    return {
        "format_version": _FORMAT_VERSION,
        "queue": looked_at.fields(),
        "messages": [message_json(rejected) for rejected in messages],
    }


def show_json(looked_at: LookedAt, rejected: Rejected) -> dict[str, object]:
    """What `rejected show` has found."""
    return {
        "format_version": _FORMAT_VERSION,
        "queue": looked_at.fields(),
        "message": message_json(rejected),
    }


def message_json(rejected: Rejected) -> dict[str, object]:
    """Everything that is known of one message."""
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


def message_file(rejected: Rejected, looked_at: LookedAt) -> dict[str, object]:
    """The message as a message file says it, for `explain --message` and the like."""
    sent = outgoing(rejected.message)
    return {
        "queue": rejected.source or looked_at.name,
        "attributes": _attributes_json(sent.attributes),
        "body_text": sent.body,
    }


def as_json(value: object) -> str:
    """JSON in ASCII, since there may be halves of surrogate pairs in it."""
    return json.dumps(value, indent=2)


def _row(rejected: Rejected, now: float) -> tuple[str, ...]:
    detail = rejected.detail
    received = rejected.message.receive_count if rejected.attempts is None else rejected.attempts
    return (
        rejected.message.id,
        rejected.reason,
        rejected.route or "-",
        rejected.source or "-",
        str(received),
        "-" if rejected.at is None else age(now - rejected.at),
        detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}...",
    )


def _facts(rejected: Rejected, looked_at: LookedAt, now: float) -> Iterator[tuple[str, str]]:
    message = rejected.message
    yield "message", message.id
    yield "on", f"{looked_at.name}  {looked_at.url}"
    yield "reason", rejected.reason
    yield "detail", rejected.detail
    if rejected.route is not None:
        yield "route", rejected.route
    yield "came from", rejected.source or "nobody knows where"
    if rejected.original_id != message.id:
        yield "its id there", rejected.original_id
    if rejected.attempts is not None:
        yield "received", counted(rejected.attempts, "time") + " before it was rejected"
    if rejected.at is not None:
        what = "sent" if rejected.attempts is None else "rejected"
        yield what, f"{_time(rejected.at)}, {age(now - rejected.at)} ago"


def _attribute(name: str, attribute: Attribute) -> tuple[str, str, str]:
    value = attribute.value
    if isinstance(value, bytes):
        text = base64.b64encode(value).decode()
        return name, attribute.data_type, f"{text}  ({counted(len(value), 'byte')}, base64)"
    return name, attribute.data_type, value


def _attributes_json(attributes: Mapping[str, Attribute]) -> dict[str, object]:
    """As a message file has them."""
    return {name: _attribute_json(attributes[name]) for name in sorted(attributes)}


def _attribute_json(attribute: Attribute) -> object:
    value = attribute.value
    text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
    return text if attribute.data_type == "String" else {"type": attribute.data_type, "value": text}


def _time(seconds: float | None) -> str | None:
    if seconds is None or not 0 <= seconds <= _LATEST:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
