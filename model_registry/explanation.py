"""Why a model answers as it does: each feature's share in the probability of a category.

The shares are exact interventional Shapley values (Lundberg and Lee, A unified approach to interpreting model
predictions, 2017; Janzing and others, Feature relevance quantification in explainable AI, 2020): how the probability
changes, on average over all orders, when the features of some background listings are replaced by the listing's one
after the other. Base value and shares add up to the probability.
"""

from collections.abc import Callable
from functools import lru_cache
from math import factorial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model_registry.listing import FEATURES

Rows = NDArray[np.float32]
Indices = NDArray[np.intp]


class Explanation(NamedTuple):
    """A probability taken apart: the mean one of the background, and by how much each feature moved it from there."""

    base: float
    contributions: dict[str, float]
    """By the names in FEATURES, in their order."""


def explain(probabilities: Callable[[Rows], Rows], row: Rows, background: Rows, category: int) -> Explanation:
    """Why a feature row (11,) has its probability of a category (a column of the probabilities).

    `probabilities` answers rows (n, 11) with (n, 4); `background` is (m, 11), m at least 1. A feature in which a
    background listing is equal to the row cannot move anything: of the 2,048 combinations of the two, only those are
    asked about that differ.
    """
    differing = [np.flatnonzero(row != other) for other in background]
    combined = [_combinations(row, other, features) for other, features in zip(background, differing, strict=True)]
    # Many are the same for several background listings: no need to ask about them again.
    asked, places = _distinct(np.concatenate(combined))
    told = probabilities(asked)[:, category].astype(np.float64)[places]
    shares, base, start = np.zeros(len(FEATURES)), 0.0, 0
    for features in differing:
        values = told[start : start + 2 ** len(features)]
        start += len(values)
        base += float(values[0])
        for feature, (weights, without, within) in zip(features, _orders(len(features)), strict=True):
            shares[feature] += weights @ (values[within] - values[without])
    shares /= len(background)
    return Explanation(base / len(background), dict(zip(FEATURES, shares.tolist(), strict=True)))


def _distinct(rows: Rows) -> tuple[Rows, Indices]:
    # The distinct rows, and where among them each of the given ones is; as bytes, which are compared faster.
    whole = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel()
    _, first, places = np.unique(whole, return_index=True, return_inverse=True)
    return rows[first], places


def _combinations(row: Rows, other: Rows, features: Indices) -> Rows:
    # Every combination of the two in these features, by a number whose bits say which of them are the row's.
    rows = np.repeat(other[np.newaxis], 2 ** len(features), axis=0)
    for position, feature in enumerate(features):
        rows[_has(len(features))[:, position], feature] = row[feature]
    return rows


@lru_cache(len(FEATURES) + 1)
def _has(count: int) -> NDArray[np.bool_]:
    # Which bits each of the 2^count numbers has: (2^count, count).
    return (np.arange(2**count)[:, np.newaxis] >> np.arange(count) & 1).astype(bool)


@lru_cache(len(FEATURES) + 1)
def _orders(count: int) -> list[tuple[NDArray[np.float64], Indices, Indices]]:
    # For each bit: the numbers without it, the same with it, and in what share of all orders that step is taken.
    sizes = _has(count).sum(axis=1)
    share_of = np.array([factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)])
    steps: list[tuple[NDArray[np.float64], Indices, Indices]] = []
    for position in range(count):
        without = np.flatnonzero(~_has(count)[:, position])
        steps.append((share_of[sizes[without]], without, without | 1 << position))
    return steps
