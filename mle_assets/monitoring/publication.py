"""What is found out about a version, put beside it in the registry: for `models live`, the API and the gate."""

from collections.abc import Iterator
from datetime import UTC, datetime

from mle_assets.evaluation.intervals import Interval
from mle_assets.monitoring.drift import Drift
from mle_assets.monitoring.inputs import DriftReport
from mle_assets.monitoring.live import Live as Assessed
from mle_assets.monitoring.live import Rivalry
from mle_assets.monitoring.live_report import LiveReport
from model_registry.live import Live, Rival, write_live
from model_registry.store import Registry


def live_of(report: LiveReport, drift: DriftReport, market: str) -> Iterator[Live]:
    """What is known of each version that answered, and of the one in production also where nobody asked it."""
    versions = dict(report.versions)
    if report.champion is not None:
        versions.setdefault(report.champion, report.current)
    for version, assessed in versions.items():
        yield _live(version, assessed, report, _drift_of(drift, version), market)


def publish_live(registry: Registry, report: LiveReport, drift: DriftReport, market: str) -> list[str]:
    """Put what is known beside each version that the registry holds; the ids of those, in order."""
    held = set(registry.versions())
    known = [live for live in live_of(report, drift, market) if live.version in held]
    for live in known:
        write_live(registry, live)
    return [live.version for live in known]


def _drift_of(drift: DriftReport, version: str) -> Drift:
    if version == drift.champion:
        return drift.current
    why = drift.unjudged.get(version, "It has answered nobody in these days.")
    return drift.versions.get(version) or Drift("not enough data", why, 0, 0)


def _live(version: str, assessed: Assessed, report: LiveReport, drift: Drift, market: str) -> Live:
    figures = assessed.figures
    return Live(
        version=version,
        market=market,
        at=_time(report.until),
        since=_time(report.since),
        until=_time(report.until),
        answers=figures.answers,
        labelled=figures.labelled,
        listings=figures.listings,
        verdict=assessed.verdict,
        reason=assessed.reason,
        drift=drift.verdict,
        drift_reason=drift.reason,
        drifted=tuple(shift.name for shift in drift.shifts if shift.is_drift) if drift.verdict == "drift" else (),
        accuracy=figures.accuracy,
        accuracy_interval=_pair(figures.accuracy_interval),
        log_loss=figures.log_loss,
        log_loss_interval=_pair(figures.log_loss_interval),
        calibration_error=figures.calibration_error,
        test_accuracy=assessed.test_accuracy,
        estimate=assessed.estimate.accuracy,
        estimate_reason=assessed.estimate.reason,
        rivals=tuple(map(_rival, assessed.rivalries)),
    )


def _rival(rivalry: Rivalry) -> Rival:
    return Rival(
        version=rivalry.shadow,
        asked=rivalry.asked,
        missed=sum(rivalry.missed.values()),
        listings=rivalry.listings,
        only_shadow_right=rivalry.only_shadow_right,
        only_version_right=rivalry.only_version_right,
        p_value=rivalry.p_value,
        log_loss_difference=rivalry.log_loss_difference,
    )


def _pair(interval: Interval | None) -> tuple[float, float] | None:
    return None if interval is None else (interval.low, interval.high)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
