"""
Counters and histograms by their labels, and the families that prometheus_client exposes.

The library's own counters take a lock and some checks for each step, and ten times the memory for a
histogram. Everything here happens on one event loop, so dictionaries do. The text formats and the
metrics of the process are the library's (docs/decisions/0019-facts-log-themselves.md).
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from lambdo_router.telemetry.metrics.catalogue import DEFINITIONS, LAST_POLL, Definition

Labels = tuple[str, ...]
"""The values of a series' labels, in the order of its definition."""

Names = Mapping[str, frozenset[str]]
"""By label: the values that are still of interest. Other labels are not looked at."""


class Histogram:
    """Counts how many values fell into each bucket."""

    __slots__ = ("_bounds", "_counts", "_sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value; a bound belongs to the bucket below it."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily, labels: Labels) -> None:
        """Add it to a family; there, each bucket includes those below it."""
        texts = (*(str(float(bound)) for bound in self._bounds), "+Inf")
        buckets = list(zip(texts, accumulate(self._counts), strict=True))
        family.add_metric(labels, buckets, self._sum)


class Series(Collector):
    """Everything that is counted or set as it happens."""

    def __init__(self) -> None:
        self._numbers: dict[Definition, dict[Labels, float]] = {
            it: {} for it in DEFINITIONS if it.kind == "counter" or it is LAST_POLL
        }
        self._histograms: dict[Definition, dict[Labels, Histogram]] = {
            it: {} for it in DEFINITIONS if it.kind == "histogram"
        }
        self._postponed: Iterator[None] = iter(())

    def postpone(self, work: Iterator[None]) -> None:
        """
        Have series added and removed step by step, before the next scrape.

        Ten thousand routes have fifty thousand: more than the event loop should do in one go.
        """
        deque(self._postponed, maxlen=0)
        self._postponed = work

    def step(self) -> None:
        """Do a step of what was postponed."""
        next(self._postponed, None)

    def numbers(self, definition: Definition) -> dict[Labels, float]:
        """Return the values of a counter, to be added to; it stays the same object."""
        return self._numbers[definition]

    def add(self, definition: Definition, labels: Labels, amount: float = 1) -> None:
        """Add to a counter; a new series begins at zero."""
        numbers = self._numbers[definition]
        numbers[labels] = numbers.get(labels, 0) + amount

    def set(self, definition: Definition, labels: Labels, value: float | None) -> None:
        """Set a gauge; None removes it."""
        self._numbers[definition].pop(labels, None)
        if value is not None:
            self._numbers[definition][labels] = value

    def histogram(self, definition: Definition, labels: Labels) -> Histogram:
        """Return a histogram to observe values with."""
        histograms = self._histograms[definition]
        found = histograms.get(labels)
        if found is None:
            found = histograms[labels] = Histogram(definition.buckets)
        return found

    def keep(self, names: Names) -> Iterator[None]:
        """
        Remove the series with a label whose value is not in `names`; empty values stay.

        A metric at a time.
        """
        every: list[tuple[Definition, dict[Labels, Any]]]
        every = [*self._numbers.items(), *self._histograms.items()]
        known = {label: it | {""} for label, it in names.items()}
        for definition, series in every:
            for at, label in enumerate(definition.labels):
                if (values := known.get(label)) is not None:
                    for labels in [it for it in series if it[at] not in values]:
                        del series[labels]
            yield

    def collect(self) -> Iterator[Metric]:
        """Yield every family as it is now."""
        deque(self._postponed, maxlen=0)
        for definition, numbers in self._numbers.items():
            yield family_of(definition, numbers.items())
        for definition, histograms in self._histograms.items():
            family = HistogramMetricFamily(
                definition.name, definition.help, labels=definition.labels
            )
            for labels, histogram in histograms.items():
                histogram.add_to(family, labels)
            yield family


def family_of(definition: Definition, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Return a counter or gauge with these values; those with the same labels are added up."""
    sums: dict[Labels, float] = {}
    for labels, value in values:
        sums[labels] = sums.get(labels, 0) + value
    make = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
    family = make(definition.name, definition.help, labels=definition.labels)
    for labels, value in sums.items():
        family.add_metric(labels, value)
    return family
