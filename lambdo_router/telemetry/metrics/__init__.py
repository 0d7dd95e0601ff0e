"""
Metrics for Prometheus: counters and histograms of what happened, and gauges of what is.

`Metrics` is an Observer of the journal. catalogue.py lists every metric; docs/metrics.md is made
from it.
"""

import asyncio
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Metric, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from lambdo_router.core import journal
from lambdo_router.core.prices import Prices, read_prices
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.telemetry.metrics.counting import Counting
from lambdo_router.telemetry.metrics.gauges import Gauges, memory_limit


class Metrics:
    """The metrics of one router."""

    def __init__(
        self,
        snapshot: Callable[[], Snapshot] | None,
        clock: Callable[[], float] = time.time,
        *,
        prices: Prices | None = None,
    ) -> None:
        """
        Take a snapshot of the router at each scrape; with None, expose only what facts say.

        `clock` gives unix seconds. `prices` is the table that costs are estimated by; None: the one
        that comes with this version.
        """
        prices = prices or read_prices()
        self._registry = CollectorRegistry()
        counting = Counting(prices, clock)
        gauges = Gauges(snapshot, prices.date, memory_limit(), clock)
        self.observe: journal.Observer = journal.Dispatch(*counting.readers(), gauges.readers())
        """Counts one fact of the journal."""
        self._registry.register(counting.series)
        self._registry.register(gauges)
        ProcessCollector(registry=self._registry)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """
        Return all metrics as text, and its content type.

        `accept` is the header of the request: OpenMetrics if it asks for that, else Prometheus'
        text format. Call it on the router's event loop, where a snapshot can be taken.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._read()), content_type

    async def scraped(self, accept: str) -> tuple[bytes, str]:
        """Do as `exposition`, but encode in a thread: 1,000 busy routes take half a second."""
        encode, content_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, self._read()), content_type

    def _read(self) -> "_Read":
        return _Read(list(self._registry.collect()))


class _Read(Collector):
    """Families that do not change any more."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


__all__ = ["Metrics"]
