"""What happens to runs and to the champion, a line each, for whoever watches the terminal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from mle_assets.failures import job_name, why
from model_registry.history import Event, HistoryDamaged
from model_registry.store import Registry

_ENDED = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "was cancelled",
}
_OVERLAP = timedelta(minutes=1)


class News:
    """What has happened since the last look, from the Dagster instance and the registry folder."""

    def __init__(self, instance: dg.DagsterInstance, registry: Registry, since: datetime) -> None:
        """Begin with what is new after a moment (with its time zone)."""
        self._instance, self._registry = instance, registry
        self._begin, self._after = since, since
        self._told: set[str] = set()
        self._damage = ""
        self._decisions = max((event.sequence for event in self._history()), default=0)

    def lines(self) -> Iterator[str]:
        """A line for each run that has ended and for each decision about the champion, each told once."""
        for record in self._ended_runs():
            yield self._run_line(record)
        damage = self._damage
        for event in self._history():
            if event.sequence > self._decisions:
                self._decisions = event.sequence
                yield decision_line(event)
        if self._damage and self._damage != damage:
            yield f"registry   {self._damage}"

    def _ended_runs(self) -> list[dg.RunRecord]:
        ended = dg.RunsFilter(statuses=list(_ENDED), updated_after=self._after)
        self._after = max(self._begin, datetime.now(UTC) - _OVERLAP)
        records = self._instance.get_run_records(ended, order_by="update_timestamp", ascending=True)
        new = [record for record in records if record.dagster_run.run_id not in self._told]
        self._told = {record.dagster_run.run_id for record in records}
        return new

    def _run_line(self, record: dg.RunRecord) -> str:
        run = record.dagster_run
        took = f" after {record.end_time - record.start_time:.0f} s" if record.start_time and record.end_time else ""
        reason = f": {why_it_failed(self._instance, run.run_id)}" if run.status == dg.DagsterRunStatus.FAILURE else ""
        return f"{job_name(run.job_name):<10} {_ENDED[run.status]}{took} (run {run.run_id[:8]}){reason}"

    def _history(self) -> list[Event]:
        try:
            events = self._registry.history()
        except HistoryDamaged as error:
            self._damage = str(error)
            return []
        self._damage = ""
        return events


def decision_line(event: Event) -> str:
    """One decision about the champion."""
    if event.action == "refusal":
        return f"champion   stays; {event.version} was kept out: {event.decision.reason}"
    return f"champion   {event.version}, {event.action} by {event.actor}: {event.decision.reason}"


def why_it_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """The sentence of a failed run, from its event log."""
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    events = [failure.dagster_event for failure in failures if failure.dagster_event]
    return why(events[-1]) if events else "its event log does not say why"
