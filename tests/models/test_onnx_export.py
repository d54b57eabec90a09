"""An exported model answers as the scikit-learn model it was made from."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.tree import DecisionTreeClassifier

from mle_assets.models.candidates import CANDIDATES, Candidate
from mle_assets.models.coordinates import TurnedCoordinates
from mle_assets.models.onnx_export import Parity, average, export, parity
from mle_assets.models.onnx_trees import CannotExport, ForestNodes, round_down
from model_registry.classifier import Classifier
from model_registry.listing import FEATURES


def rows(count: int, seed: int = 0) -> NDArray[np.float32]:
    """Feature rows with whole numbers and fractions, as listings have them."""
    random = np.random.default_rng(seed)
    matrix = random.integers(0, 5, (count, len(FEATURES))).astype(np.float32)
    matrix[:, 6:8] += random.random((count, 2), dtype=np.float32)
    return matrix


def codes(X: NDArray[np.float32], seed: int = 0) -> NDArray[np.int64]:
    noisy = X[:, 2] + X[:, 6] + np.random.default_rng(seed).normal(0, 1, len(X))
    return np.digitize(noisy, np.quantile(noisy, [0.4, 0.75, 0.95])).astype(np.int64)


X_TRAIN, X_NEW = rows(1500, seed=1), rows(500, seed=2)
Y_TRAIN = codes(X_TRAIN)


def proof_of(fitted: Pipeline, exported: bytes, X: NDArray[np.float32]) -> Parity:
    """How an export answers beside what it was made from."""
    return parity(fitted.predict_proba(X), exported, X)


@pytest.mark.parametrize("candidate", CANDIDATES[:6], ids=lambda candidate: candidate.name)
def test_every_kind_of_candidate_is_exported_equal(candidate: Candidate) -> None:
    fitted = clone(candidate.pipeline()).fit(X_TRAIN, Y_TRAIN)
    proof = proof_of(fitted, export(fitted), X_NEW)
    assert proof.proven, proof
    assert proof.rows == 500


def test_a_forest_is_exported_equal_on_the_very_thresholds_it_splits_at() -> None:
    forest = RandomForestClassifier(20, random_state=0).fit(X_TRAIN, Y_TRAIN)
    thresholds = np.concatenate([tree.tree_.threshold for tree in forest.estimators_]).astype(np.float32)
    at_thresholds = np.repeat(thresholds[:400, np.newaxis], len(FEATURES), axis=1)
    fitted = make_pipeline(forest)
    assert proof_of(fitted, export(fitted), at_thresholds).proven


def boosted(**parameters: Any) -> HistGradientBoostingClassifier:
    """Boosted trees, fitted; few rounds."""
    return HistGradientBoostingClassifier(max_iter=8, random_state=0, **parameters).fit(X_TRAIN, Y_TRAIN)


def trees(exported: bytes) -> list[dict[str, Any]]:
    """The attributes of a model's tree ensembles."""
    return [
        {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        for node in onnx.load_from_string(exported).graph.node
        if node.op_type == "TreeEnsembleRegressor"
    ]


def test_boosted_trees_are_exported_equal_at_the_very_thresholds_they_split_at_and_beside_them() -> None:
    fitted = make_pipeline(boosted())
    exported = export(fitted)
    thresholds = np.concatenate([ensemble["nodes_values"] for ensemble in trees(exported)]).astype(np.float32)
    near = np.abs(
        np.unique(np.concatenate([np.nextafter(thresholds, np.float32(to)) for to in (-9, 9)] + [thresholds]))
    )
    for shift in range(3):
        columns = [np.roll(near, shift * column) for column in range(len(FEATURES))]
        assert proof_of(fitted, exported, np.stack(columns, axis=1)).proven


def test_of_two_children_that_which_more_of_the_training_listings_went_to_comes_next_in_memory() -> None:
    both = np.hstack([X_TRAIN, -X_TRAIN])
    asked = []
    for ensemble in trees(export(make_pipeline(boosted()))):
        for root in np.flatnonzero(np.array(ensemble["nodes_nodeids"]) == 0):
            assert ensemble["nodes_modes"][root] == b"BRANCH_LEQ"
            feature = ensemble["nodes_featureids"][root]
            true = both[:, feature] <= np.float32(ensemble["nodes_values"][root])
            assert true.sum() <= (~true).sum()
            asked.append(feature)
    assert len(asked) == 4 * 8
    assert min(asked) < len(FEATURES) <= max(asked), "each way round is tried"


def test_boosted_trees_that_never_split_are_exported_equal() -> None:
    fitted = make_pipeline(boosted(min_samples_leaf=1_000))
    assert proof_of(fitted, export(fitted), X_NEW).proven


def test_boosted_trees_inside_another_estimator_are_exported_equal() -> None:
    voting = VotingClassifier([("one", boosted()), ("other", boosted())], voting="soft", flatten_transform=False)
    fitted = make_pipeline(voting.fit(X_TRAIN, Y_TRAIN))
    assert proof_of(fitted, export(fitted), X_NEW).proven


@pytest.mark.parametrize(
    ("parameters", "y"),
    [({"categorical_features": [0]}, Y_TRAIN), ({}, np.minimum(Y_TRAIN, 1))],
    ids=["categories", "two"],
)
def test_boosted_trees_of_two_categories_or_that_take_categories_are_refused(
    parameters: dict[str, Any], y: NDArray[np.int64]
) -> None:
    fitted = HistGradientBoostingClassifier(max_iter=2, **parameters).fit(X_TRAIN, y)
    with pytest.raises(CannotExport, match="three categories or more, and for numeric features"):
        export(make_pipeline(fitted))


@pytest.mark.parametrize("candidate", CANDIDATES[:5], ids=lambda candidate: candidate.name)
def test_an_exported_model_answers_with_probabilities_and_nothing_else(candidate: Candidate) -> None:
    graph = onnx.load_from_string(export(clone(candidate.pipeline()).fit(X_TRAIN, Y_TRAIN))).graph
    assert [output.name for output in graph.output] == ["probabilities"]
    used = {"probabilities", *(name for node in graph.node for name in node.input)}
    assert all(used.intersection(node.output) for node in graph.node)
    assert {constant.name for constant in graph.initializer} <= used


_EXPORTED = """
import hashlib
from sklearn.base import clone
from mle_assets.models.candidates import CANDIDATES
from mle_assets.models.onnx_export import export
from tests.models.test_onnx_export import X_TRAIN, Y_TRAIN
for candidate in CANDIDATES[:5]:
    print(hashlib.sha256(export(clone(candidate.pipeline()).fit(X_TRAIN, Y_TRAIN))).hexdigest())
"""


@pytest.mark.slow
def test_the_same_fit_is_exported_to_the_same_bytes_whatever_the_order_of_sets() -> None:
    # The order of a set of strings hangs on PYTHONHASHSEED, which each process draws; these two differ in it.
    told = {
        subprocess.run(
            [sys.executable, "-c", _EXPORTED],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(told) == 1


def test_an_average_of_exports_answers_with_their_mean() -> None:
    fitted = [clone(candidate.pipeline()).fit(X_TRAIN, Y_TRAIN) for candidate in CANDIDATES[1:4]]
    expected = np.mean([one.predict_proba(X_NEW) for one in fitted], axis=0)
    averaged = average([export(one) for one in fitted])
    assert parity(expected, averaged, X_NEW).proven
    assert averaged == average([export(one) for one in fitted])


def test_turned_coordinates_are_rounded_as_onnx_rounds_them() -> None:
    X = X_NEW.copy()
    X[:, 6] += 40_000_000  # float32 has no fractions there
    X[:, 7] -= 73.999
    fitted = make_pipeline(TurnedCoordinates(), DecisionTreeClassifier(max_depth=8, random_state=0)).fit(X, codes(X))
    assert set(fitted[-1].tree_.feature.tolist()) & {11, 12}, "no turned coordinate was used"
    assert proof_of(fitted, export(fitted), X).proven


def test_the_first_trees_of_a_larger_forests_nodes_are_a_smaller_forest() -> None:
    large = RandomForestClassifier(9, random_state=0).fit(X_TRAIN, Y_TRAIN)
    small = RandomForestClassifier(4, random_state=0).fit(X_TRAIN, Y_TRAIN)
    assert export(make_pipeline(small), ForestNodes.of(large)) == export(make_pipeline(small))


def test_another_model_is_told_apart() -> None:
    one, other = (make_pipeline(RandomForestClassifier(5, random_state=seed).fit(X_TRAIN, Y_TRAIN)) for seed in (0, 1))
    proof = proof_of(one, export(other), X_NEW)
    assert not proof.proven
    assert proof.largest_difference > 0.1
    assert proof.other_labels > 0


@pytest.mark.parametrize(
    ("proof", "proven"),
    [
        (Parity(rows=1, largest_difference=1e-5, other_labels=0), True),
        (Parity(rows=1, largest_difference=1.1e-5, other_labels=0), False),
        (Parity(rows=1, largest_difference=0.0, other_labels=1), False),
    ],
)
def test_a_proof_needs_near_probabilities_and_the_same_labels(proof: Parity, *, proven: bool) -> None:
    assert proof.proven is proven


def test_a_forest_inside_another_estimator_is_refused() -> None:
    voting = VotingClassifier(
        [("forest", RandomForestClassifier(2, random_state=0))], voting="soft", flatten_transform=False
    )
    with pytest.raises(CannotExport, match="only as the last step"):
        export(make_pipeline(voting.fit(X_TRAIN, Y_TRAIN)))


def test_a_candidate_takes_its_columns_inside_its_own_file() -> None:
    predecessor = next(c for c in CANDIDATES if c.name == "simple_classifier_100")
    small: Pipeline = clone(predecessor.pipeline()).set_params(randomforestclassifier__n_estimators=5)
    classifier = Classifier(export(small.fit(X_TRAIN, Y_TRAIN)))
    changed: NDArray[np.float32] = X_NEW.copy()
    changed[:, 5:] += 7
    np.testing.assert_array_equal(classifier.probabilities(X_NEW), classifier.probabilities(changed))


FLOAT64 = hnp.arrays(np.float64, st.integers(1, 30), elements=st.floats(-1e30, 1e30))


@settings(deadline=None)
@given(FLOAT64, st.integers(-2, 2))
def test_a_rounded_threshold_parts_float32_numbers_as_the_exact_one_does(thresholds: Any, steps: int) -> None:
    rounded = round_down(thresholds)
    near = thresholds.astype(np.float32)
    for _ in range(abs(steps)):
        near = np.nextafter(near, np.float32(np.inf if steps > 0 else -np.inf))
    np.testing.assert_array_equal(near <= rounded, near.astype(np.float64) <= thresholds)
