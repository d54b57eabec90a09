"""«listings»: raw text in, typed listings and their price category out; every dropped row under its reason."""

import json
from dataclasses import dataclass

import dagster as dg
import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from mle_assets.artefacts import content_version
from mle_assets.code_version import code_version
from mle_assets.failures import failing_on
from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.snapshot import sample_table, source_of
from model_registry.listing import CATEGORIES, Neighbourhood, RoomType, bounds

AMENITY_WORDS = {
    "tv": "TV",
    "elevator": "Elevator",
    "internet": "Internet",
    "air_conditioning": "Air conditioning",
    "kitchen": "Kitchen",
    "heating": "Heating",
    "wifi": "Wifi",
    "breakfast": "Breakfast",
}
"""Each flag, and the word that some amenity contains where it is true (upper and lower case matter)."""

CATEGORY_LIMITS = (90.0, 180.0, 400.0)
"""Dollars a night: up to and including each are Low, Mid and High, above the last is Lux."""
LOWEST_PRICE = 10.0
"""Dollars; a listing at or below it is not bookable, its price is a placeholder."""

LEAST_SHARE_KEPT = 0.25
"""Newer snapshots lose up to half of their rows to missing prices; a loss beyond three quarters is a fault."""

_INTEGERS = ("id", "accommodates", "bedrooms", "beds")
_NUMBERS = (*_INTEGERS, "bathrooms", "latitude", "longitude")
_HALF_BATHS = ("Half-bath", "Shared half-bath", "Private half-bath")
_LIMITS = bounds()


@dataclass(frozen=True)
class Cleaned:
    """Typed listings, and how many raw rows were dropped for each reason (in the order of the checks)."""

    listings: pd.DataFrame
    raw_rows: int
    dropped: dict[str, int]


def clean(raw: pd.DataFrame, source: str) -> Cleaned:
    """The listings a model can learn from, in the order of the snapshot, with a new index.

    Takes the columns of RAW_COLUMNS as text. A row is counted under the first reason that applies.
    Raises BadSnapshot where no row survives.
    """
    columns = {name: pd.to_numeric(raw[name], errors="coerce") for name in _NUMBERS if name != "bathrooms"}
    columns["bathrooms"] = parse_bathrooms(raw["bathrooms_text"], raw["bathrooms"])
    price = parse_price(raw["price"])
    reasons = {
        "price missing": raw["price"].isna(),
        "price unreadable": price.isna(),
        f"price not above ${LOWEST_PRICE:g}": ~(price > LOWEST_PRICE),
        **_numeric_reasons(columns),
        **_vocabulary_reasons("room_type", raw["room_type"], list(RoomType)),
        **_vocabulary_reasons("neighbourhood", raw["neighbourhood_group_cleansed"], list(Neighbourhood)),
        "id seen before": raw["id"].duplicated(),
    }
    keep, dropped = _funnel(len(raw), reasons)
    if not keep.any():
        raise BadSnapshot(source, _nothing_left(len(raw), dropped))
    kept = {name: values[keep] for name, values in columns.items()}
    listings = pd.DataFrame(
        {
            **{name: kept[name].astype("int64" if name in _INTEGERS else "float64") for name in _NUMBERS},
            "neighbourhood": raw["neighbourhood_group_cleansed"][keep],
            "room_type": raw["room_type"][keep],
            "property_type": raw["property_type"][keep],
            **amenity_flags(raw["amenities"][keep]),
            "price": price[keep],
            "price_category": categorise(price[keep].to_numpy()),
        }
    ).reset_index(drop=True)
    return Cleaned(listings, len(raw), dropped)


def parse_price(text: pd.Series) -> pd.Series:
    """Dollars as float64: "$1,234.00" is 1234.0; missing and unreadable ones are NaN."""
    plain = text.str.fullmatch(r"\$?\d{1,3}(,\d{3})*(\.\d+)?|\$?\d+(\.\d+)?").fillna(False)
    digits = text.where(plain).str.replace(r"[$,]", "", regex=True)
    return pd.to_numeric(digits, errors="coerce").astype("float64")


def categorise(price: NDArray[np.float64]) -> NDArray[np.int64]:
    """The category code of each price: 0 Low, 1 Mid, 2 High, 3 Lux."""
    return np.digitize(price, CATEGORY_LIMITS, right=True).astype(np.int64)


def parse_bathrooms(text: pd.Series, number: pd.Series) -> pd.Series:
    """Bathrooms as float64: the leading number of the text, 0.5 for a half-bath, else the numeric column."""
    leading = pd.to_numeric(text.str.extract(r"^\s*(\d+(?:\.\d+)?)", expand=False), errors="coerce").astype("float64")
    halves = leading.mask(text.isin(_HALF_BATHS), 0.5)
    return halves.where(text.notna(), pd.to_numeric(number, errors="coerce").astype("float64"))


def amenity_flags(amenities: pd.Series) -> dict[str, pd.Series]:
    """For each flag of AMENITY_WORDS: whether some amenity in the JSON list contains its word."""
    escaped = amenities.str.contains(r"\\u00[2-7]", regex=True).fillna(False)
    # Only an escaped ASCII letter could hide a word from a search in the JSON text itself.
    text = amenities.mask(escaped, amenities[escaped].map(_unescape)) if escaped.any() else amenities
    return {
        flag: text.str.contains(word, regex=False).fillna(False).astype(bool) for flag, word in AMENITY_WORDS.items()
    }


def _unescape(amenities: str) -> str:
    try:
        return json.dumps(json.loads(amenities), ensure_ascii=False)
    except json.JSONDecodeError:
        return amenities


def _numeric_reasons(columns: dict[str, pd.Series]) -> dict[str, pd.Series]:
    reasons: dict[str, pd.Series] = {}
    for name in ("bedrooms", "beds", "bathrooms", "accommodates", "latitude", "longitude", "id"):
        values, (low, high) = columns[name], _LIMITS[name]
        step = 1.0 if name in _INTEGERS else 0.5 if name == "bathrooms" else None
        reasons[f"{name} missing"] = values.isna()
        outside = ~values.between(low, high)
        reasons[f"{name} not possible"] = outside if step is None else outside | (values % step != 0)
    return reasons


def _vocabulary_reasons(name: str, values: pd.Series, known: list[str]) -> dict[str, pd.Series]:
    return {f"{name} missing": values.isna(), f"{name} unknown": ~values.isin(known)}


def _funnel(rows: int, reasons: dict[str, pd.Series]) -> tuple[NDArray[np.bool_], dict[str, int]]:
    keep, dropped = np.ones(rows, dtype=bool), dict[str, int]()
    for reason, applies in reasons.items():
        newly = keep & applies.to_numpy(dtype=bool)
        keep &= ~newly
        if newly.any():
            dropped[reason] = int(newly.sum())
    return keep, dropped


def _nothing_left(rows: int, dropped: dict[str, int]) -> str:
    reason, count = max(dropped.items(), key=lambda item: item[1])
    hint = "New York's boroughs are needed" if reason.startswith("neighbourhood") else "another snapshot is needed"
    return f"keeps none of its {rows:,} listings: {reason} in {count / rows:.0%} of them; {hint}."


SCHEMA = pa.DataFrameSchema(
    {
        "id": pa.Column("int64", pa.Check.ge(0), unique=True),
        "neighbourhood": pa.Column("str", pa.Check.isin(list(Neighbourhood))),
        "room_type": pa.Column("str", pa.Check.isin(list(RoomType))),
        "property_type": pa.Column("str", nullable=True),
        **{
            name: pa.Column("int64" if name in _INTEGERS else "float64", pa.Check.in_range(*_LIMITS[name]))
            for name in _NUMBERS
            if name != "id"
        },
        **{flag: pa.Column("bool") for flag in AMENITY_WORDS},
        "price": pa.Column("float64", pa.Check.gt(LOWEST_PRICE)),
        "price_category": pa.Column("int64", pa.Check.isin(range(len(CATEGORIES)))),
    },
    strict=True,
)
"""What a cleaned listing is; everything downstream relies on it."""


@dg.asset(group_name="listings", io_manager_key="tables", code_version=code_version(__file__), kinds={"pandas"})
def listings(context: dg.AssetExecutionContext, raw_listings: pd.DataFrame) -> dg.MaterializeResult[pd.DataFrame]:
    """Listings with typed columns and a price category, one row each, in the order of the snapshot."""
    with failing_on(BadSnapshot):
        cleaned = clean(raw_listings, source_of(context.instance))
    counts = cleaned.listings["price_category"].value_counts()
    return dg.MaterializeResult(
        value=cleaned.listings,
        data_version=content_version(cleaned.listings),
        metadata={
            "dagster/row_count": len(cleaned.listings),
            "raw_rows": cleaned.raw_rows,
            "share_kept": len(cleaned.listings) / cleaned.raw_rows,
            "funnel": _funnel_table(cleaned),
            "dropped_rows": cleaned.dropped,
            "categories": {name: int(counts.get(code, 0)) for code, name in enumerate(CATEGORIES)},
            "sample": dg.MetadataValue.md(sample_table(cleaned.listings)),
        },
    )


def _funnel_table(cleaned: Cleaned) -> dg.TableMetadataValue:
    rows = {"in the snapshot": cleaned.raw_rows, **cleaned.dropped, "kept": len(cleaned.listings)}
    return dg.MetadataValue.table(
        [dg.TableRecord({"reason": reason, "listings": count}) for reason, count in rows.items()],
        schema=dg.TableSchema([dg.TableColumn("reason", "string"), dg.TableColumn("listings", "int")]),
    )


@dg.asset_check(asset=listings, blocking=True)
def listings_follow_their_schema(listings: pd.DataFrame) -> dg.AssetCheckResult:
    """Types, vocabularies and bounds are those of SCHEMA, and no id stands twice."""
    try:
        SCHEMA.validate(listings, lazy=True)
    except pa.errors.SchemaErrors as errors:
        cases = errors.failure_cases.head(20).astype(str).to_dict("records")
        return dg.AssetCheckResult(passed=False, metadata={"failures": len(errors.failure_cases), "first": cases})
    return dg.AssetCheckResult(passed=True, metadata={"failures": 0, "rows": len(listings)})


@dg.asset_check(asset=listings, additional_ins={"raw_listings": dg.AssetIn()}, blocking=True)
def enough_listings_are_kept(listings: pd.DataFrame, raw_listings: pd.DataFrame) -> dg.AssetCheckResult:
    """At least LEAST_SHARE_KEPT of the snapshot's rows survive cleaning."""
    share = len(listings) / len(raw_listings)
    return dg.AssetCheckResult(
        passed=share >= LEAST_SHARE_KEPT, metadata={"share_kept": share, "least": LEAST_SHARE_KEPT}
    )
