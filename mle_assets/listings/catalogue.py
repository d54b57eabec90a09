"""What Dagster's catalogue says of the tables: their columns, and which columns they were made from."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd
import pandera.pandas as pa

from mle_assets.listings.columns import LISTING_URL, RAW_DESCRIPTIONS
from mle_assets.listings.parsing import AMENITY_WORDS
from model_registry.market import Market

_LONGEST = 200
"""Longer constraints, as of two hundred neighbourhoods, are cut off."""
_STORED_AS = {"string[pyarrow]": "string"}
"""How values are kept in memory is nothing that a reader of the catalogue looks for."""


def of_raw_listings(table: pd.DataFrame) -> dict[str, Any]:
    """The columns of a snapshot; every value is text."""
    described = {**RAW_DESCRIPTIONS, LISTING_URL: "Its address at Airbnb."}
    columns = [dg.TableColumn(str(name), "text", described.get(str(name))) for name in table.columns]
    return {"dagster/column_schema": dg.TableSchema(columns)}


def of_listings(schema: pa.DataFrameSchema, market: Market, raw: Iterable[str]) -> dict[str, Any]:
    """The columns of cleaned listings, as their schema has them, and those of the snapshot that they were made from."""
    made_from: dict[str, Sequence[str]] = {
        **{name: (name,) for name in schema.columns},
        "neighbourhood": (market.neighbourhood_column,),
        "bathrooms": ("bathrooms_text", "bathrooms"),
        **dict.fromkeys(AMENITY_WORDS, ("amenities",)),
        "price_category": ("price",),
    }
    there = set(raw)
    known = {name: [one for one in names if one in there] for name, names in made_from.items()}
    return {"dagster/column_schema": table_schema(schema), "dagster/column_lineage": _lineage("raw_listings", known)}


def of_half(schema: pa.DataFrameSchema) -> dict[str, Any]:
    """The columns of a half of the listings."""
    same = {name: [name] for name in schema.columns}
    return {"dagster/column_schema": table_schema(schema), "dagster/column_lineage": _lineage("listings", same)}


def table_schema(schema: pa.DataFrameSchema) -> dg.TableSchema:
    """What pandera checks of a table, as Dagster shows it."""
    return dg.TableSchema(
        [
            dg.TableColumn(
                str(name),
                _STORED_AS.get(str(column.dtype), str(column.dtype)),
                column.description,
                dg.TableColumnConstraints(
                    nullable=column.nullable,
                    unique=column.unique,
                    other=[_in_words(check) for check in column.checks or ()],
                ),
            )
            for name, column in schema.columns.items()
        ]
    )


def _lineage(table: str, columns: Mapping[str, Sequence[str]]) -> dg.TableColumnLineage:
    return dg.TableColumnLineage(
        {
            name: [dg.TableColumnDep(asset_key=dg.AssetKey(table), column_name=source) for source in sources]
            for name, sources in columns.items()
        }
    )


def _in_words(check: pa.Check) -> str:
    bounds: dict[str, Any] = check.statistics or {}
    match check.name:
        case "isin":
            told = "one of " + ", ".join(str(value) for value in bounds["allowed_values"])
        case "in_range":
            told = f"{bounds['min_value']:g} to {bounds['max_value']:g}"
        case "greater_than":
            told = f"above {bounds['min_value']:g}"
        case "greater_than_or_equal_to":
            told = f"{bounds['min_value']:g} or above"
        case _:
            told = str(check.error or check.name)
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]} …"
