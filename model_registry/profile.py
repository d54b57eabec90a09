"""What the listings looked like that a model was trained on, so that others can be compared with them later."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from model_registry.listing import CATEGORIES, FEATURES, ROOM_TYPE_CODES
from model_registry.market import Market

PRICE_CATEGORY = "price_category"
"""The name of the answers' own distribution, beside those of the features."""

_BINS = 10
Values = NDArray[np.float32] | NDArray[np.int64]


class Distribution(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many listings have a value in each bin.

    Bin i holds the values above edges[i - 1], up to and including edges[i]; the first has no lower edge and the
    last no upper one, so every value is in one of them and there is one bin more than edges.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The distribution of every feature (by its name in FEATURES) and of the price category among some listings."""

    listings: int
    distributions: dict[str, Distribution]


def profile_of(rows: NDArray[np.float32], codes: NDArray[np.int64], market: Market) -> Profile:
    """The profile of a market's listings with feature rows (n, 11) and category codes (n,); n is at least 1.

    A number's bins are the tenths of these very listings, fewer where values repeat; a code has a bin of its own.
    """
    how_many = {
        "neighbourhood": len(market.neighbourhoods),
        "room_type": len(ROOM_TYPE_CODES),
        PRICE_CATEGORY: len(CATEGORIES),
    }
    distributions: dict[str, Distribution] = {}
    for name, values in columns(rows, codes).items():
        edges = _edges_of_codes(how_many[name]) if name in how_many else _edges(values)
        distributions[name] = Distribution(edges, count(values, edges))
    return Profile(len(rows), distributions)


def columns(rows: NDArray[np.float32], codes: NDArray[np.int64]) -> dict[str, Values]:
    """What a profile describes, by name: each feature's values (n,) and the category codes (n,)."""
    return {**{name: rows[:, position] for position, name in enumerate(FEATURES)}, PRICE_CATEGORY: codes}


def count(values: Values, edges: tuple[float, ...]) -> tuple[int, ...]:
    """How many of the values (n,) are in each of the len(edges) + 1 bins."""
    bins = np.digitize(values, np.array(edges), right=True)
    return tuple(np.bincount(bins, minlength=len(edges) + 1).tolist())


def _edges_of_codes(how_many: int) -> tuple[float, ...]:
    return tuple(float(code) for code in range(how_many - 1))


def _edges(values: Values) -> tuple[float, ...]:
    # An observed value, never one between two: a count of 2 is then in the bin that ends with 2.
    tenths = np.quantile(values, np.arange(1, _BINS) / _BINS, method="inverted_cdf")
    inner = np.unique(tenths[tenths < values.max()])
    return tuple(float(edge) for edge in inner)
