"""
Numbers for Prometheus: what happened, as counters and histograms, and what is, as gauges.

`Metrics` is an Observer of the journal. catalogue.py lists every metric; docs/metrics.md, which is
made from that list by `make pages`, explains them to users.
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
from lambdo_router.telemetry.metrics.gauges import STATES, Gauges, State, memory_limit


class Metrics:
    """The metrics of one router."""

    def __init__(
        self,
        levels: Callable[[], Snapshot] | None,
        wall: Callable[[], float] = time.time,
        *,
        prices: Prices | None = None,
    ) -> None:
        """
        `levels` are the router's, asked at each scrape; None: what runs and waits is not exposed.

        `wall` gives unix seconds. `prices` is the table that costs are estimated by; None: the one
        that comes with this version.
        """
        prices = prices or read_prices()
        self._wall = wall
        self._registry = CollectorRegistry()
        self._counting = Counting(prices)
        self._state = State()
        self._registry.register(self._counting.shelf)
        self._registry.register(Gauges(levels, self._state, prices.date, memory_limit()))
        ProcessCollector(registry=self._registry)

    def observe(self, fact: journal.Fact) -> None:
        """One fact of the journal: an Observer."""
        now = self._wall()
        self._counting.count(fact, now)
        if isinstance(fact, STATES):
            self._state.follow(fact, now)

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """
        All metrics, and the content type of what they are written in.

        `accept` is the header of the request: OpenMetrics if it asks for that, else Prometheus'
        text format. To be called on the router's event loop, where its levels can be read.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._read()), content_type

    async def scraped(self, accept: str) -> tuple[bytes, str]:
        """
        `exposition` for a server that has more to do.

        The numbers are read at once and written down in a thread, which for 1,000 busy routes takes
        half a second.
        """
        encode, content_type = choose_encoder(accept)
        return await asyncio.to_thread(encode, self._read()), content_type

    def _read(self) -> "_AsRead":
        return _AsRead(list(self._registry.collect()))


class _AsRead(Collector):
    """Families that change no more."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> list[Metric]:
        return self._families


__all__ = ["Metrics"]
