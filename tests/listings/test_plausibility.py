"""Data that is well-formed and wrong fails a check, which says its claim, its figure and its limit."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from mle_assets.failures import Refused
from mle_assets.listings.cleaned_listings import enough_listings_are_kept, listings_follow_their_schema
from mle_assets.listings.cleaning import clean
from mle_assets.listings.plausibility import CLAIMS, MOST_OF_ONE_VALUE
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.split import the_halves_can_be_used
from mle_assets.listings.synthetic import write_snapshot
from model_registry.market import NEW_YORK


@pytest.fixture(scope="module")
def raw(synthetic_snapshot: Path) -> pd.DataFrame:
    """2,000 raw listings in which nothing is wrong."""
    return read_snapshot(str(synthetic_snapshot)).listings


def failures(raw: pd.DataFrame) -> dict[str, str]:
    """The checks that the cleaned table fails, each with its sentence."""
    listings = clean(raw, "listings.csv", NEW_YORK).listings
    findings = {claim.__name__: claim(listings, raw, NEW_YORK) for claim in CLAIMS}
    assert all(isinstance(value, float | int | str) for found in findings.values() for value in found.figures.values())
    return {name: found.sentence for name, found in findings.items() if not found.holds}


def changed(raw: pd.DataFrame, column: str, change: Callable[[pd.Series], object], one_in: int = 1) -> pd.DataFrame:
    """The raw table with one column changed, in every row or in one of so many."""
    values = raw[column].astype(object)
    chosen = np.arange(len(raw)) % one_in == 0
    values[chosen] = change(values[chosen])
    return raw.assign(**{column: values.astype("str")})


def shuffled(values: pd.Series) -> object:
    return np.random.default_rng(1).permutation(values.to_numpy())


def times(factor: float) -> Callable[[pd.Series], object]:
    def change(prices: pd.Series) -> object:
        return [
            price if pd.isna(price) else f"${factor * float(price.strip('$').replace(',', '')):,.2f}"
            for price in prices
        ]

    return change


DAMAGES: dict[str, tuple[Callable[[pd.DataFrame], pd.DataFrame], str, str]] = {
    "a tenth of the prices has points for thousands": (
        lambda raw: changed(raw, "price", lambda values: ["1.234 kr"] * len(values), one_in=10),
        "prices_can_be_read",
        "200 of 1,999 prices (10.0%) cannot be read as USD without doubt, as '1.234 kr', at most 2% may: are they in "
        "another currency, or do points stand for thousands?",
    ),
    "the longitude lost its sign": (
        lambda raw: changed(raw, "longitude", lambda values: values.str.strip("-")),
        "listings_lie_in_their_market",
        "(100%) lie outside New York's box (latitude 40.45 to 40.95, longitude -74.3 to -73.65), at most 0.1% may",
    ),
    "the latitude gained a sign": (
        lambda raw: changed(raw, "latitude", lambda values: "-" + values),
        "listings_lie_in_their_market",
        "(100%) lie outside New York's box",
    ),
    "one latitude in a hundred gained a sign": (
        lambda raw: changed(raw, "latitude", lambda values: "-" + values, one_in=100),
        "listings_lie_in_their_market",
        "(0.9%) lie outside New York's box",
    ),
    "all coordinates are 0": (
        lambda raw: raw.assign(latitude="0", longitude="0"),
        "listings_lie_in_their_market",
        "(100%) lie outside New York's box",
    ),
    "latitude and longitude are swapped": (
        lambda raw: raw.assign(latitude=raw["longitude"], longitude=raw["latitude"]),
        "listings_lie_in_their_market",
        "have latitude and longitude been swapped, or lost a sign?",
    ),
    "coordinates are whole degrees": (
        lambda raw: changed(raw, "latitude", lambda values: values.astype(float).round().astype(int).astype(str)),
        "listings_lie_in_their_market",
        "(100%) lie outside New York's box",
    ),
    "coordinates have two decimals": (
        lambda raw: changed(raw, "longitude", lambda values: values.str[:6]),
        "positions_are_precise",
        "(100%) have a latitude or longitude of two decimals or fewer, at most 10% may",
    ),
    "a third of the listings is at one place": (
        lambda raw: changed(changed(raw, "latitude", lambda _: "40.71277", 3), "longitude", lambda _: "-74.00597", 3),
        "no_column_is_constant",
        "at most 10% may have the same",
    ),
    "a third of the latitudes is one": (
        lambda raw: changed(raw, "latitude", lambda _: "40.71277", one_in=3),
        "no_column_is_constant",
        "have latitude 40.71277, at most 10% may have the same",
    ),
    "the boroughs are shuffled": (
        lambda raw: changed(raw, "neighbourhood_group_cleansed", shuffled),
        "positions_fit_their_neighbourhoods",
        "of the other neighbourhoods than to that of its own, at most 7.5% may be",
    ),
    "the boroughs are moved by a row": (
        lambda raw: changed(raw, "neighbourhood_group_cleansed", lambda values: np.roll(values.to_numpy(), 1)),
        "positions_fit_their_neighbourhoods",
        "have columns been shifted or shuffled against each other?",
    ),
    "the latitudes are shuffled": (
        lambda raw: changed(raw, "latitude", shuffled),
        "positions_fit_their_neighbourhoods",
        "have columns been shifted or shuffled against each other?",
    ),
    "a third of the prices is a placeholder": (
        lambda raw: changed(raw, "price", lambda _: "$999,999,999.00", one_in=3),
        "prices_are_plausible",
        "cost more than $10,000 a night, at most 1% may",
    ),
    "prices are in cents": (lambda raw: changed(raw, "price", times(100)), "prices_are_plausible", "prices in cents?"),
    "prices are ten times too high": (
        lambda raw: changed(raw, "price", times(10)),
        "the_median_price_is_plausible",
        "a night, it must be from $40 to $700",
    ),
    "prices are ten times too low": (
        lambda raw: changed(raw, "price", times(0.1)),
        "the_median_price_is_plausible",
        "a night, it must be from $40 to $700",
    ),
    "amenities are absent": (
        lambda raw: changed(raw, "amenities", lambda _: None),
        "amenities_are_lists",
        "2,000 of 2,000 rows of the snapshot (100%) have no JSON list of texts as amenities, at most 1% may",
    ),
    "amenities are empty texts": (
        lambda raw: raw.assign(amenities=""),
        "amenities_are_lists",
        "(100%) have no JSON list",
    ),
    "amenities are numbers": (
        lambda raw: changed(raw, "amenities", lambda values: values.str.len().astype(str)),
        "amenities_are_lists",
        "(100%) have no JSON list",
    ),
    "amenities are lists of numbers": (lambda raw: raw.assign(amenities="[1, 2]"), "amenities_are_lists", "(100%)"),
    "amenities are booleans": (lambda raw: raw.assign(amenities="True"), "amenities_are_lists", "(100%)"),
    "amenities are one bare word": (lambda raw: raw.assign(amenities="TV"), "amenities_are_lists", "(100%)"),
    "amenities are one quoted word": (lambda raw: raw.assign(amenities='"TV"'), "amenities_are_lists", "(100%)"),
    "amenities are a dict": (lambda raw: raw.assign(amenities='{"TV": true}'), "amenities_are_lists", "(100%)"),
    "amenities are in the notation of years ago": (
        lambda raw: raw.assign(amenities='{TV,"Air conditioning"}'),
        "amenities_are_lists",
        "(100%)",
    ),
    "a third of the amenities is cut short": (
        lambda raw: changed(raw, "amenities", lambda values: values.str[:20], one_in=3),
        "amenities_are_lists",
        "has the column amenities been lost or written in another notation?",
    ),
    "amenities are empty lists": (
        lambda raw: raw.assign(amenities="[]"),
        "most_amenities_are_told",
        "2,000 of 2,000 rows of the snapshot (100%) have an empty list of amenities, at most 10% may",
    ),
    "a third of the amenities is empty": (
        lambda raw: changed(raw, "amenities", lambda _: "[]", one_in=3),
        "most_amenities_are_told",
        "(33.4%) have an empty list of amenities",
    ),
    "amenities are in another language": (
        lambda raw: raw.assign(amenities=json.dumps(["Fernseher", "Heizung"])),
        "no_column_is_constant",
        "(100%) have tv False, at most 99% may have the same",
    ),
    "all prices are one": (
        lambda raw: raw.assign(price="$150.00"),
        "no_column_is_constant",
        "have price 150.0, at most",
    ),
    "all listings are in one borough": (
        lambda raw: raw.assign(neighbourhood_group_cleansed="Brooklyn"),
        "no_column_is_constant",
        "(100%) have neighbourhood Brooklyn, at most 99% may",
    ),
    "long ids have gone through floats": (
        lambda raw: changed(
            raw, "id", lambda ids: [str(int(float(6 * 10**17 + 10**12 * int(digits) + 12_345))) for digits in ids]
        ),
        "ids_keep_all_their_digits",
        "(100%) are round numbers, at most 50% may: have they gone through floating-point numbers",
    ),
    "long ids have gone through a spreadsheet": (
        lambda raw: changed(raw, "id", lambda ids: [f"{6 * 10**14 + 10**9 * int(digits) + 12}000" for digits in ids]),
        "ids_keep_all_their_digits",
        "or a spreadsheet, which change their last digits?",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damage_fails_the_check_that_names_it(damage: str, raw: pd.DataFrame) -> None:
    change, check, words = DAMAGES[damage]
    assert words in failures(change(raw))[check]


@pytest.mark.parametrize("column", sorted(set(MOST_OF_ONE_VALUE) - {"tv", "neighbourhood", "price", "price_category"}))
def test_a_column_of_one_value_fails_and_is_named(column: str, raw: pd.DataFrame) -> None:
    source = {"bathrooms": "bathrooms_text"}.get(column, column)
    sentence = failures(raw.assign(**{source: raw[source].dropna().iloc[0]}))["no_column_is_constant"]
    assert f"(100%) have {column} " in sentence


@pytest.mark.parametrize("listings", [30, 100, 500, 2_000])
@pytest.mark.parametrize("seed", range(3))
def test_a_synthetic_snapshot_of_any_size_passes_every_check(listings: int, seed: int, tmp_path: Path) -> None:
    write_snapshot(tmp_path / "listings.csv", listings, seed)
    assert failures(read_snapshot(str(tmp_path / "listings.csv")).listings) == {}


def test_the_synthetic_snapshot_in_its_default_size_passes_every_check(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "listings.csv", 20_000)
    assert failures(read_snapshot(str(tmp_path / "listings.csv")).listings) == {}


def test_new_yorks_snapshot_passes_every_check(real_snapshot: Path) -> None:
    assert failures(read_snapshot(str(real_snapshot)).listings) == {}


def test_jersey_citys_snapshot_passes_every_check_but_for_its_boroughs(jersey_city_with_boroughs: Path) -> None:
    assert failures(read_snapshot(str(jersey_city_with_boroughs)).listings) == {}


def test_long_ids_of_all_digits_and_rare_placeholders_pass(raw: pd.DataFrame) -> None:
    ids = changed(
        raw, "id", lambda ids: [str(6 * 10**17 + 10**12 * int(digits) + 12_345 * int(digits)) for digits in ids]
    )
    assert failures(changed(ids, "price", lambda _: "$50,000.00", one_in=200)) == {}


def test_a_few_listings_outside_the_box_pass_in_a_large_snapshot(raw: pd.DataFrame) -> None:
    assert failures(changed(raw, "latitude", lambda _: "42.5", one_in=len(raw))) == {}


def results(check: dg.AssetChecksDefinition, *given: object) -> list[dg.AssetCheckResult]:
    """What a check says of what it is given, before it ends the run where it failed."""
    said: list[dg.AssetCheckResult] = []
    with suppress(Refused):
        said.extend(check(*given))
    return said


def test_one_id_in_all_rows_says_what_was_dropped(raw: pd.DataFrame) -> None:
    one = raw.assign(id="3831")
    [result] = results(enough_listings_are_kept, clean(one, "listings.csv", NEW_YORK).listings, one, NEW_YORK)
    assert not result.passed
    assert result.description
    assert result.description.startswith("1 of the snapshot's 2,000 listings (0.1%) are kept, at least 25% must be: ")
    assert "the commonest reason for dropping is «id seen before»" in result.description


def test_a_table_that_breaks_its_schema_says_where(raw: pd.DataFrame) -> None:
    listings = clean(raw, "listings.csv", NEW_YORK).listings
    listings.loc[7, "beds"] = 101
    [result] = results(listings_follow_their_schema, listings, NEW_YORK)
    assert not result.passed
    assert result.description == (
        "1 values of the listings break their schema, 0 may: the first is 101 in beds (in_range(0.0, 100.0))."
    )


def test_halves_that_cannot_be_used_say_so(raw: pd.DataFrame) -> None:
    listings = clean(raw, "listings.csv", NEW_YORK).listings
    cheap = listings[listings["price_category"] == 0]
    assert [result.description for result in results(the_halves_can_be_used, listings, cheap)] == [
        None,
        f"0 of the {len(cheap):,} test listings are Mid or High or Lux, and at least 1 of each price category is "
        "needed: use a larger snapshot, or choose other category_limits in the market's file.",
        f"{len(cheap):,} of the {len(cheap):,} test listings are among the train listings, where 0 may be: an id "
        "stands twice in the listings.",
    ]


def test_every_check_that_passes_shows_its_figure_and_its_limit(raw: pd.DataFrame) -> None:
    listings = clean(raw, "listings.csv", NEW_YORK).listings
    said = [
        *results(listings_follow_their_schema, listings, NEW_YORK),
        *results(enough_listings_are_kept, listings, raw, NEW_YORK),
        *results(the_halves_can_be_used, listings[:1_000], listings[1_000:]),
    ]
    assert len(said) == 5
    shown = [set(result.metadata) for result in said] + [
        set(claim(listings, raw, NEW_YORK).figures) for claim in CLAIMS
    ]
    assert all({"most", "least"} & names and len(names) >= 2 for names in shown)
