"""«served_listings», «drift» and «live_performance» of real logs, as the job makes them."""

import time
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mle_assets.monitoring.compaction import Compaction, compact
from mle_assets.monitoring.inputs import DriftReport
from mle_assets.monitoring.live_report import LiveReport
from mle_assets.places import FolderPlace
from prediction_log.logs import FolderLog
from prediction_log.record import ShadowAnswer
from tests.conftest import Pipeline, make_pipeline
from tests.making import BEATABLE, publish
from tests.monitoring.log import DAY, OF_CATEGORY, answered, leave_open, told, write
from tests.monitoring.serving import asked, publish_champion
from tests.pictures.drawn import is_small_png
from tests.pictures.test_metadata import pictures, png_in


@pytest.fixture
def log(pipeline: Pipeline) -> Path:
    return Path(pipeline.settings.prediction_log)


def monitored(pipeline: Pipeline) -> dict[str, dict[str, Any]]:
    """The metadata of the assets after a run of the job."""
    done = pipeline.run("monitoring")
    assert done.success
    return {
        event.asset_key.to_user_string(): {name: value.value for name, value in event.materialization.metadata.items()}
        for event in done.get_asset_materialization_events()
        if event.asset_key
    }


def checks(pipeline: Pipeline) -> dict[str, dg.AssetCheckEvaluation]:
    done = pipeline.run("monitoring")
    assert done.success
    return {one.check_name: one for one in done.get_asset_check_evaluations()}


def drift_of(pipeline: Pipeline) -> DriftReport:
    return DriftReport.read(pipeline.assets / "drift")


def live_of(pipeline: Pipeline) -> LiveReport:
    return LiveReport.read(pipeline.assets / "live_performance")


def test_listings_like_those_learned_from_are_no_drift(pipeline: Pipeline, log: Path) -> None:
    version = publish_champion(pipeline.registry)
    write(log, asked(version, 600, time.time()))
    made = monitored(pipeline)
    assert made["served_listings"]["dagster/row_count"] == 600
    assert (made["drift"]["verdict"], made["drift"]["listings"], made["drift"]["champion"]) == (
        "no drift",
        600,
        version,
    )
    assert 0 < made["drift"]["index_latitude"] < 0.05
    # Bedrooms, elevator and internet had one value.
    assert len(drift_of(pipeline).current.shifts) == 10
    assert made["live_performance"]["verdict"] == "not enough data"
    assert made["live_performance"]["estimated_accuracy"] == 0.7


def test_listings_moved_to_the_east_are_drift_and_the_check_warns(pipeline: Pipeline, log: Path) -> None:
    version = publish_champion(pipeline.registry)
    write(log, asked(version, 600, time.time(), east=0.05))
    found = checks(pipeline)["inputs_have_not_drifted"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (found.description or "").startswith("Of 10 distributions of 600 listings 1 is not as when")
    report = drift_of(pipeline)
    assert [shift.name for shift in report.current.shifts if shift.is_drift] == ["longitude"]
    assert report.champion == version


def test_the_same_listing_asked_about_again_and_again_is_one(pipeline: Pipeline, log: Path) -> None:
    version, now = publish_champion(pipeline.registry), time.time()
    write(log, [answered(f"r{number}", now - number, version=version) for number in range(1_000)])
    assert monitored(pipeline)["drift"]["verdict"] == "not enough data"
    assert (drift_of(pipeline).current.listings, drift_of(pipeline).current.answers) == (1, 1_000)


def test_each_version_is_compared_with_what_it_learned_from(pipeline: Pipeline, log: Path) -> None:
    old = publish(pipeline.registry, 5, **{**BEATABLE, "profile": None})
    version, now = publish_champion(pipeline.registry), time.time()
    records = [*asked(version, 300, now), *asked(old, 300, now, seed=2), *asked("gone-1", 300, now, seed=3)]
    write(log, records)
    monitored(pipeline)
    report = drift_of(pipeline)
    assert {name: one.verdict for name, one in report.versions.items()} == {version: "no drift"}
    assert report.unjudged[old] == "It was published before profiles were kept with versions."
    assert "holds no version 'gone-1'" in report.unjudged["gone-1"]


def test_answers_of_before_the_days_looked_at_are_left_out(pipeline: Pipeline, log: Path) -> None:
    version, now = publish_champion(pipeline.registry), time.time()
    write(log, [*asked(version, 300, now), *asked(version, 300, now - 8 * DAY, east=1.0, seed=2)])
    assert monitored(pipeline)["served_listings"]["dagster/row_count"] == 600
    assert (drift_of(pipeline).current.listings, drift_of(pipeline).verdict) == (300, "no drift")


def feedback_of(records: list[Any], right: float, now: float) -> list[Any]:
    """What was true: the share of right answers that is wanted, by price or category in turns."""
    prices = {"Low": 50.0, "Mid": 100.0, "High": 300.0, "Lux": 900.0}
    random, found = np.random.default_rng(3), list[Any]()
    for place, one in enumerate(records):
        names = list(prices)
        true = one.category if random.random() < right else names[(names.index(one.category) + 1) % 4]
        what = {"price": prices[true]} if place % 2 else {"price_category": true}
        found.append(told(one.request_id, now, **what))
    return found


@pytest.mark.parametrize(("right", "verdict"), [(0.7, "as tested"), (0.4, "below its test")])
def test_feedback_tells_how_right_the_champion_is(pipeline: Pipeline, log: Path, right: float, verdict: str) -> None:
    version, now = publish_champion(pipeline.registry), time.time()
    records = asked(version, 800, now)
    write(log, records)
    write(log, [*feedback_of(records[:600], right, now), told("nobodys", now)], "feedback")
    check = checks(pipeline)["the_champion_is_as_right_as_on_its_test_listings"]
    assert (check.passed, check.severity) == (verdict == "as tested", dg.AssetCheckSeverity.WARN)
    live = live_of(pipeline)
    assert (live.verdict, live.champion, live.current.figures.coverage) == (verdict, version, 0.75)
    assert live.current.figures.accuracy == pytest.approx(right, abs=0.05)
    assert (live.told.joined, live.told.orphans, live.priced) == (600, 1, 300)
    assert sum(day.labelled for day in live.days) == 600
    assert sum(day.right for day in live.days) == live.current.figures.right


def test_the_same_listing_told_of_again_and_again_makes_nobody_sure(pipeline: Pipeline, log: Path) -> None:
    version, now = publish_champion(pipeline.registry), time.time()
    write(log, [answered(f"r{number}", now - 300 + number, version=version) for number in range(200)])
    write(log, [told(f"r{number}", now, price=500.0) for number in range(200)], "feedback")
    made = monitored(pipeline)["live_performance"]
    assert (made["verdict"], made["labelled"], made["listings"]) == ("not enough data", 200, 1)
    assert sum(day.labelled for day in live_of(pipeline).days) == 200
    assert {(day.listings, day.right) for day in live_of(pipeline).days} == {(1, 0)}


def test_a_shadow_is_compared_with_the_champion(pipeline: Pipeline, log: Path) -> None:
    version, now = publish_champion(pipeline.registry), time.time()
    better = ShadowAnswer("tree-2", "Low", OF_CATEGORY["Low"])
    records = [answered(f"r{n}", now - 60, version=version, shadow=better, id=n) for n in range(150)]
    write(log, records)
    write(log, [told(f"r{n}", now, price=50.0) for n in range(150)], "feedback")
    made = monitored(pipeline)
    [rivalry] = live_of(pipeline).current.rivalries
    assert (rivalry.listings, rivalry.only_shadow_right, rivalry.only_version_right) == (150, 150, 0)
    assert rivalry.p_value < 1e-9
    [row] = made["live_performance"]["shadows"].records
    assert (row.data["shadow"], row.data["only it right"]) == ("tree-2", 150)


def test_feedback_about_another_markets_answers_is_no_orphan(pipeline: Pipeline, log: Path) -> None:
    version, now = publish_champion(pipeline.registry), time.time()
    write(log, [answered("a", now - 60, version=version), answered("b", now - 60, market="lisbon")])
    write(log, [told("b", now)], "feedback")
    monitored(pipeline)
    assert live_of(pipeline).told.orphans == 1
    lisbon = pipeline.assets.parent / "lisbon" / "served_listings"
    compact(FolderLog(log), FolderPlace(lisbon), "lisbon", keep_days=90, now=now)
    monitored(pipeline)
    assert (live_of(pipeline).told.orphans, live_of(pipeline).told.other_markets) == (0, 1)


def test_a_damaged_line_is_warned_of_once(pipeline: Pipeline, log: Path) -> None:
    publish_champion(pipeline.registry)
    file = leave_open(log, [answered("a", time.time())], after=b'{"kind":"predic')
    file.rename(file.with_suffix(""))
    found = checks(pipeline)["the_log_is_whole"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert (found.description or "").startswith("1 of 2 lines cannot be read: a process was killed while it wrote them")
    assert checks(pipeline)["the_log_is_whole"].passed
    assert Compaction.read(pipeline.assets / "served_listings").rows == 1


def test_without_a_log_the_job_ends_well_with_nothing(pipeline: Pipeline) -> None:
    made = monitored(pipeline)
    assert made["served_listings"]["dagster/row_count"] == 0
    assert (made["drift"]["verdict"], made["live_performance"]["verdict"]) == ("not enough data", "not enough data")
    assert all(one.passed for one in checks(pipeline).values())


def test_where_the_log_is_turned_off_the_job_says_so(pipeline: Pipeline) -> None:
    off = make_pipeline(pipeline.folder, pipeline.instance, prediction_log="")
    failed = off.run("monitoring")
    assert not failed.success
    assert "No prediction log is read: name its folder in PREDICTION_LOG" in str(failed.get_run_failure_event())


def test_pictures_stand_beside_the_numbers(pipeline: Pipeline, log: Path) -> None:
    drawing = make_pipeline(pipeline.folder, pipeline.instance, pictures=True)
    version, now = publish_champion(pipeline.registry), time.time()
    records = asked(version, 600, now, east=0.05)
    write(log, records)
    write(log, feedback_of(records, 0.6, now), "feedback")
    done = drawing.run("monitoring")
    [drift] = done.asset_materializations_for_node("drift")
    [live] = done.asset_materializations_for_node("live_performance")
    shown = pictures(dict(drift.metadata)) | pictures(dict(live.metadata))
    assert sorted(shown) == ["accuracy_by_day", "indices", "side_by_side"]
    assert all(is_small_png(png_in(markdown)) for markdown in shown.values())
    assert "longitude" in shown["side_by_side"].partition("](")[0]


@pytest.mark.slow
def test_prices_that_were_told_are_trained_on_only_where_that_is_wanted(ready: Pipeline) -> None:
    log, now = Path(ready.settings.prediction_log), time.time()
    version = publish_champion(ready.registry)
    write(log, asked(version, 200, now))
    write(log, [told(f"request-1-{number}", now, price=100.0) for number in range(200)], "feedback")
    split = [dg.AssetKey("train_listings"), dg.AssetKey("test_listings")]
    before = pd.read_parquet(ready.assets / "train_listings.parquet")
    assert ready.run("monitoring").success
    assert ready.run("training", asset_selection=split).success
    pd.testing.assert_frame_equal(pd.read_parquet(ready.assets / "train_listings.parquet"), before)
    trusting = make_pipeline(ready.folder, ready.instance, train_on_feedback=True)
    assert trusting.run("monitoring").success
    done = trusting.run("training", asset_selection=split)
    [train] = [
        one for one in done.asset_materializations_for_node("train_and_test_listings") if one.asset_key == split[0]
    ]
    assert train.metadata["from_feedback"].value == 200
    assert len(pd.read_parquet(ready.assets / "train_listings.parquet")) == len(before) + 200
    assert all(one.passed for one in done.get_asset_check_evaluations())
