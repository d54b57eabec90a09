"""A candidate's answers for the test listings as a table, and back."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model_registry.listing import CATEGORIES

_PROBABILITIES = [f"price_category_prob_{code}" for code in range(len(CATEGORIES))]


def prediction_rows(test: pd.DataFrame, probabilities: NDArray[np.float32]) -> pd.DataFrame:
    """The predecessor's rows: id, true and predicted category code, the four probabilities."""
    return pd.DataFrame(
        {
            "id": test["id"],
            "price_category": test["price_category"],
            "predicted_price_category": probabilities.argmax(axis=1),
            **{name: probabilities[:, code] for code, name in enumerate(_PROBABILITIES)},
        }
    )


def probabilities_in(predictions: pd.DataFrame) -> NDArray[np.float32]:
    """The probabilities (n, 4) in such rows."""
    return predictions[_PROBABILITIES].to_numpy(dtype=np.float32)
