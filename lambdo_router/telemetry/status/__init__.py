"""
The status of a router: is it alive, what fails, since when, and why.

`Overview` observes the journal and makes the one status document, which `GET /status`, `/readyz`,
the page and the commands `status` and `top` all render. docs/status.md describes its JSON.
"""

from lambdo_router.telemetry.status.document import (
    AppStatus,
    BatchStatus,
    Concern,
    QueueStatus,
    Reload,
    RouteStatus,
    Status,
    Trouble,
    json_text,
)
from lambdo_router.telemetry.status.overview import Overview

__all__ = [
    "AppStatus",
    "BatchStatus",
    "Concern",
    "Overview",
    "QueueStatus",
    "Reload",
    "RouteStatus",
    "Status",
    "Trouble",
    "json_text",
]
