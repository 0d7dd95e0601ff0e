"""
What it costs, estimated from the facts and a price table.

Machine seconds are those between the start and the exit of a Machine, by Fly's events. Requests to
SQS are worked out from what was asked of it: ten messages of one call are one request, and so are
64 KiB of what a receive brings.
"""

import math

from lambdo_router.core.batch import BatchKey
from lambdo_router.core.prices import Prices
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.core.settlement import Leave, Reject, Settlement
from lambdo_router.telemetry.metrics import catalogue
from lambdo_router.telemetry.metrics.series import Shelf

_PER_CALL = 10
_CHUNK = 64 * 1024


class Spending:
    """Seconds, requests, and dollars."""

    def __init__(self, shelf: Shelf, prices: Prices) -> None:
        self._prices = prices
        self._machine_seconds = shelf.numbers(catalogue.MACHINE_SECONDS)
        self._machine_cost = shelf.numbers(catalogue.MACHINE_COST)
        self._requests = shelf.numbers(catalogue.SQS_REQUESTS)
        self._sqs_cost = shelf.numbers(catalogue.SQS_COST)
        self._request_prices: dict[str, float] = {}
        self._received: dict[str, int] = {}
        self._last: Settlement | None = None
        self._alike = 0

    def take(self, table: RoutingTable) -> None:
        """Another table: its queues, and what a request to each costs."""
        self._request_prices = {
            name: self._prices.sqs_request["fifo" if _is_fifo(queue) else "standard"]
            for name, queue in table.queues.items()
        }
        self._received = {name: self._received.get(name, 0) for name in table.queues}

    def ran(self, key: BatchKey, seconds: float, region: str) -> None:
        """A Machine has run for so long."""
        labels = (key.route.name, key.profile.size)
        self._machine_seconds.add(labels, seconds)
        price = self._prices.machine_second(key.profile.guest, region)
        self._machine_cost.add(labels, seconds * price)

    def polled(self, queue: str) -> None:
        """SQS has answered a receive; what it brought is to follow."""
        self._received[queue] = 0
        self._asked(queue, "receive", 1)

    def received(self, queue: str, size: int) -> None:
        """One message of a receive, of about so many bytes."""
        before = self._received.get(queue, 0)
        after = self._received[queue] = before + size
        more = max(1, math.ceil(after / _CHUNK)) - max(1, math.ceil(before / _CHUNK))
        if more:
            self._asked(queue, "receive", more)

    def changed(self, queue: str, action: str, messages: int) -> None:
        """One change of so many messages, which goes out in tens."""
        self._asked(queue, action, math.ceil(messages / _PER_CALL))

    def settled(self, queue: str, settlement: Settlement) -> None:
        """One message. Those that one call has settled come one after the other, with one value."""
        if isinstance(settlement, Leave):
            return
        self._alike = self._alike + 1 if settlement is self._last else 1
        self._last = settlement
        if isinstance(settlement, Reject):
            self._asked(settlement.to, "send", 1)
        if self._alike % _PER_CALL == 1:
            self._asked(queue, "settle", 1)

    def _asked(self, queue: str, action: str, requests: int) -> None:
        self._requests.add((queue, action), requests)
        price = self._request_prices.get(queue, self._prices.sqs_request["standard"])
        self._sqs_cost.add((queue,), requests * price)


def _is_fifo(queue: Queue) -> bool:
    """By its name in SQS, which is the end of its URL or ARN."""
    return (queue.url or queue.lookup or "").endswith(".fifo")
