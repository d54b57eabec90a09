"""Listings labelled by feedback join those to learn from: each once, few enough, and none that is judged by."""

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.listings.cleaning import clean
from mle_assets.listings.labelled import COLUMNS, LabelledListings, join_labelled
from mle_assets.listings.schema import schema_of
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.split import split
from model_registry.market import NEW_YORK
from tests.monitoring.log import LISTING, NOON


def labelled(*rows: dict[str, object]) -> pd.DataFrame:
    """The README's listing at 100 dollars, changed."""
    known = {name: getattr(LISTING, name) for name in LISTING.__struct_fields__}
    return pd.DataFrame([{"time": NOON, **known, "price": 100.0, **row} for row in rows], columns=list(COLUMNS))


def halves(snapshot: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    return split(clean(read_snapshot(str(snapshot)).listings, "x", NEW_YORK).listings)


def test_a_labelled_listing_is_one_to_learn_from_like_all_others(synthetic_snapshot: Path) -> None:
    train, test = halves(synthetic_snapshot)
    joined, funnel = join_labelled(train, test, labelled({"id": 7, "price": 900.0}), NEW_YORK)
    assert (len(joined), funnel["joined"]) == (len(train) + 1, 1)
    row = joined.iloc[-1]
    assert (row["id"], row["price"], row["price_category"], row["neighbourhood"]) == (7, 900.0, 3, "Brooklyn")
    assert pd.isna(row["property_type"])
    schema_of(NEW_YORK).validate(joined)
    pd.testing.assert_frame_equal(joined.iloc[:-1], train)


def test_what_is_in_the_snapshot_told_again_or_impossible_does_not_join(synthetic_snapshot: Path) -> None:
    train, test = halves(synthetic_snapshot)
    rows = labelled(
        {"id": int(train["id"].iloc[0])},
        {"id": int(test["id"].iloc[0])},
        {"id": 7, "time": NOON, "price": 50.0},
        {"id": 7, "time": NOON + 1, "price": 500.0},
        {"id": 8, "neighbourhood": "Alfama"},
        {"id": 9, "price": 10.0},
        {"id": 10, "beds": 101},
    )
    joined, funnel = join_labelled(train, test, rows, NEW_YORK)
    assert joined.iloc[len(train) :][["id", "price"]].to_numpy().tolist() == [[7, 500.0]]
    assert funnel == {
        "labelled by feedback": 7,
        "not possible": 3,
        "in the snapshot": 2,
        "asked about again": 1,
        "more than 20%": 0,
        "joined": 1,
    }


def test_at_most_a_fifth_of_what_is_learned_from_was_told_the_latest(synthetic_snapshot: Path) -> None:
    train, test = halves(synthetic_snapshot)
    train = train.iloc[:40]
    rows = labelled(*({"id": number, "time": NOON + number} for number in range(100)))
    joined, funnel = join_labelled(train, test, rows, NEW_YORK)
    assert (funnel["more than 20%"], funnel["joined"], len(joined)) == (90, 10, 50)
    assert sorted(joined["id"].iloc[40:]) == list(range(90, 100))


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 30), st.floats(0, 1_000), st.sampled_from(["Brooklyn", "Alfama"]))))
def test_every_labelled_listing_is_counted_once(told: list[tuple[int, float, str]]) -> None:
    base = pd.concat([labelled({"id": number}) for number in range(10)], ignore_index=True)
    cleaned = base.drop(columns="time").assign(
        property_type=None,
        price_category=1,
        air_conditioning=True,
        kitchen=True,
        heating=True,
        wifi=True,
        breakfast=True,
    )
    train, test = cleaned.iloc[:7].reset_index(drop=True), cleaned.iloc[7:].reset_index(drop=True)
    rows = labelled(*({"id": id_, "price": price, "neighbourhood": place} for id_, price, place in told))
    joined, funnel = join_labelled(train, test, rows, NEW_YORK)
    parts = dict(funnel)
    assert parts.pop("labelled by feedback") == len(told) == sum(parts.values())
    assert len(joined) == 7 + funnel["joined"]
    assert joined["id"].is_unique
    assert not joined["id"].isin(test["id"]).any()


@pytest.mark.parametrize("kept_at", ["folder", "store"])
def test_where_they_are_not_used_none_are_kept(kept_at: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    folder = str(tmp_path) if kept_at == "folder" else request.getfixturevalue("store").new_url()
    used = LabelledListings(used=True, folder=folder)
    unused = LabelledListings(used=False, folder=folder)
    assert used.of("new-york") is None
    used.keep("new-york", labelled({"id": 7}))
    assert unused.of("new-york") is None
    kept = used.of("new-york")
    assert kept is not None
    assert kept["id"].tolist() == [7]
    unused.keep("new-york", labelled({"id": 7}))
    assert used.of("new-york") is None
