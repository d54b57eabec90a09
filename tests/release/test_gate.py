"""The gate: a pure decision with its reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mle_assets.release.gate import constant_losses, decide

RANDOM = np.random.default_rng(0)
BASELINE = RANDOM.normal(1.2, 0.1, 1000)
GOOD = BASELINE - RANDOM.normal(0.4, 0.3, 1000)


def test_the_first_challenger_is_promoted_when_it_beats_the_majority_class() -> None:
    decision = decide(GOOD, None, BASELINE)
    assert decision.promote
    assert "below that of the majority class" in decision.reason
    assert "champion_log_loss" not in decision.numbers


def test_the_first_challenger_is_kept_out_when_it_does_not_beat_the_majority_class() -> None:
    assert not decide(BASELINE + 0.01, None, BASELINE).promote


def test_a_challenger_that_is_surely_better_is_promoted() -> None:
    decision = decide(GOOD - RANDOM.normal(0.05, 0.3, 1000), GOOD, BASELINE)
    assert decision.promote
    assert decision.reason.endswith("with 95% confidence: promoted.")
    assert decision.numbers["upper_limit"] < 0


def test_a_challenger_that_is_better_by_chance_only_is_kept_out() -> None:
    noise = RANDOM.normal(0, 0.3, 1000)
    decision = decide(GOOD + noise - noise.mean() - 0.005, GOOD, BASELINE)
    assert not decision.promote
    assert decision.numbers["mean_difference"] == pytest.approx(-0.005)
    assert decision.reason.endswith("kept out.")


def test_the_champion_itself_is_no_better_than_itself() -> None:
    assert not decide(GOOD, GOOD, BASELINE).promote


def test_a_margin_asks_for_more() -> None:
    better = GOOD - RANDOM.normal(0.05, 0.1, 1000)
    assert decide(better, GOOD, BASELINE, margin=0.0).promote
    assert not decide(better, GOOD, BASELINE, margin=0.1).promote


def test_more_confidence_asks_for_more() -> None:
    slightly = GOOD - (RANDOM.permutation(np.linspace(-1, 1, 1000)) + 0.04)
    assert decide(slightly, GOOD, BASELINE, confidence=0.95).promote
    assert not decide(slightly, GOOD, BASELINE, confidence=0.999).promote


@given(st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_no_constant_answer_beats_the_shares_of_the_categories(codes: list[int]) -> None:
    y = np.array(codes)
    constant = np.random.default_rng(len(codes)).dirichlet(np.ones(4))
    assert constant_losses(y).mean() <= -np.log(constant[y]).mean() + 1e-9
