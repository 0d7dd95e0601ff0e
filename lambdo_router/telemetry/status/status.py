"""
What is known of a router at one moment, as frozen values, and their JSON.

The JSON has the names of the fields as its keys, so that this module is the description of its
shape; docs/status.md says the same to users. Times are unix seconds, durations seconds. Texts that
come from elsewhere (errors, names of images) are cut, and are for the reader to escape.
"""

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lambdo_router.core.journal import EndKind
from lambdo_router.core.snapshot import MachinesSnapshot

FORMAT_VERSION = "1.0"
"""Within 1.x keys are only added."""

RouterState = Literal["starting", "running", "stopping", "stopped"]
QueueState = Literal["opening", "reading", "failing", "stopping"]
RouteState = Literal["ok", "failing", "idle"]
BatchState = Literal["launching", "launched", "running", "not_launched"] | EndKind
"""`launched`: with `acknowledge: launch` nobody waits for its end."""
FailureKind = Literal[
    "launch", "machine", "queue", "lease", "settlement", "watch", "report", "defect", "start"
]


@dataclass(frozen=True, slots=True)
class Trouble:
    """Failures in a row: nothing of the kind has succeeded since the first of them."""

    what: str
    """What was tried: `receive`, `open`, `launch`, `run`, `watch`."""
    error: str
    """The last failure."""
    code: str
    """Its stable class; empty if there is none."""
    since: float
    last: float
    count: int
    next_try: float | None = None
    """When it is tried again, if that is known."""
    refused: bool = False
    """Whether it does not pass by itself: a person must mend it."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that failed; what failed alike again and again is one of these."""

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
    """Of the last one."""
    batch_id: str | None = None


@dataclass(frozen=True, slots=True)
class RouterStatus:
    """The router as a whole."""

    state: RouterState
    version: str
    started: float
    since: float
    """When it got into this state."""
    generation: str
    """Of the routing table in use; empty before the first."""
    queues: int
    """How many the table reads."""
    routes: int
    stop_by: float | None = None
    """When a stop gives up on what is still under way."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """One queue that is read, or was and still holds something."""

    name: str
    state: QueueState
    since: float
    """When it got into this state."""
    last_poll: float | None
    """When SQS answered last."""
    more: bool
    """Whether that answer was full: there is more on the queue than was taken."""
    lag: float | None
    """Seconds that the newest first delivery had waited on the queue; None before the first."""
    held: int
    """Messages received and not settled."""
    waiting: int
    """Of these, those in no Machine yet."""
    open_batches: Mapping[str, int]
    """Events in open batches, by route."""
    lease_margin: float | None
    """Seconds until the first of the leases runs out; None if nothing is held."""
    trouble: Trouble | None
    totals: Mapping[str, int]
    """Messages since the start: received, redelivered, deleted, retried, rejected, left."""
    last_minute: Mapping[str, int]
    """The same over the last minute, by ten seconds."""
    reasons: Mapping[str, int]
    """Messages that were rejected, left or dropped since the start, by reason."""
    activity: tuple[int, ...]
    """Messages received in each ten seconds of the last five minutes, the newest at the end."""


@dataclass(frozen=True, slots=True)
class RouteStatus:
    """One route of the table in use."""

    name: str
    place: str
    """`file:line` in the routes files; empty where there is no file."""
    queues: tuple[str, ...]
    profile: str
    app: str
    """The first of `apps`."""
    apps: tuple[str, ...]
    """Those that its Machines may be created in."""
    acknowledge: str
    state: RouteState
    """`failing`: its last launch or Machine failed; `idle`: nothing came for five minutes."""
    since: float
    """When it got into this state."""
    trouble: Trouble | None
    last_failure: Failure | None
    """Also of a route that works again."""
    waiting: int
    """Events in its open batches."""
    last_event: float | None
    """When a message last took this route."""
    totals: Mapping[str, int]
    """Since the start: routed, refused, launches, launch_failures, succeeded, failed (Machines),
    deleted, retried, rejected, left (messages)."""
    last_minute: Mapping[str, int]
    activity: tuple[int, ...]
    """Messages routed in each ten seconds of the last five minutes, the newest at the end."""


@dataclass(frozen=True, slots=True)
class EventStatus:
    """One event of a batch."""

    message_id: str
    receives: int


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """A batch that was closed lately."""

    id: str
    route: str
    queue: str
    app: str
    profile: str
    size: str
    state: BatchState
    events: tuple[EventStatus, ...]
    """The first of them; `event_count` is their number."""
    event_count: int
    event_bytes: int
    closed: float
    waited: float
    """Seconds from being due to its launch slot."""
    attempts: int = 0
    machine_id: str | None = None
    machine_name: str | None = None
    region: str | None = None
    launched: float | None = None
    launch_seconds: float | None = None
    """From its closing to Fly's answer."""
    ended: float | None = None
    seconds: float | None = None
    """How long the Machine ran, by Fly's events; None if they do not say."""
    exit_code: int | None = None
    reported: int = 0
    """Messages that the Machine reported as failed."""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Reload:
    """A routes file that was taken, or refused."""

    outcome: Literal["accepted", "refused"]
    at: float
    generation: str
    """Of the table in use afterwards."""
    previous: str | None
    problems: tuple[str, ...] = ()
    """Each as `file:line:col: message [code]`."""
    warnings: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    """What is different in meaning, as the lines that `diff` prints."""


@dataclass(frozen=True, slots=True)
class AppStatus:
    """One Fly app that Machines are created in."""

    name: str
    state: Literal["ok", "failing"]
    token_refused: bool
    """Whether Fly's last answer was that the token may not do this."""
    trouble: Trouble | None


@dataclass(frozen=True, slots=True)
class Check:
    """One of the things that a router needs in order to work."""

    name: Literal["router", "routes", "queues", "fly"]
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Concern:
    """Something that does not work as it should."""

    kind: Literal["router", "queue", "route", "app", "reload"]
    name: str
    since: float
    why: str
    place: str = ""
    """`file:line`, of a route."""
    fatal: bool = False
    """Whether the router is not ready while it lasts."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether it works, and what does not."""

    ready: bool
    checks: tuple[Check, ...]
    concerns: tuple[Concern, ...]
    """The worst first."""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    format_version: str
    at: float
    health: Health
    router: RouterStatus
    queues: tuple[QueueStatus, ...]
    routes: tuple[RouteStatus, ...]
    """In the order of the file."""
    apps: tuple[AppStatus, ...]
    machines: tuple[MachinesSnapshot, ...]
    batches: tuple[BatchStatus, ...]
    """The newest first."""
    failures: tuple[Failure, ...]
    """What failed last first."""
    reloads: tuple[Reload, ...]
    """The newest first."""
    refused_reload: Reload | None
    """What is on disk, if it is not fit to run."""


def json_text(value: object) -> str:
    """A value of this module as one line of JSON."""
    return json.dumps(value, default=_fields, separators=(",", ":"))


def _fields(value: object) -> dict[str, Any]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    raise TypeError(f"{type(value).__name__} has no JSON")
