"""Listings whose price was told as feedback: a second source, to learn from where it is trusted, never to judge by."""

from collections.abc import Sequence

import dagster as dg
import numpy as np
import pandas as pd
from pydantic import Field

from mle_assets.listings.cleaning import categorise
from mle_assets.listings.parsing import AMENITY_WORDS
from mle_assets.places import place_at
from model_registry.listing import FEATURES, RoomType, bounds
from model_registry.market import Market

MOST_SHARE = 0.2
"""Of what is learned from, at most so much comes from feedback: strangers may tell prices."""
COLUMNS = ("time", "id", *FEATURES, "price")
"""What is kept of a labelled listing, with when it was asked about."""
_NAME = "labelled_listings.parquet"


class LabelledListings(dg.ConfigurableResource[None]):
    """Whether listings labelled by feedback are trained on, and where they are kept."""

    used: bool = Field(description="Whether they are trained on (TRAIN_ON_FEEDBACK).")
    folder: str = Field(description="Path or URL of the assets, where they are kept beside each market's.")

    def keep(self, market: str, labelled: pd.DataFrame) -> None:
        """Put these in place of a market's: the columns COLUMNS; where none are used, none are kept."""
        place = place_at(self.folder).at(market)
        if self.used:
            place.write(_NAME, labelled[list(COLUMNS)].to_parquet(index=False))
        else:
            place.remove(_NAME)

    def of(self, market: str) -> pd.DataFrame | None:
        """A market's, as they were kept last; None where they are not used, or there are none."""
        place = place_at(self.folder).at(market)
        with place.in_words():
            return pd.read_parquet(place.source(_NAME)) if self.used and place.exists(_NAME) else None


def join_labelled(
    train: pd.DataFrame, test: pd.DataFrame, labelled: pd.DataFrame, market: Market
) -> tuple[pd.DataFrame, dict[str, int]]:
    """The listings to learn from with those that were labelled after them, and what became of each of the latter.

    A listing that is in the snapshot stays as it is there, in whichever half; of one that was asked about again, the
    latest counts; of more than MOST_SHARE, the latest. What the log does not know is empty (property_type), or not so
    (amenities that no model looks at).
    """
    in_order = labelled.sort_values("time", ascending=False, kind="stable").reset_index(drop=True)
    possible = _possible(in_order, market)
    known = in_order["id"].isin(np.concatenate([train["id"], test["id"]])).to_numpy()
    left = possible & ~known
    again = np.zeros(len(in_order), dtype=bool)
    again[left] = in_order.loc[left, "id"].duplicated().to_numpy()
    wanted = np.flatnonzero(left & ~again)
    taken = wanted[: int(len(train) * MOST_SHARE / (1 - MOST_SHARE))]
    funnel = {
        "labelled by feedback": len(in_order),
        "not possible": int((~possible).sum()),
        "in the snapshot": int((possible & known).sum()),
        "asked about again": int(again.sum()),
        f"more than {MOST_SHARE:.0%}": len(wanted) - len(taken),
        "joined": len(taken),
    }
    if not len(taken):
        return train, funnel
    return pd.concat([train, _as_cleaned(in_order.loc[taken], train, market)], ignore_index=True), funnel


def _possible(labelled: pd.DataFrame, market: Market) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    possible = labelled["neighbourhood"].isin(market.neighbourhoods) & labelled["room_type"].isin(list(RoomType))
    possible &= (labelled["price"] > market.lowest_price) & (labelled["price"] < np.inf)
    for name, (low, high) in bounds().items():
        possible &= labelled[name].between(low, high)
    return possible.to_numpy(dtype=bool)


def _as_cleaned(labelled: pd.DataFrame, cleaned: pd.DataFrame, market: Market) -> pd.DataFrame:
    unknown: Sequence[str] = [flag for flag in AMENITY_WORDS if flag not in FEATURES]
    rows = labelled.assign(
        property_type=None,
        price_category=categorise(labelled["price"].to_numpy(dtype=np.float64), market),
        **dict.fromkeys(unknown, False),
    )
    return rows[list(cleaned.columns)].astype(cleaned.dtypes.to_dict())
