"""One fit for a family, on distinct rows."""

import numpy as np
from sklearn.base import clone

from mle_assets.models.candidates import BASELINE, NAMES, Family, families
from mle_assets.models.fitting import answers, fit, member_of
from mle_assets.models.scoring import losses
from tests.models.test_onnx_export import X_NEW, X_TRAIN, Y_TRAIN, codes

FOREST = next(family for family in families() if family.name == "simple_classifier")
TWO_SMALLEST = Family("simple_classifier", FOREST.members[:2])
SMALLEST = Family("simple_classifier", FOREST.members[:1])


def test_the_predecessors_nine_forests_are_one_family() -> None:
    assert [member.name for member in FOREST.members] == [f"simple_classifier_{n}" for n in range(100, 501, 50)]
    assert {member.features for member in FOREST.members} == {
        ("neighbourhood", "room_type", "accommodates", "bathrooms", "bedrooms")
    }


def test_no_name_stands_twice() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert BASELINE in NAMES


def test_the_first_hundred_trees_of_a_larger_forest_are_the_forest_of_a_hundred() -> None:
    of_family = member_of(fit(TWO_SMALLEST, X_TRAIN, Y_TRAIN), FOREST.members[0])
    alone = fit(SMALLEST, X_TRAIN, Y_TRAIN)
    for ours, its in zip(of_family[-1].estimators_, alone[-1].estimators_, strict=True):
        np.testing.assert_array_equal(ours.tree_.threshold, its.tree_.threshold)
        np.testing.assert_array_equal(ours.tree_.value, its.tree_.value)


def test_each_tree_of_a_forest_is_drawn_from_all_listings_though_it_is_fitted_on_distinct_rows() -> None:
    forest = fit(SMALLEST, X_TRAIN, Y_TRAIN)[-1]
    pairs = len(np.unique(np.column_stack([X_TRAIN[:, :5], Y_TRAIN]), axis=0))
    for tree in forest.estimators_:
        assert tree.tree_.weighted_n_node_samples[0] == len(X_TRAIN)
        assert tree.tree_.n_node_samples[0] <= pairs


def test_a_forest_on_distinct_rows_answers_as_scikit_learns_own_on_all_of_them() -> None:
    # Both draw their listings at random, hence as near as two forests with other seeds are.
    rows = np.tile(X_TRAIN[:, :5], (1, 2))[:, :10].repeat(3, axis=0)
    X = np.column_stack([rows, rows[:, 0]]).astype(np.float32)
    y = codes(X)
    ours = fit(SMALLEST, X, y).predict_proba(X_NEW)
    its = [clone(FOREST.members[0].pipeline()).set_params(randomforestclassifier__random_state=seed) for seed in (0, 1)]
    one, other = (pipeline.fit(X, y).predict_proba(X_NEW) for pipeline in its)
    apart = np.abs(one - other).mean()
    assert np.abs(ours - one).mean() < 1.2 * apart
    assert np.abs(ours.mean(axis=0) - one.mean(axis=0)).max() < 0.01


def test_a_family_is_asked_as_each_member_would_be_alone() -> None:
    fitted = fit(TWO_SMALLEST, X_TRAIN, Y_TRAIN)
    for member, told in answers(TWO_SMALLEST, fitted, X_NEW):
        np.testing.assert_allclose(told, member_of(fitted, member).predict_proba(X_NEW), atol=1e-12)


def test_the_estimators_of_the_sweep_stay_unfitted() -> None:
    for family in (SMALLEST, next(families())):
        fit(family, X_TRAIN, Y_TRAIN)
        assert not any(hasattr(member.estimator, "classes_") for member in family.members)
        assert all(member.estimator.get_params().get("max_samples") is None for member in family.members)


def test_the_loss_of_an_impossible_answer_is_large_but_finite() -> None:
    answer = np.array([[0.5, 0.25, 0.25, 0.0], [0.0, 0.0, 0.0, 1.0]])
    assert np.allclose(losses(answer, np.array([0, 0])), [np.log(2), -np.log(1e-7)])
