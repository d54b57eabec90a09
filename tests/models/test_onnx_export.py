"""An exported model answers as the scikit-learn model it was made from."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from mle_assets.models.candidates import CANDIDATES, Candidate
from mle_assets.models.onnx_export import CannotExport, Parity, export, parity, round_down
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


@pytest.mark.parametrize("candidate", CANDIDATES[:6], ids=lambda candidate: candidate.name)
def test_every_kind_of_candidate_is_exported_equal(candidate: Candidate) -> None:
    fitted = clone(candidate.pipeline()).fit(X_TRAIN, Y_TRAIN)
    proof = parity(fitted, export(fitted), X_NEW)
    assert proof.proven, proof
    assert proof.rows == 500


def test_a_forest_is_exported_equal_on_the_very_thresholds_it_splits_at() -> None:
    forest = RandomForestClassifier(20, random_state=0).fit(X_TRAIN, Y_TRAIN)
    thresholds = np.concatenate([tree.tree_.threshold for tree in forest.estimators_]).astype(np.float32)
    at_thresholds = np.repeat(thresholds[:400, np.newaxis], len(FEATURES), axis=1)
    fitted = make_pipeline(forest)
    assert parity(fitted, export(fitted), at_thresholds).proven


_EXPORTED = """
import hashlib
from sklearn.base import clone
from mle_assets.models.candidates import CANDIDATES
from mle_assets.models.onnx_export import export
from tests.models.test_onnx_export import X_TRAIN, Y_TRAIN
for candidate in CANDIDATES[:5]:
    print(hashlib.sha256(export(clone(candidate.pipeline()).fit(X_TRAIN, Y_TRAIN))).hexdigest())
"""


def test_the_same_fit_is_exported_to_the_same_bytes_whatever_the_order_of_sets() -> None:
    # The order of a set of strings hangs on PYTHONHASHSEED, which each process draws; these three differ in it.
    told = {
        subprocess.run(
            [sys.executable, "-c", _EXPORTED],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "10")
    }
    assert len(told) == 1


def test_another_model_is_told_apart() -> None:
    one, other = (make_pipeline(RandomForestClassifier(5, random_state=seed).fit(X_TRAIN, Y_TRAIN)) for seed in (0, 1))
    proof = parity(one, export(other), X_NEW)
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
