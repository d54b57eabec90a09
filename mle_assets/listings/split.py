"""«train_listings» and «test_listings»: the predecessor's split, so that its figures can be compared."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
import pandas as pd
from sklearn.model_selection import train_test_split

from mle_assets.code_version import code_version
from mle_assets.failures import failing_on, refusing
from mle_assets.io_managers import content_version
from mle_assets.listings.catalogue import of_half
from mle_assets.listings.cleaned_listings import funnel_table
from mle_assets.listings.labelled import LabelledListings, join_labelled
from mle_assets.listings.schema import schema_of
from model_registry.listing import CATEGORIES
from model_registry.market import Market

TEST_SHARE = 0.15
SEED = 1


class TooFewListings(Exception):
    """A table has too few listings to be split."""


def split(listings: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The listings to learn from and the 15 % kept back for the report and the gate, each with a new index.

    Raises TooFewListings where a half would be empty.
    """
    if len(listings) < 2:
        raise TooFewListings(f"{len(listings)} listings cannot be split into train and test: use a larger snapshot.")
    train, test = train_test_split(listings, test_size=TEST_SHARE, random_state=SEED)
    return train.reset_index(drop=True), test.reset_index(drop=True)


@dg.multi_asset(
    outs={
        name: dg.AssetOut(
            io_manager_key="tables", code_version=code_version(__file__), kinds={"pandas"}, description=text
        )
        for name, text in {
            "train_listings": "The 85 % of the listings that models are fitted, tuned and ranked on.",
            "test_listings": "The 15 % that only the reports and the gate see.",
        }.items()
    },
    group_name="listings",
)
def train_and_test_listings(
    listings: pd.DataFrame, market: dg.ResourceParam[Market], labelled_listings: LabelledListings
) -> Iterator[dg.MaterializeResult[pd.DataFrame]]:
    """The two halves of the listings; where feedback is trained on, its listings join those to learn from."""
    with failing_on(TooFewListings):
        train, test = split(listings)
    told = dict[str, Any]()
    labelled = labelled_listings.of(market.name)
    if labelled is not None:
        train, funnel = join_labelled(train, test, labelled, market)
        told = {"from_feedback": funnel["joined"], "feedback": funnel_table(funnel)}
    columns = of_half(schema_of(market))
    for name, half, more in (("train_listings", train, told), ("test_listings", test, {})):
        yield dg.MaterializeResult(
            asset_key=name,
            value=half,
            data_version=content_version(half),
            metadata={"dagster/row_count": len(half), **columns, **more},
        )


def _absence(name: str, count: int, absent: Sequence[str]) -> str:
    return (
        f"0 of the {count:,} {name.replace('_', ' ')} are {' or '.join(absent)}, and at least 1 of each price category "
        "is needed: use a larger snapshot, or choose other category_limits in the market's file."
    )


@dg.multi_asset_check(
    specs=[
        dg.AssetCheckSpec("every_category_is_present", asset="train_listings", blocking=True),
        dg.AssetCheckSpec("every_category_is_present", asset="test_listings", blocking=True),
        dg.AssetCheckSpec("halves_are_disjoint", asset="test_listings", blocking=True),
    ]
)
@refusing
def the_halves_can_be_used(train_listings: pd.DataFrame, test_listings: pd.DataFrame) -> Iterator[dg.AssetCheckResult]:
    """No listing is in both halves, and each half has all four categories."""
    for name, half in {"train_listings": train_listings, "test_listings": test_listings}.items():
        counts = half["price_category"].value_counts()
        present = {category: int(counts.get(code, 0)) for code, category in enumerate(CATEGORIES)}
        absent = [category for category, count in present.items() if count == 0]
        yield dg.AssetCheckResult(
            asset_key=name,
            check_name="every_category_is_present",
            passed=not absent,
            description=_absence(name, len(half), absent) if absent else None,
            metadata={"fewest": min(present.values()), "least": 1, "listings": present},
        )
    shared = int(test_listings["id"].isin(train_listings["id"]).sum())
    yield dg.AssetCheckResult(
        asset_key="test_listings",
        check_name="halves_are_disjoint",
        passed=shared == 0,
        description=f"{shared:,} of the {len(test_listings):,} test listings are among the train listings, where 0 may "
        "be: an id stands twice in the listings."
        if shared
        else None,
        metadata={"ids_in_both": shared, "most": 0},
    )
