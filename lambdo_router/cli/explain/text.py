"""An explanation for people: what happens to the message first, then why."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never

from lambdo_router.cli.explain.explanation import Document, rejection_text
from lambdo_router.cli.output.layout import columns
from lambdo_router.config.diagnostics import counted
from lambdo_router.core.admission import Verdict
from lambdo_router.core.profile import SIZES
from lambdo_router.core.routing import Queue
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE, Reject

_MOST_LATER: Final = 5
_DELETED: Final[Mapping[str, str]] = {
    "launch": "deleted when Fly has accepted the Machine",
    "success": "deleted when the Machine has exited with 0",
}


def lines(explanation: Document, queue: Queue, verdict: Verdict) -> Iterator[str]:
    """Yield the explanation line by line, unescaped."""
    message, machine = explanation["message"], explanation["machine"]
    size = counted(message["body_bytes"], "byte")
    attributes = counted(len(message["attributes"]), "attribute")
    yield f"A message of {size} with {attributes}, on queue `{queue.name}`:"
    yield from (f"  {line}" for line in _outcome(explanation, queue, verdict))
    if explanation["considered"]:
        yield ""
        yield f"Routes of queue `{queue.name}`; the first that matches takes the message:"
        yield from _considered(explanation["considered"])
    if explanation["overrides"]:
        yield ""
        yield "Set by the sender, as the route allows:"
        yield from columns(map(_override, explanation["overrides"]), "  ")
    if machine is not None:
        batch = explanation["batch"]
        has_window = verdict.key is not None and verdict.key.profile.batch_window
        due = f"{batch['batch_window']} after its first event, " if has_window else ""
        events = counted(batch["batch_size"], "event")
        yield ""
        yield f"Batch {batch['key']}, for events of the same queue, route, image, size and command:"
        yield f"  holds up to {events} and {batch['batch_bytes']}"
        yield f"  is launched when it is full, or {due}as soon as a launch slot is free"
        yield ""
        yield f"Machine {machine['name']}, if no other event joins the batch:"
        yield from columns(_machine(machine), "  ")


def _outcome(explanation: Document, queue: Queue, verdict: Verdict) -> Iterator[str]:
    by = "" if explanation["route"] is None else f" by route `{explanation['route']}`"
    why = f"{by} ({explanation['reason']})"
    match verdict.outcome:
        case "batched":
            yield f"takes route `{explanation['route']}`"
            yield from _settlement(verdict, queue)
            return
        case "rejected":
            yield f"rejected{why}: moved to queue `{explanation['rejected_to']}`"
        case "left":
            yield f"left on the queue{why}: its redrive policy decides"
        case "dropped":
            yield f"dropped{why}: deleted"
        case "not_read":
            yield "not read: no route reads this queue, so the router never receives the message"
            return
        case unreachable:
            assert_never(unreachable)
    problems = explanation["schema_problems"] or [explanation["detail"]]
    yield from (f"  {problem}" for problem in problems)
    if isinstance(verdict.settlement, Reject):
        yield f"gains the attribute {REJECTION_ATTRIBUTE}: {rejection_text(verdict.settlement)}"


def _settlement(verdict: Verdict, queue: Queue) -> Iterator[str]:
    """Yield what happens to a message whose event is in a batch."""
    if verdict.key is None:
        return
    profile = verdict.key.profile
    yield f"{_DELETED[profile.acknowledge]} (acknowledge: {profile.acknowledge})"
    most, end = profile.max_attempts, ""
    if most is not None and queue.reject_to is not None:
        end = f", and rejected to `{queue.reject_to}` after {counted(most, 'receive')}"
    yield f"if that fails, retried with a growing delay{end}"


def _considered(routes: Sequence[Document]) -> Iterator[str]:
    """Yield the routes in their turn, with only a few of those after the one that matched."""
    later = [route for route in routes if route["result"] == "not_reached"]
    shown = [*routes[: len(routes) - len(later)], *later[:_MOST_LATER]]
    yield from columns(map(_considered_row, shown), "  ")
    if len(later) > _MOST_LATER:
        yield f"  and {counted(len(later) - _MOST_LATER, 'more route')}, not reached"


def _considered_row(route: Document) -> tuple[str, str, str]:
    answer, text = {
        "not_matched": ("no", f"{route['why']}  "),
        "taken": ("yes", ""),
        "refused": ("yes", "and refuses it  "),
        "not_reached": ("-", "not reached  "),
    }[route["result"]]
    return route["route"], answer, f"{text}({route['file']}:{route['line']}:{route['column']})"


def _override(override: Document) -> tuple[str, str]:
    old = override["profile"]
    instead = "" if old is None else f", instead of {_json(old)}"
    return override["key"], f"{_json(override['sender'])}{instead}"


def _machine(machine: Document) -> Iterator[tuple[str, str]]:
    if len(machine["apps"]) > 1:
        yield "app", f"{', '.join(machine['apps'])}: the first with a free slot"
    else:
        yield "app", machine["app"] or "none: write `app`, or set LAMBDO_FLY_APP"
    yield "region", machine["region"] or "Fly chooses"
    yield "image", machine["image"]
    guest, name = machine["guest"], machine["size"].partition(",")[0]
    size = f"{counted(guest['cpus'], guest['cpu_kind'] + ' CPU')}, {guest['memory_mb']} MB"
    yield "size", f"{name}: {size}" if name in SIZES else size
    command = machine["command"]
    yield "command", "the image's own" if command is None else _json(command)
    for name, value in sorted(machine["env"].items()):
        yield "env", f"{name}={value}"
    for file in machine["files"]:
        yield "file", file["path"] + ("" if file["size"] is None else f", {file['size']} bytes")
    for key, setting in machine["other"].items():
        yield key, _json(setting)
    yield "request", f"{machine['request_bytes']} bytes"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
