"""Raw text in, typed listings out, on literal rows."""

import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.cleaning import SCHEMA, amenity_flags, categorise, clean, parse_bathrooms, parse_price
from mle_assets.listings.columns import RAW_COLUMNS
from mle_assets.listings.snapshot import read_snapshot

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


def text(*values: str | None) -> pd.Series:
    return pd.Series(values, dtype="str")


@pytest.mark.parametrize(
    ("price", "dollars"),
    [
        ("$75.00", 75.0),
        ("$1,234.00", 1234.0),
        ("$12,345.00", 12345.0),
        ("$1,234,567.00", 1234567.0),
        ("$0.00", 0.0),
        ("75", 75.0),
        ("75.5", 75.5),
        ("$1234.00", 1234.0),
    ],
)
def test_a_price_is_read_with_its_thousands(price: str, dollars: float) -> None:
    assert parse_price(text(price)).tolist() == [dollars]


@pytest.mark.parametrize("price", [None, "", "free", "$", "$1,23.00", "€75.00", "$75.00 a night", "-5", "nan", "1e3"])
def test_a_price_that_cannot_be_read_is_missing(price: str | None) -> None:
    assert parse_price(text(price)).isna().all()


@given(st.integers(0, 10**9), st.integers(0, 99))
def test_every_price_airbnb_writes_is_read_back(dollars: int, cents: int) -> None:
    assert parse_price(text(f"${dollars:,}.{cents:02}"))[0] == pytest.approx(dollars + cents / 100)


@pytest.mark.parametrize(
    ("dollars", "code"),
    [(10.01, 0), (90, 0), (90.01, 1), (180, 1), (180.01, 2), (400, 2), (400.01, 3), (99999, 3)],
)
def test_a_category_includes_its_upper_limit(dollars: float, code: int) -> None:
    assert categorise(pd.Series([dollars]).to_numpy()).tolist() == [code]


@pytest.mark.parametrize(
    ("words", "number", "bathrooms"),
    [
        ("1 bath", None, 1.0),
        ("1.5 shared baths", None, 1.5),
        ("0 baths", None, 0.0),
        ("Half-bath", None, 0.5),
        ("Shared half-bath", None, 0.5),
        ("Private half-bath", None, 0.5),
        ("2 baths", "7.0", 2.0),
        (None, "2.5", 2.5),
    ],
)
def test_bathrooms_are_the_leading_number_else_the_numeric_column(
    words: str | None, number: str | None, bathrooms: float
) -> None:
    assert parse_bathrooms(text(words), text(number)).tolist() == [bathrooms]


@pytest.mark.parametrize(("words", "number"), [(None, None), ("a tub", None), ("a tub", "1.0")])
def test_bathrooms_that_cannot_be_read_are_missing(words: str | None, number: str | None) -> None:
    assert parse_bathrooms(text(words), text(number)).isna().all()


def test_a_flag_is_true_where_some_amenity_contains_its_word() -> None:
    flags = amenity_flags(text('["55\\" HDTV with Netflix", "Elevator in building"]', '["tv", "Wifi"]', "[]", None))
    assert flags["tv"].tolist() == [True, False, False, False]
    assert flags["elevator"].tolist() == [True, False, False, False]
    assert flags["wifi"].tolist() == [False, True, False, False]


def test_a_word_written_with_unicode_escapes_is_found() -> None:
    flags = amenity_flags(text('["\\u0054V"]', '["Caf\\u00e9"]', '["\\u0054V'))
    assert flags["tv"].tolist() == [True, False, False]


@given(st.lists(st.sampled_from(["TV", "HDTV", "Tv", "Elevator", "Internet \u2013 fast", "Wifi", 'a "b" c', "Küche"])))
def test_flags_equal_a_search_in_the_parsed_amenities(amenities: list[str]) -> None:
    flags = amenity_flags(text(json.dumps(amenities)))
    for flag, word in {"tv": "TV", "elevator": "Elevator", "internet": "Internet", "wifi": "Wifi"}.items():
        assert flags[flag].tolist() == [any(word in amenity for amenity in amenities)]


def test_a_clean_row_is_typed() -> None:
    row = clean(raw({}), "listings.csv").listings.iloc[0].to_dict()
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
        ({"price": "ask me"}, "price unreadable"),
        ({"price": "$0.00"}, "price not above $10"),
        ({"price": "$10.00"}, "price not above $10"),
        ({"bedrooms": None}, "bedrooms missing"),
        ({"bedrooms": "1.5"}, "bedrooms not possible"),
        ({"beds": None}, "beds missing"),
        ({"beds": "-1"}, "beds not possible"),
        ({"bathrooms_text": None}, "bathrooms missing"),
        ({"bathrooms_text": "1.3 baths"}, "bathrooms not possible"),
        ({"accommodates": "0"}, "accommodates not possible"),
        ({"latitude": None}, "latitude missing"),
        ({"longitude": "-200"}, "longitude not possible"),
        ({"room_type": None}, "room_type missing"),
        ({"room_type": "Tree house"}, "room_type unknown"),
        ({"neighbourhood_group_cleansed": None}, "neighbourhood missing"),
        ({"neighbourhood_group_cleansed": "Hoboken"}, "neighbourhood unknown"),
        ({"id": "0"}, "id seen before"),
    ],
)
def test_a_dropped_row_is_counted_under_its_reason(change: dict[str, object], reason: str) -> None:
    cleaned = clean(raw({}, change), "listings.csv")
    assert (len(cleaned.listings), cleaned.dropped) == (1, {reason: 1})


def test_a_row_is_counted_once_under_the_first_reason() -> None:
    cleaned = clean(raw({}, {"price": None, "beds": None}), "listings.csv")
    assert cleaned.dropped == {"price missing": 1}


def test_what_is_dropped_and_what_is_kept_add_up(synthetic_raw: pd.DataFrame) -> None:
    cleaned = clean(synthetic_raw, "synthetic")
    assert len(cleaned.listings) + sum(cleaned.dropped.values()) == cleaned.raw_rows == len(synthetic_raw)


def test_cleaned_listings_follow_the_schema(synthetic_raw: pd.DataFrame) -> None:
    SCHEMA.validate(clean(synthetic_raw, "synthetic").listings)


def test_cleaning_leaves_the_raw_table_as_it_was(synthetic_raw: pd.DataFrame) -> None:
    before = synthetic_raw.copy(deep=True)
    clean(synthetic_raw, "synthetic")
    pd.testing.assert_frame_equal(synthetic_raw, before)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"price": None}, "The snapshot paris.csv keeps none of its 2 listings: price missing in 100% of them"),
        (
            {"neighbourhood_group_cleansed": None},
            "neighbourhood missing in 100% of them; New York's boroughs are needed",
        ),
    ],
)
def test_a_snapshot_of_which_nothing_survives_is_refused_in_words(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(BadSnapshot) as refusal:
        clean(raw(change, change), "paris.csv")
    assert sentence in str(refusal.value)


@pytest.fixture(scope="module")
def synthetic_raw(synthetic_snapshot: object) -> pd.DataFrame:
    return read_snapshot(str(synthetic_snapshot)).listings
