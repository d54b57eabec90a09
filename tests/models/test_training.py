"""Fitting, cross-validation and what is stored of them."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mle_assets.listings.split import TooFewListings
from mle_assets.models.candidates import BASELINE, CANDIDATES, Family, families
from mle_assets.models.scoring import losses
from mle_assets.models.training import FOLDS, SEED, TrainedModel, cross_validate, fit, require_enough, train
from tests.models.test_onnx_export import X_TRAIN, Y_TRAIN

FOREST = next(family for family in families() if family.name == "simple_classifier")
TWO_SMALLEST = Family("simple_classifier", FOREST.members[:2])


def test_the_predecessors_nine_forests_are_one_family() -> None:
    assert [member.name for member in FOREST.members] == [f"simple_classifier_{n}" for n in range(100, 501, 50)]
    assert {member.features for member in FOREST.members} == {
        ("neighbourhood", "room_type", "accommodates", "bathrooms", "bedrooms")
    }


def test_every_candidate_is_in_one_family_and_no_name_stands_twice() -> None:
    names = [member.name for family in families() for member in family.members]
    assert names == [candidate.name for candidate in CANDIDATES]
    assert len(set(names)) == len(names)
    assert BASELINE in names


def test_the_first_hundred_trees_of_a_larger_forest_are_the_forest_of_a_hundred() -> None:
    of_family = fit(TWO_SMALLEST, X_TRAIN, Y_TRAIN)["simple_classifier_100"]
    alone = clone(FOREST.members[0].pipeline()).fit(X_TRAIN, Y_TRAIN)
    for ours, its in zip(of_family[-1].estimators_, alone[-1].estimators_, strict=True):
        np.testing.assert_array_equal(ours.tree_.threshold, its.tree_.threshold)
        np.testing.assert_array_equal(ours.tree_.value, its.tree_.value)


def test_a_family_is_cross_validated_as_each_member_would_be_alone() -> None:
    together = cross_validate(TWO_SMALLEST, X_TRAIN, Y_TRAIN)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    for member in TWO_SMALLEST.members:
        alone = cross_val_predict(member.pipeline(), X_TRAIN, Y_TRAIN, cv=folds, method="predict_proba")
        assert together[member.name].log_loss == pytest.approx(losses(alone, Y_TRAIN).mean(), abs=1e-9)


def test_training_a_member_alone_gives_the_same_model_as_with_its_family() -> None:
    [(_, alone, _)] = train(Family("simple_classifier", FOREST.members[:1]), X_TRAIN, Y_TRAIN)
    (_, together, _), _ = train(TWO_SMALLEST, X_TRAIN, Y_TRAIN)
    assert alone.onnx == together.onnx
    assert alone.training.cross_validation.log_loss == pytest.approx(together.training.cross_validation.log_loss)


def test_the_estimators_of_the_sweep_stay_unfitted() -> None:
    fit(TWO_SMALLEST, X_TRAIN, Y_TRAIN)
    assert not any(hasattr(member.estimator, "classes_") for member in TWO_SMALLEST.members)


def test_a_category_with_too_few_listings_is_refused_in_words() -> None:
    require_enough(np.repeat(np.arange(4), 3))
    with pytest.raises(TooFewListings, match="2 of the training listings are Lux, 3 are needed"):
        require_enough(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]))


def test_a_stored_model_is_read_back_and_a_mixed_one_is_refused(tmp_path: Path) -> None:
    (_, small, _), (_, large, _) = train(TWO_SMALLEST, X_TRAIN, Y_TRAIN)
    small.write(tmp_path)
    assert TrainedModel.read(tmp_path) == small
    (tmp_path / "model.onnx").write_bytes(large.onnx)
    with pytest.raises(ValueError, match="another model than its training.json names"):
        TrainedModel.read(tmp_path)


def test_the_loss_of_an_impossible_answer_is_large_but_finite() -> None:
    answer = np.array([[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 1.0]])
    assert losses(answer, np.array([0, 0])) == pytest.approx([np.log(2), -np.log(1e-7)])
