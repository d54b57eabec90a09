"""A new city's market file is drafted from its snapshot, and can be used as it is."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.listings.cleaning import clean
from mle_assets.listings.market import CannotDraft, as_chosen, draft, main, propose_limits
from mle_assets.listings.plausibility import CLAIMS
from mle_assets.listings.snapshot import read_snapshot
from model_registry.market import NEW_YORK, market_in
from tests.model_registry.test_market import MANY


@pytest.fixture(scope="module")
def raw(synthetic_snapshot: Path) -> pd.DataFrame:
    """2,000 raw listings of New York."""
    return read_snapshot(str(synthetic_snapshot)).listings


def test_the_draft_for_new_yorks_snapshot_proposes_what_new_york_has(real_snapshot: Path) -> None:
    drafted = market_in(draft(read_snapshot(str(real_snapshot)).listings, "new-york", "USD").encode(), "new-york")
    assert drafted.category_limits == NEW_YORK.category_limits
    assert drafted.lowest_price == NEW_YORK.lowest_price
    assert drafted.neighbourhood_column == NEW_YORK.neighbourhood_column
    assert set(drafted.neighbourhoods) == set(NEW_YORK.neighbourhoods)
    assert drafted.title == "New York"


def test_jersey_citys_listings_are_kept_by_the_market_that_is_drafted_from_them(jersey_city: Path) -> None:
    raw = read_snapshot(str(jersey_city)).listings
    content = draft(raw, "jersey-city", "USD")
    assert '"Ward D (councilmember Michael Yun)",  # 383\n' in content
    assert (
        "# neighbourhood_group_cleansed is empty; neighbourhood_cleansed names 6 in 100% of the listings.\n" in content
    )
    market = market_in(content.encode(), "jersey-city")
    assert market.neighbourhood_column == "neighbourhood_cleansed"
    assert len(market.neighbourhoods) == 6
    cleaned = clean(raw, "jersey-city.csv.gz", market)
    assert len(cleaned.listings) > 1_500
    assert {reason.split()[1] for reason in cleaned.dropped} == {"missing"}


def test_a_city_whose_dearest_prices_cannot_be_read_is_not_drafted(raw: pd.DataFrame) -> None:
    krona = raw["price"].str.replace("$", "", regex=False).str.replace(",", ".", regex=False)
    dear = krona.index % 10 == 0
    with pytest.raises(CannotDraft, match="20[0-9] of its 1,999 prices cannot be read as SEK .*, as '1.234 kr'"):
        draft(raw.assign(price=krona.mask(dear, "1.234 kr")), "stockholm", "SEK")


def test_a_city_on_both_sides_of_the_date_line_is_not_drafted(raw: pd.DataFrame) -> None:
    east = raw.index % 2 == 0
    longitude = pd.Series(["179.9"] * len(raw), dtype="str").mask(east, "-179.9")
    with pytest.raises(CannotDraft, match="both sides of the date line: a market is one region"):
        draft(raw.assign(longitude=longitude), "suva", "FJD")


def test_a_few_positions_far_away_do_not_widen_the_box(raw: pd.DataFrame) -> None:
    far = raw.index < 5
    lost = raw.assign(latitude=raw["latitude"].mask(far, "0"), longitude=raw["longitude"].mask(far, "0"))
    content = draft(lost, "new-york", "USD")
    assert "# 5 of them lie more than 5 degrees away from the others, and outside.\n" in content
    box = market_in(content.encode(), "new-york").box
    assert box
    assert box.south > 40
    assert box.east < -73


def test_a_neighbourhoods_name_is_one_however_its_accents_are_written(raw: pd.DataFrame) -> None:
    composed, apart = "Ópera", "O\u0301pera"
    names = pd.Series([composed, apart, f" {composed} ", "Alfama"] * 500, dtype="str")
    city = raw.assign(neighbourhood_group_cleansed=names)
    market = market_in(draft(city, "lisbon", "EUR").encode(), "lisbon")
    assert market.neighbourhoods == (composed, "Alfama")
    assert market_in(draft(city, "lisbon", "EUR").replace(composed, apart).encode(), "lisbon") == market
    assert set(clean(city, "lisbon.csv", market).listings["neighbourhood"]) == {composed, "Alfama"}


def test_a_handful_of_listings_is_said_to_be_too_few_whatever_the_limits(raw: pd.DataFrame) -> None:
    content = draft(raw.head(40), "new-york", "USD")
    assert "# 40 prices are too few to learn from, whatever the limits: hundreds are needed.\n" in content


def test_forty_neighbourhoods_of_any_names_are_drafted_and_kept(raw: pd.DataFrame) -> None:
    names = np.array(MANY, dtype=object)[np.arange(len(raw)) % len(MANY)]
    city = raw.assign(neighbourhood_group_cleansed=None, neighbourhood_cleansed=names).astype("str")
    city["neighbourhood_group_cleansed"] = pd.Series([None] * len(raw), dtype="str")
    market = market_in(draft(city, "lisbon", "EUR").encode(), "lisbon")
    assert set(market.neighbourhoods) == set(MANY)
    cleaned = clean(city, "lisbon.csv", market)
    assert len(cleaned.listings) == len(clean(raw, "new-york.csv", NEW_YORK).listings)
    assert set(cleaned.listings["neighbourhood"]) == set(MANY)


def test_a_city_of_one_neighbourhood_is_plausible(raw: pd.DataFrame) -> None:
    city = raw.assign(neighbourhood_group_cleansed="Vaduz")
    market = market_in(draft(city, "vaduz", "CHF").encode(), "vaduz")
    assert market.neighbourhoods == ("Vaduz",)
    listings = clean(city, "vaduz.csv", market).listings
    assert [claim.__name__ for claim in CLAIMS if not claim(listings, city, market).holds] == []


def test_the_column_that_names_a_neighbourhood_for_nearly_all_is_taken(raw: pd.DataFrame) -> None:
    some = raw["neighbourhood_group_cleansed"].where(np.arange(len(raw)) % 10 > 0)
    city = raw.assign(neighbourhood_group_cleansed=some, neighbourhood_cleansed=raw["neighbourhood_group_cleansed"])
    assert market_in(draft(city, "lisbon", "USD").encode(), "lisbon").neighbourhood_column == "neighbourhood_cleansed"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"neighbourhood_group_cleansed": None, "neighbourhood_cleansed": None},
            "are missing or empty: no neighbourhoods are named",
        ),
        ({"price": None}, "all its prices are empty: another snapshot is needed"),
        ({"price": "$0.00"}, "all its prices are 0: another snapshot is needed"),
        (
            {"price": "£75"},
            "2,000 of its 2,000 prices cannot be read as USD without doubt, as '£75': name their currency, or write "
            "them as 1234.50",
        ),
        ({"latitude": "40,73"}, "none of its listings has a latitude that can be read, as '40,73': degrees are needed"),
        ({"longitude": None}, "none of its listings has a longitude that can be read: degrees are needed"),
    ],
)
def test_a_snapshot_without_what_is_needed_is_refused_in_words(
    change: dict[str, object], words: str, raw: pd.DataFrame
) -> None:
    changed = raw.assign(**{name: pd.Series([value] * len(raw), dtype="str") for name, value in change.items()})
    with pytest.raises(CannotDraft, match=re.escape(words)):
        draft(changed, "lisbon", "USD")


def test_a_scarce_category_is_told_beside_the_limits(raw: pd.DataFrame) -> None:
    assert "# Too few listings are Mid and High and Lux to learn from: choose other limits.\n" in draft(
        raw.assign(price="$75.00"), "lisbon", "USD"
    )


@settings(deadline=None)
@given(st.lists(st.floats(0.01, 1e7), min_size=1, max_size=50))
def test_proposed_limits_rise_whatever_the_prices_are(prices: list[float]) -> None:
    limits = propose_limits(pd.Series(prices))
    assert 0 < limits[0] < limits[1] < limits[2]


@pytest.mark.parametrize(
    ("amount", "chosen"),
    [(92.5, 90), (176, 180), (413, 400), (97, 100), (0.012, 0.012), (1_234, 1_200), (9_700, 10_000)],
)
def test_a_limit_is_such_as_people_choose(amount: float, chosen: float) -> None:
    assert as_chosen(amount) == chosen


@pytest.mark.parametrize(
    ("name", "currency", "words"),
    [
        ("Lisbon", "EUR", "its name 'Lisbon' must be small letters and digits"),
        ("lisbon", "euro", "its currency 'euro' must be three capital letters"),
    ],
)
def test_the_command_ends_in_one_sentence_where_it_cannot_draft(
    name: str, currency: str, words: str, synthetic_snapshot: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=words) as ended:
        main([str(synthetic_snapshot), "--name", name, "--currency", currency])
    assert str(ended.value).count("\n") == 0
    assert capsys.readouterr().out == ""


def test_the_command_prints_a_draft(synthetic_snapshot: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(synthetic_snapshot), "--name", "new-boston", "--currency", "USD"])
    assert market_in(capsys.readouterr().out.encode(), "new-boston").title == "New Boston"
