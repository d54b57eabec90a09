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
    probabilities that are exactly right would show on so many listings (see `calibration_error`). `roc_auc` and
    `average_precision` are those of the category against the rest.
    """

    precision: float
    recall: float
    f1: float
    support: int
    # An evaluation of an older version has neither.
    calibration_error: float | None = None
    calibration_error_by_chance: float | None = None
    # Nor these.
    roc_auc: float | None = None
    average_precision: float | None = None


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
    roc_auc = [float(sk.roc_auc_score(codes == code, probabilities[:, code])) for code in _CODES]
    return Metrics(
        accuracy=float((predicted == codes).mean()),
        balanced_accuracy=float(recall.mean()),
        macro_f1=float(f1.mean()),
        roc_auc=float(np.mean(roc_auc)),
        log_loss=float(losses(probabilities, codes).mean()),
        categories={
            str(name): OfCategory(
                float(precision[code]),
                float(recall[code]),
                float(f1[code]),
                int(support[code]),
                *calibration_error(probabilities[:, code], codes == code),
                roc_auc[code],
                float(sk.average_precision_score(codes == code, probabilities[:, code])),
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
    said, bins = probabilities.astype(np.float64), _calibration_bins(probabilities)
    apart = np.abs(np.bincount(bins, said - true, minlength=CALIBRATION_BINS))
    deviation = np.sqrt(np.bincount(bins, said * (1 - said), minlength=CALIBRATION_BINS).clip(0))
    return float(apart.sum() / len(said)), float(np.sqrt(2 / np.pi) * deviation.sum() / len(said))


def reliability(probabilities: NDArray[np.floating[Any]], true: NDArray[np.bool_]) -> list[tuple[float, float, int]]:
    """For each bin of `calibration_error` that is not empty: the mean of what was said, the share that is so, its size.

    Takes probabilities (n,) of one category and whether it is the true one (n,).
    """
    bins = _calibration_bins(probabilities)
    sizes = np.bincount(bins, minlength=CALIBRATION_BINS)
    said = np.bincount(bins, probabilities, minlength=CALIBRATION_BINS)
    so = np.bincount(bins, true, minlength=CALIBRATION_BINS)
    return [(float(said[i] / size), float(so[i] / size), int(size)) for i, size in enumerate(sizes) if size]


def _calibration_bins(probabilities: NDArray[np.floating[Any]]) -> NDArray[np.int64]:
    return np.minimum((probabilities.astype(np.float64) * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)


def roc_curves(
    probabilities: Probabilities, codes: NDArray[np.int64], points: int = 60
) -> dict[str, list[tuple[float, float]]]:
    """Each category's ROC curve as (false positive rate, true positive rate), thinned to about `points`.

    A category that has no listing, or all of them, has none.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for code, name in _told_apart(codes):
        false_positive, true_positive, _ = sk.roc_curve(codes == code, probabilities[:, code])
        at = np.unique(np.linspace(0, len(false_positive) - 1, points).astype(int))
        curves[name] = [(float(x), float(y)) for x, y in zip(false_positive[at], true_positive[at], strict=True)]
    return curves


def precision_recall_curves(
    probabilities: Probabilities, codes: NDArray[np.int64], points: int = 60
) -> dict[str, list[tuple[float, float]]]:
    """Each category's precision over its recall as (recall, precision), thinned to about `points` steps of recall.

    A category that has no listing, or all of them, has none.
    """
    curves: dict[str, list[tuple[float, float]]] = {}
    for code, name in _told_apart(codes):
        precision, recall, _ = sk.precision_recall_curve(codes == code, probabilities[:, code])
        # Recall falls; the last point is (0, 1) by definition and no answer of the model's.
        recall, precision = recall[-2::-1], precision[-2::-1]
        at = np.unique(np.searchsorted(recall, np.linspace(recall[0], recall[-1], points)))
        curves[name] = [(float(x), float(y)) for x, y in zip(recall[at], precision[at], strict=True)]
    return curves


def _told_apart(codes: NDArray[np.int64]) -> list[tuple[int, str]]:
    return [(code, str(name)) for code, name in enumerate(CATEGORIES) if 0 < (codes == code).sum() < len(codes)]
