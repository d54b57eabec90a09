"""Whether two models may be compared on some listings at all: only where these are of the kind both were made for."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

from model_registry.manifest import Manifest
from model_registry.profile import Profile, columns, count

PRACTICAL_LIMIT = 0.25
"""A stability index above it is called a major shift in credit scoring (Siddiqi, Credit Risk Scorecards, 2006)."""

FALSE_ALARMS = 0.01
"""How often listings of the very same kind may be called different, over all features together."""


@dataclass(frozen=True)
class Shift:
    """How far a feature's distribution is from the profile's: its stability index, and the least that is a break."""

    feature: str
    index: float
    limit: float

    @property
    def is_break(self) -> bool:
        """Whether the listings are of another kind, as far as this feature tells."""
        return self.index > self.limit


def learned_from(champion: Manifest, draft: Manifest, ids: NDArray[np.int64]) -> NDArray[np.bool_] | None:
    """Which of a draft's test listings, by their ids (n,), its champion has learned from; None where that is not known.

    One in a hundred of the others is among them (see IdFilter).
    """
    # The ids of made-up listings are nobody's, and of its own test half a model has learned nothing.
    if (
        champion.snapshot.synthetic
        or champion.data_versions.get("test_listings") == draft.data_versions["test_listings"]
    ):
        return np.zeros(len(ids), dtype=np.bool_)
    return None if champion.learned_from is None else champion.learned_from.may_hold(ids)


def shifts(profile: Profile, rows: NDArray[np.float32], codes: NDArray[np.int64]) -> list[Shift]:
    """How far listings with feature rows (n, 11) and category codes (n,) are from a profile, the farthest first.

    The population stability index is the sum over the bins of (q - p) ln(q / p), with half a listing added to every
    bin. Between samples of n and m of the same kind it is distributed about as (1/n + 1/m) chi-squared with one degree
    of freedom less than there are bins (Yurdakul and Naranjo, Statistical properties of the population stability
    index, 2020). So the limit is that distribution's quantile, or PRACTICAL_LIMIT where that is higher: a large sample
    makes a difference certain, not important. FALSE_ALARMS is shared out among the features (Bonferroni).
    """
    values, listings = columns(rows, codes), len(codes)
    found: list[Shift] = []
    for name, distribution in profile.distributions.items():
        noise = index_by_chance(
            profile.listings, listings, len(distribution.counts), FALSE_ALARMS / len(profile.distributions)
        )
        index = stability_index(distribution.counts, count(values[name], distribution.edges))
        found.append(Shift(name, index, max(PRACTICAL_LIMIT, noise)))
    return sorted(found, key=lambda shift: shift.index, reverse=True)


def index_by_chance(before: int, now: int, bins: int, how_often: float) -> float:
    """What the stability index of that many bins exceeds so often (0 to 1) between two samples of the same kind.

    See `shifts` for the source. With a single bin it is always 0.
    """
    return (1 / before + 1 / now) * float(chdtri(bins - 1, how_often)) if bins > 1 else 0.0


def stability_index(before: Sequence[float], now: Sequence[float]) -> float:
    """The population stability index between two counts of the same bins; 0 where the shares are equal."""
    p, q = ((np.array(counts) + 0.5) / (sum(counts) + 0.5 * len(counts)) for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())
