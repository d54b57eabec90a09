"""The proper scoring rule that candidates are ranked by and that the gate compares with."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOSS_FLOOR = 1e-7
"""A probability of zero counts as this much: about what float32 can still tell from one minus it."""

Probabilities = NDArray[np.floating[Any]]


def losses(probabilities: Probabilities, codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The log loss of each listing, in nats: (n, 4) probabilities and (n,) true codes to (n,) float64."""
    of_truth = probabilities[np.arange(len(codes)), codes].astype(np.float64)
    return -np.log(np.clip(of_truth, LOSS_FLOOR, 1.0))


def standard_error(values: NDArray[np.float64]) -> float:
    """The standard error of the mean of independent values: (n,) to a number, n at least 2."""
    return float(values.std(ddof=1) / np.sqrt(len(values)))
