"""Facts about queues and messages, from the receive to the settlement."""

import traceback
from dataclasses import dataclass
from typing import get_args

from lambdo_router.core.errors import QueueError, QueueRefused
from lambdo_router.core.journal.fact import Fact, Failure
from lambdo_router.core.log_event import Level, LogEvent, log_event
from lambdo_router.core.message import Message
from lambdo_router.core.routing import Decision, Routed
from lambdo_router.core.settlement import Acknowledge, Settlement


class _OfMessages(Fact):
    """A fact about several messages."""

    __slots__ = ()
    message_ids: tuple[str, ...]

    @property
    def messages(self) -> int:
        """How many."""
        return len(self.message_ids)

    @property
    def named(self) -> tuple[str, ...]:
        """The first ten of them; at DEBUG each has a line of its own."""
        return self.message_ids[:10]


@dataclass(frozen=True, slots=True)
class QueueOpened(Fact):
    """The router has begun to read a queue."""

    log = log_event("queue.opened", "info", "queue")
    queue: str


@dataclass(frozen=True, slots=True)
class QueueClosed(Fact):
    """The router has stopped reading a queue and holds none of its messages."""

    log = log_event("queue.closed", "info", "queue")
    queue: str


@dataclass(frozen=True, slots=True)
class QueueFailed(Failure):
    """
    A call to SQS failed and will be retried.

    A warning for what may pass by itself (network, throttling), an error for what a person has
    to fix: no such queue, missing permissions, missing credentials.

    Do: For an error: read `error`, and check the queue's address and the permissions of the
    credentials. For a warning that goes on: check the network and AWS's status.
    """

    log = log_event(
        "queue.failed",
        "warning error",
        "queue action code error next_try_in=pause",
        folded_by="queue action code",
    )
    queue: str
    action: str
    """The call: open, receive, renew, delete, ..."""
    error: QueueError
    pause: float | None
    """Seconds until the next try."""

    @property
    def kind(self) -> str:
        """`unavailable` if it may pass by itself, else `refused`."""
        return "refused" if isinstance(self.error, QueueRefused) else "unavailable"

    @property
    def level(self) -> Level:
        """A warning, or an error if it needs a person."""
        return "error" if isinstance(self.error, QueueRefused) else "warning"


@dataclass(frozen=True, slots=True)
class Polled(Fact):
    """SQS answered a receive."""

    log = log_event("queue.polled", "debug", "queue messages seconds")
    queue: str
    messages: int
    seconds: float
    limit: int = 10
    """How many messages were asked for; if as many came, there may be more."""


@dataclass(frozen=True, slots=True)
class Received(Fact):
    """A message was received, and the router holds its lease."""

    log = log_event(
        "message.received", "debug", "queue message=message.id receives=message.receive_count"
    )
    queue: str
    message: Message


@dataclass(frozen=True, slots=True)
class Redelivered(Fact):
    """SQS delivered a message that this router holds already; only its receipt was replaced."""

    log = log_event("message.redelivered", "debug", "queue message=message_id")
    queue: str
    message_id: str


@dataclass(frozen=True, slots=True)
class Decided(Fact):
    """The message takes a route."""

    log = log_event("message.routed", "debug", "queue message=message_id route")
    also = (
        log_event(
            "message.refused",
            "debug",
            "queue message=message_id route reason=decision.reason",
            "The message becomes part of no batch: no route matches, or its route refuses it.",
        ),
    )
    queue: str
    message_id: str
    decision: Decision

    @property
    def event(self) -> LogEvent:
        """Routed or refused."""
        return self.log if isinstance(self.decision, Routed) else self.also[0]

    @property
    def route(self) -> str | None:
        """The name of the route that takes or refuses it, if any."""
        return self.decision.route.name if self.decision.route is not None else None


@dataclass(frozen=True, slots=True)
class MachineAdopted(Fact):
    """
    A redelivered message was found in a Machine of an earlier launch, which decides for it.

    This is normal after a restart.
    """

    log = log_event(
        "message.taken_over",
        "info",
        "queue message=message_id machine=machine_id",
        folded_by="queue machine",
    )
    queue: str
    message_id: str
    machine_id: str


@dataclass(frozen=True, slots=True)
class Settled(Fact):
    """The message is done: `launched`, `succeeded`, or `dropped` as the routes file says."""

    log = Acknowledge.log
    also = tuple(outcome.log for outcome in get_args(Settlement) if outcome is not Acknowledge)
    queue: str
    message_id: str
    route: str | None
    """The name of the route that it took, if any."""
    settlement: Settlement
    sent_at: float | None = None
    """When its sender sent it, in unix seconds, if SQS says so."""
    held: float = 0.0
    """Seconds since its receive."""

    @property
    def event(self) -> LogEvent:
        """Deleted, retried, rejected or left."""
        return self.settlement.log


_MANY = "queue messages message_ids=named"


@dataclass(frozen=True, slots=True)
class GivenBack(_OfMessages):
    """
    At a stop, these messages were made visible again.

    Those of running Machines are among them; the next start takes the Machines over.
    """

    log = log_event("messages.given_back", "info", _MANY)
    queue: str
    message_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LeasesRenewed(Fact):
    """SQS hides these messages for longer."""

    log = log_event("leases.renewed", "debug", "queue messages margin")
    queue: str
    messages: int
    margin: float
    """Seconds that were left of the shortest of these leases when SQS answered."""


@dataclass(frozen=True, slots=True)
class LeaseLost(_OfMessages):
    """
    SQS may have delivered these messages to others, so their events may run twice.

    Those that are still waiting are not launched.

    Do: A few are network failures. If they go on, the router has too little CPU, or the queue's
    `visibility` is too short for a renewal.
    """

    log = log_event("lease.lost", "warning", f"{_MANY} why", folded_by="queue why")
    also = (
        log_event(
            "message.lease_lost",
            "debug",
            "queue message=message_ids why",
            "One of the messages of a `lease.lost`.",
            per_message=True,
        ),
    )
    queue: str
    message_ids: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class SettlementFailed(_OfMessages):
    """
    Messages could not be settled as intended.

    SQS will deliver them again; the router then finds the Machine that was launched for them.

    Do: Read `why`. For `send to ...`: check the reject queue and the permission to send to it.
    """

    log = log_event(
        "settlement.failed", "error", f"{_MANY} action why", folded_by="queue action why"
    )
    queue: str
    message_ids: tuple[str, ...]
    action: str
    why: str


@dataclass(frozen=True, slots=True)
class InternalError(_OfMessages):
    """
    A bug in this program, with its traceback.

    It affected only these messages; SQS redelivers them when their leases run out.

    Do: Report it, with the line. If it recurs with the same messages, move them out of the way:
    a queue with a redrive policy does so by itself.
    """

    log = log_event(
        "unit.failed",
        "error",
        f"{_MANY} error=error_type at exception=error",
        folded_by="queue error at",
    )
    queue: str
    message_ids: tuple[str, ...]
    error: Exception

    @property
    def error_type(self) -> str:
        """The class of the exception."""
        return type(self.error).__name__

    @property
    def at(self) -> str:
        """`file:line` where it was raised; empty if it has no traceback."""
        frames = traceback.extract_tb(self.error.__traceback__)
        return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
