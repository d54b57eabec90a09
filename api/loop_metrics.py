"""Counters and histograms that the event loop alone counts, for what happens with every request.

prometheus_client's own take a lock for each figure and look their labels up anew: eight times as long.
"""

import time
from bisect import bisect_left
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

Labels = tuple[str, ...]


class LoopCounter(Collector):
    """A counter; `/metrics` shows one figure for each combination of labels that was counted."""

    def __init__(self, name: str, documentation: str, labels: Labels, *, registry: CollectorRegistry) -> None:
        """Start at nothing."""
        self._name, self._documentation, self._labels = name, documentation, labels
        self._counts: dict[Labels, int] = {}
        self._since: dict[Labels, float] = {}
        registry.register(self)

    def inc(self, labels: Labels, count: int = 1) -> None:
        """Count."""
        try:
            self._counts[labels] += count
        except KeyError:
            self._counts[labels], self._since[labels] = count, time.time()

    def collect(self) -> Iterator[Metric]:
        """The figures as prometheus_client takes them."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._labels)
        for labels, count in self._counts.items():
            family.add_metric(labels, count, created=self._since[labels])
        yield family


class LoopHistogram(Collector):
    """A histogram; `/metrics` shows one for each combination of labels that was observed."""

    def __init__(
        self, name: str, documentation: str, labels: Labels, *, buckets: tuple[float, ...], registry: CollectorRegistry
    ) -> None:
        """Start at nothing; `buckets` are upper bounds, in order, without the infinite one."""
        self._name, self._documentation, self._labels, self._bounds = name, documentation, labels, buckets
        self._counts: dict[Labels, list[int]] = {}
        self._sums: dict[Labels, float] = {}
        self._since: dict[Labels, float] = {}
        if not labels:
            self._begin(())
        registry.register(self)

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value into the first bucket whose bound it does not exceed."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._begin(labels)
        counts[bisect_left(self._bounds, value)] += 1
        self._sums[labels] += value

    def collect(self) -> Iterator[Metric]:
        """The figures as prometheus_client takes them: each bucket with those below it."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._labels)
        bounds = [*map(floatToGoString, self._bounds), "+Inf"]
        for labels, counts in self._counts.items():
            below, buckets = 0, list[tuple[str, float]]()
            for bound, count in zip(bounds, counts, strict=True):
                below += count
                buckets.append((bound, below))
            family.add_metric(labels, buckets, self._sums[labels])
            named = dict(zip(self._labels, labels, strict=True))
            family.add_sample(f"{self._name}_created", named, self._since[labels])
        yield family

    def _begin(self, labels: Labels) -> list[int]:
        self._counts[labels], self._sums[labels] = [0] * (len(self._bounds) + 1), 0.0
        self._since[labels] = time.time()
        return self._counts[labels]
