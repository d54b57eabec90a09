"""What a version answered for its test listings, kept with it: what it answers later is compared with that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mle_assets.evaluation.metrics import calibration_error
from mle_assets.models.scoring import Probabilities
from model_registry.listing import CATEGORIES
from model_registry.manifest import Manifest

GROUP = "answers"
"""Where a manifest's metrics hold it; versions of before have none."""


@dataclass(frozen=True)
class Answers:
    """The answers for some listings, in shares, and how far their certainty is from the share that was right.

    `answered` is the share of the listings that each category was answered for, `probability` each category's mean
    probability. `calibration_error` is the expected calibration error of the largest probability, and
    `calibration_error_by_chance` what probabilities that are exactly right would show on so many listings.
    """

    listings: int
    answered: tuple[float, ...]
    probability: tuple[float, ...]
    calibration_error: float
    calibration_error_by_chance: float

    def metrics(self) -> dict[str, float]:
        """The figures by name, as a manifest holds them."""
        return {
            **{f"answered_{name}": share for name, share in zip(CATEGORIES, self.answered, strict=True)},
            **{f"probability_{name}": mean for name, mean in zip(CATEGORIES, self.probability, strict=True)},
            "calibration_error": self.calibration_error,
            "calibration_error_by_chance": self.calibration_error_by_chance,
        }


def answers_of(probabilities: Probabilities, codes: NDArray[np.int64]) -> Answers:
    """The answers that probabilities (n, 4) are, for listings of the true categories (n,); n is at least 1."""
    said, predicted = probabilities.astype(np.float64), probabilities.argmax(axis=1)
    error, by_chance = calibration_error(said.max(axis=1), predicted == codes)
    return Answers(
        listings=len(codes),
        answered=tuple((np.bincount(predicted, minlength=len(CATEGORIES)) / len(codes)).tolist()),
        probability=tuple(said.mean(axis=0).tolist()),
        calibration_error=error,
        calibration_error_by_chance=by_chance,
    )


def answers_in(manifest: Manifest) -> Answers | None:
    """The answers for its test listings that a version was published with; None where it has none."""
    told = manifest.metrics.get(GROUP)
    if not told:
        return None
    return Answers(
        listings=manifest.rows.test,
        answered=tuple(told[f"answered_{name}"] for name in CATEGORIES),
        probability=tuple(told[f"probability_{name}"] for name in CATEGORIES),
        calibration_error=told["calibration_error"],
        calibration_error_by_chance=told["calibration_error_by_chance"],
    )
