"""What the catalogue says of the tables is what pandera checks, and what they were made from."""

import dagster as dg
import msgspec
import pandas as pd
import pytest

from mle_assets.listings.catalogue import of_half, of_listings, table_schema
from mle_assets.listings.columns import RAW_COLUMNS
from mle_assets.listings.schema import schema_of
from model_registry.market import NEW_YORK
from tests.conftest import Pipeline

SCHEMA = schema_of(NEW_YORK)


def test_every_column_has_its_type_its_bounds_and_a_description() -> None:
    columns = {column.name: column for column in table_schema(SCHEMA).columns}
    assert list(columns) == list(SCHEMA.columns)
    assert all(column.description for column in columns.values())
    identity, guests, kind = columns["id"], columns["accommodates"], columns["property_type"]
    assert (identity.type, identity.constraints.unique, identity.constraints.nullable) == ("int64", True, False)
    assert guests.description == "How many guests it takes."
    assert guests.constraints.other == ["1 to 100"]
    assert (kind.type, kind.constraints.nullable, kind.constraints.other) == ("string", True, [])
    assert identity.constraints.other == ["0 or above"]
    assert columns["price"].constraints.other == ["above 10"]
    assert columns["room_type"].constraints.other == ["one of Shared room, Private room, Entire home/apt, Hotel room"]


def test_two_hundred_neighbourhoods_are_not_listed_whole() -> None:
    names = tuple(f"Neighbourhood {number}" for number in range(200))
    many = schema_of(msgspec.structs.replace(NEW_YORK, neighbourhoods=names))
    [told], [few] = (table_schema(schema).columns[1].constraints.other for schema in (many, SCHEMA))
    assert told.startswith("one of Neighbourhood 0, Neighbourhood 1, ")
    assert (len(told), told[-2:]) == (202, " …")
    assert few == "one of Bronx, Queens, Staten Island, Brooklyn, Manhattan"


def sources(metadata: dict[str, dg.TableColumnLineage], column: str) -> list[str]:
    return [
        f"{dep.asset_key.to_user_string()}.{dep.column_name}"
        for dep in metadata["dagster/column_lineage"].deps_by_column[column]
    ]


def test_a_column_is_made_from_those_of_the_snapshot_that_are_there() -> None:
    raw = [name for name in RAW_COLUMNS if name != "bathrooms"]
    told = of_listings(SCHEMA, NEW_YORK, raw)
    assert sources(told, "neighbourhood") == ["raw_listings.neighbourhood_group_cleansed"]
    assert sources(told, "bathrooms") == ["raw_listings.bathrooms_text"]
    assert sources(told, "price_category") == ["raw_listings.price"]
    assert sources(told, "tv") == ["raw_listings.amenities"]
    assert set(told["dagster/column_lineage"].deps_by_column) == set(SCHEMA.columns)
    assert sources(of_half(SCHEMA), "tv") == ["listings.tv"]


@pytest.mark.parametrize("asset", ["raw_listings", "listings", "train_listings", "test_listings"])
def test_the_catalogue_has_the_columns_that_the_table_has(asset: str, trained: Pipeline) -> None:
    record = trained.instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert record
    assert record.asset_materialization
    schema = record.asset_materialization.metadata["dagster/column_schema"].value
    table = pd.read_parquet(trained.assets / f"{asset}.parquet")
    assert {column.name for column in schema.columns} == set(table.columns)
    assert all(column.description for column in schema.columns)
