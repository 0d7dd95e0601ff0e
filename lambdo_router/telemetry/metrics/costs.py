"""
Estimate costs from the facts and a price table.

Machine seconds are those between the start and the exit of a Machine, by Fly's events. Requests to
SQS are derived from what was asked of it: ten messages of one call are one request, and so are
64 KiB of what a receive brings.
"""

import math

from lambdo_router.core.batch import BatchKey
from lambdo_router.core.lease import MOST_PER_CALL
from lambdo_router.core.prices import Prices
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.settlement import Leave, Reject, Settlement
from lambdo_router.telemetry.metrics import catalogue
from lambdo_router.telemetry.metrics.series import Series

_CHUNK = 64 * 1024


class Costs:
    """Seconds, requests, and dollars."""

    def __init__(self, series: Series, prices: Prices) -> None:
        self._series = series
        self._prices = prices
        self._request_prices: dict[str, float] = {}
        self._received: dict[str, int] = {}
        self._last: Settlement | None = None
        self._alike = 0

    def take(self, table: RoutingTable) -> None:
        """Use the queues of another table; the end of a URL or ARN says which are FIFO."""
        self._request_prices = {
            name: self._prices.sqs_request[
                "fifo" if (queue.url or queue.lookup or "").endswith(".fifo") else "standard"
            ]
            for name, queue in table.queues.items()
        }
        self._received = {name: self._received.get(name, 0) for name in table.queues}

    def ran(self, key: BatchKey, seconds: float, region: str) -> None:
        """Count the time of a Machine that has ended."""
        labels = (key.route.name, key.profile.size)
        price = self._prices.machine_second(key.profile.guest, region)
        self._series.add(catalogue.MACHINE_SECONDS, labels, seconds)
        self._series.add(catalogue.MACHINE_COST, labels, seconds * price)

    def polled(self, queue: str) -> None:
        """Count a receive; its messages follow."""
        self._received[queue] = 0
        self._asked(queue, "receive", 1)

    def received(self, queue: str, size: int) -> None:
        """Count one message of a receive, of about `size` bytes."""
        before = self._received.get(queue, 0)
        after = self._received[queue] = before + size
        more = max(1, math.ceil(after / _CHUNK)) - max(1, math.ceil(before / _CHUNK))
        if more:
            self._asked(queue, "receive", more)

    def changed(self, queue: str, action: str, messages: int) -> None:
        """Count a change of many messages, which goes out in tens."""
        self._asked(queue, action, math.ceil(messages / MOST_PER_CALL))

    def settled(self, queue: str, settlement: Settlement) -> None:
        """Count a settled message. Those of one call follow each other and share one value."""
        if isinstance(settlement, Leave):
            return
        self._alike = self._alike + 1 if settlement is self._last else 1
        self._last = settlement
        if isinstance(settlement, Reject):
            self._asked(settlement.to, "send", 1)
        if self._alike % MOST_PER_CALL == 1:
            self._asked(queue, "settle", 1)

    def _asked(self, queue: str, action: str, requests: int) -> None:
        self._series.add(catalogue.SQS_REQUESTS, (queue, action), requests)
        price = self._request_prices.get(queue, self._prices.sqs_request["standard"])
        self._series.add(catalogue.SQS_COST, (queue,), requests * price)
