"""What was told is put beside the answer that it is about: the latest, in time, once."""

import dataclasses
from collections.abc import Iterable, Iterator

import msgspec
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.monitoring.feedback import SKEW_SECONDS, Joined, Told, join
from mle_assets.monitoring.tables import rows_of_answers, rows_of_feedback
from model_registry.market import NEW_YORK, Market
from prediction_log.record import Feedback, Prediction
from tests.making import LISBON
from tests.monitoring.log import DAY, NOON, answered, told

MARKETS = {"tree-1": NEW_YORK, "tree-2": LISBON}


def market_of(version: str) -> Market | None:
    return MARKETS.get(version)


def joined(
    answers: list[Prediction], feedback: list[Feedback], elsewhere: dict[str, list[pd.Series]] | None = None
) -> Joined:
    tables = rows_of_answers(answers, "a").to_pandas(), rows_of_feedback(feedback, "f").to_pandas()
    return join(*tables, market_of, lambda *_: elsewhere or {}, late_days=28)


def test_a_price_is_the_category_of_the_market_of_the_version_that_answered() -> None:
    found = joined(
        [answered("a"), answered("b", version="tree-2"), answered("c")],
        [told("a", price=100.0), told("b", price=100.0), told("c", price_category="Lux")],
    )
    # New York's limits are 90, 180 and 400, Lisbon's 60, 120 and 1,250.50.
    assert found.truth.tolist() == [1, 1, 3]
    assert found.price.tolist()[:2] == [100.0, 100.0]
    assert pd.isna(found.price[2])
    assert joined(
        [answered("a"), answered("b", version="tree-2")], [told("a", price=70.0), told("b", price=70.0)]
    ).truth.tolist() == [0, 1]


def test_the_latest_wins_whatever_the_order_it_came_in() -> None:
    found = joined(
        [answered("a")], [told("a", NOON + 3, price=500.0), told("a", NOON + 9, price=50.0), told("a", NOON + 5)]
    )
    assert found.truth.tolist() == [0]
    assert found.counts == Told(told=3, superseded=2, joined=1)


def test_each_listing_of_a_batch_has_its_own_truth() -> None:
    found = joined(
        [answered("a", index=0), answered("a", index=1), answered("a")],
        [told("a", index=1, price=50.0), told("a", index=7, price=50.0)],
    )
    assert found.truth.tolist() == [-1, 0, -1]
    assert found.counts == Told(told=2, orphans=1, joined=1)


def test_an_id_that_a_client_used_again_means_its_last_answer() -> None:
    assert joined([answered("a", NOON + 5), answered("a", NOON)], [told("a")]).truth.tolist() == [1, -1]


def test_once_it_is_known_whose_all_is_no_more_is_looked_up() -> None:
    def columns() -> Iterator[pd.Series]:
        yield pd.Series(["lisbons"])
        pytest.fail("another table was fetched")

    asked_for: list[tuple[float, float]] = []

    def elsewhere(first: float, last: float) -> dict[str, Iterable[pd.Series]]:
        asked_for.append((first, last))
        return {"late": [], "other_markets": columns()}

    answers = rows_of_answers([answered("a")], "a").to_pandas()
    feedback = rows_of_feedback([told("lisbons", NOON), told("lisbons", NOON + DAY, index=1)], "f").to_pandas()
    counts = join(answers, feedback, market_of, elsewhere, late_days=28).counts
    assert counts == Told(told=2, other_markets=2)
    assert asked_for == [(NOON - 28 * DAY, NOON + DAY + SKEW_SECONDS)]


def test_what_was_told_before_an_answer_is_about_one_of_before() -> None:
    # A client that calls its requests as its listings are called: asked, told, and asked anew after a renovation.
    asked_twice = [answered("a"), answered("a", NOON + 20 * DAY)]
    found = joined(asked_twice, [told("a", NOON + DAY, price=50.0)])
    assert (found.truth.tolist(), found.counts) == ([0, -1], Told(told=1, joined=1))
    found = joined(asked_twice, [told("a", NOON + DAY, price=50.0), told("a", NOON + 21 * DAY, price=500.0)])
    assert (found.truth.tolist(), found.counts) == ([0, 3], Told(told=2, joined=2))
    before = {"late": [pd.Series(["a"])]}
    assert joined([answered("a")], [told("a", NOON - DAY)], before).counts == Told(told=1, late=1)


def test_clocks_of_services_may_differ_by_some_seconds() -> None:
    feedback = [told("a", NOON - SKEW_SECONDS), told("b", NOON - SKEW_SECONDS - 1)]
    found = joined([answered("a"), answered("b")], feedback)
    assert (found.truth.tolist(), found.counts) == ([1, -1], Told(told=2, orphans=1, joined=1))


def test_what_comes_too_late_is_counted_and_not_taken() -> None:
    found = joined([answered("a"), answered("b")], [told("a", NOON + 28 * DAY), told("b", NOON + 28 * DAY + 1)])
    assert found.truth.tolist() == [1, -1]
    assert found.counts == Told(told=2, late=1, joined=1)


def test_orphans_are_told_from_answers_of_other_markets_and_of_before() -> None:
    elsewhere = {"late": [pd.Series(["old"])], "other_markets": [pd.Series(["lisbons"]), pd.Series(["portos", "old"])]}
    found = joined(
        [answered("a")], [told("old"), told("lisbons"), told("portos"), told("nobodys"), told("a")], elsewhere
    )
    assert found.counts == Told(told=5, late=1, other_markets=2, orphans=1, joined=1)


@pytest.mark.parametrize("price", [10.0, 0.0, -5.0, float("nan"), float("inf")])
def test_a_price_that_is_none_is_not_taken(price: float) -> None:
    found = joined([answered("a")], [told("a", price=price)])
    assert (found.truth.tolist(), found.counts) == ([-1], Told(told=1, impossible=1))


def test_a_price_of_a_version_that_is_gone_has_no_category_but_a_category_is_one() -> None:
    gone = [answered("a", version="gone"), answered("b", version="gone")]
    found = joined(gone, [told("a"), told("b", price_category="High")])
    assert (found.truth.tolist(), found.counts) == ([-1, 2], Told(told=2, version_gone=1, joined=1))


def test_with_nothing_answered_or_nothing_told_there_is_nothing() -> None:
    assert joined([], []).counts == Told()
    assert joined([answered("a")], []).truth.tolist() == [-1]
    assert joined([], [told("a")]).counts == Told(told=1, orphans=1)


NAMES = st.sampled_from(["a", "b", "c"])
ANSWERS = st.lists(
    st.builds(
        lambda name, index, days, version: answered(name, NOON + days * DAY, index=index, version=version),
        NAMES,
        st.sampled_from([None, 0, 1]),
        st.integers(0, 40),
        st.sampled_from(["tree-1", "tree-2", "gone"]),
    ),
    max_size=8,
)
TOLD = st.lists(
    st.builds(
        lambda name, index, days, what: told(name, NOON + days * DAY, index=index, **what),
        NAMES,
        st.sampled_from([None, 0, 1]),
        st.integers(0, 80),
        st.one_of(
            st.builds(lambda price: {"price": price}, st.floats(allow_nan=True)),
            st.builds(lambda name: {"price_category": name}, st.sampled_from(["Low", "Lux"])),
        ),
    ),
    max_size=8,
)


@settings(deadline=None, max_examples=50)
@given(ANSWERS, TOLD)
def test_all_that_was_told_is_counted_once(answers: list[Prediction], feedback: list[Feedback]) -> None:
    found = joined(answers, feedback, {"late": [], "other_markets": [pd.Series(["c"])]})
    counts = msgspec.structs.asdict(found.counts)
    assert counts.pop("told") == len(feedback) == sum(counts.values())
    assert (found.truth >= 0).sum() == found.counts.joined
    assert all(value >= 0 for value in counts.values())
    assert dataclasses.astuple(found)[0].shape == (len(answers),)
