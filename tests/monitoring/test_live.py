"""What live figures say of answers whose truth is known, and of those whose is not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.evaluation.intervals import Interval, mean_interval, wilson_interval
from mle_assets.monitoring.live import (
    UNKNOWN,
    Figures,
    Labels,
    Live,
    Rivalry,
    Served,
    Shadowed,
    assess,
    estimated,
    mcnemar,
)
from mle_assets.release.answers import Answers, answers_of

SURE = Answers(1_000, (0.4, 0.3, 0.2, 0.1), (0.4, 0.3, 0.2, 0.1), 0.02, 0.015)


def spread(codes: list[int], certainty: float = 0.7) -> np.ndarray:
    """Probabilities of which each listing's largest is its code's."""
    return np.full((len(codes), 4), (1 - certainty) / 3) + (certainty - (1 - certainty) / 3) * np.eye(4)[codes]


def labels(texts: list[str]) -> Labels:
    names = sorted(set(texts))
    return Labels(tuple(names), np.array([names.index(text) for text in texts], dtype=np.int64))


def no_shadow(n: int) -> Shadowed:
    nobody = labels([""] * n)
    return Shadowed(nobody, np.full(n, UNKNOWN), np.full((n, 4), np.nan), nobody)


def served(
    codes: list[int], truth: list[int], shadow: Shadowed | None = None, listings: list[int] | None = None
) -> Served:
    n = len(codes)
    return Served(
        codes=np.array(codes, dtype=np.int64),
        probabilities=spread(codes),
        truth=np.array(truth, dtype=np.int64),
        listings=np.array(range(n) if listings is None else listings, dtype=np.int64),
        columns={
            "neighbourhood": labels([("Bronx", "Queens")[place % 2] for place in range(n)]),
            "room_type": labels(["Private room"] * n),
        },
        shadow=shadow or no_shadow(n),
    )


def test_figures_are_of_the_answers_whose_truth_is_known() -> None:
    live = assess("tree-1", served([0, 1, 2, 3, 0], [0, 1, 3, UNKNOWN, UNKNOWN]), SURE, (0.7, 1_000))
    figures = live.figures
    assert (figures.answers, figures.labelled, figures.listings, figures.right) == (5, 3, 3, 2)
    assert figures.coverage == 0.6
    assert figures.accuracy == pytest.approx(2 / 3)
    assert figures.accuracy_interval == wilson_interval(2, 3)
    # Two listings at 0.7, one at 0.1.
    assert figures.log_loss == pytest.approx((2 * -np.log(0.7) - np.log(0.1)) / 3)
    # All three said 0.7, and two were right.
    assert figures.calibration_error == pytest.approx(0.7 - 2 / 3)
    assert figures.calibration_error_by_chance == pytest.approx(np.sqrt(2 / np.pi) * np.sqrt(3 * 0.21) / 3)


def test_slices_have_their_own_figures_the_largest_first() -> None:
    live = assess("tree-1", served([0, 1, 2, 3, 0], [0, 1, 3, UNKNOWN, UNKNOWN]), SURE, None)
    told = [
        (one.column, one.value, one.figures.answers, one.figures.labelled, one.figures.right) for one in live.slices
    ]
    assert told == [
        ("neighbourhood", "Bronx", 3, 2, 1),
        ("neighbourhood", "Queens", 2, 1, 1),
        ("room_type", "Private room", 5, 3, 2),
    ]


def test_without_feedback_there_are_no_figures_but_an_estimate() -> None:
    live = assess("tree-1", served([0, 1], [UNKNOWN, UNKNOWN]), SURE, (0.7, 1_000))
    assert live.figures == Figures(answers=2, labelled=0)
    assert live.verdict == "not enough data"
    assert live.reason == (
        "The truth is known of 0 of 2 answers, about 0 different listings, and at least 100 listings are needed."
    )
    assert live.estimate.accuracy == pytest.approx(0.7)
    assert live.estimate.reason.startswith("An estimate, not a measurement: ")


def test_where_calibration_was_poor_there_is_no_estimate() -> None:
    poor = Answers(1_000, SURE.answered, SURE.probability, 0.061, 0.03)
    assert estimated(spread([0, 1]), poor).accuracy is None
    assert "was off by 0.061, of which chance explains 0.030" in estimated(spread([0, 1]), poor).reason
    assert estimated(spread([0, 1]), None).accuracy is None
    assert estimated(np.empty((0, 4)), SURE).accuracy is None


def judged(right: int, of: int, test: tuple[float, int] | None) -> Live:
    return assess("tree-1", served([0] * of, [0] * right + [1] * (of - right)), SURE, test)


@pytest.mark.parametrize(
    ("right", "of", "verdict"),
    [
        (69, 99, "not enough data"),
        (70, 100, "as tested"),
        (600, 1_000, "below its test"),
        (650, 1_000, "as tested"),
        (990, 1_000, "as tested"),
        (0, 100, "below its test"),
    ],
)
def test_worse_than_on_the_test_listings_is_what_chance_does_not_explain(right: int, of: int, verdict: str) -> None:
    # 0.6 of 1,000 lies within 0.569 and 0.630, 0.7 of 1,000 within 0.671 and 0.728.
    live = judged(right, of, (0.7, 1_000))
    assert live.verdict == verdict
    assert live.test_interval == wilson_interval(700, 1_000)


def test_the_verdict_says_its_figures() -> None:
    assert judged(600, 1_000, (0.7, 1_000)).reason == (
        "60.0% of 1,000 listings were answered right (56.9% to 63.0%): fewer than 70.0% on its test listings (67.1% to "
        "72.8%), by more than chance."
    )
    assert judged(600, 1_000, None).verdict == "not enough data"


def test_a_shadow_is_compared_on_what_both_answered_and_whose_truth_is_known() -> None:
    shadow = Shadowed(
        versions=labels(["s", "s", "s", "s", ""]),
        codes=np.array([1, 1, UNKNOWN, 0, UNKNOWN]),
        probabilities=np.vstack([spread([1, 1]), np.full((1, 4), np.nan), spread([0]), np.full((1, 4), np.nan)]),
        missed=labels(["", "", "busy", "", ""]),
    )
    [rivalry] = assess("c", served([0, 1, 2, 0, 3], [1, 1, 2, UNKNOWN, 3], shadow), SURE, None).rivalries
    assert rivalry == Rivalry(
        shadow="s",
        asked=4,
        missed={"busy": 1},
        listings=2,
        only_version_right=0,
        only_shadow_right=1,
        p_value=1.0 * 0.5,
        log_loss_difference=pytest.approx((np.log(0.1) - np.log(0.7)) / 2),  # pyright: ignore
        standard_error=pytest.approx(abs(np.log(0.1) - np.log(0.7)) / 2),  # pyright: ignore
    )


def test_a_listing_that_is_asked_about_again_counts_once_by_its_latest_answer_whose_truth_is_known() -> None:
    # Listing 7 three times, of which the last one's truth is not known; the shadow is wrong at first, then right.
    shadow = Shadowed(
        labels(["s", "s", "s", "s"]), np.array([1, 0, 0, 0]), spread([1, 0, 0, 0]), labels(["", "", "", ""])
    )
    live = assess("c", served([0, 1, 0, 0], [0, 0, UNKNOWN, 0], shadow, listings=[7, 7, 7, 8]), SURE, None)
    figures = live.figures
    assert (figures.answers, figures.labelled, figures.listings, figures.right) == (4, 3, 2, 1)
    assert figures.accuracy_interval == wilson_interval(1, 2)
    [rivalry] = live.rivalries
    assert (rivalry.asked, rivalry.listings, rivalry.only_shadow_right, rivalry.only_version_right) == (4, 2, 1, 0)


def test_few_listings_asked_about_often_are_not_enough_to_speak_of_a_loss() -> None:
    again = served([0] * 1_000, [1] * 1_000, listings=[place % 99 for place in range(1_000)])
    live = assess("tree-1", again, SURE, (0.7, 1_000))
    assert live.verdict == "not enough data"
    assert live.reason.startswith("The truth is known of 1,000 of 1,000 answers, about 99 different listings, and at")


@pytest.mark.parametrize(
    ("one", "other", "p_value"),
    # P(X <= k) + P(X < k) of the rarer one: 1 of 6 is 7/64 + 1/64, 0 of 5 is 1/32 + 0.
    [(1, 5, 0.125), (5, 1, 0.125), (0, 5, 0.03125), (0, 0, 1.0), (4, 4, 1.0), (7, 9, 0.6291)],
)
def test_mcnemars_value_is_that_of_the_binomial(one: int, other: int, p_value: float) -> None:
    assert mcnemar(one, other) == pytest.approx(p_value, abs=1e-4)


def test_the_interval_of_a_mean_is_about_that_of_a_normal_one() -> None:
    values = np.random.default_rng(0).exponential(size=5_000)
    drawn = mean_interval(values)
    reach = 1.96 * values.std() / np.sqrt(5_000)
    assert drawn == pytest.approx((values.mean() - reach, values.mean() + reach), abs=0.003)
    assert mean_interval(np.tile(values, 4)) == pytest.approx((values.mean() - reach / 2, values.mean() + reach / 2))
    assert mean_interval(np.array([0.5])) == Interval(0.5, 0.5)


def test_answers_on_the_test_listings_are_shares_and_their_calibration() -> None:
    answers = answers_of(spread([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    assert answers.answered == (0.5, 0.25, 0.25, 0.0)
    assert answers.probability == pytest.approx((0.4, 0.25, 0.25, 0.1))
    assert answers.calibration_error == pytest.approx(0.05)


CODES = st.lists(
    st.tuples(st.integers(0, 3), st.integers(-1, 3), st.integers(-1, 3), st.integers(0, 40)), min_size=1, max_size=60
)


@settings(deadline=None, max_examples=50)
@given(CODES)
def test_slices_add_up_to_the_whole_whatever_was_answered(told: list[tuple[int, int, int, int]]) -> None:
    codes, truth, rival, numbers = (list(column) for column in zip(*told, strict=True))
    n = len(codes)
    shadow = Shadowed(
        labels(["s"] * n),
        np.array(rival),
        spread([max(code, 0) for code in rival]),
        labels(["" if code >= 0 else "failed" for code in rival]),
    )
    # A listing lies in one neighbourhood.
    listings = [2 * number + place % 2 for place, number in enumerate(numbers)]
    live = assess("c", served(codes, truth, shadow, listings), SURE, (0.5, 10))
    for column in ("neighbourhood", "room_type"):
        parts = [one.figures for one in live.slices if one.column == column]
        for count in ("answers", "labelled", "listings", "right"):
            assert sum(getattr(part, count) for part in parts) == getattr(live.figures, count)
    [rivalry] = live.rivalries
    assert rivalry.asked == n
    assert rivalry.missed.get("failed", 0) == sum(code < 0 for code in rival)
    assert rivalry.only_version_right + rivalry.only_shadow_right <= rivalry.listings
    assert 0 < rivalry.p_value <= 1
    if live.figures.accuracy is not None and live.figures.accuracy_interval is not None:
        assert live.figures.accuracy_interval.low <= live.figures.accuracy <= live.figures.accuracy_interval.high
