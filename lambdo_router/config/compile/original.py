"""
The contract of the original Lambdo (fly-apps/lambdo), as a table with one route.

It had no routes file: senders choose everything by message attribute. `image` is required, `size`
is any of Fly's sizes (default performance-2x), `command` is a JSON array. A message is done when
Fly has accepted its Machine, and what cannot be used is left on the queue. `run` uses this without
a routes file if LAMBDO_SQS_QUEUE_URL is set.
"""

import hashlib
import json

from lambdo_router.config.compile.queues import read_address
from lambdo_router.core.errors import SettingsError
from lambdo_router.core.profile import SIZES, Overrides, Profile
from lambdo_router.core.routing import Queue, Route, RoutingTable

_SIZE = "performance-2x"
_ROUTE = "original"


def original_table(
    queue_url: str, *, app: str, region: str | None, batch_size: int
) -> RoutingTable:
    """
    Return the routing table of the original contract, for the queue at this URL or ARN.

    `batch_size` is 1 to 1000. Raises SettingsError if the queue or the app cannot be used.
    """
    try:
        *_, name = read_address(queue_url)
    except ValueError as problem:
        raise SettingsError(
            f"LAMBDO_SQS_QUEUE_URL is not the address of a queue; {problem}"
        ) from None
    if name.endswith(".fifo"):
        raise SettingsError(
            "LAMBDO_SQS_QUEUE_URL names a FIFO queue, whose order cannot be kept; "
            "use a standard queue"
        )
    if not app:
        raise SettingsError("no Fly app is named; set LAMBDO_FLY_APP (or FLY_APP_NAME)")
    profile = Profile(
        name=_ROUTE,
        app=app,
        image="",
        size=_SIZE,
        guest=SIZES[_SIZE].guest,
        region=region,
        batch_size=batch_size,
    )
    overrides = Overrides(image=("*",), size=tuple(SIZES), command=True)
    route = Route(_ROUTE, (name,), profile, on_invalid="leave", overrides=overrides)
    identity = json.dumps(["original", queue_url, app, region, batch_size])
    generation = hashlib.sha256(identity.encode()).hexdigest()[:12]
    return RoutingTable(generation, {name: Queue(name, url=queue_url)}, (route,))
