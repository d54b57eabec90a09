"""«listings»: raw text in, typed listings and their price category out; every dropped row under its reason."""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
import msgspec
import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from mle_assets.code_version import code_version
from mle_assets.failures import failing_on, refusing
from mle_assets.io_managers import content_version
from mle_assets.listings import catalogue
from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.parsing import (
    AMENITY_WORDS,
    amenity_flags,
    is_ambiguous_price,
    parse_bathrooms,
    parse_integer,
    parse_name,
    parse_number,
    parse_price,
    was_a_float,
)
from mle_assets.listings.snapshot import sample_table, source_of
from mle_assets.pictures.listings import funnel_bars, listings_map, price_histogram
from mle_assets.pictures.look import Picture
from mle_assets.pictures.metadata import Pictures
from model_registry.listing import CATEGORIES, Listing, RoomType, bounds
from model_registry.market import Market

LEAST_SHARE_KEPT = 0.25
"""Newer snapshots lose up to half of their rows to missing prices; a loss beyond three quarters is a fault."""

_INTEGERS = ("id", "accommodates", "bedrooms", "beds")
_NUMBERS = (*_INTEGERS, "bathrooms", "latitude", "longitude")
_LIMITS = bounds()
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
    columns = {name: parse_integer(raw[name]) for name in _INTEGERS}
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
            **{name: kept[name].astype("int64" if name in _INTEGERS else "float64") for name in _NUMBERS},
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
    texts = {name: raw[name] for name in _NUMBERS} | {"bathrooms": raw["bathrooms_text"].fillna(raw["bathrooms"])}
    reasons: dict[str, pd.Series] = {}
    for name in ("bedrooms", "beds", "bathrooms", "accommodates", "latitude", "longitude", "id"):
        text, values, (low, high) = texts[name], columns[name], _LIMITS[name]
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


_DESCRIPTIONS = {
    **{flag: f"Whether its amenities name «{word}»." for flag, word in AMENITY_WORDS.items()},
    **{field.name: field.type.__metadata__[0].description for field in msgspec.structs.fields(Listing)},
    "property_type": "What kind of home it is, in the host's words.",
    "price": "What a night costs, in its market's currency.",
    "price_category": "Its price category: "
    + ", ".join(f"{code} {name}" for code, name in enumerate(CATEGORIES))
    + ".",
}


def schema_of(market: Market) -> pa.DataFrameSchema:
    """What a cleaned listing of a market is; everything downstream relies on it."""
    schema = pa.DataFrameSchema(
        {
            "id": pa.Column("int64", pa.Check.ge(0), unique=True),
            "neighbourhood": pa.Column("str", pa.Check.isin(list(market.neighbourhoods))),
            "room_type": pa.Column("str", pa.Check.isin(list(RoomType))),
            "property_type": pa.Column("str", nullable=True),
            **{
                name: pa.Column("int64" if name in _INTEGERS else "float64", pa.Check.in_range(*_LIMITS[name]))
                for name in _NUMBERS
                if name != "id"
            },
            **{flag: pa.Column("bool") for flag in AMENITY_WORDS},
            "price": pa.Column("float64", pa.Check.gt(market.lowest_price)),
            "price_category": pa.Column("int64", pa.Check.isin(range(len(CATEGORIES)))),
        },
        strict=True,
    )
    return schema.update_columns({name: {"description": _DESCRIPTIONS[name]} for name in schema.columns})


@dg.asset(group_name="listings", io_manager_key="tables", code_version=code_version(__file__), kinds={"pandas"})
def listings(
    context: dg.AssetExecutionContext,
    raw_listings: pd.DataFrame,
    market: dg.ResourceParam[Market],
    pictures: Pictures,
) -> dg.MaterializeResult[pd.DataFrame]:
    """Listings with typed columns and a price category, one row each, in the order of the snapshot."""
    with failing_on(BadSnapshot):
        cleaned = clean(raw_listings, source_of(context.instance, market.name), market)
    counts = cleaned.listings["price_category"].value_counts()
    return dg.MaterializeResult(
        value=cleaned.listings,
        data_version=content_version(cleaned.listings),
        metadata={
            "dagster/row_count": len(cleaned.listings),
            "raw_rows": cleaned.raw_rows,
            "share_kept": round(len(cleaned.listings) / cleaned.raw_rows, 4),
            "funnel": funnel_table(
                {"in the snapshot": cleaned.raw_rows, **cleaned.dropped, "kept": len(cleaned.listings)}
            ),
            **catalogue.of_listings(schema_of(market), market, raw_listings.columns),
            **pictures.of(lambda: listings_pictures(cleaned, market)),
            "dropped_rows": cleaned.dropped,
            "categories": {name: int(counts.get(code, 0)) for code, name in enumerate(CATEGORIES)},
            "sample": dg.MetadataValue.md(sample_table(cleaned.listings)),
        },
    )


def listings_pictures(cleaned: Cleaned, market: Market) -> dict[str, Picture]:
    """Where a market's listings are, what they cost, and what was dropped, by the name they are shown by."""
    table = cleaned.listings
    codes = table["price_category"].to_numpy()
    return {
        "map": listings_map(table["latitude"].to_numpy(), table["longitude"].to_numpy(), codes, market),
        "prices": price_histogram(table["price"].to_numpy(), codes, market),
        "funnel_chart": funnel_bars(cleaned.raw_rows, cleaned.dropped, len(table)),
    }


def funnel_table(counts: Mapping[str, int]) -> dg.TableMetadataValue:
    """What became of listings: how many for which reason."""
    return dg.MetadataValue.table(
        [dg.TableRecord({"reason": reason, "listings": count}) for reason, count in counts.items()],
        schema=dg.TableSchema([dg.TableColumn("reason", "string"), dg.TableColumn("listings", "int")]),
    )


@dg.asset_check(asset=listings, blocking=True)
@refusing
def listings_follow_their_schema(listings: pd.DataFrame, market: dg.ResourceParam[Market]) -> dg.AssetCheckResult:
    """Types, vocabularies and bounds are those of `schema_of` the market, and no id stands twice."""
    try:
        schema_of(market).validate(listings, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.head(20).astype(str).to_dict("records")
        found, first = len(errors.failure_cases), cases[0]
        return dg.AssetCheckResult(
            passed=False,
            metadata={"failures": found, "most": 0, "first": cases},
            description=f"{found:,} values of the listings break their schema, 0 may: the first is "
            f"{first['failure_case']} in {first['column']} ({first['check']}).",
        )
    return dg.AssetCheckResult(passed=True, metadata={"failures": 0, "most": 0, "rows": len(listings)})


@dg.asset_check(asset=listings, additional_ins={"raw_listings": dg.AssetIn()}, blocking=True)
@refusing
def enough_listings_are_kept(
    listings: pd.DataFrame, raw_listings: pd.DataFrame, market: dg.ResourceParam[Market]
) -> dg.AssetCheckResult:
    """At least LEAST_SHARE_KEPT of the snapshot's rows survive cleaning."""
    kept, rows = len(listings), len(raw_listings)
    share = kept / rows
    return dg.AssetCheckResult(
        passed=share >= LEAST_SHARE_KEPT,
        metadata={"share_kept": share, "least": LEAST_SHARE_KEPT},
        description=None if share >= LEAST_SHARE_KEPT else _too_few(kept, rows, raw_listings, market),
    )


def _too_few(kept: int, rows: int, raw: pd.DataFrame, market: Market) -> str:
    reason, count = max(clean(raw, "raw_listings", market).dropped.items(), key=lambda item: item[1])
    return (
        f"{kept:,} of the snapshot's {rows:,} listings ({share_of(kept, rows)}) are kept, at least "
        f"{LEAST_SHARE_KEPT:.0%} must be: the commonest reason for dropping is «{reason}» ({share_of(count, rows)})."
    )
