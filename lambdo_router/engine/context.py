"""What the consumers of one router share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambdo_router.core import journal
from lambdo_router.core.ports import MessageQueue
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.trace_context import TraceContext
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.launcher import Launcher
from lambdo_router.engine.machine_tracker import MachineTracker
from lambdo_router.engine.previous_launches import PreviousLaunches


@dataclass(frozen=True, slots=True)
class Context:
    """Everything around a consumer that is not its own queue."""

    launcher: Launcher
    tracker: MachineTracker
    previous: PreviousLaunches
    reports: FailureReports
    table: Callable[[], RoutingTable]
    """The current routing table; read once per receive and passed down."""
    reject_queue: Callable[[str], Awaitable[MessageQueue]]
    """Connects a queue of the routes file to send rejected messages to; may raise QueueError."""
    observe: journal.Observer
    jitter: Callable[[], float]
    """A number from 0.0 to 1.0, for pauses that must not fall in step."""
    trace_of: Callable[[str], TraceContext | None]
    """What the Machine of a batch goes on from, by the batch's id; None: what its messages say."""
    clock: Callable[[], float]
    """Unix seconds: what is told to SQS and Fly is in their time."""

    def reject_to(self, queue: str) -> str | None:
        """Where rejected messages of this queue go now, if anywhere."""
        known = self.table().queues.get(queue)
        return known.reject_to if known is not None else None
