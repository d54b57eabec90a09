"""Raw text in, typed listings out, on literal rows."""

from pathlib import Path

import pandas as pd
import pytest

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.cleaning import categorise, clean, share_of
from mle_assets.listings.columns import RAW_COLUMNS
from mle_assets.listings.schema import schema_of
from mle_assets.listings.snapshot import read_snapshot
from model_registry.market import NEW_YORK

ROW = {
    "id": "3831",
    "last_scraped": "2021-12-05",
    "neighbourhood_group_cleansed": "Brooklyn",
    "property_type": "Entire guest suite",
    "room_type": "Entire home/apt",
    "latitude": "40.68494",
    "longitude": "-73.95765",
    "accommodates": "3",
    "bathrooms": None,
    "bathrooms_text": "1 bath",
    "bedrooms": "1.0",
    "beds": "3.0",
    "amenities": '["TV", "Air conditioning", "Kitchen", "Heating", "Wifi"]',
    "price": "$75.00",
}


def raw(*rows: dict[str, object]) -> pd.DataFrame:
    """Raw rows that differ from ROW as given; each has an id of its own."""
    return pd.DataFrame([{**ROW, "id": str(n), **row} for n, row in enumerate(rows)], columns=list(RAW_COLUMNS)).astype(
        "str"
    )


@pytest.mark.parametrize(
    ("dollars", "code"),
    [(10.01, 0), (90, 0), (90.01, 1), (180, 1), (180.01, 2), (400, 2), (400.01, 3), (99999, 3)],
)
def test_a_category_includes_its_upper_limit(dollars: float, code: int) -> None:
    assert categorise(pd.Series([dollars]).to_numpy(), NEW_YORK).tolist() == [code]


def test_a_clean_row_is_typed() -> None:
    row = clean(raw({}), "listings.csv", NEW_YORK).listings.iloc[0].to_dict()
    assert row == {
        "id": 0,
        "accommodates": 3,
        "bedrooms": 1,
        "beds": 3,
        "bathrooms": 1.0,
        "latitude": 40.68494,
        "longitude": -73.95765,
        "neighbourhood": "Brooklyn",
        "room_type": "Entire home/apt",
        "property_type": "Entire guest suite",
        "tv": True,
        "elevator": False,
        "internet": False,
        "air_conditioning": True,
        "kitchen": True,
        "heating": True,
        "wifi": True,
        "breakfast": False,
        "price": 75.0,
        "price_category": 0,
    }


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"price": None}, "price missing"),
        ({"price": ""}, "price missing"),
        ({"price": "ask me"}, "price unreadable"),
        ({"price": "$1.234,00"}, "price unreadable"),
        ({"price": "$75.000"}, "price ambiguous (three digits after the point)"),
        ({"price": "$0.00"}, "price not above $10"),
        ({"price": "$10.00"}, "price not above $10"),
        ({"bedrooms": None}, "bedrooms missing"),
        ({"bedrooms": "two"}, "bedrooms unreadable"),
        ({"bedrooms": "1.5"}, "bedrooms not possible"),
        ({"beds": None}, "beds missing"),
        ({"beds": "-1"}, "beds not possible"),
        ({"bathrooms_text": None}, "bathrooms missing"),
        ({"bathrooms_text": "a tub"}, "bathrooms unreadable"),
        ({"bathrooms_text": "1,5 baths"}, "bathrooms unreadable"),
        ({"bathrooms_text": None, "bathrooms": "two"}, "bathrooms unreadable"),
        ({"bathrooms_text": "1.3 baths"}, "bathrooms not possible"),
        ({"accommodates": "0"}, "accommodates not possible"),
        ({"latitude": None}, "latitude missing"),
        ({"latitude": "40,68494"}, "latitude unreadable"),
        ({"latitude": "inf"}, "latitude unreadable"),
        ({"longitude": "-200"}, "longitude not possible"),
        ({"room_type": None}, "room_type missing"),
        ({"room_type": "Tree house"}, "room_type unknown"),
        ({"neighbourhood_group_cleansed": None}, "neighbourhood missing"),
        ({"neighbourhood_group_cleansed": "Hoboken"}, "neighbourhood unknown"),
        ({"id": None}, "id missing"),
        ({"id": "none"}, "id unreadable"),
        ({"id": "1,234"}, "id unreadable"),
        ({"id": " 1234"}, "id unreadable"),
        ({"id": "+1234"}, "id unreadable"),
        ({"id": "-5"}, "id not possible"),
        ({"id": "3831.5"}, "id not possible"),
        ({"id": "9223372036854775808"}, "id not possible"),
        ({"id": "1.2E+17"}, "id damaged by floating point"),
        ({"id": "1,2E+17"}, "id damaged by floating point"),
        ({"id": "1.2e+17"}, "id damaged by floating point"),
        ({"id": "120000000000000000.0"}, "id damaged by floating point"),
        ({"id": "9007199254740992.0"}, "id damaged by floating point"),
        ({"id": "0"}, "id seen before"),
        ({"id": "0.0"}, "id seen before"),
        ({"id": "00"}, "id seen before"),
    ],
)
def test_a_dropped_row_is_counted_under_its_reason(change: dict[str, object], reason: str) -> None:
    cleaned = clean(raw({}, change), "listings.csv", NEW_YORK)
    assert (len(cleaned.listings), cleaned.dropped) == (1, {reason: 1})


def test_a_row_is_counted_once_under_the_first_reason() -> None:
    cleaned = clean(raw({}, {"price": None, "beds": None}), "listings.csv", NEW_YORK)
    assert cleaned.dropped == {"price missing": 1}


def test_one_unreadable_id_leaves_the_others_as_they_are() -> None:
    long = [str(10**17 + 3 * n) for n in range(100)]
    cleaned = clean(
        raw(*({"id": digits} for digits in long), {"id": "unknown"}, {"id": None}), "listings.csv", NEW_YORK
    )
    assert cleaned.listings["id"].tolist() == [int(digits) for digits in long]
    assert cleaned.dropped == {"id missing": 1, "id unreadable": 1}


@pytest.mark.parametrize("column", ["accommodates", "bedrooms", "beds"])
def test_one_unreadable_number_leaves_the_others_as_they_are(column: str) -> None:
    cleaned = clean(raw({column: "7"}, {column: "7.0"}, {column: "some"}, {column: None}), "listings.csv", NEW_YORK)
    assert cleaned.listings[column].tolist() == [7, 7]
    assert cleaned.dropped == {f"{column} missing": 1, f"{column} unreadable": 1}


def test_of_two_rows_with_the_same_id_the_first_is_kept() -> None:
    cleaned = clean(raw({"id": "3831"}, {"id": "3831.0", "beds": "9"}), "listings.csv", NEW_YORK)
    assert cleaned.listings["beds"].tolist() == [3]
    assert cleaned.dropped == {"id seen before": 1}


def test_a_row_that_was_dropped_does_not_count_as_the_first_with_its_id() -> None:
    cleaned = clean(raw({"id": "3831", "price": None}, {"id": "3831", "beds": "9"}), "listings.csv", NEW_YORK)
    assert cleaned.listings["beds"].tolist() == [9]
    assert cleaned.dropped == {"price missing": 1}


def test_what_is_dropped_and_what_is_kept_add_up(synthetic_raw: pd.DataFrame) -> None:
    cleaned = clean(synthetic_raw, "synthetic", NEW_YORK)
    assert len(cleaned.listings) + sum(cleaned.dropped.values()) == cleaned.raw_rows == len(synthetic_raw)


def test_cleaned_listings_follow_the_schema(synthetic_raw: pd.DataFrame) -> None:
    schema_of(NEW_YORK).validate(clean(synthetic_raw, "synthetic", NEW_YORK).listings)


def test_cleaning_leaves_the_raw_table_as_it_was(synthetic_raw: pd.DataFrame) -> None:
    before = synthetic_raw.copy(deep=True)
    clean(synthetic_raw, "synthetic", NEW_YORK)
    pd.testing.assert_frame_equal(synthetic_raw, before)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"price": None}, "price missing in 100% of them; another snapshot is needed."),
        (
            {"price": "$75.000"},
            "price ambiguous (three digits after the point) in 100% of them; its prices must be written with two",
        ),
        ({"bedrooms": None}, "bedrooms missing in 100% of them; another snapshot is needed."),
        ({"bathrooms_text": None}, "bathrooms missing in 100% of them; another snapshot is needed."),
        (
            {"id": "1.2E+17"},
            "id damaged by floating point in 100% of them; its ids must be written as text or whole numbers.",
        ),
        ({"latitude": "40,7"}, "latitude unreadable in 100% of them; another snapshot is needed."),
        (
            {"neighbourhood_group_cleansed": None},
            "neighbourhood missing in 100% of them; New York's neighbourhoods are needed in its column",
        ),
        (
            {"neighbourhood_group_cleansed": "Ward A"},
            "neighbourhood unknown in 100% of them; New York's neighbourhoods are needed in its column",
        ),
        (
            {"neighbourhood_group_cleansed": None, "price": None},
            "neighbourhood missing in 100% of them, price missing in 100% of them; New York's neighbourhoods",
        ),
        (
            {"neighbourhood_group_cleansed": None, "beds": None},
            "neighbourhood missing in 100% of them, beds missing in 100% of them; New York's neighbourhoods are needed",
        ),
    ],
)
def test_a_snapshot_of_which_nothing_survives_is_refused_in_words(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadSnapshot) as refusal:
        clean(raw(change, change), "paris.csv", NEW_YORK)
    assert str(refusal.value).startswith(f"The snapshot paris.csv keeps none of its 2 listings: {sentence}")


def test_a_city_without_boroughs_is_told_so_first(jersey_city: Path) -> None:
    with pytest.raises(BadSnapshot) as refusal:
        clean(read_snapshot(str(jersey_city)).listings, "jersey-city.csv.gz", NEW_YORK)
    assert str(refusal.value) == (
        "The snapshot jersey-city.csv.gz keeps none of its 1,829 listings: neighbourhood missing in 100% of them; "
        "New York's neighbourhoods are needed in its column neighbourhood_group_cleansed; another city has a market of "
        "its own, which python -m mle_assets.listings.market SNAPSHOT drafts."
    )


def test_new_yorks_snapshot_keeps_what_it_always_kept(real_snapshot: Path) -> None:
    cleaned = clean(read_snapshot(str(real_snapshot)).listings, "new-york.csv.gz", NEW_YORK)
    assert cleaned.dropped == {"price not above $10": 16}
    assert cleaned.listings["price_category"].value_counts().sort_index().tolist() == [12_815, 10_868, 6_658, 1_484]


NO_BOROUGH: dict[str, object] = {"neighbourhood_group_cleansed": None}


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        # What was dropped before the boroughs are looked at does not lessen their share.
        (
            [NO_BOROUGH | {"price": None}, NO_BOROUGH],
            "neighbourhood missing in 100% of them; New York's neighbourhoods",
        ),
        (
            [NO_BOROUGH, {"neighbourhood_group_cleansed": "Ward A"}],
            "neighbourhood missing in 50.0% of them, neighbourhood unknown in 50.0% of them; New York's neighbourhoods",
        ),
        (
            [{"price": None, "beds": None}, {"price": None}, {"beds": None}, {"price": None, "id": "x"}],
            "price missing in 75.0% of them, beds missing in 50.0% of them, id unreadable in 25.0% of them; another",
        ),
    ],
)
def test_the_shares_in_a_refusal_are_shares_of_all_rows(rows: list[dict[str, object]], sentence: str) -> None:
    with pytest.raises(BadSnapshot, match="keeps none of its") as refusal:
        clean(raw(*rows), "paris.csv", NEW_YORK)
    assert f"listings: {sentence}" in str(refusal.value)


@pytest.mark.parametrize(
    ("part", "whole", "words"),
    [(0, 9, "0%"), (1, 100_000, "0.1%"), (1, 3, "33.3%"), (99_999, 100_000, "99.9%"), (9, 9, "100%")],
)
def test_only_all_is_a_hundred_percent_and_only_none_is_nought(part: int, whole: int, words: str) -> None:
    assert share_of(part, whole) == words


@pytest.fixture(scope="module")
def synthetic_raw(synthetic_snapshot: object) -> pd.DataFrame:
    return read_snapshot(str(synthetic_snapshot)).listings
