"""From cleaned listings to what a model sees: `encode()` for a whole table at once."""

from typing import Any

import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_registry.listing import FEATURES, ROOM_TYPE_CODES, Listing
from model_registry.market import Market


def feature_matrix(listings: pd.DataFrame, market: Market) -> NDArray[np.float32]:
    """The feature rows of a table of a market's listings: (n, 11) float32, each equal to `encode()` of its listing.

    Rounded to float32 before any fit: a tree fitted on float64 would put rows on the other side of a
    split once it is exported (onnx/sklearn-onnx#1192).
    """
    codes = {"neighbourhood": market.codes, "room_type": ROOM_TYPE_CODES}
    matrix = np.empty((len(listings), len(FEATURES)), dtype=np.float32)
    for position, name in enumerate(FEATURES):
        column = listings[name]
        matrix[:, position] = column.map(codes[name]) if name in codes else column
    return matrix


def category_codes(listings: pd.DataFrame) -> NDArray[np.int64]:
    """The price category of each listing as its code: (n,) int64."""
    return listings["price_category"].to_numpy(dtype=np.int64)


def to_listing(row: "pd.Series[Any]") -> Listing:
    """One row of a table of cleaned listings as the `Listing` a client would send."""
    # to_dict() turns numpy's scalars into Python's own.
    return msgspec.convert(row[list(Listing.__struct_fields__)].to_dict(), Listing)
