"""From a leaderboard to the registry, on a real Dagster instance."""

import shutil
from pathlib import Path

import dagster as dg
import msgspec
import pandas as pd
import pytest

from model_registry.classifier import Classifier
from model_registry.listing import encode
from model_registry.market import NEW_YORK
from tests.conftest import Pipeline, instance_in, make_pipeline
from tests.making import BEATABLE, PROMOTE, publish
from tests.object_store import ObjectStore


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    [event] = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    assert data.error
    return f"{data.error.message} {data.error.cause.message if data.error.cause else ''}"


def test_the_leader_is_published_and_promoted_with_its_whole_lineage(ready: Pipeline) -> None:
    result = ready.run("promotion")
    assert result.success
    champion = ready.registry.champion()
    assert champion
    published = ready.registry.open(champion.version)
    manifest = published.manifest
    assert champion.run_id == manifest.run.run_id == result.run_id
    assert manifest.snapshot.synthetic
    assert manifest.rows.raw == 4_000 == manifest.rows.kept + sum(manifest.rows.dropped.values())
    assert manifest.rows.train + manifest.rows.test == manifest.rows.kept
    assert {"raw_listings", "listings", "train_listings", "test_listings", "leaderboard"} <= set(manifest.data_versions)
    assert manifest.data_versions["raw_listings"] == manifest.snapshot.sha256
    assert manifest.data_versions[f"models/{manifest.candidate}"] == manifest.model.sha256
    assert len({row.listing.id for row in manifest.golden}) == 8
    assert f"<h1>{champion.version}</h1>" in published.report.decode()


def test_the_same_leader_again_changes_nothing(ready: Pipeline) -> None:
    ready.run("promotion")
    champion, history = ready.registry.champion(), ready.registry.history()
    assert ready.run("promotion").success
    assert (ready.registry.champion(), ready.registry.history()) == (champion, history)


def test_in_an_object_store_it_is_published_promoted_and_found_again(ready: Pipeline, store: ObjectStore) -> None:
    elsewhere = make_pipeline(ready.folder, ready.instance, model_registry=store.new_url())
    assert elsewhere.run("promotion").success
    champion, history = elsewhere.registry.champion(), elsewhere.registry.history()
    assert champion
    assert [event.action for event in history] == ["promotion"]
    assert elsewhere.registry.open(champion.version).manifest.version == champion.version
    assert elsewhere.run("promotion").success
    assert (elsewhere.registry.champion(), elsewhere.registry.history()) == (champion, history)
    assert not ready.registry.is_there()


def test_a_challenger_that_is_not_better_is_published_and_its_refusal_recorded(ready: Pipeline) -> None:
    ready.run("promotion")
    champion = ready.registry.champion()
    assert champion
    shutil.rmtree(ready.registry.folder)
    other = publish(ready.registry, 1, **BEATABLE)
    ready.registry.promote(other, PROMOTE, run_id=None, actor="test")
    demanding = make_pipeline(ready.folder, ready.instance, gate_margin=10.0)
    assert demanding.run("promotion").success
    assert ready.registry.versions() == sorted([champion.version, other])
    assert [event.action for event in ready.registry.history()] == ["promotion", "refusal"]
    current = ready.registry.champion()
    assert current
    assert current.version == other
    assert "not below it by more than 10 with" in ready.registry.history()[-1].decision.reason


def test_a_made_up_challenger_is_published_and_kept_from_a_real_champion(ready: Pipeline) -> None:
    real = publish(ready.registry, seed=1)
    ready.registry.promote(real, PROMOTE, run_id=None, actor="test")
    result = ready.run("promotion")
    assert result.success
    current, last = ready.registry.champion(), ready.registry.history()[-1]
    assert current
    assert current.version == real
    assert (last.action, last.previous) == ("refusal", real)
    assert f"models --market new-york promote {last.version} --reason" in last.decision.reason
    # A person may do just that.
    ready.registry.promote(last.version, PROMOTE, run_id=None, actor="test")


def test_a_champion_of_the_market_with_other_limits_stays_until_a_person_decides(ready: Pipeline) -> None:
    other = msgspec.structs.replace(NEW_YORK, category_limits=(80.0, 160.0, 400.0))
    old = publish(ready.registry, seed=1, market=other, **BEATABLE)
    ready.registry.promote(old, PROMOTE, run_id=None, actor="test")
    assert ready.run("promotion").success
    last = ready.registry.history()[-1]
    assert (last.action, last.previous) == ("refusal", old)
    assert "was made when New York had another category_limits: kept out." in last.decision.reason
    assert f"models --market new-york promote {last.version} --reason" in last.decision.reason


def test_the_manifest_keeps_a_profile_of_the_training_listings(ready: Pipeline) -> None:
    ready.run("promotion")
    champion = ready.registry.champion()
    assert champion
    manifest = ready.registry.manifest(champion.version)
    assert manifest.profile
    assert manifest.profile.listings == manifest.rows.train
    train = pd.read_parquet(ready.assets / "train_listings.parquet")
    counted = train["price_category"].value_counts().sort_index().tolist()
    assert list(manifest.profile.distributions["price_category"].counts) == counted


def test_a_model_trained_since_it_was_ranked_is_not_promoted(ready: Pipeline) -> None:
    folder = ready.assets / "models"
    leader = ready.run("promotion").asset_materializations_for_node("champion")[0].metadata["champion"].value
    shutil.rmtree(ready.registry.folder)
    name = str(leader).rsplit("-", 1)[0]
    shutil.rmtree(folder / name)
    shutil.copytree(folder / "logistic_regression", folder / name)
    assert "is not the one that the leaderboard ranked" in failure_of(ready.run("promotion"))
    assert ready.registry.champion() is None


def test_a_damaged_champion_is_not_replaced_silently(ready: Pipeline) -> None:
    other = publish(ready.registry, seed=1)
    ready.registry.promote(other, PROMOTE, run_id=None, actor="test")
    (ready.registry.path(other) / "model.onnx").write_bytes(b"damaged")
    assert "model.onnx is not the file that was published" in failure_of(ready.run("promotion"))
    current = ready.registry.champion()
    assert current
    assert current.version == other


def test_an_asset_without_a_record_is_refused_in_words(ready: Pipeline, tmp_path: Path) -> None:
    with instance_in(tmp_path / "another") as elsewhere:
        stranger = make_pipeline(tmp_path, elsewhere)
        words = failure_of(stranger.run("promotion"))
    assert "Dagster has no record of how" in words
    assert "is DAGSTER_HOME set?" in words
    assert ready.registry.champion() is None


def test_the_published_model_answers_its_golden_rows(ready: Pipeline) -> None:
    ready.run("promotion")
    champion = ready.registry.champion()
    assert champion
    folder = ready.registry.path(champion.version)
    classifier = Classifier((folder / "model.onnx").read_bytes())
    for row in ready.registry.open(champion.version).manifest.golden:
        assert classifier.probabilities(encode(row.listing, NEW_YORK.codes))[0] == pytest.approx(
            row.probabilities, abs=1e-5
        )
