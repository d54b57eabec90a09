"""New York, 2021-12-04: the predecessor's figures as the floor, on the same listings and the same split."""

from pathlib import Path

import pandas as pd
import pytest

from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.leaderboard import Leaderboard
from model_registry.classifier import Classifier
from model_registry.listing import CATEGORIES, encode
from model_registry.market import NEW_YORK
from tests.conftest import Pipeline, instance_in, make_pipeline
from tests.making import listing

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def new_york(real_snapshot: Path, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    folder = tmp_path_factory.mktemp("new-york")
    with instance_in(folder / "dagster") as instance:
        pipeline = make_pipeline(folder, instance, snapshot=str(real_snapshot))
        assert pipeline.run("training").success
        return pipeline


def test_the_predecessors_listings_are_kept(new_york: Pipeline) -> None:
    listings = pd.read_parquet(new_york.assets / "listings.parquet")
    assert listings["price_category"].value_counts().sort_index().tolist() == [12_815, 10_868, 6_658, 1_484]
    assert len(listings) == 31_825


@pytest.mark.parametrize("trees", range(100, 501, 50))
def test_each_of_the_nine_forests_scores_as_the_predecessors_did(trees: int, new_york: Pipeline) -> None:
    metrics = Evaluation.read(new_york.assets / "evaluations" / f"simple_classifier_{trees}").figures.metrics
    assert 0.6041 - 0.003 <= metrics.accuracy <= 0.6049 + 0.003
    assert 0.8184 - 0.003 <= metrics.roc_auc <= 0.8192 + 0.003


def test_the_leader_is_better_by_far(new_york: Pipeline) -> None:
    leading = Leaderboard.read(new_york.assets / "leaderboard").leading
    assert leading.accuracy >= 0.697
    assert leading.roc_auc >= 0.884
    assert leading.log_loss <= 0.712


def test_the_synthetic_snapshot_is_as_hard_as_the_real_one(trained_on_default: Pipeline, new_york: Pipeline) -> None:
    for candidate in ("simple_classifier_500", Leaderboard.read(new_york.assets / "leaderboard").leader):
        real, made_up = (
            Evaluation.read(pipeline.assets / "evaluations" / candidate).figures.metrics
            for pipeline in (new_york, trained_on_default)
        )
        assert made_up.accuracy == pytest.approx(real.accuracy, abs=0.03)
        assert made_up.roc_auc == pytest.approx(real.roc_auc, abs=0.03)


def test_the_readmes_example_is_answered_as_it_says(new_york: Pipeline) -> None:
    assert answer(new_york) == "Mid"


def test_the_readmes_example_is_answered_as_it_says_where_the_listings_are_made_up(
    trained_on_default: Pipeline,
) -> None:
    assert answer(trained_on_default) == "Mid"


def answer(pipeline: Pipeline) -> str:
    """What the leader says of the README's listing."""
    leader = Leaderboard.read(pipeline.assets / "leaderboard").leader
    classifier = Classifier((pipeline.assets / "models" / leader / "model.onnx").read_bytes())
    return CATEGORIES[int(classifier.probabilities(encode(listing(), NEW_YORK.codes)).argmax())]


def test_all_models_together_take_less_room_than_150_megabytes(new_york: Pipeline) -> None:
    assert sum(file.stat().st_size for file in (new_york.assets / "models").rglob("*.onnx")) <= 150e6


@pytest.fixture(scope="module")
def trained_on_default(tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A training run on the synthetic snapshot in its default size."""
    folder = tmp_path_factory.mktemp("default")
    with instance_in(folder / "dagster") as instance:
        pipeline = make_pipeline(folder, instance, synthetic_listings=20_000)
        assert pipeline.run("training").success
        return pipeline
