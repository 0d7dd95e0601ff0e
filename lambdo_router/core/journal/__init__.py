"""
The journal: what happened, as values.

The engine reports every step as one of these facts and does not know who reads them: logs, metrics,
traces, the status page, the live view of `dev`, and the tests. What the log shows of a fact is
declared in the fact itself, so a new log event is one class in one of these modules.
"""

from typing import Final

from lambdo_router.core.journal.fact import (
    Fact,
    Failure,
    Level,
    LogEvent,
    Observer,
    all_of,
    log_event,
)
from lambdo_router.core.journal.machines import (
    BatchClosed,
    EndKind,
    Launched,
    LaunchFailed,
    MachineEnded,
    MachineOverdue,
    ProfileFailing,
    ProfileRecovered,
    ReportRefused,
    ReportTaken,
    WatchFailed,
)
from lambdo_router.core.journal.messages import (
    Decided,
    GivenBack,
    InternalError,
    LeaseLost,
    LeasesRenewed,
    MachineAdopted,
    Polled,
    QueueClosed,
    QueueFailed,
    QueueOpened,
    Received,
    Redelivered,
    Settled,
    SettlementFailed,
)
from lambdo_router.core.journal.router import (
    ReloadFailed,
    RoutesLoaded,
    Stopped,
    Stopping,
    TableActivated,
)

FACTS: Final[tuple[type[Fact], ...]] = tuple(
    it for it in tuple(globals().values()) if isinstance(it, type) and hasattr(it, "log")
)
"""Every kind of fact."""

__all__ = [
    "FACTS",
    "BatchClosed",
    "Decided",
    "EndKind",
    "Fact",
    "Failure",
    "GivenBack",
    "InternalError",
    "LaunchFailed",
    "Launched",
    "LeaseLost",
    "LeasesRenewed",
    "Level",
    "LogEvent",
    "MachineAdopted",
    "MachineEnded",
    "MachineOverdue",
    "Observer",
    "Polled",
    "ProfileFailing",
    "ProfileRecovered",
    "QueueClosed",
    "QueueFailed",
    "QueueOpened",
    "Received",
    "Redelivered",
    "ReloadFailed",
    "ReportRefused",
    "ReportTaken",
    "RoutesLoaded",
    "Settled",
    "SettlementFailed",
    "Stopped",
    "Stopping",
    "TableActivated",
    "WatchFailed",
    "all_of",
    "log_event",
]
