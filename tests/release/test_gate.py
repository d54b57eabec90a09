"""The gate: a pure decision with its reason."""

from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mle_assets.release.comparability import Shift
from mle_assets.release.gate import Comparison, Contender, Losses, constant_losses, decide, judge
from model_registry.manifest import Snapshot

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


def contender(losses: Losses, *, version: str = "tree-1", day: date | None = None, made_up: bool = False) -> Contender:
    return Contender("new-york", version, Snapshot("listings.csv", "ab" * 32, day, synthetic=made_up), losses)


def against(champion: Contender, *, published: float | None = 0.8, shifts: list[Shift] | None = None) -> Comparison:
    return Comparison(champion, published, [] if shifts is None else shifts, np.zeros(1000, dtype=bool))


def knowing(champion: Contender, listings: int) -> Comparison:
    return Comparison(champion, 0.8, [], np.arange(1000) < listings)


BETTER = GOOD - RANDOM.normal(0.05, 0.1, 1000)


def test_a_made_up_model_never_takes_the_place_of_a_real_champion_by_itself() -> None:
    decision = judge(contender(BETTER, made_up=True, version="tree-2"), against(contender(GOOD)), BASELINE)
    assert not decision.promote
    assert decision.reason == (
        "The challenger was trained on made-up listings, the champion tree-1 on real ones: kept out. Where that is "
        "as it should be, a person promotes it with `models --market new-york promote tree-2 --reason ...`."
    )
    assert decision.numbers["challenger_log_loss"] < decision.numbers["champion_log_loss"]


def test_a_real_model_takes_the_place_of_a_made_up_champion_if_it_beats_the_majority_class() -> None:
    made_up = against(contender(BETTER, made_up=True), shifts=[Shift("beds", 9.0, 0.25)])
    decision = judge(contender(GOOD, version="tree-2"), made_up, BASELINE)
    assert decision.promote
    assert "that of the majority class" in decision.reason
    assert decision.reason.endswith("The champion tree-1 was trained on made-up listings, so that it was no rival.")
    assert not judge(contender(BASELINE + 0.01), made_up, BASELINE).promote


def test_a_made_up_model_may_be_the_first_and_may_follow_another_and_the_reason_says_so() -> None:
    first = judge(contender(GOOD, made_up=True), None, BASELINE)
    assert first.promote
    assert first.reason.endswith("promoted. It was trained on made-up listings.")
    second = judge(contender(BETTER, made_up=True), against(contender(GOOD, made_up=True)), BASELINE)
    assert second.promote
    assert second.reason.endswith("promoted. Both were trained on made-up listings.")


def test_listings_of_another_kind_are_not_judged_by_and_the_features_are_named_with_their_figures() -> None:
    shifts = [Shift("price_category", 0.61, 0.25), Shift("latitude", 0.3, 0.25), Shift("beds", 0.1, 0.25)]
    decision = judge(contender(BETTER), against(contender(GOOD), shifts=shifts), BASELINE)
    assert not decision.promote
    assert (
        "of another kind than the champion's, by the stability index of price_category 0.61 (at most 0.25), "
        "latitude 0.30 (at most 0.25): kept out." in decision.reason
    )
    assert decision.numbers["shift_price_category"] == 0.61


def test_listings_that_differ_little_are_judged_by() -> None:
    decision = judge(contender(BETTER), against(contender(GOOD), shifts=[Shift("beds", 0.2, 0.25)]), BASELINE)
    assert decision.promote
    assert decision.numbers["shift_beds"] == 0.2


def test_older_listings_do_not_replace_newer_ones() -> None:
    champion = contender(GOOD, day=date(2025, 9, 1))
    older = judge(contender(BETTER, day=date(2021, 12, 4)), against(champion), BASELINE)
    assert not older.promote
    assert older.reason.startswith("The challenger's snapshot of 2021-12-04 is older than the champion's of 2025-09-01")
    for day in (date(2025, 9, 1), date(2026, 1, 1), None):
        assert judge(contender(BETTER, day=day), against(champion), BASELINE).promote


def test_listings_that_contradict_what_the_champion_learned_are_left_to_a_person() -> None:
    misled = contender(BASELINE + 0.5)
    decision = judge(contender(GOOD), against(misled, published=0.8), BASELINE)
    assert not decision.promote
    assert "contradict what the champion learned" in decision.reason
    # One that never was better than the majority class learned nothing that could be contradicted.
    assert judge(contender(GOOD), against(misled, published=1.7), BASELINE).promote


def test_a_champion_without_a_profile_is_compared_and_the_reason_says_what_was_not() -> None:
    decision = judge(contender(BETTER), Comparison(contender(GOOD), 0.8, None, np.zeros(1000, dtype=bool)), BASELINE)
    assert decision.promote
    assert decision.reason.endswith(
        "The champion's manifest has no profile of its listings, so they were not compared with these."
    )


def test_listings_that_the_champion_learned_from_are_left_out() -> None:
    # It knows the answers of 800 of 1,000 by heart, and is worse than the challenger on the others.
    by_heart = np.where(np.arange(1000) < 800, 0.01, GOOD)
    decision = judge(contender(BETTER), knowing(contender(by_heart), 800), BASELINE)
    assert decision.promote
    assert decision.reason.startswith("The challenger's log loss on the 200 test listings is ")
    assert decision.reason.endswith(": promoted. 800 more were left out, as the champion has learned from them.")
    assert decision.numbers["test_listings"] == 200
    assert decision.numbers["champion_log_loss"] == pytest.approx(GOOD[800:].mean())
    assert not judge(contender(BETTER), knowing(contender(by_heart), 0), BASELINE).promote


def test_a_champion_that_learned_from_nearly_all_of_them_stays_until_a_person_decides() -> None:
    decision = judge(contender(BETTER, version="tree-2"), knowing(contender(GOOD), 971), BASELINE)
    assert not decision.promote
    assert decision.reason == (
        "The champion tree-1 has learned from all but 29 of the 1,000 test listings, and at least 30 others are "
        "needed to compare with it: kept out. Where that is as it should be, a person promotes it with "
        "`models --market new-york promote tree-2 --reason ...`."
    )


def test_where_it_is_not_known_what_the_champion_learned_from_the_reason_says_so() -> None:
    decision = judge(contender(BETTER), Comparison(contender(GOOD), 0.8, [], None), BASELINE)
    assert decision.promote
    assert decision.reason.endswith("does not say which listings it learned from: those among these flatter it.")
