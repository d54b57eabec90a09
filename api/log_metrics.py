"""The prediction log in figures, as it stands when they are asked for."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from prediction_log.writer import State


class LogMetrics(Collector):
    """What became of the records offered to each log, and whether it can be written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Know of no log."""
        self.states: Callable[[], Mapping[str, State]] = dict
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The figures as prometheus_client takes them."""
        records = CounterMetricFamily(
            "api_log_records",
            "Records of answers and feedback: written, or dropped because too many waited (full) or for a fault.",
            labels=["log", "outcome"],
        )
        queued = GaugeMetricFamily("api_log_queued", "Records that wait to be written.", labels=["log"])
        failing = GaugeMetricFamily("api_log_failing", "1 where the log cannot be written, else 0.", labels=["log"])
        for log, state in self.states().items():
            records.add_metric([log, "written"], state.written)
            for reason, count in state.dropped.items():
                records.add_metric([log, reason], count)
            queued.add_metric([log], state.queued)
            failing.add_metric([log], float(state.problem is not None))
        yield from (records, queued, failing)
