"""
The status of a router at one moment, as frozen values and as JSON.

The names of the fields are the keys of `GET /status`, which docs/status.md describes to users.
Times are unix seconds, durations are seconds. Texts from elsewhere (errors, image names) are cut,
and the reader has to escape them.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lambdo_router.core.journal import EndKind
from lambdo_router.core.snapshot import MachinesSnapshot

FORMAT_VERSION = "1.1"
"""Within 1.x keys are only added; 1.1 has `routed_by_queue`."""

RouterState = Literal["starting", "running", "stopping", "stopped"]
QueueState = Literal["opening", "reading", "failing", "stopping"]
RouteState = Literal["ok", "failing", "idle"]
BatchState = Literal["launching", "launched", "running", "not_launched"] | EndKind
"""`launched`: with `acknowledge: launch` the router does not wait for the Machine's end."""
FailureKind = Literal[
    "launch", "machine", "queue", "lease", "settlement", "watch", "report", "defect", "start"
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """An unbroken run of failures: the same call has not succeeded since the first of them."""

    what: str
    error: str
    code: str
    since: float
    last: float
    count: int
    next_try: float | None = None
    refused: bool = False


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """A failure; identical ones are counted as one."""

    kind: FailureKind
    text: str
    code: str
    first: float
    last: float
    count: int
    route: str | None = None
    queue: str | None = None
    app: str | None = None
    machine_id: str | None = None
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class RouterStatus:
    state: RouterState
    version: str
    started: float
    since: float
    generation: str
    queues: int
    routes: int
    stop_by: float | None = None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue that is being read, or drained."""

    name: str
    state: QueueState
    since: float
    last_poll: float | None
    more: bool
    lag: float | None
    held: int
    waiting: int
    open_batches: Mapping[str, int]
    lease_margin: float | None
    trouble: Trouble | None
    totals: Mapping[str, int]
    last_minute: Mapping[str, int]
    reasons: Mapping[str, int]
    activity: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """A route of the table in use."""

    name: str
    place: str
    queues: tuple[str, ...]
    profile: str
    app: str
    apps: tuple[str, ...]
    acknowledge: str
    state: RouteState
    since: float
    trouble: Trouble | None
    last_failure: FailureRecord | None
    waiting: int
    last_event: float | None
    totals: Mapping[str, int]
    last_minute: Mapping[str, int]
    routed_by_queue: Mapping[str, int]
    activity: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class EventStatus:
    message_id: str
    receives: int


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A recently closed batch."""

    id: str
    route: str
    queue: str
    app: str
    profile: str
    size: str
    state: BatchState
    events: tuple[EventStatus, ...]
    event_count: int
    event_bytes: int
    closed: float
    waited: float
    attempts: int = 0
    machine_id: str | None = None
    machine_name: str | None = None
    region: str | None = None
    launched: float | None = None
    launch_seconds: float | None = None
    ended: float | None = None
    seconds: float | None = None
    exit_code: int | None = None
    reported: int = 0
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Reload:
    """A routes file that was accepted or refused."""

    outcome: Literal["accepted", "refused"]
    at: float
    generation: str
    previous: str | None
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AppStatus:
    name: str
    state: Literal["ok", "failing"]
    token_refused: bool
    trouble: Trouble | None


@dataclass(frozen=True, slots=True)
class Check:
    """A condition of being ready."""

    name: Literal["router", "routes", "queues", "fly"]
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that does not work."""

    kind: Literal["router", "queue", "route", "app", "reload"]
    name: str
    since: float
    why: str
    place: str = ""
    fatal: bool = False
    """Whether the router is not ready because of it."""


@dataclass(frozen=True, slots=True)
class Health:
    ready: bool
    checks: tuple[Check, ...]
    concerns: tuple[Concern, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """What `GET /status` answers."""

    format_version: str
    at: float
    health: Health
    router: RouterStatus
    queues: tuple[QueueStatus, ...]
    routes: tuple[RouteStatus, ...]
    apps: tuple[AppStatus, ...]
    machines: tuple[MachinesSnapshot, ...]
    batches: tuple[BatchStatus, ...]
    """Newest first, as are failures and reloads."""
    failures: tuple[FailureRecord, ...]
    reloads: tuple[Reload, ...]
    refused_reload: Reload | None
    """The file on disk, if it was refused."""


def json_text(value: object) -> str:
    """Return a value of this module as one line of JSON."""
    return json.dumps(value, default=_fields, separators=(",", ":"))


def _fields(value: object) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON")
