"""Predictions in, figures out; knows nothing of models or of Dagster."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn import metrics as sk

from mle_assets.models.scoring import Probabilities, losses
from model_registry.listing import CATEGORIES

CALIBRATION_BINS = 10
_CODES = list(range(len(CATEGORIES)))


class OfCategory(msgspec.Struct, frozen=True):
    """One category's figures: shares between 0 and 1; `support` counts its listings.

    `calibration_error` is the expected calibration error of its probability, and `calibration_error_by_chance` what
    probabilities that are exactly right would show on so many listings (see `calibration_error`).
    """

    precision: float
    recall: float
    f1: float
    support: int
    # An evaluation of an older version has neither.
    calibration_error: float | None = None
    calibration_error_by_chance: float | None = None


class Metrics(msgspec.Struct, frozen=True):
    """How good a model's answers are on listings it has not seen.

    `confusion[i][j]` counts the listings of category i that were answered j. `roc_auc` is the mean over
    the categories of one against the rest. `log_loss` is in nats.
    """

    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    roc_auc: float
    log_loss: float
    categories: dict[str, OfCategory]
    confusion: tuple[tuple[int, ...], ...]

    def headline(self) -> dict[str, float]:
        """The five figures that stand for all."""
        return {
            "accuracy": self.accuracy,
            "balanced_accuracy": self.balanced_accuracy,
            "macro_f1": self.macro_f1,
            "roc_auc": self.roc_auc,
            "log_loss": self.log_loss,
        }


def measure(probabilities: Probabilities, codes: NDArray[np.int64]) -> Metrics:
    """The metrics of probabilities (n, 4) for the true codes (n,); every category must be among the codes.

    Raises ValueError where a category is absent, because its ROC AUC is not defined then.
    """
    absent = sorted(set(_CODES) - set(codes.tolist()))
    if absent:
        raise ValueError(f"no listing of category {', '.join(CATEGORIES[code] for code in absent)} to evaluate on")
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = sk.precision_recall_fscore_support(
        codes, predicted, labels=_CODES, zero_division=0.0
    )
    confusion = sk.confusion_matrix(codes, predicted, labels=_CODES)
    # Rounded to float32 they sum to one within 1e-7 only; roc_auc_score wants them nearer.
    exact = probabilities.astype(np.float64)
    exact = exact / exact.sum(axis=1, keepdims=True)
    return Metrics(
        accuracy=float((predicted == codes).mean()),
        balanced_accuracy=float(recall.mean()),
        macro_f1=float(f1.mean()),
        roc_auc=float(sk.roc_auc_score(codes, exact, multi_class="ovr", labels=_CODES)),
        log_loss=float(losses(probabilities, codes).mean()),
        categories={
            str(name): OfCategory(
                float(precision[code]),
                float(recall[code]),
                float(f1[code]),
                int(support[code]),
                *calibration_error(probabilities[:, code], codes == code),
            )
            for code, name in enumerate(CATEGORIES)
        },
        confusion=tuple(tuple(int(count) for count in row) for row in confusion),
    )


def calibration_error(probabilities: NDArray[np.floating[Any]], true: NDArray[np.bool_]) -> tuple[float, float]:
    """The expected calibration error of probabilities (n,), and what it would be by chance if they were exactly right.

    The mean distance between what was said and what was so over bins of like probabilities, weighted by how many are in
    them: Naeini et al., Obtaining well calibrated probabilities using Bayesian binning (2015), with ten bins, for each
    category by itself. By chance, the sum of a bin's outcomes is about normal around the sum of its probabilities, with
    variance p(1-p) each, and the mean distance of a normal variable is sqrt(2/pi) of its standard deviation.
    """
    said = probabilities.astype(np.float64)
    bins = np.minimum((said * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    apart = np.abs(np.bincount(bins, said - true, minlength=CALIBRATION_BINS))
    deviation = np.sqrt(np.bincount(bins, said * (1 - said), minlength=CALIBRATION_BINS).clip(0))
    return float(apart.sum() / len(said)), float(np.sqrt(2 / np.pi) * deviation.sum() / len(said))


def roc_curves(
    probabilities: Probabilities, codes: NDArray[np.int64], points: int = 60
) -> dict[str, list[tuple[float, float]]]:
    """Each category's ROC curve as (false positive rate, true positive rate), thinned to about `points`."""
    curves: dict[str, list[tuple[float, float]]] = {}
    for code, name in enumerate(CATEGORIES):
        false_positive, true_positive, _ = sk.roc_curve(codes == code, probabilities[:, code])
        at = np.unique(np.linspace(0, len(false_positive) - 1, points).astype(int))
        curves[str(name)] = [(float(x), float(y)) for x, y in zip(false_positive[at], true_positive[at], strict=True)]
    return curves
