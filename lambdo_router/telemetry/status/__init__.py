"""
What somebody wants to know who is called at night: is it alive, what fails, since when, and why.

`Overview` is an Observer: it folds the facts of the journal into a bounded memory. `status` puts
that together with the router's levels into one frozen value, which the status page, the readiness
check and the commands `status` and `top` read. docs/status.md describes its JSON.
"""

from lambdo_router.telemetry.status.folding import Overview
from lambdo_router.telemetry.status.status import (
    AppStatus,
    BatchStatus,
    Check,
    Concern,
    EventStatus,
    Failure,
    Health,
    QueueStatus,
    Reload,
    RouterStatus,
    RouteStatus,
    Status,
    Trouble,
    json_text,
)

__all__ = [
    "AppStatus",
    "BatchStatus",
    "Check",
    "Concern",
    "EventStatus",
    "Failure",
    "Health",
    "Overview",
    "QueueStatus",
    "Reload",
    "RouteStatus",
    "RouterStatus",
    "Status",
    "Trouble",
    "json_text",
]
