"""Intervals of figures: of a share, and of what a bootstrap draws again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as sk

from mle_assets.evaluation.intervals import bootstrap_intervals, figures_of_draws, wilson_interval
from mle_assets.evaluation.metrics import measure

RANDOM = np.random.default_rng(1)
CODES = np.concatenate([np.arange(4), RANDOM.integers(0, 4, 196)])
# Rounded, so that some listings have the same probabilities.
SCORES = np.round(RANDOM.random((200, 4)) + np.eye(4)[CODES], 1) + 0.1
PROBABILITIES = (SCORES / SCORES.sum(axis=1, keepdims=True)).astype(np.float32)


# Newcombe, Two-sided confidence intervals for the single proportion (1998), table I, method 3.
@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_of_a_share_is_that_of_the_literature(hits: int, count: int, low: float, high: float) -> None:
    assert wilson_interval(hits, count) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10_000).flatmap(lambda count: st.tuples(st.integers(0, count), st.just(count))))
def test_a_share_lies_in_its_interval_and_the_interval_among_the_shares(counted: tuple[int, int]) -> None:
    hits, count = counted
    low, high = wilson_interval(hits, count)
    assert 0 <= low <= hits / count + 1e-12
    assert hits / count - 1e-12 <= high <= 1
    assert low < high


def test_each_listing_drawn_once_has_the_figures_of_the_evaluation() -> None:
    drawn = figures_of_draws(PROBABILITIES, CODES, np.ones((1, 200)))
    assert {name: float(values[0]) for name, values in drawn.items()} == pytest.approx(
        measure(PROBABILITIES, CODES).headline(), abs=1e-9
    )


def test_a_draw_has_the_figures_of_the_listings_that_are_in_it() -> None:
    chosen = np.random.default_rng(5).integers(0, 200, 200)
    drawn = figures_of_draws(PROBABILITIES, CODES, np.bincount(chosen, minlength=200)[np.newaxis].astype(float))
    assert {name: float(values[0]) for name, values in drawn.items()} == pytest.approx(
        measure(PROBABILITIES[chosen], CODES[chosen]).headline(), abs=1e-9
    )


def test_a_category_that_is_never_answered_has_no_f1_and_one_that_is_not_drawn_says_nothing() -> None:
    weights = np.stack([np.where(CODES == 3, 0.0, 1.0)])
    drawn = figures_of_draws(PROBABILITIES, CODES, weights)
    assert [name for name, values in drawn.items() if np.isnan(values[0])] == [
        "balanced_accuracy",
        "macro_f1",
        "roc_auc",
    ]
    never = np.tile(np.array([[0.4, 0.3, 0.2, 0.1]], dtype=np.float32), (200, 1))
    assert figures_of_draws(never, CODES, np.ones((1, 200)))["macro_f1"][0] == pytest.approx(
        sk.f1_score(CODES, np.zeros(200), average="macro", zero_division=0.0)
    )


def test_the_figures_lie_in_their_intervals_which_are_the_same_every_time() -> None:
    intervals, figures = bootstrap_intervals(PROBABILITIES, CODES), measure(PROBABILITIES, CODES).headline()
    assert set(intervals) == set(figures)
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high
        assert high - low < 0.25
    assert bootstrap_intervals(PROBABILITIES, CODES) == intervals


def test_the_interval_of_the_accuracy_is_about_that_of_a_share() -> None:
    right = int((PROBABILITIES.argmax(axis=1) == CODES).sum())
    assert bootstrap_intervals(PROBABILITIES, CODES)["accuracy"] == pytest.approx(wilson_interval(right, 200), abs=0.02)
