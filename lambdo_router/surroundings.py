"""What the consumers of one router share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from lambdo_router import journal
from lambdo_router.completion import Completion
from lambdo_router.dispatch import Dispatch
from lambdo_router.gates import Gates
from lambdo_router.ports import MessageQueue
from lambdo_router.recall import Recall
from lambdo_router.reports import Reports
from lambdo_router.routing import RoutingTable
from lambdo_router.tracecontext import TraceContext


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything around a consumer that is not its own queue."""

    dispatch: Dispatch
    gates: Gates
    completion: Completion
    recall: Recall
    reports: Reports
    table: Callable[[], RoutingTable]
    """The current routing table; read once per receive and passed down."""
    reject_queue: Callable[[str], Awaitable[MessageQueue]]
    """Connects a queue of the routes file to send rejected messages to; may raise QueueError."""
    observe: journal.Observer
    jitter: Callable[[], float]
    """A number from 0.0 to 1.0, for pauses that must not fall in step."""
    trace_of: Callable[[str], TraceContext | None]
    """What the Machine of a batch goes on from, by the batch's id; None: what its messages say."""
    wall: Callable[[], float]
    """Unix seconds: what is told to SQS and Fly is in their time."""

    def reject_to(self, queue: str) -> str | None:
        """Where rejected messages of this queue go now, if anywhere."""
        known = self.table().queues.get(queue)
        return known.reject_to if known is not None else None
