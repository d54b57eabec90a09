"""Raw text in, typed listings and their price category out; every dropped row under its reason."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.parsing import (
    amenity_flags,
    is_ambiguous_price,
    parse_bathrooms,
    parse_integer,
    parse_name,
    parse_number,
    parse_price,
    was_a_float,
)
from mle_assets.listings.schema import INTEGERS, LIMITS, NUMBERS
from model_registry.listing import RoomType
from model_registry.market import Market

_CURES = {
    "id damaged": "its ids must be written as text or whole numbers",
    "price ambiguous": "its prices must be written with two decimals",
}
"""What a reason for keeping nothing asks for, where it is more than another snapshot."""


@dataclass(frozen=True)
class Cleaned:
    """Typed listings, and how many raw rows were dropped for each reason (in the order of the checks)."""

    listings: pd.DataFrame
    raw_rows: int
    dropped: dict[str, int]


def clean(raw: pd.DataFrame, source: str, market: Market) -> Cleaned:
    """The listings a market's model can learn from, in the order of the snapshot, with a new index.

    Takes the columns of RAW_COLUMNS as text; an empty text is a missing one. A row is counted under the first
    reason that applies; of rows with the same id, the first that nothing else is wrong with is kept.
    Raises BadSnapshot where no row survives.
    """
    raw = raw.mask(raw == "")
    columns = {name: parse_integer(raw[name]) for name in INTEGERS}
    columns |= {name: parse_number(raw[name]) for name in ("latitude", "longitude")}
    columns["bathrooms"] = parse_bathrooms(raw["bathrooms_text"], raw["bathrooms"])
    price = parse_price(raw["price"], market.currency)
    neighbourhood = parse_name(raw[market.neighbourhood_column])
    reasons = {
        **_price_reasons(raw["price"], price, market),
        **_numeric_reasons(raw, columns),
        **_vocabulary_reasons("room_type", raw["room_type"], list(RoomType)),
        **_vocabulary_reasons("neighbourhood", neighbourhood, list(market.neighbourhoods)),
    }
    keep, dropped = _funnel(len(raw), reasons)
    if not keep.any():
        raise BadSnapshot(source, _nothing_left(len(raw), reasons, market))
    again = columns["id"][keep].duplicated()
    if again.any():
        dropped["id seen before"] = int(again.sum())
        keep[np.flatnonzero(keep)[again]] = False
    kept = {name: values[keep] for name, values in columns.items()}
    listings = pd.DataFrame(
        {
            **{name: kept[name].astype("int64" if name in INTEGERS else "float64") for name in NUMBERS},
            "neighbourhood": neighbourhood[keep],
            "room_type": raw["room_type"][keep],
            "property_type": raw["property_type"][keep],
            **amenity_flags(raw["amenities"][keep]),
            "price": price[keep],
            "price_category": categorise(price[keep].to_numpy(), market),
        }
    ).reset_index(drop=True)
    return Cleaned(listings, len(raw), dropped)


def categorise(price: NDArray[np.float64], market: Market) -> NDArray[np.int64]:
    """The category code of each price: 0 Low, 1 Mid, 2 High, 3 Lux."""
    return np.digitize(price, market.category_limits, right=True).astype(np.int64)


def _price_reasons(text: pd.Series, price: pd.Series, market: Market) -> dict[str, pd.Series]:
    missing, ambiguous = text.isna(), is_ambiguous_price(text, market.currency)
    return {
        "price missing": missing,
        "price ambiguous (three digits after the point)": ambiguous,
        "price unreadable": price.isna() & ~missing & ~ambiguous,
        f"price not above {market.money(market.lowest_price)}": price <= market.lowest_price,
    }


def _numeric_reasons(raw: pd.DataFrame, columns: dict[str, pd.Series]) -> dict[str, pd.Series]:
    # The bathrooms stand in two columns, of which the numeric one counts where the text is missing.
    texts = {name: raw[name] for name in NUMBERS} | {"bathrooms": raw["bathrooms_text"].fillna(raw["bathrooms"])}
    reasons: dict[str, pd.Series] = {}
    for name in ("bedrooms", "beds", "bathrooms", "accommodates", "latitude", "longitude", "id"):
        text, values, (low, high) = texts[name], columns[name], LIMITS[name]
        reasons[f"{name} missing"] = text.isna()
        possible = values.between(low, high).fillna(value=False)
        if name == "bathrooms":
            possible &= values % 0.5 == 0
        judged = text.notna()
        if name == "id":
            reasons["id damaged by floating point"] = damaged = was_a_float(text)
            judged &= ~damaged
        number = values.notna() | parse_number(text).notna()
        reasons[f"{name} unreadable"] = judged & ~number
        reasons[f"{name} not possible"] = judged & number & ~possible
    return reasons


def _vocabulary_reasons(name: str, values: pd.Series, known: list[str]) -> dict[str, pd.Series]:
    missing = values.isna()
    return {f"{name} missing": missing, f"{name} unknown": ~values.isin(known) & ~missing}


def _funnel(rows: int, reasons: dict[str, pd.Series]) -> tuple[NDArray[np.bool_], dict[str, int]]:
    keep, dropped = np.ones(rows, dtype=bool), dict[str, int]()
    for reason, applies in reasons.items():
        newly = keep & applies.to_numpy(dtype=bool)
        keep &= ~newly
        if newly.any():
            dropped[reason] = int(newly.sum())
    return keep, dropped


def _nothing_left(rows: int, reasons: dict[str, pd.Series], market: Market) -> str:
    # Shares are of all rows: what an earlier reason took does not count less for a later one.
    faulty = {column: np.zeros(rows, dtype=bool) for column in (reason.split()[0] for reason in reasons)}
    for reason, applies in reasons.items():
        faulty[reason.split()[0]] |= applies.to_numpy(dtype=bool)
    shares = {column: float(rows_of_it.mean()) for column, rows_of_it in faulty.items()}
    # A column that refuses every row is a cause by itself, and another city has none of these neighbourhoods.
    causes = [column for column in sorted(shares, key=lambda name: name != "neighbourhood") if shares[column] == 1]
    causes = causes or sorted(shares, key=lambda name: -shares[name])[:3]
    told = [
        f"{reason} in {share_of(int(applies.sum()), rows)} of them"
        for column in causes
        for reason, applies in reasons.items()
        if reason.split()[0] == column and applies.any()
    ]
    cures = {"neighbourhood": _neighbourhoods_are_needed(market), **_CURES}
    cure = next((cure for fault, cure in cures.items() if told[0].startswith(fault)), "another snapshot is needed")
    return f"keeps none of its {rows:,} listings: {', '.join(told)}; {cure}."


def _neighbourhoods_are_needed(market: Market) -> str:
    return (
        f"{market.title}'s neighbourhoods are needed in its column {market.neighbourhood_column}; another city has a "
        "market of its own, which python -m mle_assets.listings.market SNAPSHOT drafts"
    )


def share_of(part: int, whole: int) -> str:
    """A share in percent to one decimal; only all is 100%, and only none is 0%."""
    if part in (0, whole):
        return "100%" if part else "0%"
    return f"{min(max(100 * part / whole, 0.1), 99.9):.1f}%"
