"""What happens to runs and to the champion, a line each, for whoever watches the terminal."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from mle_assets.failures import job_name, why
from mle_assets.partitions import MARKET_TAG
from model_registry.history import Event, HistoryDamaged
from model_registry.registries import Registries

_ENDED = {
    dg.DagsterRunStatus.SUCCESS: "succeeded",
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "was cancelled",
}
_OVERLAP = timedelta(minutes=1)


class News:
    """What has happened since the last look, from the Dagster instance and the registry folder."""

    def __init__(self, instance: dg.DagsterInstance, registries: Registries, default: str, since: datetime) -> None:
        """Begin with what is new after a moment (with its time zone); of the default market no line says its name."""
        self._instance, self._registries, self._default = instance, registries, default
        self._begin, self._after = since, since
        self._told: set[str] = set()
        self._damage: dict[str, str] = {}
        self._decisions: dict[str, int] = {}
        list(self._of_the_registry())

    def lines(self) -> Iterator[str]:
        """A line for each run that has ended and for each decision about a champion, each told once."""
        for record in self._ended_runs():
            yield self._run_line(record)
        yield from self._of_the_registry()

    def _of_the_registry(self) -> Iterator[str]:
        for market in self._registries.markets():
            of = "" if market == self._default else f"of {market}: "
            try:
                events = self._registries.of(market).history()
            except HistoryDamaged as error:
                if self._damage.get(market) != str(error):
                    self._damage[market] = str(error)
                    yield f"registry   {of}{error}"
                continue
            self._damage.pop(market, None)
            for event in events:
                if event.sequence > self._decisions.get(market, 0):
                    self._decisions[market] = event.sequence
                    yield decision_line(event, of)

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
        market = run.tags.get(MARKET_TAG, self._default)
        of = "" if market == self._default else f"of {market} "
        return f"{job_name(run.job_name):<10} {of}{_ENDED[run.status]}{took} (run {run.run_id[:8]}){reason}"


def decision_line(event: Event, of: str = "") -> str:
    """One decision about a champion; `of` says whose, where that has to be said."""
    if event.action == "refusal":
        return f"champion   {of}stays; {event.version} was kept out: {event.decision.reason}"
    return f"champion   {of}{event.version}, {event.action} by {event.actor}: {event.decision.reason}"


def why_it_failed(instance: dg.DagsterInstance, run_id: str) -> str:
    """The sentence of a failed run, from its event log."""
    failures = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    events = [failure.dagster_event for failure in failures if failure.dagster_event]
    return why(events[-1]) if events else "its event log does not say why"
