"""
The trace that a message belongs to, according to its sender.

There are two spellings: W3C Trace Context in the message attributes `traceparent` and `tracestate`,
as OpenTelemetry's senders write them, and X-Ray's header in the system attribute `AWSTraceHeader`,
as AWS's own services do. The first one wins. Whatever is malformed is as good as none: a trace is
for people who look on, and no reason to refuse an event.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lambdo_router.core.message import Attribute, Message

LONGEST_STATE = 512
"""Characters of a trace state that W3C asks to propagate; longer ones are dropped."""
_LONGEST_HEADER = 1024
_PARENT = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<rest>-.*)?"
)
_MEMBER = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]"
)
_MOST_MEMBERS = 32
_ROOT = re.compile(r"1-([0-9a-f]{8})-([0-9a-f]{24})")
_SPAN = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True, slots=True)
class TraceContext:
    """A place in a trace: W3C's headers, checked."""

    trace_id: str
    """32 hex digits, not all zero."""
    span_id: str
    """16 hex digits, not all zero."""
    flags: str
    """`00` to `03`; the lowest bit: whether the trace is recorded. The other: its id is random."""
    state: str = ""
    """W3C's `tracestate`; empty if there is none."""

    @property
    def parent(self) -> str:
        """W3C's `traceparent`, version 00."""
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that pass the context to a program."""
        variables = {"TRACEPARENT": self.parent}
        return variables | {"TRACESTATE": self.state} if self.state else variables


def context_of(message: Message, attributes: Mapping[str, Attribute]) -> TraceContext | None:
    """
    Return the context that a message carries, or None.

    `attributes` are the event's: with an SNS envelope they are not those of the message.
    """
    return written_in(attributes) or read_xray(message.system.get("AWSTraceHeader", ""))


def written_in(attributes: Mapping[str, Attribute]) -> TraceContext | None:
    """Return the context in a sender's attributes, or None."""
    parent = _text(attributes.get("traceparent"))
    return read_parent(parent, _text(attributes.get("tracestate"))) if parent else None


def shared_by(contexts: Iterable[TraceContext | None]) -> TraceContext | None:
    """Return the context that all of these are, or None."""
    distinct = set(contexts)
    return distinct.pop() if len(distinct) == 1 else None


def read_parent(parent: str, state: str = "") -> TraceContext | None:
    """
    Read W3C's `traceparent` and `tracestate`; None if the first is malformed.

    Of a version to come only the fields of version 00 are taken, as W3C asks for, and of the flags
    those that W3C has defined. A malformed `tracestate` is dropped alone.
    """
    found = _PARENT.fullmatch(parent)
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["rest"]):
        return None
    known = 3 if found["version"] == "00" else 1
    flags = f"0{int(found['flags'], 16) & known}"
    return _checked(found["trace"], found["span"], flags, _read_state(state))


def read_xray(header: str) -> TraceContext | None:
    """
    Read X-Ray's header: `Root=1-8 hex-24 hex;Parent=16 hex;Sampled=1`, in any order.

    None if it is malformed, or names no parent: then there is no span to go on from.
    """
    if not header or len(header) > _LONGEST_HEADER:
        return None
    parts = (part.partition("=") for part in header.split(";"))
    fields = {name.strip(): value.strip() for name, _, value in parts}
    root = _ROOT.fullmatch(fields.get("Root", "").lower())
    span = fields.get("Parent", "").lower()
    if root is None or _SPAN.fullmatch(span) is None:
        return None
    return _checked(root[1] + root[2], span, "01" if fields.get("Sampled") == "1" else "00", "")


def _checked(trace_id: str, span_id: str, flags: str, state: str) -> TraceContext | None:
    # All zeros stand for "none" in both spellings.
    if not trace_id.strip("0") or not span_id.strip("0"):
        return None
    return TraceContext(trace_id, span_id, flags, state)


def _read_state(state: str) -> str:
    if len(state) > LONGEST_STATE:
        return ""
    members = [member for part in state.split(",") if (member := part.strip(" \t"))]
    keys = {member.partition("=")[0] for member in members}
    fine = len(keys) == len(members) <= _MOST_MEMBERS and all(map(_MEMBER.fullmatch, members))
    return ",".join(members) if fine else ""


def _text(attribute: Attribute | None) -> str:
    return attribute.value if attribute is not None and isinstance(attribute.value, str) else ""
