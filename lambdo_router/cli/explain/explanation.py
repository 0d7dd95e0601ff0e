"""
Why a message goes where it goes, and what Machine would be made of it: all that `explain` tells.

The verdict is the router's own. Here it is put together with what only the routes file knows: where
each route is written, and which values come from variables.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from lambdo_router.config.explain.resolved import (
    duration_text,
    profile_values,
    route_values,
    unresolved,
)
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.config.read.places import Place
from lambdo_router.core.admission import Verdict
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.machine import ReportAddress, batch_id_of, machine_request
from lambdo_router.core.message import Message, read_event
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Queue, Refused, Route, Routed
from lambdo_router.core.settlement import Reject

FORMAT_VERSION = "1.0"
Result = Literal["not_matched", "taken", "refused", "not_reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """A route of the queue, in its turn."""

    route: str
    result: Result
    place: Place
    """Of the condition that was not met; of the route, where there is none."""
    why: str = ""
    """Why it does not match: what was asked, and what was there."""
    part: str = ""
    path: tuple[str | int, ...] = ()
    """Where in its `match` the condition stands: `attributes`, `body` or `system`, and inside."""


@dataclass(frozen=True, slots=True)
class Override:
    """What the sender has chosen instead of the profile."""

    key: str
    profile: object
    sender: object


@dataclass(frozen=True, slots=True)
class MachineFile:
    """A file that the Machine finds; of one whose contents Fly keeps the size is not known."""

    path: str
    size: int | None


@dataclass(frozen=True, slots=True)
class MachineToCreate:
    """The Machine that would be created if no other event came to share it."""

    name: str
    app: str
    """The first of `apps`."""
    apps: tuple[str, ...]
    """It is created in the one of these that is free first."""
    region: str | None
    image: str
    size: str
    guest: Mapping[str, Any]
    """CPUs and memory, as the Machines API spells them."""
    command: tuple[str, ...] | None
    """None: the image's own."""
    env: Mapping[str, str]
    files: tuple[MachineFile, ...]
    other: Mapping[str, object]
    """What else the request says of the Machine, as the Machines API spells it."""
    request_bytes: int


@dataclass(frozen=True, slots=True)
class Explanation:
    """All that there is to tell about one message."""

    queue: Queue
    message: Message
    verdict: Verdict
    steps: tuple[Step, ...]
    schema_problems: tuple[str, ...] = ()
    overrides: tuple[Override, ...] = ()
    batch_key: str = ""
    """Two messages with the same one may share a Machine; empty if no route takes the message."""
    machine: MachineToCreate | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Keys of the profile that depend on variables which are not set, with what is written."""


def explain(
    loaded: LoadedRoutes, queue: Queue, message: Message, verdict: Verdict, *, show_values: bool
) -> Explanation:
    """
    The explanation of a verdict.

    Unless `show_values`, the Machine has variables as they are written where their values may be
    secrets: in its image, its environment, its command and its machine config.
    """
    steps = tuple(_steps(loaded, queue, verdict))
    decision = verdict.decision
    if isinstance(decision, Refused):
        problems = _schema_problems(decision, queue, message)
        return Explanation(queue, message, verdict, steps, problems)
    origins = loaded.origins(decision.route.name)
    before, shown = decision.route.profile, decision.profile
    if not show_values:
        before, shown = before.told, shown.told
    batch = verdict.batch
    return Explanation(
        queue,
        message,
        verdict,
        steps,
        overrides=tuple(_overrides(before, shown)),
        batch_key="" if verdict.key is None else key_digest(verdict.key),
        machine=None if batch is None else _machine(batch, shown, loaded.generation),
        unknown=unresolved(origins),
    )


def key_digest(key: BatchKey) -> str:
    """12 hexadecimal digits for a batch key, which are the same wherever it is."""
    schema = key.route.schema
    identity = [
        *(key.queue, key.route.name, key.profile.name, schema and schema.digest),
        *(
            route_values(key.route, veiled=False),
            profile_values(key.route.profile),
            profile_values(key.profile),
        ),
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]


def _steps(loaded: LoadedRoutes, queue: Queue, verdict: Verdict) -> Iterator[Step]:
    decision = verdict.decision
    missed = {considered.route: considered for considered in decision.considered}
    if isinstance(decision, Refused) and decision.reason == "not_json":
        return
    for route in loaded.table.routes_of(queue.name):
        considered = missed.get(route.name)
        if considered is not None:
            inside = ("match", considered.part, *considered.path) if considered.part else ()
            place = loaded.place_of(route.name, *inside)
            yield Step(
                route.name, "not_matched", place, considered.why, considered.part, considered.path
            )
            continue
        result: Result = "not_reached"
        if decision.route is not None and route.name == decision.route.name:
            result = "taken" if isinstance(decision, Routed) else "refused"
        yield Step(route.name, result, loaded.place_of(route.name))


def _schema_problems(refused: Refused, queue: Queue, message: Message) -> tuple[str, ...]:
    route: Route | None = refused.route
    if refused.reason != "schema_invalid" or route is None or route.schema is None:
        return ()
    return route.schema.problems(read_event(message, queue.envelope).value)


def _overrides(before: Profile, after: Profile) -> Iterator[Override]:
    old, new = profile_values(before), profile_values(after)
    for key in ("image", "size", "command"):
        if old.get(key) != new.get(key):
            yield Override(key, old.get(key), new.get(key))


def _machine(batch: Batch, profile: Profile, generation: str) -> MachineToCreate:
    """What the request says that would be sent; it is rendered with this profile to be shown."""
    report = _report_address(batch) if profile.acknowledge == "success" else None
    request = machine_request(batch, generation=generation, report=report)
    shown = replace(batch, key=replace(batch.key, profile=profile))
    body = json.loads(machine_request(shown, generation=generation, report=report).body)
    config: dict[str, Any] = body["config"]
    # Which second that is depends on when the message comes.
    deadline = f"launch + {duration_text(profile.timeout)}"
    config["metadata"]["lambdo_deadline"] = config["env"]["LAMBDO_DEADLINE"] = deadline
    told = {"image", "guest", "env", "files", "init"}
    other = {key: value for key, value in config.items() if key not in told}
    init = dict(config.get("init", {}))
    command = init.pop("cmd", None)
    return MachineToCreate(
        name=request.name,
        app=request.app,
        apps=profile.apps,
        region=body.get("region"),
        image=config["image"],
        size=profile.size,
        guest=config["guest"],
        command=None if command is None else tuple(command),
        env=config["env"],
        files=tuple(_file(entry) for entry in config["files"]),
        other={**({"init": init} if init else {}), **other},
        request_bytes=len(request.body.encode()),
    )


def _report_address(batch: Batch) -> ReportAddress:
    """As the router would give it: where it is and the token are known to it alone."""
    return ReportAddress(f"http://ROUTER:9091/reports/{batch_id_of(batch)}", "made for each batch")


def _file(entry: Mapping[str, Any]) -> MachineFile:
    content = entry.get("raw_value")
    size = len(base64.b64decode(content)) if isinstance(content, str) else None
    return MachineFile(str(entry.get("guest_path", "")), size)


def as_json(explanation: Explanation, loaded: LoadedRoutes, file: str) -> dict[str, object]:
    """The explanation as `explain --format json` prints it; docs/json-output.md describes it."""
    verdict, message = explanation.verdict, explanation.message
    reason, detail = verdict.refusal
    rejected = verdict.settlement if isinstance(verdict.settlement, Reject) else None
    return {
        "format_version": FORMAT_VERSION,
        "routes_file": {"file": file, "generation": loaded.generation},
        "message": {
            "queue": explanation.queue.name,
            "id": message.id,
            "body_bytes": len(message.body.encode()),
            "attributes": sorted(message.attributes),
            "system": dict(message.system),
        },
        "outcome": verdict.outcome,
        "route": None if verdict.decision.route is None else verdict.decision.route.name,
        "reason": reason or None,
        "detail": detail or None,
        "schema_problems": list(explanation.schema_problems),
        "rejected_to": None if rejected is None else rejected.to,
        "rejection": None if rejected is None else json.loads(_rejection(rejected)),
        "considered": [_step_json(step) for step in explanation.steps],
        "overrides": [asdict(override) for override in explanation.overrides],
        "batch": None if verdict.key is None else _batch_json(explanation, verdict.key),
        "machine": None if explanation.machine is None else asdict(explanation.machine),
        "unknown": dict(explanation.unknown),
    }


def _rejection(rejected: Reject) -> str:
    """What the attribute of the rejected message will say."""
    return str(rejected.rejection.attribute().value)


def _step_json(step: Step) -> dict[str, object]:
    return {
        "route": step.route,
        "result": step.result,
        "why": step.why or None,
        "part": step.part or None,
        "path": list(step.path),
        "file": step.place.file,
        "line": step.place.line,
        "column": step.place.column,
    }


def _batch_json(explanation: Explanation, key: BatchKey) -> dict[str, object]:
    values, entry = profile_values(key.profile), explanation.verdict.entry
    return {
        "key": explanation.batch_key,
        "batch_size": values["batch_size"],
        "batch_window": values["batch_window"],
        "batch_bytes": values["batch_bytes"],
        "event_bytes": None if entry is None else entry.raw_bytes,
    }
