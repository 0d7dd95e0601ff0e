"""
Why a message is routed as it is, and which Machine would be created for it.

The verdict is the router's own. `explain` adds what only the routes file knows (where each route is
written, which values come from variables) and returns the document that `explain --format json`
prints, described in docs/json-output.md. text.py renders it for people.
"""

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from lambdo_router.config.explain.resolved import (
    duration_text,
    profile_values,
    route_values,
    unresolved,
)
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core.admission import Verdict
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.machine import ReportAddress, batch_id_of, machine_request
from lambdo_router.core.machine_metadata import DEADLINE
from lambdo_router.core.message import Message, read_event
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Queue, Refused, Routed
from lambdo_router.core.settlement import Reject

FORMAT_VERSION = "1.0"
Document = dict[str, Any]


def explain(
    loaded: LoadedRoutes,
    file: str,
    queue: Queue,
    message: Message,
    verdict: Verdict,
    *,
    show_values: bool,
) -> Document:
    """
    Explain a verdict on a message by the routes of `file`.

    Unless `show_values`, the Machine has variables as written where their values may be secrets:
    in its image, environment, command and machine config.
    """
    decision, batch = verdict.decision, verdict.batch
    reason, detail = verdict.refusal
    rejected = verdict.settlement if isinstance(verdict.settlement, Reject) else None
    overrides, machine, unknown = list[Document](), None, dict[str, str]()
    if isinstance(decision, Routed):
        before, after = decision.route.profile, decision.profile
        if not show_values:
            before, after = before.public, after.public
        overrides = list(_overrides(before, after))
        machine = None if batch is None else _machine(batch, after, loaded.generation)
        unknown = unresolved(loaded.origins(decision.route.name))
    return {
        "format_version": FORMAT_VERSION,
        "routes_file": {"file": file, "generation": loaded.generation},
        "message": {
            "queue": queue.name,
            "id": message.id,
            "body_bytes": len(message.body.encode()),
            "attributes": sorted(message.attributes),
            "system": dict(message.system),
        },
        "outcome": verdict.outcome,
        "route": None if decision.route is None else decision.route.name,
        "reason": reason or None,
        "detail": detail or None,
        "schema_problems": list(_schema_problems(verdict, queue, message)),
        "rejected_to": None if rejected is None else rejected.to,
        "rejection": None if rejected is None else json.loads(rejection_text(rejected)),
        "considered": list(_considered(loaded, queue, verdict)),
        "overrides": overrides,
        "batch": None if verdict.key is None else _batch(verdict, verdict.key),
        "machine": machine,
        "unknown": unknown,
    }


def rejection_text(rejected: Reject) -> str:
    """Return the value of the attribute that the rejected message gains."""
    return str(rejected.rejection.attribute().value)


def _considered(loaded: LoadedRoutes, queue: Queue, verdict: Verdict) -> Iterator[Document]:
    """Yield the routes of the queue, in their turn."""
    decision = verdict.decision
    missed = {one.route: one for one in decision.considered}
    if isinstance(decision, Refused) and decision.reason == "not_json":
        return
    for route in loaded.table.routes_of(queue.name):
        why, part, path = None, None, list[str | int]()
        if (one := missed.get(route.name)) is not None:
            result, why, part, path = "not_matched", one.why, one.part or None, list(one.path)
        elif decision.route is not None and route.name == decision.route.name:
            result = "taken" if isinstance(decision, Routed) else "refused"
        else:
            result = "not_reached"
        place = loaded.place_of(route.name, *(("match", part, *path) if part else ()))
        yield {
            "route": route.name,
            "result": result,
            "why": why,
            "part": part,
            "path": path,
            "file": place.file,
            "line": place.line,
            "column": place.column,
        }


def _schema_problems(verdict: Verdict, queue: Queue, message: Message) -> tuple[str, ...]:
    decision, route = verdict.decision, verdict.decision.route
    if not isinstance(decision, Refused) or decision.reason != "schema_invalid":
        return ()
    if route is None or route.schema is None:
        return ()
    return route.schema.problems(read_event(message, queue.envelope).value)


def _overrides(before: Profile, after: Profile) -> Iterator[Document]:
    """Yield the values that the sender set in place of the profile's."""
    old, new = profile_values(before), profile_values(after)
    for key in ("image", "size", "command"):
        if old.get(key) != new.get(key):
            yield {"key": key, "profile": old.get(key), "sender": new.get(key)}


def _batch(verdict: Verdict, key: BatchKey) -> Document:
    values, entry = profile_values(key.profile), verdict.entry
    return {
        "key": _key_digest(key),
        "batch_size": values["batch_size"],
        "batch_window": values["batch_window"],
        "batch_bytes": values["batch_bytes"],
        "event_bytes": None if entry is None else entry.raw_bytes,
    }


def _key_digest(key: BatchKey) -> str:
    """Return 12 hexadecimal digits for a batch key, the same on every machine."""
    schema = key.route.schema
    identity = [
        *(key.queue, key.route.name, key.profile.name, schema and schema.digest),
        route_values(key.route, masked=False),
        profile_values(key.route.profile),
        profile_values(key.profile),
    ]
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:12]


def _machine(batch: Batch, profile: Profile, generation: str) -> Document:
    """Return the Machine of the request, rendered with `profile` so that it can be shown."""
    report = None
    if profile.acknowledge == "success":
        # Only a running router knows its address and makes tokens.
        url = f"http://ROUTER:9091/reports/{batch_id_of(batch)}"
        report = ReportAddress(url, "made for each batch")
    request = machine_request(batch, generation=generation, report=report)
    shown = replace(batch, key=replace(batch.key, profile=profile))
    body = json.loads(machine_request(shown, generation=generation, report=report).body)
    config: Document = body["config"]
    deadline = f"launch + {duration_text(profile.timeout)}"
    config["metadata"][DEADLINE] = config["env"]["LAMBDO_DEADLINE"] = deadline
    init = dict(config.pop("init", {}))
    return {
        "name": request.name,
        "app": request.app,
        "apps": list(profile.apps),
        "region": body.get("region"),
        "image": config.pop("image"),
        "size": profile.size,
        "guest": config.pop("guest"),
        "command": init.pop("cmd", None),
        "env": config.pop("env"),
        "files": list(map(_file, config.pop("files"))),
        "other": ({"init": init} if init else {}) | config,
        "request_bytes": len(request.body.encode()),
    }


def _file(entry: Mapping[str, Any]) -> Document:
    """Return path and size of a file; the size is unknown if Fly keeps the contents."""
    content = entry.get("raw_value")
    size = len(base64.b64decode(content)) if isinstance(content, str) else None
    return {"path": str(entry.get("guest_path", "")), "size": size}
