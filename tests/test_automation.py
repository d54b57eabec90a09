"""The sensors, evaluated on a real instance."""

import os
import time
from pathlib import Path

import dagster as dg
import pytest

from mle_assets.automation import new_snapshot_sensor, promote_best_model, settled_files
from tests.conftest import Pipeline


def materialize_leaderboard(instance: dg.DagsterInstance) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization("leaderboard"))


def promote_tick(pipeline: Pipeline) -> dg.RunRequest | dg.SkipReason:
    with dg.build_sensor_context(pipeline.instance, definitions=pipeline.definitions) as context:
        return promote_best_model(context)  # pyright: ignore


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


def aged(file: Path, seconds: float = 60) -> Path:
    file.write_text("id")
    os.utime(file, times=(time.time() - seconds, time.time() - seconds))
    return file


def requests(folder: Path) -> list[dg.RunRequest]:
    with dg.build_sensor_context() as context:
        return [r for r in new_snapshot_sensor(str(folder))(context) if isinstance(r, dg.RunRequest)]  # pyright: ignore


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


def test_a_file_that_is_still_being_copied_is_left_for_later(tmp_path: Path) -> None:
    file = aged(tmp_path / "listings.csv", seconds=2)
    now = time.time()
    assert settled_files(tmp_path, now) == []
    assert settled_files(tmp_path, now + 60) == [file]


def test_a_folder_that_is_not_there_holds_no_snapshot(tmp_path: Path) -> None:
    assert requests(tmp_path / "nothing") == []
