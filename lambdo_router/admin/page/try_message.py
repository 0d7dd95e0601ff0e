"""
Says where a pasted message would go; nothing is sent.

The verdict is the router's own, under the table in use. Of the profile neither the environment nor
the command is shown, unless the sender chose the command, and variables are shown unexpanded.
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
from lambdo_router.core.lease import LARGEST_MESSAGE, MOST_ATTRIBUTES
from lambdo_router.core.message import Attribute, Message, read_event
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Queue, Refused, Routed, RoutingTable
from lambdo_router.core.settlement import Reject

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
    """The request body is not the page's form; the text says why."""


@dataclass(frozen=True, slots=True)
class TryForm:
    """The form, as it was filled in."""

    queue: str = ""
    attributes: str = ""
    """One per line: NAME=VALUE or NAME:TYPE=VALUE."""
    body: str = ""


@dataclass(frozen=True, slots=True)
class TryStep:
    """A route of the queue, and whether it takes the message."""

    route: str
    result: str
    """`no`, `takes it`, `refuses it` or `not reached`."""
    why: str = ""


@dataclass(frozen=True, slots=True)
class TryResult:
    """What the router would do."""

    tone: str
    headline: str
    details: tuple[str, ...] = ()
    steps: tuple[TryStep, ...] = ()
    more_steps: int = 0
    """How many routes are not in `steps`."""
    facts: tuple[tuple[str, str], ...] = ()
    """Properties of the batch and the Machine."""
    remark: str = ""


def read_form(body: bytes) -> TryForm:
    """Parse the page's form as browsers encode it. Raises NotAForm."""
    if _NO_ESCAPE.search(body):
        raise NotAForm("this is not a form: a % is not followed by two hexadecimal digits")
    pairs = body.split(b"&", len(_FIELDS)) if body else []
    if len(pairs) > len(_FIELDS):
        raise NotAForm(f"the form has {', '.join(_FIELDS)}, each once, and nothing else")
    fields: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = map(_decoded, pair.partition(b"="))
        if name not in _FIELDS or not equals:
            raise NotAForm(f"the form has no field {name[:50]!r}; it has {', '.join(_FIELDS)}")
        # Browsers send line ends as CR LF.
        fields[name] = value.replace("\r\n", "\n")
    return TryForm(**fields)


def _decoded(text: bytes) -> str:
    # As quoted-printable, which is decoded in place; urllib needs a hundred bytes per escape.
    quoted = text.replace(b"+", b" ").replace(b"=", b"=3D").replace(b"%", b"=")
    try:
        return a2b_qp(quoted).decode()
    except UnicodeDecodeError as problem:
        raise NotAForm(f"this is not a form: it is not UTF-8 ({problem.reason})") from None


def try_message(table: RoutingTable, form: TryForm, now: float) -> TryResult:
    """Return what the router would do with this message, received at `now` in unix seconds."""
    problems: list[str] = []
    queue = table.queues.get(form.queue)
    if queue is None:
        problems.append(f"there is no queue {form.queue[:100]!r}; choose one")
    attributes = _attributes(form.attributes, problems)
    size = len(form.body.encode(errors="surrogatepass"))
    if not form.body:
        problems.append("the body is empty, which SQS does not accept")
    elif size > LARGEST_MESSAGE:
        problems.append(f"the body has {size} bytes; SQS accepts at most {LARGEST_MESSAGE}")
    if problems or queue is None:
        complaints = tuple(map(_cut, problems))
        return TryResult("bad", "SQS would not accept this message", complaints)
    message = Message(_MESSAGE_ID, "", form.body, attributes, _delivered(now))
    return _of_verdict(table, queue, message, judge(table, queue, message, now=now, record=True))


def _attributes(written: str, problems: list[str]) -> Mapping[str, Attribute]:
    attributes: dict[str, Attribute] = {}
    # Line by line, so that a million lines do not become a list of a million complaints.
    lines = (line for each in StringIO(written) if (line := each.strip()))
    for line in islice(lines, MOST_ATTRIBUTES):
        head, equals, value = line.partition("=")
        name, colon, data_type = head.partition(":")
        if not equals:
            problems.append(f"attribute {line[:100]!r} has no `=`; write kind=image, or n:Number=5")
            continue
        if name in attributes:
            problems.append(f"attribute `{name}` is set twice")
            continue
        try:
            attributes[name] = attribute(name, data_type if colon else "String", value)
        except ValueError as problem:
            problems.append(str(problem))
    if next(lines, None) is not None:
        problems.append(f"more than {MOST_ATTRIBUTES} attributes, which SQS does not accept")
    return attributes


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _delivered(now: float) -> Mapping[str, str]:
    """Return the system attributes of a message that is delivered for the first time."""
    times = dict.fromkeys(
        ("SentTimestamp", "ApproximateFirstReceiveTimestamp"), f"{now * 1000:.0f}"
    )
    return {"ApproximateReceiveCount": "1", **times}


def _of_verdict(table: RoutingTable, queue: Queue, message: Message, verdict: Verdict) -> TryResult:
    tone, headline = _headline(verdict, queue)
    steps = tuple(_steps(table, queue, verdict))
    # The one that takes it comes after those that do not match, and is always shown.
    last = len(verdict.decision.considered)
    shown = steps if len(steps) <= _MOST_STEPS else (*steps[: _MOST_STEPS - 1], *steps[last:][:1])
    guessed = any(route.match.system is not None for route in table.routes_of(queue.name))
    return TryResult(
        tone=tone,
        headline=headline,
        details=tuple(_details(verdict, queue, message)),
        steps=shown,
        more_steps=len(steps) - len(shown),
        facts=tuple(_facts(verdict)),
        remark="Some routes match system attributes such as the sender, which are not known here."
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
            return "bad", f"Rejected: moved to queue {to} ({reason}{by})"
        case "left":
            return "bad", f"Left on the queue, to its redrive policy ({reason}{by})"
        case "dropped":
            return "quiet", f"Dropped: deleted ({reason}{by})"
        case "not_read":
            return "quiet", f"It stays on the queue: no route reads {queue.name}"
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
    """Yield how a message is settled whose event is in a batch."""
    done = _DONE[profile.acknowledge]
    yield f"It is deleted when {done} (acknowledge: {profile.acknowledge})."
    end = ""
    if profile.max_attempts is not None and queue.reject_to is not None:
        receives = counted(profile.max_attempts, "receive")
        end = f", and rejected to {queue.reject_to} after {receives}"
    yield f"If that fails, it is retried with increasing delays{end}."


def _steps(table: RoutingTable, queue: Queue, verdict: Verdict) -> Iterator[TryStep]:
    decision = verdict.decision
    if isinstance(decision, Refused) and decision.reason == "not_json":
        return
    missed = {considered.route: considered.why for considered in decision.considered}
    for route in table.routes_of(queue.name):
        if route.name in missed:
            yield TryStep(route.name, "no", missed[route.name])
        elif decision.route is not None and route.name == decision.route.name:
            yield TryStep(route.name, "takes it" if verdict.outcome == "batched" else "refuses it")
        else:
            yield TryStep(route.name, "not reached")


def _facts(verdict: Verdict) -> Iterator[tuple[str, str]]:
    decision = verdict.decision
    if verdict.outcome != "batched" or not isinstance(decision, Routed):
        return
    profile, own = decision.profile.public, decision.route.profile.public
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
        window = f"{duration(profile.batch_window)} after the first event and "
    return f"up to {most}; launched when full, or {window}as soon as a launch slot is free"
