"""Who is asked about which listings, and how candidates are compared on them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from mle_assets.listings.split import TooFewListings
from mle_assets.models.candidates import AVERAGES, CANDIDATES, NAMES
from mle_assets.models.scoring import losses
from mle_assets.models.validation import FOLDS, SEED, Validation, require_enough, validate
from tests.models.test_onnx_export import codes, rows

NOTES: list[str] = []
X, Y = rows(1_500, seed=1), codes(rows(1_500, seed=1))


@pytest.fixture(scope="module")
def validated() -> Validation:
    """All candidates, validated on listings that are made up."""
    NOTES.clear()
    return validate(X, Y, NOTES.append)


def table(**of_each: list[float]) -> Validation:
    """Losses in two folds."""
    count = len(next(iter(of_each.values())))
    return Validation(pd.DataFrame({"fold": [n * 2 // count for n in range(count)], **of_each}))


def alone(name: str) -> NDArray[np.floating[Any]]:
    """What a candidate answers about each listing where it is validated by scikit-learn's own function."""
    candidate = next(one for one in CANDIDATES if one.name == name)
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    return cross_val_predict(candidate.pipeline(), X, Y, cv=folds, method="predict_proba")


@pytest.mark.parametrize("name", ["majority_class", "logistic_regression", "hist_gradient_boosting"])
def test_a_candidate_is_asked_about_listings_by_a_model_that_has_not_learned_from_them(
    name: str, validated: Validation
) -> None:
    told = validated.table[name].to_numpy()
    asked = ~np.isnan(told)
    np.testing.assert_allclose(told[asked], losses(alone(name), Y)[asked], atol=1e-9)
    assert validated.of(name).listings == asked.sum() >= 500


def test_an_average_is_validated_by_the_average_of_its_parts_answers(validated: Validation) -> None:
    [average] = AVERAGES
    told = validated.table[average.name].to_numpy()
    asked = ~np.isnan(told)
    expected = losses(np.mean([alone(part) for part in average.of], axis=0), Y)
    np.testing.assert_allclose(told[asked], expected[asked], atol=1e-9)
    assert asked.sum() >= 500


def test_the_best_was_asked_about_every_listing(validated: Validation) -> None:
    assert validated.of(validated.best()).listings == len(Y)


def test_who_is_far_behind_on_the_first_fold_is_not_asked_on_the_others(validated: Validation) -> None:
    behind = validated.of("majority_class")
    assert (behind.folds, behind.listings) == (1, 500)
    assert validated.of(validated.best()).listings == 1_500
    assert validated.difference("majority_class", validated.best()).listings == 500
    [left_out] = [note for note in NOTES if note.startswith("majority_class is ")]
    assert left_out.endswith("it is not asked on the others")


def test_every_candidate_is_asked_at_least_once_and_every_fold_is_told_of(validated: Validation) -> None:
    assert set(validated.names()) == set(NAMES)
    assert all(validated.of(name).listings >= 500 for name in NAMES)
    assert sum(note.startswith("fold 1 of 3: ") for note in NOTES) == 5


def test_the_same_listings_are_validated_alike_twice(validated: Validation) -> None:
    pd.testing.assert_frame_equal(validate(X, Y).table, validated.table)


def test_candidates_are_compared_on_the_listings_that_both_were_asked_about() -> None:
    nothing = float("nan")
    validation = table(a=[1.0, 2.0, 5.0, 6.0], b=[2.0, 4.0, nothing, nothing])
    difference = validation.difference("b", "a")
    assert (difference.log_loss, difference.listings) == (1.5, 2)
    assert difference.standard_error == pytest.approx(0.5)
    assert difference.standard_errors == pytest.approx(3)


def test_nobody_leads_with_fewer_listings_than_others() -> None:
    nothing = float("nan")
    assert table(whole=[1.0, 1.0, 1.0, 1.0], lucky=[0.1, 0.1, nothing, nothing]).best() == "whole"


def test_a_candidate_is_no_standard_error_behind_itself() -> None:
    assert table(a=[1.0, 2.0]).difference("a", "a").standard_errors == 0


def test_a_category_with_too_few_listings_is_refused_in_words() -> None:
    require_enough(np.repeat(np.arange(4), 3))
    with pytest.raises(TooFewListings, match="2 of the training listings are Lux, 3 are needed"):
        require_enough(np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3]))
