"""How good the answers are for a part of the listings: each neighbourhood, each room type.

Not fairlearn's MetricFrame, which is a grouping and a division: it would bring a package that ties pandas and
scikit-learn to its own pace, and has no intervals.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mle_assets.evaluation.intervals import Interval, wilson_interval
from mle_assets.listings.features import category_codes
from mle_assets.models.scoring import Probabilities, losses

SLICED_BY = ("neighbourhood", "room_type")
"""The columns whose values make the slices."""
FEWEST = 30
"""Of fewer listings a share says hardly anything: such a slice is not called the weakest."""


@dataclass(frozen=True)
class Slice:
    """The test listings that have one value in a column, and how they are answered.

    `gap` is by how much the share of right answers is above that of all listings, or below where it is negative.
    """

    column: str
    value: str
    listings: int
    right: int
    log_loss: float
    gap: float

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.listings

    @property
    def interval(self) -> Interval:
        """Of that share."""
        return wilson_interval(self.right, self.listings)


def slices_of(test: pd.DataFrame, probabilities: Probabilities) -> list[Slice]:
    """The slices of the test listings with probabilities (n, 4), by column, and in each from the largest.

    Those of one column add up to all listings.
    """
    codes = category_codes(test)
    right, lost = probabilities.argmax(axis=1) == codes, losses(probabilities, codes)
    found: list[Slice] = []
    for column in SLICED_BY:
        values = test[column].astype(str).to_numpy()
        names, counts = np.unique(values, return_counts=True)
        for name in names[np.argsort(-counts, kind="stable")]:
            here = values == name
            hits, listings = int(right[here].sum()), int(here.sum())
            loss, gap = float(lost[here].mean()), hits / listings - float(right.mean())
            found.append(Slice(column, str(name), listings, hits, loss, gap))
    return found


def weakest(slices: list[Slice]) -> list[Slice]:
    """Those that are surely answered worse than all listings are, worst first: their whole interval lies below."""
    below = [one for one in slices if one.listings >= FEWEST and one.interval.high < one.accuracy - one.gap]
    return sorted(below, key=lambda one: one.gap)
