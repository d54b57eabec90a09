"""From the tables to what is judged: the answers of one version, as listings once each and as answers all."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.evaluation.slices import SLICED_BY
from mle_assets.listings.features import feature_matrix
from mle_assets.monitoring.drift import Window
from mle_assets.monitoring.live import Labels, Served, Shadowed
from mle_assets.monitoring.tables import PROBABILITIES, SHADOW_PROBABILITIES
from model_registry.listing import FEATURES, RoomType
from model_registry.market import Market

_LISTING = ["id", *FEATURES]
"""Answers for which these are the same are about one listing, asked about again."""


def different_listings(answers: pd.DataFrame, market: Market) -> Window:
    """The different listings among answers, by id and features, as a version of that market sees them.

    What is in no neighbourhood of the market, or of no known room type, is left out: the version cannot have answered.
    """
    possible = answers["neighbourhood"].isin(market.neighbourhoods) & answers["room_type"].isin(list(RoomType))
    once = answers[possible].drop_duplicates(_LISTING, keep="last")
    return Window(feature_matrix(once, market), _matrix(once, PROBABILITIES), int(possible.sum()))


def served_in(answers: pd.DataFrame, truth: NDArray[np.int64]) -> Served:
    """Answers, in the order of their time, with what was true of them, column by column."""
    return Served(
        codes=answers["category"].to_numpy(dtype=np.int64),
        probabilities=_matrix(answers, PROBABILITIES),
        truth=truth,
        listings=answers.groupby(_LISTING, sort=False, dropna=False).ngroup().to_numpy().astype(np.int64),
        columns={name: _labels(answers[name]) for name in SLICED_BY},
        shadow=Shadowed(
            versions=_labels(answers["shadow"]),
            codes=answers["shadow_category"].to_numpy(dtype=np.int64),
            probabilities=_matrix(answers, SHADOW_PROBABILITIES),
            missed=_labels(answers["shadow_missed"]),
        ),
    )


def _matrix(answers: pd.DataFrame, names: tuple[str, ...]) -> NDArray[np.float32]:
    return answers[list(names)].to_numpy(dtype=np.float32)


def _labels(column: "pd.Series[str]") -> Labels:
    places, names = pd.factorize(column, sort=True)
    return Labels(tuple(map(str, names)), places.astype(np.int64))
