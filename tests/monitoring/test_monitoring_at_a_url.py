"""Monitoring where log and assets are at URLs: the same tables and reports, and the log listed once for all markets."""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from mle_assets.automation import new_answers_sensor
from mle_assets.io_managers import FolderIOManager
from mle_assets.monitoring.compaction import Compaction
from mle_assets.monitoring.live_report import LiveReport
from mle_assets.monitoring.performance import join_feedback
from mle_assets.monitoring.served import tables_of
from mle_assets.monitoring.tables import rows_of_answers, rows_of_feedback
from prediction_log.files import log_files
from prediction_log.object_log import ObjectLog
from prediction_log.record import Record
from storage.objects import Objects
from tests.conftest import Pipeline, instance_in, make_pipeline
from tests.model_registry.commands import run as run_command
from tests.monitoring.log import DAY, NOON, answered, told, write
from tests.monitoring.serving import publish_champion
from tests.object_store import ObjectStore


@pytest.fixture
def log(store: ObjectStore) -> ObjectLog:
    return ObjectLog(Objects(store.new_url("log")))


@pytest.fixture
def assets(store: ObjectStore) -> FolderIOManager:
    return FolderIOManager(folder=store.new_url("assets"))


@pytest.fixture
def piped(tmp_path: Path, log: ObjectLog, assets: FolderIOManager) -> Iterator[Pipeline]:
    with instance_in(tmp_path / "dagster") as instance:
        yield make_pipeline(tmp_path, instance, asset_folder=assets.folder, prediction_log=log.address)


def upload(log: ObjectLog, spool: Path, records: list[Record], prefix: str = "predictions", ago: float = 0) -> None:
    """Have records come to the log as a service has them come there."""
    write(spool, records, prefix, time.time() - ago)
    for file in log_files(spool):
        log.upload(file, file.path.read_bytes())
        file.path.unlink()


def ids(assets: FolderIOManager, kind: str = "answers", market: str = "new-york") -> list[str]:
    return sorted(tables_of(assets, market).since(kind, 0)["request_id"])  # pyright: ignore


def test_answers_and_feedback_become_tables_and_reports(
    piped: Pipeline, log: ObjectLog, assets: FolderIOManager, tmp_path: Path
) -> None:
    version, now = publish_champion(piped.registry), time.time()
    upload(
        log, tmp_path / "spool", [answered("a", now - 60, version=version), answered("b", now - 60, market="lisbon")]
    )
    upload(log, tmp_path / "spool", [told("a", now), told("b", now)], "feedback")
    assert piped.run("monitoring").success
    assert assets.read("new-york", dg.AssetKey("served_listings"), Compaction).rows == 1
    assert assets.read("new-york", dg.AssetKey("live_performance"), LiveReport).told.joined == 1
    assert (ids(assets), ids(assets, "feedback")) == (["a"], ["a", "b"])
    assert piped.run("monitoring").success
    assert assets.read("new-york", dg.AssetKey("served_listings"), Compaction).answers.lines == 0
    assert not (tmp_path / "assets").exists()


def test_what_is_forgotten_is_erased_from_the_tables_too_whichever_spool_it_was_in(
    piped: Pipeline, log: ObjectLog, assets: FolderIOManager, tmp_path: Path
) -> None:
    publish_champion(piped.registry)
    now = time.time() - 60
    upload(log, tmp_path / "spool", [answered("a", now, id=7), answered("b", now, id=8)])
    upload(log, tmp_path / "spool", [told("a", now), told("late", now)], "feedback")
    assert piped.run("monitoring").success
    done = run_command(piped.registry, "forget", "--listing-id", "7", "--log", log.address)
    assert done.stdout.startswith("Erased 1 answers and 1 feedbacks from 2 files of s3://")
    assert piped.run("monitoring").success
    assert (ids(assets), ids(assets, "feedback")) == (["b"], ["late"])
    upload(log, tmp_path / "spool", [answered("late", now, id=7), answered("c", now, id=7)])
    assert piped.run("monitoring").success
    assert (ids(assets), ids(assets, "feedback")) == (["b"], [])


def test_a_store_that_is_away_ends_the_run_in_words(
    piped: Pipeline, store: ObjectStore, log: ObjectLog, assets: FolderIOManager
) -> None:
    publish_champion(piped.registry)
    with store.failing(status=403):
        failed = piped.run("monitoring")
    assert not failed.success
    [event] = [one for one in failed.all_events if one.event_type_value == "STEP_FAILURE"]
    error = event.step_failure_data.error
    assert error is not None
    assert (
        f"The prediction log {log.address} cannot be read, or its tables in {assets.folder}/new-york" in error.message
    )
    assert "is refused by its store" in error.message


def look(piped: Pipeline, log: str, markets: list[str]) -> list[dg.RunRequest | dg.SkipReason]:
    resources = piped.definitions.resources or {}
    chosen = {name: resources[name] for name in ("release", "artefacts")}
    with dg.build_sensor_context(instance=piped.instance, resources=chosen) as context:
        return list(new_answers_sensor(log, markets)(context))  # pyright: ignore


def test_the_log_is_listed_once_for_all_markets_and_looked_at_when_some_has_come_together(
    piped: Pipeline, store: ObjectStore, log: ObjectLog, tmp_path: Path
) -> None:
    markets = ["new-york", "lisbon", "porto"]
    for market in markets:
        Path(piped.settings.model_registry, market).mkdir(parents=True)
    upload(log, tmp_path / "spool", [answered("a", time.time() - 60)])
    store.asked()
    first = look(piped, log.address, markets)
    lists = [asked for asked in store.asked() if asked.startswith("GET /bucket 200")]
    assert len(lists) == 2, "one for each kind of file"
    assert [one.partition_key for one in first if isinstance(one, dg.RunRequest)] == sorted(markets)
    assert piped.run("monitoring").success
    upload(log, tmp_path / "spool", [answered("b", time.time() - 60)])
    assert {one.partition_key for one in look(piped, log.address, markets)} == {"lisbon", "porto"}  # pyright: ignore
    upload(log, tmp_path / "spool", [answered("c", time.time() - 60)], ago=1_000)
    assert "new-york" in {one.partition_key for one in look(piped, log.address, markets)}  # pyright: ignore
    with store.failing(status=403):
        [told] = look(piped, log.address, markets)
    assert isinstance(told, dg.SkipReason)
    assert (told.skip_message or "").startswith(f"Nobody can look for new answers: {log.address}/forgotten.jsonl ")


def test_training_is_asked_for_by_what_was_found_at_a_url_and_one_sentence_says_that_it_is_away(
    piped: Pipeline, store: ObjectStore, log: ObjectLog, tmp_path: Path
) -> None:
    version, now = publish_champion(piped.registry), time.time()
    sensor = piped.definitions.get_repository_def().get_sensor_def("train_when_needed")
    resources = piped.definitions.resources or {}
    chosen = {name: resources[name] for name in ("release", "artefacts", "default_snapshot")}

    def told() -> str:
        with dg.build_sensor_context(piped.instance, definitions=piped.definitions, resources=chosen) as context:
            return sensor.evaluate_tick(context).skip_message or ""

    upload(log, tmp_path / "spool", [answered("a", now - 60, version=version)])
    assert piped.run("monitoring").success
    assert f"nothing is established against {version}" in told()
    with store.failing(status=403):
        assert told().startswith("From new-york on no market could be looked at: s3://bucket/assets-")


def test_forgetting_where_the_store_is_away_says_so(piped: Pipeline, store: ObjectStore, log: ObjectLog) -> None:
    with store.failing(status=403):
        done = run_command(piped.registry, "forget", "--request-id", "a", "--log", log.address)
    assert done.exit_code == 1
    assert done.stderr.startswith(f"Error: {log.address}/forgotten.jsonl is refused by its store")
    wrong = run_command(piped.registry, "forget", "--request-id", "a", "--log", "http://host/log")
    assert wrong.exit_code == 2
    assert "names no place that can be used" in wrong.stderr


def test_of_other_markets_only_tables_that_may_tell_whose_feedback_is_are_fetched(
    assets: FolderIOManager, store: ObjectStore
) -> None:
    def put(market: str, day: int, name: str) -> None:
        rows = rows_of_answers([answered(name, NOON + day * DAY, market=market)], "f")
        tables, number = tables_of(assets, market), int(NOON // DAY) + day
        tables.replace("answers", number, rows, tables.seen("answers", number)[1])

    def counts_and_fetched(*names: str) -> tuple[int, int, list[tuple[str, str]]]:
        tables, number = tables_of(assets, "new-york"), int(NOON // DAY) + 8
        feedback = rows_of_feedback([told(name, NOON + 8 * DAY) for name in names], "f")
        tables.replace("feedback", number, feedback, tables.seen("feedback", number)[1])
        store.asked()
        columns = ["request_id", "index", "version"]
        _, joined = join_feedback(assets, "new-york", lambda _: "gone", NOON, 5, columns)
        fetched = re.findall(r"GET \S*/(\w+)/served_listings/answers/([0-9-]+)\.parquet", "\n".join(store.asked()))
        return joined.counts.other_markets, joined.counts.orphans, fetched

    for market in ("lisbon", "porto"):
        for day in range(10):
            put(market, day, f"{market}-{day}")
    # Told on the ninth of January, of an answer of the five days before; Lisbon's turn comes before Porto's.
    assert counts_and_fetched("lisbon-7") == (1, 0, [("lisbon", "2026-01-09"), ("lisbon", "2026-01-08")])
    found, orphans, fetched = counts_and_fetched("lisbon-7", "nobodys")
    assert (found, orphans) == (1, 1)
    assert fetched == [(market, f"2026-01-0{day}") for market in ("lisbon", "porto") for day in range(9, 3, -1)]
