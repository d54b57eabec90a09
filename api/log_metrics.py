"""The prediction log in figures, as it stands when they are asked for."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from prediction_log.uploading import UploadState
from prediction_log.writer import State


class LogMetrics(Collector):
    """What became of the records offered to each log, and whether it can be written."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Know of no log."""
        self.states: Callable[[], Mapping[str, State]] = dict
        self.uploads: Callable[[], UploadState | None] = lambda: None
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
        removed = CounterMetricFamily(
            "api_log_files_removed",
            "Files of the log that were removed, too old or too many: with a URL they were never uploaded.",
            labels=["log"],
        )
        for log, state in self.states().items():
            removed.add_metric([log], state.removed)
            records.add_metric([log, "written"], state.written)
            for reason, count in state.dropped.items():
                records.add_metric([log, reason], count)
            queued.add_metric([log], state.queued)
            failing.add_metric([log], float(state.problem is not None))
        yield from (records, queued, failing, removed)
        yield from self._of_uploads()

    def _of_uploads(self) -> Iterator[Metric]:
        failing = GaugeMetricFamily("api_log_upload_failing", "1 where the log cannot be uploaded, else 0.", labels=[])
        waiting = GaugeMetricFamily("api_log_upload_waiting", "Files of the log that wait to be uploaded.", labels=[])
        uploaded = CounterMetricFamily("api_log_uploads", "Files of the log that were uploaded.", labels=[])
        if state := self.uploads():
            failing.add_metric([], float(state.problem is not None))
            waiting.add_metric([], state.waiting)
            uploaded.add_metric([], state.uploaded)
        yield from (failing, waiting, uploaded)
