"""
From a batch to the request that creates its Machine.

Rendering is pure. The request carries the events as files, base64 inside JSON, and Fly takes a
body of about 1 MiB (512 KiB of file passed, 768 KiB did not): the cap here is 900,000 bytes on the
rendered request, and every event knows beforehand how much it will add to it.
"""

import base64
import hashlib
import json
import math
import re
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any

from lambdo_router.core import machine_metadata as metadata
from lambdo_router.core.batch import Batch, BatchKey, Entry
from lambdo_router.core.message import Event, Message
from lambdo_router.core.trace_context import LONGEST_STATE, TraceContext, context_of, shared_by

EVENTS_PATH = "/tmp/events.json"  # noqa: S108 - inside the Machine, where handlers expect it
BATCH_PATH = "/tmp/batch.json"  # noqa: S108 - as above
REQUEST_LIMIT = 900_000
"""Bytes of a create request's body."""

NAME_PREFIX = "lambdo-"
"""How the names of the router's Machines begin; others of an app are not the router's."""
_LONGEST_NAME = 63
_DIGEST_LENGTH = 16
_READABLE = 0o644
"""Fly writes the files as root, with modes it does not document; an image may run as anybody."""
_LONGEST_URL = 200
_compact = json.JSONEncoder(separators=(",", ":")).encode
_MARK = secrets.token_hex(8)
"""Begins what stands for a value in a rendered request; nobody can have written it."""
_LONGEST_TRACE = TraceContext("f" * 32, "f" * 16, "01", "x" * LONGEST_STATE)


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """One Machine to create. Launching is idempotent by `name` while the Machine lives."""

    app: str
    name: str
    batch_id: str
    """Names this delivery of these messages; also in the Machine's metadata as `lambdo_batch`."""
    body: str
    """The whole JSON body of `POST /v1/apps/{app}/machines`."""
    secrets: tuple[tuple[str, str], ...] = field(default=(), compare=False, repr=False)
    """Secret texts in the body, each with what to show if an answer repeats it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A Machine that Fly has accepted."""

    id: str
    name: str
    region: str
    adopted: bool = False
    """Whether an earlier attempt, whose answer was lost, created it."""


def entry_of(message: Message, event: Event) -> Entry:
    """Return the event as an entry of a batch, with the room it takes."""
    raw = len(event.text) if event.text.isascii() else len(event.text.encode())
    described = _described(message, event)
    # Each piece is followed by a comma, then both files become base64; 11 is the message's digest.
    rendered = _base64_bytes(raw + 1) + _base64_bytes(len(described) + 1) + 11
    return Entry(message, event, raw, rendered, described)


def fits(key: BatchKey, entry: Entry) -> bool:
    """Return whether a batch with this entry alone can be launched."""
    return entry.raw_bytes <= key.profile.batch_bytes and entry.rendered_bytes <= room_for_entries(
        key
    )


@lru_cache(maxsize=1000)  # asked with every message, and costs a rendered request
def room_for_entries(key: BatchKey) -> int:
    """Return how many bytes a create request of this key has for entries; may be negative."""
    report = ReportAddress("x" * _LONGEST_URL, "x" * _LONGEST_URL)
    empty = machine_request(
        Batch(key, ()), generation="0" * 12, deadline=1e10, report=report, trace=_LONGEST_TRACE
    )
    # The count of events is the one field outside the entries that grows with them.
    return REQUEST_LIMIT - len(empty.body) - len(str(key.profile.batch_size))


@dataclass(frozen=True, slots=True)
class ReportAddress:
    """Where a Machine reports failed events, and the secret that allows it to."""

    url: str
    token: str = field(repr=False)


def batch_id_of(batch: Batch) -> str:
    """Names this delivery of these messages."""
    return _digest(
        *sorted(f"{entry.message.id} {entry.message.receive_count}" for entry in batch.entries)
    )


def machine_request(
    batch: Batch,
    *,
    generation: str,
    batch_id: str | None = None,
    deadline: float = 0.0,
    report: ReportAddress | None = None,
    trace: TraceContext | None = None,
) -> MachineRequest:
    """
    Return the request for this batch's Machine, to be destroyed after `deadline` (unix seconds).

    The name comes from the message ids alone, so that a repeat finds the Machine of the first
    attempt; the batch id also from the receive counts, so that a later delivery is told apart. It
    is `batch_id`, if that is known already.
    `trace` is what the Machine goes on from; None: the trace that all its messages carry, if any.
    """
    key, ids = batch.key, batch.message_ids
    batch_id = batch_id or batch_id_of(batch)
    name = machine_name(key.route.name, ids)
    values = {
        "name": name,
        "batch": batch_id,
        "ends": str(math.ceil(deadline)),
        "count": str(len(ids)),
        "messages": metadata.joined_digests(ids),
        "events": _base64(_events_file(batch)),
        "described": _base64(_batch_file(batch, batch_id, generation)),
    }
    trace = trace or _trace_of(batch)
    more: dict[str, str] = {}
    if report is not None:
        more |= {"LAMBDO_REPORT_URL": report.url, "LAMBDO_REPORT_TOKEN": report.token}
    if trace is not None:
        more |= trace.environment()
    values |= {name: _compact(value)[1:-1] for name, value in more.items()}
    texts = iter(_template(key, generation, tuple(more)))
    # A text is the first and the last, and between two of them is a name.
    body = next(texts) + "".join(values[name] + next(texts) for name in texts)
    return MachineRequest(key.profile.app, name, batch_id, body, key.profile.secrets)


def machine_name(route: str, message_ids: tuple[str, ...]) -> str:
    """`lambdo-ROUTE-DIGEST`: at most 63 of `[a-z0-9-]`, the same for the same messages."""
    longest = _LONGEST_NAME - len(NAME_PREFIX) - _DIGEST_LENGTH - 1
    slug = re.sub(r"[^a-z0-9]+", "-", route.lower())[:longest].strip("-")
    return f"{NAME_PREFIX}{slug}-{_digest(*sorted(message_ids))}"


@lru_cache(maxsize=200)  # nearly all of a request is the same for all batches of a key
def _template(key: BatchKey, generation: str, more: tuple[str, ...]) -> tuple[str, ...]:
    """
    Return the texts of a request's body, and between them the names of what differs by batch.

    `more` are names of environment variables that are set for the batch.
    """
    body: dict[str, Any] = {
        "name": _differs("name"),
        "skip_service_registration": True,
        "config": _config(key, generation, more),
    }
    if key.profile.region is not None:
        body["region"] = key.profile.region
    return tuple(re.split(_differs(r"(\w+)"), _compact(body)))


def _differs(name: str) -> str:
    """Return what stands for a value that differs by batch."""
    return f"{_MARK}{name}."


def _config(key: BatchKey, generation: str, more: tuple[str, ...]) -> dict[str, Any]:
    profile = key.profile
    config: dict[str, Any] = json.loads(profile.machine)
    config["image"] = profile.image
    config["guest"] = {
        "cpu_kind": profile.guest.cpu_kind,
        "cpus": profile.guest.cpus,
        "memory_mb": profile.guest.memory_mb,
    }
    if profile.command is not None:
        config["init"] = {**config.get("init", {}), "cmd": list(profile.command)}
    config["env"] = {
        **config.get("env", {}),
        **dict(profile.env),
        "EVENTS_PATH": EVENTS_PATH,
        "LAMBDO_BATCH_PATH": BATCH_PATH,
        "LAMBDO_ROUTE": key.route.name,
        "LAMBDO_QUEUE": key.queue,
        "LAMBDO_BATCH_ID": _differs("batch"),
        "LAMBDO_EVENT_COUNT": _differs("count"),
        "LAMBDO_DEADLINE": _differs("ends"),
        **{name: _differs(name) for name in more},
    }
    config["files"] = [
        *config.get("files", ()),
        {"guest_path": EVENTS_PATH, "raw_value": _differs("events"), "mode": _READABLE},
        {"guest_path": BATCH_PATH, "raw_value": _differs("described"), "mode": _READABLE},
    ]
    config["metadata"] = {
        **config.get("metadata", {}),
        metadata.ROUTER: "1",
        metadata.ROUTE: key.route.name,
        metadata.QUEUE: key.queue,
        metadata.BATCH: _differs("batch"),
        metadata.GENERATION: generation,
        metadata.PROFILE: profile.name,
        metadata.ACKNOWLEDGE: profile.acknowledge,
        metadata.DEADLINE: _differs("ends"),
        metadata.MESSAGES: _differs("messages"),
    }
    # Without both, Fly runs a failed command again in place and never destroys the Machine.
    config["auto_destroy"] = True
    config["restart"] = {"policy": "no"}
    return config


def _trace_of(batch: Batch) -> TraceContext | None:
    """Return what all messages carry; where they differ, none of them speaks for the batch."""
    return shared_by(context_of(entry.message, entry.event.attributes) for entry in batch.entries)


def _events_file(batch: Batch) -> str:
    # The senders' own texts: numbers, key order and white space reach the handler untouched.
    return "[" + ",".join(entry.event.text for entry in batch.entries) + "]"


def _batch_file(batch: Batch, batch_id: str, generation: str) -> str:
    about = {
        "batch_id": batch_id,
        "route": batch.key.route.name,
        "queue": batch.key.queue,
        "generation": generation,
    }
    # What is said of each message was written when its room was measured.
    messages = ",".join(entry.described for entry in batch.entries)
    return _compact(about)[:-1] + f',"messages":[{messages}]}}'


def _described(message: Message, event: Event) -> str:
    attributes = {
        name: {
            "type": attribute.data_type,
            "value": base64.b64encode(attribute.value).decode()
            if isinstance(attribute.value, bytes)
            else attribute.value,
        }
        for name, attribute in event.attributes.items()
    }
    # Written out, since the encoder takes five times as long for small objects.
    system = ",".join([f"{_quoted(name)}:{_quoted(text)}" for name, text in message.system.items()])
    return (
        f'{{"message_id":{_quoted(message.id)},"receive_count":{message.receive_count},'
        f'"sent_at":{"null" if message.sent_at is None else message.sent_at},'
        f'"attributes":{_compact(attributes) if attributes else "{}"},"system":{{{system}}}}}'
    )


def _digest(*parts: str) -> str:
    """80 bits of SHA-256 as 16 characters of `[a-z2-7]`."""
    digest = hashlib.sha256("\n".join(parts).encode()).digest()[:10]
    return base64.b32encode(digest).decode().lower()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _base64_bytes(count: int) -> int:
    """Return the most base64 characters that `count` bytes take, at any offset in the file."""
    return (count * 4 + 2) // 3 + 1
