"""«live_performance»: how right the served answers were, from what turned out to be true of them."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd

from mle_assets.code_version import code_version
from mle_assets.evaluation.intervals import wilson_interval
from mle_assets.io_managers import FolderIOManager
from mle_assets.listings.labelled import LabelledListings
from mle_assets.monitoring.feedback import Joined, join
from mle_assets.monitoring.inputs import DriftReport, champion_of, manifests_in
from mle_assets.monitoring.live_report import LiveReport, live_report
from mle_assets.monitoring.live_tables import live_tables
from mle_assets.monitoring.publication import publish_live
from mle_assets.monitoring.served import Monitoring, tables_of
from mle_assets.monitoring.tables import DAY, PROBABILITIES, SHADOW_PROBABILITIES, DayTables
from mle_assets.pictures.look import Picture
from mle_assets.pictures.metadata import Pictures
from mle_assets.pictures.monitoring import DayOfAnswers, accuracy_chart
from mle_assets.places import place_at
from mle_assets.release.champion import Release
from model_registry.listing import FEATURES
from model_registry.manifest import Manifest
from model_registry.market import Market

COLUMNS = (
    "request_id",
    "index",
    "version",
    "category",
    *PROBABILITIES,
    "id",
    *FEATURES,
    "shadow",
    "shadow_category",
    *SHADOW_PROBABILITIES,
    "shadow_missed",
)
"""What of an answer its figures are made from, and what `LabelledListings` keeps of its listing."""


def ids_elsewhere(
    artefacts: FolderIOManager, market: str, since: float, first: float, last: float
) -> Mapping[str, Iterable["pd.Series[str]"]]:
    """The request ids of answers of before a moment, and of those of other markets on the days from first to last.

    Table by table, the latest first; none is fetched before its turn comes.
    """

    def ids(tables: DayTables, first: float, last: float) -> Iterator["pd.Series[str]"]:
        for day in reversed(tables.days("answers")):
            if first < (day + 1) * DAY and day * DAY <= last:
                yield tables.of_day("answers", day, ["request_id"]).to_pandas()["request_id"]

    others = (name for name in place_at(artefacts.folder).places() if name != market)
    return {
        "late": ids(tables_of(artefacts, market), -np.inf, since),
        "other_markets": (column for name in others for column in ids(tables_of(artefacts, name), first, last)),
    }


def join_feedback(
    artefacts: FolderIOManager,
    market: str,
    manifest: Callable[[str], Manifest | str],
    since: float,
    late_days: float,
    columns: Iterable[str],
) -> tuple[pd.DataFrame, Joined]:
    """A market's answers since a moment, and what is known to be true of them."""

    def market_of(version: str) -> Market | None:
        known = manifest(version)
        return None if isinstance(known, str) else known.market

    tables = tables_of(artefacts, market)
    answers, feedback = tables.since("answers", since, tuple(columns)), tables.since("feedback", since)
    return answers, join(answers, feedback, market_of, partial(ids_elsewhere, artefacts, market, since), late_days)


@dg.asset(
    deps=["served_listings"],
    group_name="monitoring",
    io_manager_key="artefacts",
    code_version=code_version(__file__),
    kinds={"json"},
)
def live_performance(
    drift: DriftReport,
    monitoring: Monitoring,
    artefacts: dg.ResourceParam[FolderIOManager],
    release: Release,
    market: dg.ResourceParam[Market],
    pictures: Pictures,
    labelled_listings: LabelledListings,
) -> dg.MaterializeResult[LiveReport]:
    """How right the served answers of the last weeks were, by version and slice, as far as feedback tells.

    Beside each version in the registry its latest figures are kept, with what «drift» says of it: `models live` shows
    them, and the API tells them to Prometheus.
    """
    registry, now = release.registries().of(market.name), time.time()
    manifest, since = manifests_in(registry), now - monitoring.feedback_days * DAY
    with place_at(artefacts.folder).in_words():
        answers, joined = join_feedback(artefacts, market.name, manifest, since, monitoring.feedback_days, COLUMNS)
        priced = answers.assign(price=joined.price)[~np.isnan(joined.price)]
        labelled_listings.keep(market.name, priced)
    report = live_report(answers, joined, champion_of(registry), manifest, since, now)
    publish_live(registry, report, drift, market.name)
    return dg.MaterializeResult(
        value=report, metadata=live_metadata(report, pictures.of(partial(live_pictures, report)))
    )


def live_metadata(report: LiveReport, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """The champion's verdict, pictures, figures under plain names so that Dagster plots them over time, and tables."""
    current, figures = report.current, report.current.figures
    numbers = {
        "accuracy": figures.accuracy,
        "accuracy_low": figures.accuracy_interval and figures.accuracy_interval.low,
        "accuracy_high": figures.accuracy_interval and figures.accuracy_interval.high,
        "log_loss": figures.log_loss,
        "calibration_error": figures.calibration_error,
        "estimated_accuracy": current.estimate.accuracy,
        "test_accuracy": current.test_accuracy,
        "coverage": figures.coverage,
    }
    return {
        "champion": report.champion or "none",
        "verdict": current.verdict,
        "reason": current.reason,
        "estimate": current.estimate.reason,
        "answers": figures.answers,
        "labelled": figures.labelled,
        "listings": figures.listings,
        **drawn,
        **{name: round(number, 4) for name, number in numbers.items() if number is not None},
        **live_tables(report),
    }


def live_pictures(report: LiveReport) -> dict[str, Picture]:
    """The accuracy day by day; none where no truth is known."""
    days = [
        DayOfAnswers(one.day, one.version, one.right / one.listings, *wilson_interval(one.right, one.listings))
        for one in report.days
        if one.listings
    ]
    tested = {
        name: (one.test_accuracy, one.test_interval.low, one.test_interval.high)
        for name, one in report.versions.items()
        if one.test_accuracy is not None and one.test_interval is not None
    }
    return {"accuracy_by_day": accuracy_chart(days, tested)} if days else {}


@dg.asset_check(asset=live_performance)
def the_champion_is_as_right_as_on_its_test_listings(live_performance: LiveReport) -> dg.AssetCheckResult:
    """The champion's live accuracy is not below that on its test listings, by more than chance explains."""
    current = live_performance.current
    known = {"accuracy": current.figures.accuracy, "test_accuracy": current.test_accuracy}
    metadata: dict[str, Any] = {"labelled": current.figures.labelled, "verdict": current.verdict}
    return dg.AssetCheckResult(
        passed=current.verdict != "below its test",
        severity=dg.AssetCheckSeverity.WARN,
        description=current.reason,
        metadata=metadata | {name: value for name, value in known.items() if value is not None},
    )
