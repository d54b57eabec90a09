"""The artefact that would be served is what is evaluated."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mle_assets.evaluation.evaluation import Evaluation, rises_when_shuffled
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.models.candidates import PREDECESSOR_FEATURES
from mle_assets.models.scoring import losses
from mle_assets.models.training import TrainedModel
from model_registry.classifier import Classifier
from model_registry.market import NEW_YORK
from tests.conftest import Pipeline


def evaluated(trained: Pipeline, candidate: str) -> tuple[Evaluation, Classifier, pd.DataFrame]:
    model = TrainedModel.read(trained.assets / "models" / candidate)
    test = pd.read_parquet(trained.assets / "test_listings.parquet")
    return Evaluation.read(trained.assets / "evaluations" / candidate), Classifier(model.onnx), test


def test_the_rows_are_the_predecessors_and_hold_the_served_models_own_answers(trained: Pipeline) -> None:
    evaluation, classifier, test = evaluated(trained, "hist_gradient_boosting")
    rows = evaluation.predictions
    assert list(rows.columns) == [
        "id",
        "price_category",
        "predicted_price_category",
        *(f"price_category_prob_{code}" for code in range(4)),
    ]
    answers = classifier.probabilities(feature_matrix(test, NEW_YORK))
    np.testing.assert_allclose(rows.iloc[:, 3:], answers, atol=1e-7)
    assert rows["id"].tolist() == test["id"].tolist()
    assert rows["predicted_price_category"].tolist() == answers.argmax(axis=1).tolist()


def test_the_figures_are_those_of_the_rows(trained: Pipeline) -> None:
    evaluation, _, _ = evaluated(trained, "random_forest")
    rows, metrics = evaluation.predictions, evaluation.figures.metrics
    assert metrics.accuracy == (rows["price_category"] == rows["predicted_price_category"]).mean()
    stated = losses(rows.iloc[:, 3:].to_numpy(), rows["price_category"].to_numpy()).mean()
    np.testing.assert_allclose(metrics.log_loss, stated, rtol=1e-5)


def test_an_unused_feature_has_no_importance_and_a_used_one_has(trained: Pipeline) -> None:
    _, classifier, test = evaluated(trained, "simple_classifier_100")
    X, y = feature_matrix(test, NEW_YORK), category_codes(test)
    rises = rises_when_shuffled(classifier, X, y)
    assert rises["room_type"].mean() > 0.05
    assert not any(rises[name].any() for name in ("beds", "latitude", "longitude", "tv", "elevator", "internet"))
    asked = rises_when_shuffled(classifier, X, y, PREDECESSOR_FEATURES)
    assert all((asked[name] == rises[name]).all() for name in rises), "what is not used need not be asked"


def test_the_importance_is_the_mean_of_its_shuffles_which_differ(trained: Pipeline) -> None:
    figures = evaluated(trained, "hist_gradient_boosting")[0].figures
    for name, rise in figures.importance.items():
        assert np.mean(figures.importance_shuffles[name]) == pytest.approx(rise)
    assert len(set(figures.importance_shuffles["room_type"])) == 5


def test_a_report_is_one_page_that_asks_for_nothing_else(trained: Pipeline) -> None:
    page = (trained.assets / "evaluations" / "hist_gradient_boosting" / "report.html").read_text()
    assert "<h1>hist_gradient_boosting</h1>" in page
    assert page.count("<polyline") == 4
    assert "The listings were made up" in page
    for sign in ("http:", "https:", "<script", "<link", "src=", "@import"):
        assert sign not in page


def test_what_was_written_is_read_back(trained: Pipeline, tmp_path: Path) -> None:
    evaluation, _, _ = evaluated(trained, "logistic_regression")
    evaluation.write(tmp_path)
    again = Evaluation.read(tmp_path)
    assert (again.figures, again.report) == (evaluation.figures, evaluation.report)
    pd.testing.assert_frame_equal(again.predictions, evaluation.predictions)
