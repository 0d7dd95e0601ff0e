"""
What happened, as values.

The consumer and the router report every step as one of these facts and know nothing of who reads
them. Logs, the live view of `dev`, the table of `demo` and the tests' ledgers are readers of the
same stream.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchError, QueueError
from lambdo_router.core.machine import Machine
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Decision, RoutingTable
from lambdo_router.core.settlement import Settlement


@dataclass(frozen=True, slots=True)
class QueueOpened:
    """The router has begun to read a queue."""

    queue: str


@dataclass(frozen=True, slots=True)
class QueueClosed:
    """The router has stopped reading a queue and holds nothing of it any more."""

    queue: str


@dataclass(frozen=True, slots=True)
class QueueFailed:
    """A call to SQS failed; the next try is `pause` seconds away. `action`: open, receive, ..."""

    queue: str
    action: str
    error: QueueError
    pause: float | None


@dataclass(frozen=True, slots=True)
class Polled:
    """SQS has answered a receive, after `seconds`, with so many messages."""

    queue: str
    messages: int
    seconds: float
    limit: int = 10
    """How many it was asked for; as many say that there may be more."""


@dataclass(frozen=True, slots=True)
class Received:
    """A message was received and is leased."""

    queue: str
    message: Message


@dataclass(frozen=True, slots=True)
class Redelivered:
    """SQS delivered a message that is held already: only its receipt was replaced."""

    queue: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Decided:
    """Where a message goes."""

    queue: str
    message_id: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class BatchClosed:
    """A batch takes no more events and is about to be launched."""

    batch: Batch
    batch_id: str
    waited: float
    """Seconds from being due to its launch slot, the gate of its profile included."""


@dataclass(frozen=True, slots=True)
class Launched:
    """Fly has accepted a batch's Machine."""

    batch: Batch
    machine: Machine
    seconds: float
    """From the closing of the batch to Fly's answer."""
    attempts: int
    lease_margin: float
    """Seconds that were left of the shortest lease of the batch."""
    batch_id: str


@dataclass(frozen=True, slots=True)
class LaunchFailed:
    """One attempt to launch failed; the next is `pause` seconds away, or None: it was the last."""

    batch: Batch
    error: LaunchError
    attempt: int
    pause: float | None


@dataclass(frozen=True, slots=True)
class Settled:
    """A message is held no more. `route` is None if it took none."""

    queue: str
    message_id: str
    route: str | None
    settlement: Settlement
    sent_at: float | None = None
    """When its sender sent it, in unix seconds; None if SQS did not say."""
    held: float = 0.0
    """Seconds from its receive to here."""


@dataclass(frozen=True, slots=True)
class GivenBack:
    """Messages that were received and not used were made visible again, at a stop."""

    queue: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeasesRenewed:
    """SQS keeps these messages from others for longer."""

    queue: str
    messages: int
    margin: float
    """Seconds that were left of the shortest of these leases when SQS had answered."""


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """SQS may have given these messages to others. What still waits here is not launched."""

    queue: str
    message_ids: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class SettlementFailed:
    """A message could not be settled as wanted: SQS will deliver it again."""

    queue: str
    message_ids: tuple[str, ...]
    action: str
    why: str


@dataclass(frozen=True, slots=True)
class InternalError:
    """A defect of this program in the handling of one message or batch; it cost that unit only."""

    queue: str
    message_ids: tuple[str, ...]
    error: Exception


@dataclass(frozen=True, slots=True)
class TableActivated:
    """The router runs on another routing table."""

    table: RoutingTable = field(repr=False)
    previous: str | None
    """The generation of the one before; None for the first."""

    @property
    def generation(self) -> str:
        """The table's."""
        return self.table.generation


@dataclass(frozen=True, slots=True)
class WatchFailed:
    """A question about running Machines (or one of them) failed; it is asked again."""

    app: str
    machine_id: str | None
    error: LaunchError
    pause: float


@dataclass(frozen=True, slots=True)
class MachineOverdue:
    """A Machine outlived its deadline and was destroyed."""

    app: str
    machine_id: str
    state: str = ""
    """What Fly showed it doing: one that was `starting` all the time has done nothing."""
    host: str = ""
    """How Fly said its host was, where it said so."""


EndKind = Literal["succeeded", "failed", "oom", "timeout", "stopped", "never_ran"]
"""How a Machine ended: exit 0, another exit code, out of memory, destroyed by us at its deadline,
stopped or destroyed from outside, or gone without an exit."""


@dataclass(frozen=True, slots=True)
class MachineEnded:
    """A Machine whose end was awaited has ended. `failure` is empty if it did what it should."""

    batch: Batch
    """Without the bodies of its messages, where no reject needs them any more."""
    batch_id: str
    machine_id: str
    kind: EndKind
    exit_code: int | None
    failure: str
    seconds: float | None
    """From its start to its exit, by Fly's events; None if they do not say."""
    reported: int = 0
    """Messages that the Machine reported as failed."""
    region: str = ""
    """Where it ran; empty if it is not known."""


@dataclass(frozen=True, slots=True)
class ReportTaken:
    """A Machine has reported which messages of its batch failed, and Fly has recorded it."""

    batch_id: str
    failed: int


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """What came as a report was not taken; `status` is the HTTP status of the answer."""

    batch_id: str
    status: int
    why: str


@dataclass(frozen=True, slots=True)
class MachineAdopted:
    """A redelivered message was found in a Machine of an earlier launch, which decides for it."""

    queue: str
    message_id: str
    machine_id: str


@dataclass(frozen=True, slots=True)
class ProfileFailing:
    """Fly refuses a profile: its batches wait, and one probes after `pause` seconds."""

    profile: str
    app: str
    error: LaunchError
    pause: float


@dataclass(frozen=True, slots=True)
class ProfileRecovered:
    """Fly takes a profile again."""

    profile: str
    app: str


@dataclass(frozen=True, slots=True)
class RoutesLoaded:
    """A changed routes file is fit to run, or the one that was refused before is again."""

    generation: str
    warnings: tuple[str, ...]
    """Each as `file:line:col: warning: message [code]`."""
    places: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    """`file:line` of each route."""
    changes: tuple[str, ...] = ()
    """What is different in meaning from the table in use, as the lines that `diff` prints."""


@dataclass(frozen=True, slots=True)
class ReloadFailed:
    """A changed routes file was not taken; the router goes on with the table it has."""

    problems: tuple[str, ...]
    """Each as `file:line:col: message [code]`."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The router was told to stop and has `grace` seconds for it."""

    grace: float


@dataclass(frozen=True, slots=True)
class Stopped:
    """The router has stopped. `abandoned` messages were still held: their leases will run out."""

    abandoned: int


Fact = (
    QueueOpened
    | QueueClosed
    | QueueFailed
    | Polled
    | Received
    | Redelivered
    | Decided
    | BatchClosed
    | Launched
    | LaunchFailed
    | Settled
    | GivenBack
    | LeasesRenewed
    | LeaseLost
    | SettlementFailed
    | InternalError
    | TableActivated
    | WatchFailed
    | MachineOverdue
    | MachineEnded
    | ReportTaken
    | ReportRefused
    | MachineAdopted
    | ProfileFailing
    | ProfileRecovered
    | RoutesLoaded
    | ReloadFailed
    | Stopping
    | Stopped
)

Observer = Callable[[Fact], None]
"""Called on the router's event loop, in order; must be quick and must not raise."""


def all_of(*observers: Observer) -> Observer:
    """One observer that hands each fact to several, in this order."""

    def observe(fact: Fact) -> None:
        for observer in observers:
            observer(fact)

    return observe
