"""What a command changes in the registry, told to Dagster: the sensor and the check on a real instance."""

import math
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from mle_assets.release.observation import agreement, latest_champion, latest_evaluation, observe_champion_sensor
from model_registry.history import Champion, Decision
from model_registry.market import NEW_YORK
from model_registry.registries import FolderOfMarket, Registries
from tests.conftest import Pipeline
from tests.making import LISBON, MADE_UP, PROMOTE, publish

CHAMPION = dg.AssetKey("champion")
BY_HAND = Decision(promote=True, reason="It was wrong.")


def tick(pipeline: Pipeline) -> dg.SkipReason | dg.SensorResult:
    """One evaluation of the sensor; what it tells is stored as the daemon stores it."""
    resources = pipeline.definitions.get_repository_def().get_top_level_resources()
    with dg.build_sensor_context(
        pipeline.instance, definitions=pipeline.definitions, resources={"release": resources["release"]}
    ) as context:
        result: Any = observe_champion_sensor(["new-york", "lisbon"])(context)
    if isinstance(result, dg.SensorResult):
        for event in result.asset_events:
            pipeline.instance.report_runless_asset_event(event)
    return result


def skipped(pipeline: Pipeline) -> str:
    """Why the sensor has nothing to tell."""
    result = tick(pipeline)
    assert isinstance(result, dg.SkipReason)
    return result.skip_message or ""


def told(pipeline: Pipeline) -> list[object]:
    result = tick(pipeline)
    assert isinstance(result, dg.SensorResult)
    return list(result.asset_events)


def materialized(pipeline: Pipeline, version: str, market: str = "new-york") -> None:
    materialization = dg.AssetMaterialization(CHAMPION, metadata={"champion": version}, partition=market)
    pipeline.instance.report_runless_asset_event(materialization)


@pytest.fixture
def two(pipeline: Pipeline) -> tuple[str, str]:
    """Two versions; Dagster and the registry know the second as the champion, and the sensor has looked."""
    first = publish(pipeline.registry, 0, snapshot=MADE_UP)
    second = publish(pipeline.registry, 1)
    for version in (first, second):
        pipeline.registry.promote(version, PROMOTE, run_id=None, actor="promote_best_model")
    materialized(pipeline, second)
    [evaluation] = told(pipeline)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed
    return first, second


def test_a_rollback_is_observed_once_with_who_and_why(pipeline: Pipeline, two: tuple[str, str]) -> None:
    first, second = two
    pipeline.registry.rollback(decision=BY_HAND, actor="ann")
    observed, evaluation = told(pipeline)
    assert isinstance(observed, dg.AssetObservation)
    values = {name: entry.value for name, entry in observed.metadata.items()}
    since = pipeline.registry.history()[-1].at.timestamp()
    assert {**values, "since": since} == {
        "champion": first,
        "since": values["since"],
        "by": "ann",
        "action": "rollback",
        "reason": "It was wrong.",
        "in_place_of": second,
        "accuracy": 0.7,
        "roc_auc": 0.88,
        "log_loss": 0.72,
        "synthetic": True,
    }
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert not evaluation.passed
    assert first in (evaluation.description or "")
    assert second in (evaluation.description or "")
    assert evaluation.severity is dg.AssetCheckSeverity.WARN
    assert latest_champion(pipeline.instance, pipeline.registry) == first
    for _ in range(3):
        assert "The registry says" in skipped(pipeline)
    assert len(pipeline.instance.fetch_observations(CHAMPION, limit=10).records) == 1


def test_the_check_passes_again_when_a_run_or_a_person_makes_them_agree(
    pipeline: Pipeline, two: tuple[str, str]
) -> None:
    first, second = two
    pipeline.registry.rollback(decision=BY_HAND, actor="ann")
    tick(pipeline)
    materialized(pipeline, first)
    [evaluation] = told(pipeline)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed
    pipeline.registry.promote(second, BY_HAND, run_id=None, actor="ann")
    _, evaluation = told(pipeline)
    assert latest_champion(pipeline.instance, pipeline.registry) == second
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert not evaluation.passed


def test_there_and_back_between_two_looks_is_nothing_new(pipeline: Pipeline, two: tuple[str, str]) -> None:
    pipeline.registry.rollback(decision=BY_HAND, actor="ann")
    pipeline.registry.promote(two[1], BY_HAND, run_id=None, actor="ann")
    assert "agree" in skipped(pipeline)


def test_what_changed_while_no_daemon_ran_is_observed_later_and_without_any_run_on_record(pipeline: Pipeline) -> None:
    version = publish(pipeline.registry, 0)
    pipeline.registry.promote(version, PROMOTE, run_id="of another machine", actor="promote_best_model")
    observed, evaluation = told(pipeline)
    assert isinstance(observed, dg.AssetObservation)
    assert observed.metadata["mean_difference"].value == -0.1
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert "Dagster has no run of «champion» on record" in (evaluation.description or "")


def test_a_version_that_is_gone_is_observed_with_its_problem(pipeline: Pipeline, two: tuple[str, str]) -> None:
    pipeline.registry.rollback(decision=BY_HAND, actor="ann")
    shutil.rmtree(pipeline.registry.path(two[0]))
    observed, _ = told(pipeline)
    assert isinstance(observed, dg.AssetObservation)
    assert observed.metadata["synthetic"].value == "unknown"
    assert "holds no version" in str(observed.metadata["problem"].value)


def test_a_registry_that_is_missing_or_empty_is_a_reason_to_skip(pipeline: Pipeline) -> None:
    folder = pipeline.registry.folder
    assert skipped(pipeline) == f"The registry {folder.parent} has no champion yet."
    folder.mkdir(parents=True)
    assert skipped(pipeline) == f"The registry {folder.parent} has no champion yet."


def test_a_damaged_pointer_is_told_once_by_the_check(pipeline: Pipeline) -> None:
    pointer = pipeline.registry.folder / "champion.json"
    pointer.parent.mkdir(parents=True)
    pointer.write_text("{")
    [evaluation] = told(pipeline)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert not evaluation.passed
    assert "champion.json is damaged" in (evaluation.description or "")
    assert "champion.json is damaged" in skipped(pipeline)
    pointer.unlink()
    pointer.mkdir()
    [evaluation] = told(pipeline)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert "Is a directory" in (evaluation.description or "")


def test_each_markets_rollback_is_observed_in_its_own_partition_and_the_check_names_it(pipeline: Pipeline) -> None:
    registries = Registries(Path(pipeline.settings.model_registry))
    lisbon, versions = registries.of("lisbon"), dict[str, list[str]]()
    for market in (NEW_YORK, LISBON):
        registry = registries.of(market.name)
        versions[market.name] = [publish(registry, seed, market=market) for seed in (1, 2)]
        for version in versions[market.name]:
            registry.promote(version, PROMOTE, run_id=None, actor="test")
        materialized(pipeline, versions[market.name][-1], market.name)
    [evaluation] = told(pipeline)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed
    lisbon.rollback(decision=BY_HAND, actor="ann")
    observed, evaluation = told(pipeline)
    assert isinstance(observed, dg.AssetObservation)
    assert (observed.partition, observed.metadata["champion"].value) == ("lisbon", versions["lisbon"][0])
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert (evaluation.description or "").startswith(
        f"lisbon: The registry says {versions['lisbon'][0]}, by a rollback"
    )
    assert "new-york" not in (evaluation.description or "")
    assert latest_champion(pipeline.instance, pipeline.registry) == versions["new-york"][1]
    assert "lisbon: The registry says" in skipped(pipeline)


def test_the_champions_of_several_markets_are_read_at_once(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    registries, champion = Registries(Path(pipeline.settings.model_registry)), FolderOfMarket.champion
    for market in (NEW_YORK, LISBON):
        registry = registries.of(market.name)
        registry.promote(publish(registry, 0, market=market), PROMOTE, run_id=None, actor="test")
    together = threading.Barrier(2, timeout=30)

    def meeting(registry: FolderOfMarket) -> Champion | None:
        together.wait()  # one after another they would never meet
        return champion(registry)

    monkeypatch.setattr(FolderOfMarket, "champion", meeting)
    observed = [event for event in told(pipeline) if isinstance(event, dg.AssetObservation)]
    assert [event.partition for event in observed] == ["lisbon", "new-york"]


def test_a_run_from_before_there_were_partitions_counts_for_the_market_whose_version_it_left(
    pipeline: Pipeline,
) -> None:
    version = publish(pipeline.registry, 0)
    pipeline.registry.promote(version, PROMOTE, run_id=None, actor="promote_best_model")
    pipeline.instance.report_runless_asset_event(dg.AssetMaterialization(CHAMPION, metadata={"champion": version}))
    [evaluation] = told(pipeline)
    assert isinstance(evaluation, dg.AssetCheckEvaluation)
    assert evaluation.passed
    assert latest_champion(pipeline.instance, pipeline.registry) == version


def test_a_run_that_is_still_promoting_is_left_to_tell_it_itself(pipeline: Pipeline, two: tuple[str, str]) -> None:
    job = pipeline.definitions.resolve_job_def("promotion")
    run = pipeline.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    pipeline.registry.promote(two[0], BY_HAND, run_id=run.run_id, actor="promote_best_model")
    assert "tells Dagster itself" in skipped(pipeline)
    pipeline.instance.report_run_failed(run)
    observed, _ = told(pipeline)
    assert isinstance(observed, dg.AssetObservation)


def test_a_promotion_evaluates_the_check_itself_and_leaves_the_sensor_nothing_to_tell(ready: Pipeline) -> None:
    result = ready.run("promotion")
    assert result.success
    [evaluation] = result.get_asset_check_evaluations()
    assert (evaluation.check_name, evaluation.passed) == ("the_registry_agrees", True)
    assert "agree" in skipped(ready)
    assert ready.instance.fetch_observations(CHAMPION, limit=1).records == []


def test_the_check_can_be_executed_alone_and_warns_after_a_rollback(ready: Pipeline) -> None:
    assert ready.run("promotion").success
    other = publish(ready.registry, 1)
    ready.registry.promote(other, BY_HAND, run_id=None, actor="ann")
    only = dg.AssetSelection.checks(dg.AssetCheckKey(CHAMPION, "the_registry_agrees"))
    job = dg.Definitions(
        assets=ready.definitions.assets,
        asset_checks=ready.definitions.asset_checks,
        resources=ready.definitions.resources,
        jobs=[dg.define_asset_job("only_the_check", selection=only)],
    ).resolve_job_def("only_the_check")
    result = job.execute_in_process(instance=ready.instance)
    assert result.success
    [evaluation] = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert other in (evaluation.description or "")
    [observed] = told(ready)
    assert isinstance(observed, dg.AssetObservation)
    assert latest_evaluation(ready.instance) == (False, evaluation.description)


def test_the_numbers_of_the_champion_are_numbers(ready: Pipeline) -> None:
    result = ready.run("promotion")
    metadata = result.asset_materializations_for_node("champion")[0].metadata
    floats = {
        "accuracy",
        "roc_auc",
        "log_loss",
        "challenger_accuracy",
        "challenger_roc_auc",
        "challenger_log_loss",
        "baseline_log_loss",
        "mean_difference",
        "upper_limit",
    }
    assert all(isinstance(metadata[name], dg.FloatMetadataValue) for name in floats)
    assert all(math.isfinite(float(str(metadata[name].value))) for name in floats)
    assert isinstance(metadata["test_listings"], dg.IntMetadataValue)
    assert metadata["synthetic"].value is True
    assert metadata["challenger_synthetic"].value is True


def at(version: str) -> Champion:
    return Champion(
        version=version,
        promoted_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        decision=BY_HAND,
        run_id=None,
        actor="ann",
        action="rollback",
        previous=None,
        sequence=1,
    )


@pytest.mark.parametrize(
    ("champion", "materialized", "passed", "words"),
    [
        (at("a"), "a", True, "agree: a."),
        (None, "none", True, "agree: none."),
        (at("a"), "b", False, "says a, by a rollback of 2026-01-02 03:04:05 UTC by ann (It was wrong.)"),
        (at("a"), "b", False, "Dagster's last run of «champion» left b."),
        (at("a"), None, False, "Dagster has no run of «champion» on record"),
        (None, "b", False, "The registry has no champion."),
    ],
)
def test_agreement(champion: Champion | None, materialized: str | None, passed: bool, words: str) -> None:
    verdict, sentence = agreement(champion, materialized)
    assert verdict is passed
    assert words in sentence
