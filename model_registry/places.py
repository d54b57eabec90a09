"""Where the listings are that a model was trained on: a coarse map, small enough to be kept with the model."""

import math
from typing import Annotated

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from model_registry.listing import FEATURES
from model_registry.market import Market

LONGEST_SIDE = 64
"""How many cells the longer side of the map has."""
HIGHEST_LEVEL = 9
NOBODY = ".."

_OUTSIDE = 0.001
"""The share of listings that may lie beyond each side: a few that are far off would shrink the city to a dot."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Places(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A grid over a market, from north to south and in each row from west to east.

    Raises ValueError where its rows are not those of one grid.
    """

    south: Annotated[float, Meta(description="The latitude of its southern side.")]
    north: Annotated[float, Meta(description="The latitude of its northern side.")]
    west: Annotated[float, Meta(description="The longitude of its western side.")]
    east: Annotated[float, Meta(description="The longitude of its eastern side.")]
    density: Annotated[
        tuple[str, ...],
        Meta(
            description="A digit for each cell: 0 where there is no listing, else from 1 to 9 by the logarithm of how "
            "many there are."
        ),
    ]
    neighbourhoods: Annotated[
        tuple[str, ...],
        Meta(
            description="Two digits to the base 36 for each cell: the place, among its market's, of the neighbourhood "
            'that most of its listings are in; ".." where there are none.'
        ),
    ]

    def __post_init__(self) -> None:
        """See above."""
        widths = {len(row) for row in self.density} | {len(row) / 2 for row in self.neighbourhoods}
        if len(widths) != 1 or widths == {0} or len(self.density) != len(self.neighbourhoods):
            raise ValueError("the map's rows are not those of one grid")
        if not (self.south < self.north and self.west < self.east):
            raise ValueError("the map's sides are not in order")


def places_of(rows: NDArray[np.float32], market: Market) -> Places | None:
    """The map of a market's listings with feature rows (n, 11).

    None where no map can be drawn of them: where they lie on a line, or in more neighbourhoods than two digits name.
    """
    codes, latitudes, longitudes = (
        rows[:, FEATURES.index(name)].astype(np.float64) for name in ("neighbourhood", "latitude", "longitude")
    )
    south, north = _sides(latitudes)
    west, east = _sides(longitudes)
    if not (south < north and west < east) or len(market.neighbourhoods) > len(_DIGITS) ** 2:
        return None
    height, width = _shape(south, north, west, east)
    downwards = np.floor((north - latitudes) / (north - south) * height).astype(int)
    rightwards = np.floor((longitudes - west) / (east - west) * width).astype(int)
    # Whoever lies on the last side is in the last cell.
    inside = (south <= latitudes) & (latitudes <= north) & (west <= longitudes) & (longitudes <= east)
    downwards, rightwards = np.minimum(downwards, height - 1), np.minimum(rightwards, width - 1)
    counts = np.zeros((len(market.neighbourhoods), height, width), dtype=int)
    np.add.at(counts, (codes[inside].astype(int), downwards[inside], rightwards[inside]), 1)
    listings, most = counts.sum(axis=0), counts.argmax(axis=0)
    return Places(
        south=south,
        north=north,
        west=west,
        east=east,
        density=tuple("".join(map(str, row)) for row in _levels(listings).tolist()),
        neighbourhoods=tuple(
            "".join(_digits(code) if known else NOBODY for code, known in zip(*of_row, strict=True))
            for of_row in zip(most.tolist(), listings.tolist(), strict=True)
        ),
    )


def _sides(degrees: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(degrees, (_OUTSIDE, 1 - _OUTSIDE), method="inverted_cdf")
    if low == high:
        return float(low), float(high)
    # Outwards to whole hundred-thousandths, some metres: what is drawn of the sides has no more digits.
    return math.floor(1e5 * low) / 1e5, math.ceil(1e5 * high) / 1e5


def _shape(south: float, north: float, west: float, east: float) -> tuple[int, int]:
    # Cells about as high as wide: a degree of longitude is shorter, the farther from the equator.
    high, wide = north - south, (east - west) * math.cos(math.radians((south + north) / 2))
    longer = max(high, wide)
    return max(1, round(LONGEST_SIDE * high / longer)), max(1, round(LONGEST_SIDE * wide / longer))


def _levels(listings: NDArray[np.int64]) -> NDArray[np.int64]:
    highest = max(2, int(listings.max()))
    above_first = (HIGHEST_LEVEL - 1) * np.log(np.maximum(listings, 1)) / math.log(highest)
    return np.where(listings == 0, 0, 1 + np.round(above_first).astype(int))


def _digits(code: int) -> str:
    return _DIGITS[code // len(_DIGITS)] + _DIGITS[code % len(_DIGITS)]
