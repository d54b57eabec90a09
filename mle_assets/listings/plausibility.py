"""The further checks of «listings»: data that is well-formed and wrong stops here, before anything learns from it.

Each claim is a function that measures one thing, and is blocking. The limits lie far from New York's snapshot of
2021-12-04, Jersey City's of 2025-09 and the synthetic one, whose figures stand beside them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.failures import refusing
from mle_assets.listings.cleaned_listings import listings
from mle_assets.listings.cleaning import share_of
from mle_assets.listings.parsing import is_empty_list, is_json_list, parse_price
from model_registry.market import Market

MOST_OUTSIDE = 0.001
"""Inside Airbnb cuts its listings out by the city's limits: none is outside in New York's snapshot."""

MOST_NEARER_MIDDLES = 0.075
"""A listing of New York has 3.3 % of the other boroughs' middles nearer than that of its own, one of Jersey City 1.5 %
of the other wards': they touch. 9 % to 13 % where only the latitudes or longitudes are shuffled or moved by a row, half
where the neighbourhoods are."""

MOST_COARSE = 0.10
"""0.2 % have a coordinate of no more than two decimals, which is what chance gives."""

MOST_UNREAD_PRICES = 0.02
"""All can be read in New York's snapshot and Jersey City's."""

HIGHEST_PRICE = 25.0
"""Times the upper limit of High, 10,000 dollars in New York: the dearest is 999 there and 4,095 in Jersey City; newer
snapshots hold a few placeholders of 10,000 to 100,000."""
MOST_ABOVE = 0.01
MEDIAN_PRICE = (4 / 9, 1.75)
"""Times the upper limits of Low and of High, 40 and 700 dollars in New York, whose median is 110 and Jersey City's 140:
prices ten times too high or too low are outside."""

MOST_NO_LISTS = 0.01
"""All amenities are lists in every snapshot seen."""
MOST_EMPTY_LISTS = 0.10
"""0.5 % are empty in New York's snapshot, 0.1 % in Jersey City's."""

MOST_OF_ONE_VALUE = {
    "neighbourhood": 0.99,
    "room_type": 0.99,
    "accommodates": 0.99,
    "bathrooms": 0.99,
    "bedrooms": 0.99,
    "beds": 0.99,
    "tv": 0.99,
    "price_category": 0.99,
    "price": 0.25,
    "latitude": 0.10,
    "longitude": 0.10,
}
"""Of New York's listings at most 83 % (bathrooms) have one value in the first eight, 3.3 % one price and 0.1 % one
coordinate. Elevator and internet are not among them: the latter is false throughout that snapshot."""

MOST_ROUNDED_IDS = 0.50
_LONG_ID = 2**56
"""From here a float64 holds at most every sixteenth whole number: 1.4 % of Jersey City's long ids are such."""

_ENOUGH = 100
"""Fewer listings than this are too few to tell chance from damage; the claims that need it then hold."""

Degrees = float | NDArray[np.float64]
"""The same for all listings, or of each."""


@dataclass(frozen=True)
class Finding:
    """Whether a claim holds, the figures and limits, and the sentence to say where it does not."""

    holds: bool
    figures: dict[str, float | int | str]
    sentence: str


def listings_lie_in_their_market(listings: pd.DataFrame, _: pd.DataFrame, market: Market) -> Finding:
    """The listings lie within the market's box, but for very few; without one that is not judged."""
    box = market.box
    if box is None:
        return Finding(holds=True, figures={"box": "none"}, sentence="")
    north_and_south = listings["latitude"].between(box.south, box.north)
    inside = north_and_south & listings["longitude"].between(box.west, box.east)
    return _at_most(
        MOST_OUTSIDE,
        ~inside,
        "share_outside",
        "listings",
        f"lie outside {market.title}'s box (latitude {box.south} to {box.north}, longitude {box.west} to {box.east})",
        "have latitude and longitude been swapped, or lost a sign?",
    )


def positions_are_precise(listings: pd.DataFrame, _: pd.DataFrame, __: Market) -> Finding:
    """Latitudes and longitudes have three decimals (a hundred metres) or more, but for those that chance rounds."""
    hundredths = 100 * listings[["latitude", "longitude"]]
    coarse = ((hundredths - hundredths.round()).abs() < 1e-7).any(axis=1)
    return _at_most(
        MOST_COARSE,
        coarse,
        "share_coarse",
        "listings",
        "have a latitude or longitude of two decimals or fewer",
        "have the coordinates been rounded?",
        needed=_ENOUGH,
    )


def positions_fit_their_neighbourhoods(listings: pd.DataFrame, _: pd.DataFrame, __: Market) -> Finding:
    """Most listings are nearer to the middle (the median position) of their own neighbourhood than to any other's."""
    middles = listings.groupby("neighbourhood")[["latitude", "longitude"]].median()
    # So much shorter than a degree of latitude is one of longitude here.
    narrower = np.cos(np.radians(listings["latitude"].median()))

    def distances(north: Degrees, west: Degrees) -> NDArray[np.float64]:
        return np.hypot(listings["latitude"] - north, narrower * (listings["longitude"] - west)).to_numpy()

    rows, of_own = len(listings), middles.loc[listings["neighbourhood"]]
    own = distances(of_own["latitude"].to_numpy(), of_own["longitude"].to_numpy())
    # One neighbourhood after the other: a city of 200 has distances by the ten million.
    nearer = sum(int((distances(north, west) < own).sum()) for north, west in middles.itertuples(index=False))
    share = nearer / max(1, rows * (len(middles) - 1))
    return Finding(
        holds=rows < _ENOUGH or share <= MOST_NEARER_MIDDLES,
        figures={
            "share_of_nearer_middles": share,
            "most": MOST_NEARER_MIDDLES,
            "judged": rows,
            "least_judged": _ENOUGH,
        },
        sentence=f"On average a listing is nearer to the middles of {100 * share:.1f}% of the other neighbourhoods "
        f"than to that of its own, at most {100 * MOST_NEARER_MIDDLES:g}% may be: have columns been shifted or "
        "shuffled against each other?",
    )


def prices_can_be_read(_: pd.DataFrame, raw: pd.DataFrame, market: Market) -> Finding:
    """Hardly a price of the snapshot is written so that it cannot be read: the dearest would be the ones to go."""
    written = raw["price"].dropna()
    written = written[written != ""]
    unread = written[parse_price(written, market.currency).isna()]
    example = f", as {unread.iloc[0][:40]!r}" if len(unread) else ""
    return _at_most(
        MOST_UNREAD_PRICES,
        pd.Series(written.index.isin(unread.index)),
        "share_unread",
        "prices",
        f"cannot be read as {market.currency} without doubt{example}",
        "are they in another currency, or do points stand for thousands?",
    )


def prices_are_plausible(listings: pd.DataFrame, _: pd.DataFrame, market: Market) -> Finding:
    """Hardly a listing costs more than any real one does."""
    highest = HIGHEST_PRICE * market.category_limits[-1]
    return _at_most(
        MOST_ABOVE,
        listings["price"] > highest,
        "share_above",
        "listings",
        f"cost more than {market.money(highest)} a night",
        "are these placeholders, or prices in cents?",
    )


def the_median_price_is_plausible(listings: pd.DataFrame, _: pd.DataFrame, market: Market) -> Finding:
    """The median price is of the order of the market's category limits."""
    median = float(listings["price"].median())
    least, most = MEDIAN_PRICE[0] * market.category_limits[0], MEDIAN_PRICE[1] * market.category_limits[-1]
    return Finding(
        holds=least <= median <= most,
        figures={"median": median, "least": least, "most": most},
        sentence=f"The median price is {market.money(median)} a night, it must be from {market.money(round(least))} to "
        f"{market.money(round(most))}: are the prices in another unit or currency?",
    )


def amenities_are_lists(_: pd.DataFrame, raw: pd.DataFrame, __: Market) -> Finding:
    """The amenities of the snapshot's rows are JSON lists of texts."""
    return _at_most(
        MOST_NO_LISTS,
        ~is_json_list(raw["amenities"]),
        "share_no_list",
        "rows of the snapshot",
        "have no JSON list of texts as amenities",
        "has the column amenities been lost or written in another notation?",
    )


def most_amenities_are_told(_: pd.DataFrame, raw: pd.DataFrame, __: Market) -> Finding:
    """The lists of amenities of most of the snapshot's rows have something in them."""
    return _at_most(
        MOST_EMPTY_LISTS,
        is_empty_list(raw["amenities"]),
        "share_empty",
        "rows of the snapshot",
        "have an empty list of amenities",
        "have the amenities been lost?",
    )


def no_column_is_constant(listings: pd.DataFrame, _: pd.DataFrame, market: Market) -> Finding:
    """No column that varies in New York has one value in nearly all listings."""
    rows = len(listings)
    judged = [name for name in MOST_OF_ONE_VALUE if name != "neighbourhood" or len(market.neighbourhoods) > 1]
    most_common = {name: int(listings[name].value_counts().iloc[0]) for name in judged}
    worst = max(most_common, key=lambda name: most_common[name] / rows / MOST_OF_ONE_VALUE[name])
    value, limit = listings[worst].mode().iloc[0], MOST_OF_ONE_VALUE[worst]
    return Finding(
        holds=rows < _ENOUGH or most_common[worst] <= limit * rows,
        figures={
            "column": worst,
            "share_of_one_value": most_common[worst] / rows,
            "most": limit,
            "listings": rows,
            "least_listings": _ENOUGH,
        },
        sentence=f"{most_common[worst]:,} of {rows:,} listings ({share_of(most_common[worst], rows)}) have {worst} "
        f"{value}, at most {limit:.0%} may have the same: has the column been filled with one value?",
    )


def ids_keep_all_their_digits(listings: pd.DataFrame, _: pd.DataFrame, __: Market) -> Finding:
    """Long ids are not all such as a float64 or the fifteen digits of a spreadsheet can hold."""
    long = listings["id"][listings["id"] >= _LONG_ID]
    rounded = (long.astype("float64").astype("int64") == long) | (long % 1000 == 0)
    return _at_most(
        MOST_ROUNDED_IDS,
        rounded,
        "share_rounded",
        "ids of 17 digits and more",
        "are round numbers",
        "have they gone through floating-point numbers or a spreadsheet, which change their last digits?",
        needed=_ENOUGH,
    )


def _at_most(
    limit: float, wrong: pd.Series, figure: str, what: str, claim: str, cause: str, needed: int = 0
) -> Finding:
    count, rows = int(wrong.sum()), len(wrong)
    fault = f"{count:,} of {rows:,} {what} ({share_of(count, rows)}) {claim}"
    return Finding(
        holds=rows < needed or count <= limit * rows,
        figures={figure: count / rows if rows else 0.0, "most": limit, "judged": rows, "least_judged": needed},
        sentence=f"{fault}, at most {100 * limit:g}% may: {cause}",
    )


CLAIMS = (
    listings_lie_in_their_market,
    positions_are_precise,
    positions_fit_their_neighbourhoods,
    prices_can_be_read,
    prices_are_plausible,
    the_median_price_is_plausible,
    amenities_are_lists,
    most_amenities_are_told,
    no_column_is_constant,
    ids_keep_all_their_digits,
)


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec(
            claim.__name__,
            asset=listings,
            additional_deps=["raw_listings"],
            description=claim.__doc__,
            blocking=True,
        )
        for claim in CLAIMS
    ],
)
@refusing
def the_listings_are_plausible(
    listings: pd.DataFrame, raw_listings: pd.DataFrame, market: dg.ResourceParam[Market]
) -> Iterator[dg.AssetCheckResult]:
    """What is well-formed is also such as listings of the market are."""
    for claim in CLAIMS:
        found = claim(listings, raw_listings, market)
        yield dg.AssetCheckResult(
            check_name=claim.__name__,
            asset_key="listings",
            passed=found.holds,
            metadata=found.figures,
            description=None if found.holds else found.sentence,
        )
