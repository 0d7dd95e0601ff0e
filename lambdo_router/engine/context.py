"""What the consumers of one router share."""

from collections.abc import Callable
from dataclasses import dataclass

from lambdo_router.core import journal
from lambdo_router.core.routing import RoutingTable
from lambdo_router.engine.launcher import Launcher
from lambdo_router.engine.machine_tracker import MachineTracker
from lambdo_router.engine.permits import LaunchPermits
from lambdo_router.engine.previous_launches import PreviousLaunches


@dataclass(frozen=True, slots=True)
class Context:
    """Everything that a consumer needs beside its own queue."""

    permits: LaunchPermits
    launcher: Launcher
    tracker: MachineTracker
    previous: PreviousLaunches
    table: Callable[[], RoutingTable]
    """Returns the current routing table."""
    observe: journal.Observer

    def reject_to(self, queue: str) -> str | None:
        """Return the queue that rejected messages of this queue are sent to now, if any."""
        known = self.table().queues.get(queue)
        return known.reject_to if known is not None else None
