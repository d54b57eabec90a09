"""How sure figures are: what they would have been on other listings of the same kind."""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mle_assets.models.scoring import Probabilities, losses
from model_registry.listing import CATEGORIES

CONFIDENCE = 0.95
DRAWS = 1_000
MANY = 20_000
_AT_ONCE = 50
_SEED = 0

Weights = NDArray[np.float64]


class Interval(NamedTuple):
    """Where a figure lies with a confidence of 95 %."""

    low: float
    high: float


def wilson_interval(hits: int, count: int) -> Interval:
    """The interval of a share of hits among some listings, of which there is at least one.

    Wilson, Probable inference, the law of succession, and statistical inference (1927): it keeps within 0 and 1, and is
    no point where all or none are hits.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    share, shrunk = hits / count, 1 + z**2 / count
    middle = (share + z**2 / (2 * count)) / shrunk
    reach = z / shrunk * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # With no hits, or nothing else, an end of it is the share itself, and rounding may put it beside that.
    return Interval(max(0.0, min(share, middle - reach)), min(1.0, max(share, middle + reach)))


def bootstrap_intervals(
    probabilities: Probabilities, codes: NDArray[np.int64], draws: int = DRAWS
) -> dict[str, Interval]:
    """The interval of each headline figure of probabilities (n, 4) for the true codes (n,), by its name in `Metrics`.

    The percentile bootstrap of Efron, Bootstrap methods: another look at the jackknife (1979): the figures of as many
    listings drawn again from these, with replacement. A draw in which a category has no listing says nothing about
    figures that are means over the categories.
    """
    drawn = [figures_of_draws(probabilities, codes, weights) for weights in _weights(len(codes), draws)]
    tails = ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)
    return {
        name: Interval(*map(float, np.nanquantile(np.concatenate([one[name] for one in drawn]), tails)))
        for name in drawn[0]
    }


def mean_interval(values: NDArray[np.float64], draws: int = DRAWS) -> Interval:
    """The interval of the mean of values (n,), n at least 1: the percentile bootstrap, as above.

    From MANY values on, that of a normal mean, which is then the same in all digits that are shown.
    """
    if len(values) >= MANY:
        mean, z = float(values.mean()), NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
        reach = z * float(values.std()) / math.sqrt(len(values))
        return Interval(mean - reach, mean + reach)
    means = np.concatenate([weights @ values / len(values) for weights in _weights(len(values), draws)])
    return Interval(*map(float, np.quantile(means, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2))))


def _weights(listings: int, draws: int) -> Iterator[Weights]:
    # How often each listing is in each draw: (draws, n), some of them at a time.
    random = np.random.default_rng(_SEED)
    for start in range(0, draws, _AT_ONCE):
        chosen = random.integers(0, listings, (min(_AT_ONCE, draws - start), listings))
        yield np.stack([np.bincount(draw, minlength=listings) for draw in chosen]).astype(np.float64)


def figures_of_draws(
    probabilities: Probabilities, codes: NDArray[np.int64], weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """The headline figures (d,) of each of d draws, of which `weights` (d, n) says how often each listing is in it.

    Not a number where a draw has no listing of a category that the figure is about.
    """
    classes = len(CATEGORIES)
    cells = np.eye(classes**2)[codes * classes + probabilities.argmax(axis=1)]
    confusion = (weights @ cells).reshape(-1, classes, classes)
    hits, true, said = confusion.diagonal(axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    listings = weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        f1 = 2 * hits / (true + said)
        recall = hits / true
    areas = [_roc_auc(probabilities[:, code], codes == code, weights) for code in range(classes)]
    return {
        "accuracy": hits.sum(axis=1) / listings,
        "balanced_accuracy": recall.mean(axis=1),
        "macro_f1": np.where(true > 0, f1, np.nan).mean(axis=1),
        "roc_auc": np.mean(areas, axis=0),
        "log_loss": weights @ losses(probabilities, codes) / listings,
    }


def _roc_auc(scores: NDArray[np.float32], true: NDArray[np.bool_], weights: Weights) -> NDArray[np.float64]:
    # How often a true listing has a higher score than another, ties counted half (Mann and Whitney, 1947).
    order = np.argsort(scores, kind="stable")
    _, first = np.unique(scores[order], return_index=True)
    positive = np.add.reduceat(weights[:, order] * true[order], first, axis=1)
    negative = np.add.reduceat(weights[:, order] * ~true[order], first, axis=1)
    lower = negative.cumsum(axis=1) - negative / 2
    with np.errstate(invalid="ignore"):
        return (positive * lower).sum(axis=1) / (positive.sum(axis=1) * negative.sum(axis=1))
