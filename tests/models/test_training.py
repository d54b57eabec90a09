"""Which candidates are fitted and exported, and what is stored of them."""

from pathlib import Path

import numpy as np
import pytest

from mle_assets.models.training import TrainedModel, train
from model_registry.classifier import Classifier
from tests.models.test_onnx_export import X_NEW, X_TRAIN, Y_TRAIN


def trained(*names: str) -> dict[str, TrainedModel]:
    """Candidates by their names, fitted and exported."""
    return {one.candidate.name: one.model for one in train(names, X_TRAIN, Y_TRAIN)}


def test_training_a_member_alone_gives_the_same_model_as_with_its_family() -> None:
    together = trained("simple_classifier_100", "simple_classifier_150")
    assert set(together) == {"simple_classifier_100", "simple_classifier_150"}
    assert trained("simple_classifier_100") == {"simple_classifier_100": together["simple_classifier_100"]}


def test_an_average_is_trained_alone_out_of_parts_that_nobody_asked_for() -> None:
    alone = trained("boosting_and_forest")
    assert set(alone) == {"boosting_and_forest"}
    everything = trained("boosting_and_forest", "random_forest", "hist_gradient_boosting")
    assert alone["boosting_and_forest"] == everything["boosting_and_forest"]
    average, *parts = (
        Classifier(everything[name].onnx).probabilities(X_NEW)
        for name in ("boosting_and_forest", "random_forest", "hist_gradient_boosting")
    )
    np.testing.assert_allclose(average, np.mean(parts, axis=0), atol=1e-6)


def test_every_fit_and_every_export_is_told_of() -> None:
    notes: list[str] = []
    list(train(["simple_classifier_100", "simple_classifier_150"], X_TRAIN, Y_TRAIN, notes.append))
    assert [note.partition(" (")[0] for note in notes] == [
        "simple_classifier_150 is fitted",
        "simple_classifier_100 is exported",
        "simple_classifier_150 is exported",
    ]


def test_a_stored_model_is_read_back_and_a_mixed_one_is_refused(tmp_path: Path) -> None:
    models = trained("simple_classifier_100", "simple_classifier_150")
    small, large = models["simple_classifier_100"], models["simple_classifier_150"]
    small.write(tmp_path)
    assert TrainedModel.read(tmp_path) == small
    (tmp_path / "model.onnx").write_bytes(large.onnx)
    with pytest.raises(ValueError, match="another model than its training.json names"):
        TrainedModel.read(tmp_path)
