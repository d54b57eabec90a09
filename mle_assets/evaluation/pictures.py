"""What is drawn of an evaluation, and of which ones."""

import numpy as np
import pandas as pd

from mle_assets.evaluation.metrics import precision_recall_curves, reliability, roc_curves
from mle_assets.evaluation.predictions import probabilities_in
from mle_assets.evaluation.report import Figures
from mle_assets.models.candidates import BASELINE, families
from mle_assets.models.validation import FOLDS
from mle_assets.pictures.evaluation import (
    confusion_matrix,
    error_map,
    importance_bars,
    ranking_curves,
    reliability_curves,
)
from mle_assets.pictures.look import Picture
from model_registry.listing import CATEGORIES


def is_drawn(candidate: str) -> bool:
    """Whether a candidate is worth pictures: of forests of one fit, which differ by noise alone, only the largest is.

    All nine of those would take more time and bytes than all others. Nor is one that answers with constants.
    """
    lesser = {member.name for family in families() for member in family.members[:-1]}
    return candidate not in lesser and candidate != BASELINE


def evaluation_pictures(figures: Figures, predictions: pd.DataFrame, test: pd.DataFrame) -> dict[str, Picture]:
    """The pictures of a candidate's figures and of its answers for the test listings, by the name they are shown by.

    Of one that was left out of the race, and so cannot lead, the first two.
    """
    probabilities = probabilities_in(predictions)
    codes = predictions["price_category"].to_numpy(dtype=np.int64)
    of_category = {str(name): figures.metrics.categories[name] for name in CATEGORIES}
    rough = {
        "confusion_matrix": confusion_matrix(figures.metrics.confusion),
        "ranking_curves": ranking_curves(
            roc_curves(probabilities, codes),
            {name: known.roc_auc or 0.0 for name, known in of_category.items()},
            precision_recall_curves(probabilities, codes),
            {name: known.average_precision or 0.0 for name, known in of_category.items()},
        ),
    }
    if figures.cross_validation.folds < FOLDS:
        return rough
    return {
        **rough,
        "reliability_curves": reliability_curves(
            {str(name): reliability(probabilities[:, code], codes == code) for code, name in enumerate(CATEGORIES)},
            {name: known.calibration_error or 0.0 for name, known in of_category.items()},
            {name: known.calibration_error_by_chance or 0.0 for name, known in of_category.items()},
        ),
        "importance_chart": importance_bars(
            figures.importance, figures.importance_error, figures.importance_shuffles, figures.importance_listings
        ),
        "error_map": error_map(
            test["latitude"].to_numpy(), test["longitude"].to_numpy(), probabilities.argmax(axis=1) != codes
        ),
    }
