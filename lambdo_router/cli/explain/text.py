"""An explanation as people read it: what becomes of the message first, then why."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, assert_never

from lambdo_router.cli.explain.explanation import Explanation, MachineToCreate, Override, Step
from lambdo_router.cli.output.layout import columns
from lambdo_router.config.diagnostics import counted
from lambdo_router.config.explain.resolved import profile_values
from lambdo_router.core.profile import SIZES, Profile
from lambdo_router.core.settlement import REJECTION_ATTRIBUTE, Reject

_MOST_LATER: Final = 5
_DONE: Final[Mapping[str, str]] = {
    "launch": "deleted when Fly has accepted the Machine",
    "success": "deleted when the Machine has exited with 0",
}


def lines(explanation: Explanation) -> Iterator[str]:
    """The explanation, line by line; what senders wrote is in there as it came."""
    message, queue = explanation.message, explanation.queue
    size = counted(len(message.body.encode()), "byte")
    attributes = counted(len(message.attributes), "attribute")
    yield f"A message of {size} with {attributes}, on queue `{queue.name}`:"
    yield from (f"  {line}" for line in _outcome(explanation))
    if explanation.steps:
        yield ""
        yield f"Routes of queue `{queue.name}`; the first that matches takes the message:"
        yield from _steps(explanation.steps)
    if explanation.overrides:
        yield ""
        yield "Chosen by the sender, as the route allows:"
        yield from columns(map(_override, explanation.overrides), "  ")
    if explanation.verdict.key is not None and explanation.machine is not None:
        yield ""
        yield from _batch(explanation.verdict.key.profile, explanation.batch_key)
        yield ""
        yield f"Machine {explanation.machine.name}, if no other event joins the batch:"
        yield from columns(_machine(explanation.machine), "  ")


def _outcome(explanation: Explanation) -> Iterator[str]:
    verdict = explanation.verdict
    route = verdict.decision.route
    reason, detail = verdict.refusal
    by = "" if route is None else f", by route `{route.name}`"
    match verdict.outcome:
        case "batched":
            yield f"takes the route `{'' if route is None else route.name}`"
            yield from _settled_later(explanation)
            return
        case "rejected":
            to = verdict.settlement.to if isinstance(verdict.settlement, Reject) else ""
            yield f"rejected, that is moved to queue `{to}`: {reason}{by}"
        case "left":
            yield f"left on the queue, for its redrive policy to decide: {reason}{by}"
        case "dropped":
            yield f"dropped, that is deleted: {reason}{by}"
        case "not_read":
            yield "stays there: no route reads this queue, and so the router never sees the message"
            return
        case unreachable:
            assert_never(unreachable)
    yield from (f"  {problem}" for problem in explanation.schema_problems or (detail,))
    if isinstance(verdict.settlement, Reject):
        attribute = verdict.settlement.rejection.attribute()
        yield f"gains the attribute {REJECTION_ATTRIBUTE}: {attribute.value!s}"


def _settled_later(explanation: Explanation) -> Iterator[str]:
    """What becomes of a message whose event is in a batch."""
    key, queue = explanation.verdict.key, explanation.queue
    if key is None:
        return
    done = _DONE.get(key.profile.acknowledge, "")
    yield f"{done} (acknowledge: {key.profile.acknowledge})"
    most = key.profile.max_attempts
    end = ""
    if most is not None and queue.reject_to is not None:
        end = f", and rejected to `{queue.reject_to}` after {counted(most, 'receive')}"
    yield f"if that fails, tried again after a growing delay{end}"


def _steps(steps: Sequence[Step]) -> Iterator[str]:
    """The routes in their turn; of those behind the one that takes the message only a few."""
    later = [step for step in steps if step.result == "not_reached"]
    shown = [*steps[: len(steps) - len(later)], *later[:_MOST_LATER]]
    yield from columns(map(_step, shown), "  ")
    if len(later) > _MOST_LATER:
        yield f"  and {counted(len(later) - _MOST_LATER, 'more route')}, not reached"


def _step(step: Step) -> tuple[str, str, str]:
    match step.result:
        case "not_matched":
            return step.route, "no", f"{step.why}  ({step.place})"
        case "taken":
            return step.route, "yes", f"({step.place})"
        case "refused":
            return step.route, "yes", f"and refuses it  ({step.place})"
        case "not_reached":
            return step.route, "-", f"not reached  ({step.place})"
        case unreachable:
            assert_never(unreachable)


def _override(override: Override) -> tuple[str, str]:
    instead = "" if override.profile is None else f", instead of {_json(override.profile)}"
    return override.key, f"{_json(override.sender)}{instead}"


def _batch(profile: Profile, key: str) -> Iterator[str]:
    values = profile_values(profile)
    window = values["batch_window"] if profile.batch_window else ""
    ripe = f"{window} after its first event, " if window else ""
    yield f"Batch {key}, for events of the same queue, route, image, size and command:"
    yield f"  holds up to {counted(profile.batch_size, 'event')} and {values['batch_bytes']}"
    yield f"  is launched when it is full, or {ripe}as soon as a launch slot is free"


def _machine(machine: MachineToCreate) -> Iterator[tuple[str, str]]:
    guest = machine.guest
    if len(machine.apps) > 1:
        yield "app", f"{', '.join(machine.apps)}: whichever is free first"
    else:
        yield "app", machine.app or "none yet: write `app`, or set LAMBDO_FLY_APP"
    yield "region", machine.region or "Fly chooses"
    yield "image", machine.image
    name = machine.size.partition(",")[0]
    cpus = counted(guest["cpus"], f"{guest['cpu_kind']} CPU")
    size = f"{cpus}, {guest['memory_mb']} MB"
    yield "size", f"{name}: {size}" if name in SIZES else size
    yield "command", "the image's own" if machine.command is None else _json(list(machine.command))
    for name, value in sorted(machine.env.items()):
        yield "env", f"{name}={value}"
    for file in machine.files:
        yield "file", file.path if file.size is None else f"{file.path}, {file.size} bytes"
    for key, setting in machine.other.items():
        yield key, _json(setting)
    yield "request", f"{machine.request_bytes} bytes"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
