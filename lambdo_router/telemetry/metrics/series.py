"""
Numbers by their labels, and the families that prometheus_client writes them from.

The library's own counters take a lock and some checks for each step: 20 microseconds for all that
is counted of one message. Here everything happens on one event loop, so that dictionaries do, in
half the time. The families, the text formats and what is to be known of the process are the
library's (docs/decisions/0011-metrics.md).
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from lambdo_router.telemetry.metrics.catalogue import Definition

Labels = tuple[str, ...]
"""The values of a series' labels, in the order of its definition."""

Names = Mapping[str, frozenset[str]]
"""By label: the values that are still of interest. Other labels are not looked at."""


class Numbers(dict[Labels, float]):
    """A counter, or a gauge that is set as things happen."""

    def add(self, labels: Labels, amount: float = 1) -> None:
        """Count; a new series begins at zero."""
        self[labels] = self.get(labels, 0) + amount


class Distribution:
    """How many values fell into each bucket."""

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
        """Put it into a family: the library has buckets hold all that is below them, too."""
        texts = (*(str(float(bound)) for bound in self._bounds), "+Inf")
        buckets = list(zip(texts, accumulate(self._counts), strict=True))
        family.add_metric(labels, buckets, self._sum)


class Distributions(dict[Labels, Distribution]):
    """A histogram."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        super().__init__()
        self._bounds = bounds

    def __missing__(self, labels: Labels) -> Distribution:
        made = self[labels] = Distribution(self._bounds)
        return made


class Shelf(Collector):
    """All that is counted as it happens."""

    def __init__(self) -> None:
        self._numbers: list[tuple[Definition, Numbers]] = []
        self._distributions: list[tuple[Definition, Distributions]] = []

    def numbers(self, definition: Definition) -> Numbers:
        """A new counter or gauge."""
        made = Numbers()
        self._numbers.append((definition, made))
        return made

    def distributions(self, definition: Definition) -> Distributions:
        """A new histogram."""
        made = Distributions(definition.buckets)
        self._distributions.append((definition, made))
        return made

    def keep(self, names: Names) -> None:
        """Forget the series with a label whose value is not named; an empty one always is."""
        every: list[tuple[Definition, dict[Labels, Any]]] = [*self._numbers, *self._distributions]
        for definition, series in every:
            watched = [(at, names[it]) for at, it in enumerate(definition.labels) if it in names]
            for labels in tuple(series):
                if any(labels[at] and labels[at] not in known for at, known in watched):
                    del series[labels]

    def describe(self) -> list[Metric]:
        """Nothing: nobody asks this registry for names that it must not take twice."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family, in the state of this moment."""
        for definition, numbers in self._numbers:
            yield family_of(definition, numbers.items())
        for definition, distributions in self._distributions:
            family = HistogramMetricFamily(
                definition.name, definition.help, labels=definition.labels
            )
            for labels, distribution in distributions.items():
                distribution.add_to(family, labels)
            yield family


def family_of(definition: Definition, values: Iterable[tuple[Labels, float]]) -> Metric:
    """A counter or gauge with these values by their labels."""
    make = CounterMetricFamily if definition.kind == "counter" else GaugeMetricFamily
    family = make(definition.name, definition.help, labels=definition.labels)
    for labels, value in values:
        family.add_metric(labels, value)
    return family


def summed(values: Iterable[tuple[Labels, float]]) -> Iterable[tuple[Labels, float]]:
    """Values with the same labels as one: a series must not be exposed twice."""
    sums = Numbers()
    for labels, value in values:
        sums.add(labels, value)
    return sums.items()
