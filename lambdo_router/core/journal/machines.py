"""Facts about batches, their Machines, and what Machines report."""

from dataclasses import dataclass
from operator import attrgetter
from typing import ClassVar, Literal

from lambdo_router.core.batch import Batch
from lambdo_router.core.errors import LaunchError
from lambdo_router.core.journal.fact import Fact, Failure
from lambdo_router.core.log_event import Level, log_event
from lambdo_router.core.machine import Machine, batch_id_of, machine_name

_BATCH = "queue route app batch=batch_id events"


class _OfBatch(Fact):
    """A fact about one batch, with the names that logs and metrics give it."""

    __slots__ = ()
    batch: Batch
    queue = property(attrgetter("batch.key.queue"))
    route = property(attrgetter("batch.key.route.name"))
    profile = property(attrgetter("batch.key.profile.name"))
    app = property(attrgetter("batch.key.profile.app"))
    message_ids = property(attrgetter("batch.message_ids"))

    @property
    def events(self) -> int:
        """How many events it has."""
        return len(self.batch.entries)


@dataclass(frozen=True, slots=True)
class BatchClosed(_OfBatch):
    """A batch takes no more events and is about to be launched."""

    log = log_event("batch.closed", "debug", f"{_BATCH} waited")
    also = (
        log_event(
            "message.batched",
            "debug",
            "queue route batch=batch_id message=message_ids",
            "The message is in this batch: from here on, look for the batch.",
            per_message=True,
        ),
    )
    batch: Batch
    batch_id: str
    waited: float
    """Seconds from being due to its launch slot, including the wait for its profile."""

    @property
    def bytes(self) -> int:
        """Bytes of its events."""
        return self.batch.raw_bytes


@dataclass(frozen=True, slots=True)
class Launched(_OfBatch):
    """
    Fly accepted the Machine of a batch.

    With `acknowledge: launch` this is the only line of the batch at INFO.
    """

    log = log_event(
        "machine.launched",
        "info",
        f"{_BATCH} machine=machine.id name=machine.name region=machine.region "
        "adopted=machine.adopted seconds attempts lease_margin",
    )
    batch: Batch
    machine: Machine
    seconds: float
    """From the closing of the batch to Fly's answer."""
    attempts: int
    lease_margin: float
    """Seconds that were left of the shortest lease of the batch."""
    batch_id: str


@dataclass(frozen=True, slots=True)
class LaunchFailed(Failure, _OfBatch):
    """
    One attempt to launch a batch failed.

    Without `next_try_in` it was the last: the messages go back to the queue with a delay.

    Do: `rate_limited`, `unavailable` and `connection` pass by themselves. For `region_capacity`
    or `host_capacity`, give the profile more regions (`region: iad,us,any`). What Fly refuses
    shows as `profile.failing`.
    """

    log = log_event(
        "machine.launch_failed",
        "warning",
        f"{_BATCH} name attempt ambiguous code error next_try_in=pause",
        folded_by="route code",
    )
    batch: Batch
    error: LaunchError
    attempt: int
    pause: float | None
    """Seconds until the next attempt; None: there is none."""

    @property
    def batch_id(self) -> str:
        """The batch's id."""
        return batch_id_of(self.batch)

    @property
    def name(self) -> str:
        """The name of the Machine."""
        return machine_name(self.route, self.message_ids)

    @property
    def ambiguous(self) -> bool:
        """Whether the Machine may exist nevertheless."""
        return getattr(self.error, "ambiguous", False)


EndKind = Literal["succeeded", "failed", "oom", "timeout", "stopped", "never_ran"]
"""How a Machine ended: exit 0, another exit code, out of memory, destroyed by us at its deadline,
stopped or destroyed from outside, or gone without an exit."""


@dataclass(frozen=True, slots=True)
class MachineEnded(_OfBatch):
    """
    A Machine has ended: the last line of its batch, with everything known about it.

    A warning if it failed; never summed up. Only with `acknowledge: success`.

    Do: `fly logs -i MACHINE` shows what it printed. `oom`: a larger `size`. `timeout`: a longer
    `timeout`, or smaller batches. `never_ran`: check the image and its command.
    """

    log = log_event(
        "machine.ended",
        "info warning",
        f"{_BATCH} machine=machine_id region kind exit_code failure reported seconds",
    )
    batch: Batch
    """Without the bodies of messages that no reject can need any more."""
    batch_id: str
    machine_id: str
    kind: EndKind
    exit_code: int | None
    failure: str
    """Empty if it succeeded."""
    seconds: float | None
    """From its start to its exit, if Fly's events say so."""
    reported: int = 0
    """Messages that the Machine reported as failed."""
    region: str = ""
    """Where it ran; empty if that is unknown."""

    @property
    def level(self) -> Level:
        """A warning if it failed."""
        return "warning" if self.failure else "info"


@dataclass(frozen=True, slots=True)
class WatchFailed(Failure):
    """
    A request about running Machines failed and will be retried.

    Until one succeeds, messages stay held.

    Do: If it goes on: check Fly's status, and the token.
    """

    log = log_event(
        "machine.watch_failed",
        "warning",
        "app machine=machine_id code error next_try_in=pause",
        folded_by="app code",
    )
    app: str
    machine_id: str | None
    error: LaunchError
    pause: float


@dataclass(frozen=True, slots=True)
class MachineOverdue(Fact):
    """
    A Machine outlived the `timeout` of its profile and was destroyed.

    Do: Set a longer `timeout`, use smaller batches, or fix what hangs. Where `state` is
    `created` or `starting`, its code never began, and where `host` is `unreachable`, Fly has
    lost it: check Fly's status.
    """

    log = log_event(
        "machine.overdue", "warning", "app machine=machine_id state host", folded_by="app"
    )
    app: str
    machine_id: str
    state: str = ""
    """Its state when it was last listed, in Fly's word."""
    host: str = ""
    """The state of its host, if Fly says so."""


@dataclass(frozen=True, slots=True)
class ProfileFailing(Failure):
    """
    Fly refuses the Machines of a profile. Its batches wait; one of them probes.

    Do: Read `error`: a wrong image, size or region, a quota, or the token. A changed routes
    file is tried at once.
    """

    log = log_event(
        "profile.failing",
        "error",
        "app profile code error next_try_in=pause",
        folded_by="app profile code",
    )
    profile: str
    app: str
    error: LaunchError
    pause: float
    """Seconds until the next batch probes."""


@dataclass(frozen=True, slots=True)
class ProfileRecovered(Fact):
    """Fly accepts the profile again."""

    log = log_event("profile.recovered", "info", "app profile")
    profile: str
    app: str


@dataclass(frozen=True, slots=True)
class ReportTaken(Fact):
    """A Machine reported which messages of its batch failed, and Fly has recorded it."""

    log = log_event("report.taken", "debug", "batch=batch_id failed")
    status: ClassVar = 200
    batch_id: str
    failed: int


@dataclass(frozen=True, slots=True)
class ReportRefused(Fact):
    """
    A report was not accepted; the Machine's handler gets the status.

    Do: 401 or 404: the sender is someone else, or a Machine that is already settled. 503: Fly
    did not record the report, and the whole batch is retried.
    """

    log = log_event("report.refused", "warning", "batch=batch_id status why", folded_by="status")
    batch_id: str
    status: int
    """The HTTP status of the answer."""
    why: str
