"""«listings»: what cleaning keeps of a snapshot, and the checks it must pass."""

from collections.abc import Mapping

import dagster as dg
import pandas as pd
import pandera.pandas as pa

from mle_assets.code_version import code_version
from mle_assets.failures import failing_on, refusing
from mle_assets.io_managers import content_version
from mle_assets.listings import catalogue
from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.cleaning import Cleaned, clean, share_of
from mle_assets.listings.schema import schema_of
from mle_assets.listings.snapshot import sample_table, source_of
from mle_assets.pictures.listings import funnel_bars, listings_map, price_histogram
from mle_assets.pictures.look import Picture
from mle_assets.pictures.metadata import Pictures
from model_registry.listing import CATEGORIES
from model_registry.market import Market

LEAST_SHARE_KEPT = 0.25
"""Newer snapshots lose up to half of their rows to missing prices; a loss beyond three quarters is a fault."""


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
