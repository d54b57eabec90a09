"""The sensors, evaluated on a real instance."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from mle_assets.automation import (
    latest_leaderboards,
    new_snapshot_sensor,
    promote_best_model_sensor,
    weekly_training_schedule,
)
from mle_assets.listings.arrivals import look_into
from tests.asked import failed_run
from tests.conftest import Pipeline


def materialize_leaderboard(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("leaderboard", partition="new-york"))


def promote_tick(pipeline: Pipeline) -> dg.RunRequest | dg.SkipReason:
    with dg.build_sensor_context(pipeline.instance, definitions=pipeline.definitions) as context:
        [told] = promote_best_model_sensor(["new-york"])(context)  # pyright: ignore
    return told


def test_without_a_leaderboard_nothing_is_promoted(pipeline: Pipeline) -> None:
    assert isinstance(promote_tick(pipeline), dg.SkipReason)


def test_a_leaderboard_is_asked_to_be_promoted_under_one_key_however_often_the_sensor_looks(
    pipeline: Pipeline,
) -> None:
    materialize_leaderboard(pipeline.instance)
    keys = {promote_tick(pipeline).run_key for _ in range(3)}  # pyright: ignore
    assert len(keys) == 1


def test_each_materialization_has_its_own_key_and_the_latest_counts(pipeline: Pipeline) -> None:
    materialize_leaderboard(pipeline.instance)
    first = promote_tick(pipeline)
    materialize_leaderboard(pipeline.instance)
    materialize_leaderboard(pipeline.instance)
    assert promote_tick(pipeline).run_key != first.run_key  # pyright: ignore


def test_a_champion_chosen_from_the_latest_leaderboard_needs_no_promotion(ready: Pipeline) -> None:
    assert isinstance(promote_tick(ready), dg.RunRequest)
    assert ready.run("promotion").success
    skipped = promote_tick(ready)
    assert isinstance(skipped, dg.SkipReason)
    assert "chosen from the latest leaderboard" in (skipped.skip_message or "")
    assert ready.run("training", asset_selection=[dg.AssetKey("leaderboard")]).success
    assert isinstance(promote_tick(ready), dg.RunRequest)


def test_a_promotion_that_failed_is_asked_for_again_less_and_less_often(pipeline: Pipeline) -> None:
    materialize_leaderboard(pipeline.instance)
    keys = list[str]()
    # It failed so many minutes ago, and the next may be asked for after 10, 20, 40, 80, 160 and 320.
    for minutes in (11, 21, 41, 81, 161, 321):
        request = promote_tick(pipeline)
        assert isinstance(request, dg.RunRequest)
        keys.append(str(request.run_key))
        failed_run(pipeline.instance, "promotion", request, minutes)
    assert [key.rpartition("-")[2] for key in keys[1:]] == ["1", "2", "3", "4", "5"]
    last = promote_tick(pipeline)
    assert isinstance(last, dg.RunRequest)
    failed_run(pipeline.instance, "promotion", last, 60 * 24 * 30)
    skipped = promote_tick(pipeline)
    assert isinstance(skipped, dg.SkipReason)
    assert "The promotion failed for new-york" in (skipped.skip_message or "")


def test_a_promotion_that_failed_just_now_is_not_asked_for_again_unless_there_is_another_leaderboard(
    pipeline: Pipeline,
) -> None:
    materialize_leaderboard(pipeline.instance)
    request = promote_tick(pipeline)
    assert isinstance(request, dg.RunRequest)
    failed_run(pipeline.instance, "promotion", request, 9)
    assert isinstance(promote_tick(pipeline), dg.SkipReason)
    materialize_leaderboard(pipeline.instance)
    assert isinstance(promote_tick(pipeline), dg.RunRequest)


def test_each_market_is_asked_for_by_its_own_leaderboard(pipeline: Pipeline) -> None:
    for market in ("lisbon", "new-york", "lisbon"):
        pipeline.instance.report_runless_asset_event(dg.AssetMaterialization("leaderboard", partition=market))
    with dg.build_sensor_context(pipeline.instance, definitions=pipeline.definitions) as context:
        told = list(promote_best_model_sensor(["new-york", "lisbon", "porto"])(context))  # pyright: ignore
    latest = latest_leaderboards(pipeline.instance, ["new-york", "lisbon", "porto"])
    assert [(one.partition_key, one.run_key) for one in told] == [
        ("new-york", f"leaderboard-{latest['new-york']}"),
        ("lisbon", f"leaderboard-{latest['lisbon']}"),
    ]
    assert latest["lisbon"] > latest["new-york"]


def test_one_from_before_there_were_partitions_asks_for_nothing(pipeline: Pipeline) -> None:
    pipeline.instance.report_runless_asset_event(dg.AssetMaterialization("leaderboard"))
    assert isinstance(promote_tick(pipeline), dg.SkipReason)


def aged(file: Path, seconds: float = 60) -> Path:
    file.write_text("id")
    os.utime(file, times=(time.time() - seconds, time.time() - seconds))
    return file


def look(folder: Path) -> list[dg.RunRequest | dg.SkipReason]:
    """What the sensor says, where New York is the default market and Lisbon another."""
    with dg.build_sensor_context() as context:
        return list(new_snapshot_sensor(str(folder), ["new-york", "lisbon"], "new-york")(context))  # pyright: ignore


def requests(folder: Path) -> list[dg.RunRequest]:
    return [told for told in look(folder) if isinstance(told, dg.RunRequest)]


def test_a_new_file_is_trained_on(tmp_path: Path) -> None:
    file = aged(tmp_path / "2021-12-04.csv.gz")
    [request] = requests(tmp_path)
    assert request.run_config == {"ops": {"raw_listings": {"config": {"snapshot": str(file)}}}}


def test_the_same_file_keeps_its_key_and_a_changed_one_gets_another(tmp_path: Path) -> None:
    file = aged(tmp_path / "listings.csv")
    [first], [again] = requests(tmp_path), requests(tmp_path)
    aged(file, seconds=30)
    [changed] = requests(tmp_path)
    assert first.run_key == again.run_key != changed.run_key


@pytest.mark.parametrize("name", [".part.csv", ".listings.csv.swp"])
def test_a_hidden_file_is_left_alone(name: str, tmp_path: Path) -> None:
    aged(tmp_path / name)
    assert requests(tmp_path) == []


def skipped(folder: Path) -> str:
    [reason] = look(folder)
    assert isinstance(reason, dg.SkipReason)
    return reason.skip_message or ""


def test_a_file_that_is_still_being_copied_is_left_for_later(tmp_path: Path) -> None:
    file = aged(tmp_path / "listings.csv", seconds=2)
    now = time.time()
    assert look_into(tmp_path, now).left_alone == {file: "changed a moment ago"}
    assert list(look_into(tmp_path, now + 60).settled) == [file]


def test_a_folder_that_is_not_there_holds_no_snapshot(tmp_path: Path) -> None:
    assert requests(tmp_path / "nothing") == []
    assert skipped(tmp_path / "nothing") == f"No snapshot lies in {tmp_path}/nothing."


@pytest.mark.parametrize(
    "name", ["a.csv", "a.csv.gz", "A.CSV.GZ", "a.parquet", "a.zip", "a.csv.bz2", "a.csv.xz", "New York.Csv"]
)
def test_a_file_is_a_snapshot_by_the_end_of_its_name(name: str, tmp_path: Path) -> None:
    aged(tmp_path / name)
    assert len(requests(tmp_path)) == 1


@pytest.mark.parametrize("name", ["README.txt", "listings.csv.part", "listings", "csv", "listings.gz", "listings.json"])
def test_any_other_file_is_left_alone_and_the_reason_to_skip_names_it(name: str, tmp_path: Path) -> None:
    aged(tmp_path / name)
    (tmp_path / "old.csv").mkdir()
    assert requests(tmp_path) == []
    said = skipped(tmp_path)
    assert f"{name} (its name ends in none of .csv, .csv.gz, " in said
    assert "old.csv (a folder, and no market's)" in said


def test_a_folder_full_of_other_files_is_told_of_in_one_short_reason(tmp_path: Path) -> None:
    for number in range(30):
        aged(tmp_path / f"{number:02}.txt")
    assert skipped(tmp_path).endswith(" and 20 more.")


def test_other_files_do_not_keep_a_snapshot_from_being_trained_on(tmp_path: Path) -> None:
    aged(tmp_path / "README.txt")
    aged(tmp_path / "listings.csv")
    assert len(requests(tmp_path)) == 1


def test_files_of_a_markets_folder_are_its_own_and_the_others_the_default_markets(tmp_path: Path) -> None:
    for folder in ("lisbon", "new-york", "porto"):
        (tmp_path / folder).mkdir()
    files = [aged(tmp_path / name) for name in ("a.csv", "new-york/a.csv", "lisbon/a.csv", "porto/a.csv")]
    asked = requests(tmp_path)
    assert [(one.partition_key, one.run_config["ops"]["raw_listings"]["config"]["snapshot"]) for one in asked] == [
        ("new-york", str(files[0])),
        ("new-york", str(files[1])),
        ("lisbon", str(files[2])),
    ]
    assert len({one.run_key for one in asked}) == 3


def test_a_folder_of_no_market_is_told_of(tmp_path: Path) -> None:
    (tmp_path / "porto").mkdir()
    (tmp_path / "lisbon").mkdir()
    aged(tmp_path / "lisbon" / "notes.txt")
    said = skipped(tmp_path)
    assert "porto (a folder, and no market's)" in said
    assert "lisbon/notes.txt (its name ends in none of " in said


def test_every_monday_each_market_with_a_snapshot_of_its_own_is_trained_for() -> None:
    monday = datetime(2026, 11, 23, 5, tzinfo=UTC)
    with dg.build_schedule_context(scheduled_execution_time=monday) as context:
        asked = list(weekly_training_schedule(["new-york", "lisbon"])(context))  # pyright: ignore
        [skip] = weekly_training_schedule([])(context)  # pyright: ignore
    assert [(one.partition_key, one.run_key) for one in asked] == [
        ("new-york", "new-york:2026-11-23"),
        ("lisbon", "lisbon:2026-11-23"),
    ]
    assert "No market has a snapshot" in (skip.skip_message or "")


def test_a_file_that_is_gone_when_it_is_looked_at_is_left_alone(tmp_path: Path) -> None:
    # A link to nothing is listed and has no state, as a file that is deleted in between.
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nothing.csv")
    aged(tmp_path / "listings.csv")
    found = look_into(tmp_path, time.time())
    assert [file.name for file in found.settled] == ["listings.csv"]
    assert found.left_alone == {tmp_path / "gone.csv": "no longer there, or a link to nothing"}
