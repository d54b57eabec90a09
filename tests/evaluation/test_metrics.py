"""Figures, against ones worked out by hand."""

import numpy as np
import pytest

from mle_assets.evaluation.metrics import (
    calibration_error,
    measure,
    precision_recall_curves,
    reliability,
    roc_curves,
)

CODES = np.array([0, 0, 1, 2, 3])
SURE = np.eye(4)[CODES]
#               Low, called Mid once; everything else right
PROBABILITIES = np.array(
    [
        [0.7, 0.1, 0.1, 0.1],
        [0.2, 0.6, 0.1, 0.1],
        [0.1, 0.7, 0.1, 0.1],
        [0.1, 0.1, 0.7, 0.1],
        [0.1, 0.1, 0.1, 0.7],
    ]
)


def test_a_perfect_answer_has_perfect_figures() -> None:
    figures = measure(SURE, CODES)
    assert figures.headline() == {
        "accuracy": 1.0,
        "balanced_accuracy": 1.0,
        "macro_f1": 1.0,
        "roc_auc": 1.0,
        "log_loss": 0.0,
    }


def test_the_figures_of_five_listings_are_those_worked_out_by_hand() -> None:
    figures = measure(PROBABILITIES, CODES)
    assert figures.accuracy == 0.8
    assert figures.balanced_accuracy == pytest.approx((0.5 + 1 + 1 + 1) / 4)
    assert figures.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 1 + 1) / 4)
    assert figures.roc_auc == pytest.approx(1.0)
    assert figures.log_loss == pytest.approx(-(4 * np.log(0.7) + np.log(0.2)) / 5)
    assert figures.confusion == ((1, 1, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 1))
    low = figures.categories["Low"]
    assert (low.precision, low.recall, low.f1, low.support) == (1.0, 0.5, pytest.approx(2 / 3), 2)


def test_a_category_that_is_never_answered_has_no_precision() -> None:
    figures = measure(np.tile([0.7, 0.1, 0.1, 0.1], (5, 1)), CODES)
    assert figures.categories["Lux"].precision == 0.0
    assert figures.roc_auc == 0.5


def test_without_a_category_there_are_no_figures() -> None:
    with pytest.raises(ValueError, match="no listing of category Lux"):
        measure(SURE[:4], CODES[:4])


def test_a_roc_curve_goes_from_corner_to_corner() -> None:
    for points in roc_curves(PROBABILITIES, CODES).values():
        assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
        assert points == sorted(points)


def test_the_calibration_error_is_the_distance_between_said_and_so() -> None:
    said = np.array([0.25] * 4 + [0.95] * 4)
    true = np.array([True, False, False, False, True, True, False, False])
    error, by_chance = calibration_error(said, true)
    assert error == pytest.approx(0.5 * 0.0 + 0.5 * 0.45)
    deviation = np.sqrt(4 * 0.25 * 0.75) + np.sqrt(4 * 0.95 * 0.05)
    assert by_chance == pytest.approx(np.sqrt(2 / np.pi) * deviation / 8)


def test_probabilities_that_are_right_have_the_calibration_error_of_chance() -> None:
    random = np.random.default_rng(0)
    said = random.random(20_000)
    error, by_chance = calibration_error(said, random.random(20_000) < said)
    assert error == pytest.approx(by_chance, rel=0.5)
    error, by_chance = calibration_error(said, random.random(20_000) < said**2)
    assert error > 10 * by_chance
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True])) == (0.0, 0.0)


def test_a_reliability_curve_has_the_mean_said_the_share_that_is_so_and_the_size_of_each_bin() -> None:
    said = np.array([0.25] * 4 + [0.95] * 4 + [1.0])
    true = np.array([True, False, False, False, True, True, False, False, True])
    assert reliability(said, true) == [(0.25, 0.25, 4), (pytest.approx(0.96), pytest.approx(0.6), 5)]


def test_precision_falls_from_the_first_hit_to_the_share_of_the_category() -> None:
    #                           Lux said:  0.9 rightly, 0.8 wrongly, 0.7 rightly, 0.1 wrongly
    lux = np.array([0.9, 0.8, 0.7, 0.1])
    probabilities = np.stack([1 - lux, 0 * lux, 0 * lux, lux], axis=1)
    curves = precision_recall_curves(probabilities, np.array([3, 0, 3, 0]))
    assert curves["Lux"] == [(0.5, 1.0), (1.0, pytest.approx(2 / 3))]
    assert set(curves) == set(roc_curves(probabilities, np.array([3, 0, 3, 0]))) == {"Low", "Lux"}


def test_the_areas_of_a_category_are_those_worked_out_by_hand() -> None:
    lux = np.array([0.9, 0.8, 0.7, 0.1, 0.0])
    others = (1 - lux)[:, np.newaxis] * np.array([0.5, 0.3, 0.2])
    known = measure(np.hstack([others, lux[:, np.newaxis]]), np.array([3, 0, 3, 1, 2])).categories["Lux"]
    assert known.roc_auc == pytest.approx(5 / 6)
    assert known.average_precision == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
