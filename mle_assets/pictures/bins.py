"""The numbers of maps and histograms: which listings are drawn, and how they are counted into bins and cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Degrees = NDArray[np.float64]

_NARROWEST = 0.01
"""Degrees that a map shows at least, about a kilometre: where all listings are at one place, that has no extent."""
_OUTLYING = 0.001
"""Which share of the listings at each side a map may leave out: a single one far away would shrink all others."""


@dataclass(frozen=True)
class Extent:
    """What a map shows, in degrees, and how much longer a degree of latitude is there than one of longitude."""

    west: float
    east: float
    south: float
    north: float

    @property
    def aspect(self) -> float:
        """The length of a degree of latitude in degrees of longitude, in the middle of the map."""
        return float(1 / np.cos(np.radians((self.south + self.north) / 2)))

    @property
    def shape(self) -> float:
        """The map's height in parts of its width, on the ground."""
        return self.aspect * (self.north - self.south) / (self.east - self.west)


@dataclass(frozen=True)
class Cells:
    """A grid over a map: `shares` (rows from the south, columns from the west) has no number where listings are few."""

    longitudes: Degrees
    latitudes: Degrees
    shares: NDArray[np.float64]
    kilometres: float
    least: int


def extent(latitudes: Degrees, longitudes: Degrees) -> Extent:
    """Where nearly all of some listings (n,) lie, with a little room around."""
    south, north = _span(latitudes)
    west, east = _span(longitudes)
    return Extent(west, east, south, north)


def _span(values: Degrees) -> tuple[float, float]:
    low, high = (float(value) for value in np.quantile(values, (_OUTLYING, 1 - _OUTLYING)))
    room = max(0.02 * (high - low), (_NARROWEST - (high - low)) / 2)
    return low - room, high + room


def sample(listings: int, most: int, seed: int = 0) -> NDArray[np.int64]:
    """The positions of at most `most` listings out of so many, always the same, in order."""
    if listings <= most:
        return np.arange(listings)
    return np.sort(np.random.default_rng(seed).choice(listings, most, replace=False))


def price_bins(prices: NDArray[np.float64], bins: int = 40) -> NDArray[np.float64]:
    """The (bins + 1,) edges of bins that are equally wide on a log scale and hold all prices, which are above zero."""
    low, high = float(prices.min()), float(prices.max())
    # One price alone stands in the middle of a tenfold.
    low, high = (low, high) if high > low else (low / 10**0.5, high * 10**0.5)
    edges = np.geomspace(low, high, bins + 1)
    # Rounding must not put the dearest listing outside.
    edges[0], edges[-1] = low, high
    return edges


def share_by_cell(
    latitudes: Degrees,
    longitudes: Degrees,
    hits: NDArray[np.bool_],
    *,
    shown: Extent,
    across: int = 26,
    least: int = 20,
) -> Cells:
    """The share of hits among the listings of each cell of a map, where at least `least` are.

    The cells are square on the ground, and the map is `across` of them wide.
    """
    width = (shown.east - shown.west) / across
    height = width / shown.aspect
    up = max(1, round((shown.north - shown.south) / height))
    edges = np.linspace(shown.south, shown.north, up + 1), np.linspace(shown.west, shown.east, across + 1)
    listings, *_ = np.histogram2d(latitudes, longitudes, bins=edges)
    of_hits, *_ = np.histogram2d(latitudes[hits], longitudes[hits], bins=edges)
    shares = np.full(listings.shape, np.nan)
    np.divide(of_hits, listings, out=shares, where=listings >= least)
    return Cells(edges[1], edges[0], shares, kilometres=height * 111.2, least=least)
