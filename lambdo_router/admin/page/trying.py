"""
Where a pasted message would go: nothing is sent, only decided.

The verdict is the router's own, under the table that it runs on. Of the profile there is no
environment and no command but the sender's, and variables are as they are written.
"""

import re
from binascii import a2b_qp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from typing import Final, assert_never

from lambdo_router.admin.page.wording import counted, duration
from lambdo_router.config.messages import attribute
from lambdo_router.core.admission import Verdict, judge
from lambdo_router.core.message import Attribute, Message, read_event
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Queue, Refused, Routed, RoutingTable
from lambdo_router.core.settlement import LARGEST_MESSAGE, MOST_ATTRIBUTES, Reject

_MESSAGE_ID: Final = "00000000-0000-0000-0000-000000000000"
_MOST_STEPS: Final = 100
_FIELDS: Final = ("queue", "attributes", "body")
_NO_ESCAPE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_LONGEST: Final = 300
"""Characters of a complaint, which may quote what was sent."""
_DONE: Final[Mapping[str, str]] = {
    "launch": "Fly has accepted the Machine",
    "success": "the Machine has exited with 0",
}


class NotAForm(ValueError):
    """What was posted is no form of the page; the text says what it is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The form, as it was filled in."""

    queue: str = ""
    attributes: str = ""
    """One on each line: NAME=VALUE or NAME:TYPE=VALUE."""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """A route of the queue, in its turn."""

    route: str
    result: str
    """`no`, `takes it`, `refuses it` or `not reached`."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the router would do."""

    tone: str
    headline: str
    details: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    more_steps: int = 0
    """Routes that are not in `steps`."""
    facts: tuple[tuple[str, str], ...] = ()
    """Of the batch and the Machine: what, and its value."""
    remark: str = ""


def read_form(body: bytes) -> Asked:
    """The form of the page, as browsers encode it. Raises NotAForm."""
    if _NO_ESCAPE.search(body):
        raise NotAForm("this is no form: a % without two hexadecimal digits after it")
    pairs = body.split(b"&", len(_FIELDS)) if body else []
    if len(pairs) > len(_FIELDS):
        raise NotAForm(f"the form has {', '.join(_FIELDS)}, each once, and nothing else")
    fields: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = map(_decoded, pair.partition(b"="))
        if name not in _FIELDS or not equals:
            raise NotAForm(f"the form has no field {name[:50]!r}; it has {', '.join(_FIELDS)}")
        # Browsers send every end of a line as CR LF.
        fields[name] = value.replace("\r\n", "\n")
    return Asked(**fields)


def _decoded(text: bytes) -> str:
    # As quoted-printable, which is decoded in place; urllib takes a hundred bytes for each escape.
    quoted = text.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")
    try:
        return a2b_qp(quoted).decode()
    except UnicodeDecodeError as problem:
        raise NotAForm(f"this is no form: it is no UTF-8 ({problem.reason})") from None


def answer(table: RoutingTable, asked: Asked, wall: float) -> Answer:
    """What the router would do with that message; `wall` is the time, in unix seconds."""
    problems: list[str] = []
    queue = table.queues.get(asked.queue)
    if queue is None:
        problems.append(f"there is no queue {asked.queue[:100]!r}; choose one")
    attributes = _attributes(asked.attributes, problems)
    size = len(asked.body.encode(errors="surrogatepass"))
    if not asked.body:
        problems.append("the body is empty, which SQS does not take")
    elif size > LARGEST_MESSAGE:
        problems.append(f"the body has {size} bytes; SQS takes {LARGEST_MESSAGE}")
    if problems or queue is None:
        complaints = tuple(map(_cut, problems))
        return Answer("bad", "This is no message that SQS would take", complaints)
    message = Message(_MESSAGE_ID, "", asked.body, attributes, _delivered(wall))
    return _of_verdict(table, queue, message, judge(table, queue, message, wall=wall, record=True))


def _attributes(written: str, problems: list[str]) -> Mapping[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    # Line by line: who sends a million of them gets no list of a million complaints.
    lines = (line for each in StringIO(written) if (line := each.strip()))
    for line in islice(lines, MOST_ATTRIBUTES):
        head, equals, value = line.partition("=")
        name, colon, data_type = head.partition(":")
        if not equals:
            problems.append(f"attribute {line[:100]!r} has no `=`; write kind=image, or n:Number=5")
            continue
        if name in attributes:
            problems.append(f"attribute `{name}` is there twice")
            continue
        try:
            attributes[name] = attribute(name, data_type if colon else "String", value)
        except ValueError as problem:
            problems.append(str(problem))
    if next(lines, None) is not None:
        problems.append(f"more than {MOST_ATTRIBUTES} attributes, which SQS does not take")
    return attributes


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _delivered(wall: float) -> Mapping[str, str]:
    """What SQS says of a message that it delivers for the first time, just now."""
    now = str(int(wall * 1000))
    return {
        "ApproximateReceiveCount": "1",
        "SentTimestamp": now,
        "ApproximateFirstReceiveTimestamp": now,
    }


def _of_verdict(table: RoutingTable, queue: Queue, message: Message, verdict: Verdict) -> Answer:
    tone, headline = _headline(verdict, queue)
    steps = tuple(_steps(table, queue, verdict))
    # The one that takes it comes after those that do not match, and is always worth seeing.
    last = len(verdict.decision.considered)
    shown = steps if len(steps) <= _MOST_STEPS else (*steps[: _MOST_STEPS - 1], *steps[last:][:1])
    guessed = any(route.match.system is not None for route in table.routes_of(queue.name))
    return Answer(
        tone=tone,
        headline=headline,
        details=tuple(_details(verdict, queue, message)),
        steps=shown,
        more_steps=len(steps) - len(shown),
        facts=tuple(_facts(verdict)),
        remark="Some routes look at what SQS says of the sender, which is not known here."
        if guessed
        else "",
    )


def _headline(verdict: Verdict, queue: Queue) -> tuple[str, str]:
    route = verdict.decision.route
    by = "" if route is None else f", by route {route.name}"
    reason, _ = verdict.refusal
    match verdict.outcome:
        case "batched":
            return "good", f"It takes the route {'' if route is None else route.name}"
        case "rejected":
            to = verdict.settlement.to if isinstance(verdict.settlement, Reject) else ""
            return "bad", f"Rejected, that is moved to queue {to}: {reason}{by}"
        case "left":
            return "bad", f"Left on the queue, for its redrive policy to decide: {reason}{by}"
        case "dropped":
            return "quiet", f"Dropped, that is deleted: {reason}{by}"
        case "not_read":
            return "quiet", f"It stays there: no route reads queue {queue.name}"
        case unreachable:
            assert_never(unreachable)


def _details(verdict: Verdict, queue: Queue, message: Message) -> Iterator[str]:
    decision = verdict.decision
    if verdict.outcome == "not_read":
        return
    if verdict.outcome == "batched" and verdict.key is not None:
        yield from _settled_later(verdict.key.profile, queue)
        return
    schema = None if decision.route is None else decision.route.schema
    if isinstance(decision, Refused) and decision.reason == "schema_invalid" and schema is not None:
        yield from schema.problems(read_event(message, queue.envelope).value)
        return
    _, detail = verdict.refusal
    yield detail


def _settled_later(profile: Profile, queue: Queue) -> Iterator[str]:
    """What becomes of a message whose event is in a batch."""
    done = _DONE[profile.acknowledge]
    yield f"It is deleted when {done} (acknowledge: {profile.acknowledge})."
    end = ""
    if profile.max_attempts is not None and queue.reject_to is not None:
        receives = counted(profile.max_attempts, "receive")
        end = f", and rejected to {queue.reject_to} after {receives}"
    yield f"If that fails, it is tried again after a growing delay{end}."


def _steps(table: RoutingTable, queue: Queue, verdict: Verdict) -> Iterator[Step]:
    decision = verdict.decision
    if isinstance(decision, Refused) and decision.reason == "not_json":
        return
    missed = {considered.route: considered.why for considered in decision.considered}
    for route in table.routes_of(queue.name):
        if route.name in missed:
            yield Step(route.name, "no", missed[route.name])
        elif decision.route is not None and route.name == decision.route.name:
            yield Step(route.name, "takes it" if verdict.outcome == "batched" else "refuses it")
        else:
            yield Step(route.name, "not reached")


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    decision = verdict.decision
    if verdict.outcome != "batched" or not isinstance(decision, Routed):
        return
    profile, own = decision.profile.told, decision.route.profile.told
    yield "profile", profile.name
    several = f"{', '.join(profile.apps)}: whichever is free first"
    yield "app", several if profile.more_apps else profile.app or "none"
    yield "region", profile.region or "Fly chooses"
    yield "image", _chosen(profile.image, own.image)
    yield "size", _chosen(profile.size, own.size)
    if profile.command is not None and profile.command != own.command:
        yield "command", f"{' '.join(profile.command)} (chosen by the sender)"
    yield "batch", _batch(profile)


def _chosen(value: str, own: str) -> str:
    if value == own:
        return value
    return f"{value} (chosen by the sender{f', instead of {own}' if own else ''})"


def _batch(profile: Profile) -> str:
    most, window = counted(profile.batch_size, "event"), ""
    if profile.batch_window:
        window = f"{duration(profile.batch_window)} after its first event and "
    return f"up to {most}; launched when it is full, or {window}as soon as a launch slot is free"
