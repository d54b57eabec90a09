"""The model card: what is published beside a model, for those who want to know whether to trust it, now or in years.

After Mitchell and others, Model cards for model reporting (2019). One HTML file without scripts or links.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.intervals import CONFIDENCE, Interval, bootstrap_intervals
from mle_assets.evaluation.leaderboard import Leaderboard, leaderboard_picture
from mle_assets.evaluation.metrics import Metrics, measure
from mle_assets.evaluation.pictures import evaluation_pictures
from mle_assets.evaluation.predictions import probabilities_in
from mle_assets.evaluation.slices import Slice, slices_of, weakest
from mle_assets.html import page_template
from mle_assets.listings.features import category_codes
from mle_assets.pictures.look import Picture
from model_registry.listing import CATEGORIES
from model_registry.manifest import Manifest, version_id

HEADLINE = {
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro F1",
    "roc_auc": "ROC AUC",
    "log_loss": "Log loss",
}
"""What people call the headline figures."""


@dataclass(frozen=True)
class Figure:
    """A headline figure, its interval, and what always answering with the categories' shares would have."""

    name: str
    value: float
    interval: Interval
    baseline: float


@dataclass(frozen=True)
class Card:
    """All that a card says, as numbers and texts."""

    manifest: Manifest
    leaderboard: Leaderboard
    metrics: Metrics
    figures: list[Figure]
    slices: list[Slice]
    weakest: list[Slice]
    importance: dict[str, float]
    pictures: Mapping[str, Picture]
    drawn_on: date


def make_card(
    manifest: Manifest,
    evaluation: Evaluation,
    leaderboard: Leaderboard,
    train: pd.DataFrame,
    test: pd.DataFrame,
    today: date,
    *,
    drawn: bool = True,
) -> Card:
    """The card of a leader with this draft of a manifest, its evaluation, and the halves it was trained and tested on.

    `drawn` is whether it has pictures.
    """
    codes, probabilities = category_codes(test), probabilities_in(evaluation.predictions)
    metrics = evaluation.figures.metrics
    intervals = bootstrap_intervals(probabilities, codes)
    shares = np.bincount(category_codes(train), minlength=len(CATEGORIES)) / len(train)
    baseline = measure(np.tile(shares.astype(np.float32), (len(test), 1)), codes).headline()
    slices = slices_of(test, probabilities)
    return Card(
        manifest=manifest,
        leaderboard=leaderboard,
        metrics=metrics,
        figures=[
            Figure(HEADLINE[name], value, intervals[name], baseline[name]) for name, value in metrics.headline().items()
        ],
        slices=slices,
        weakest=weakest(slices),
        importance=dict(sorted(evaluation.figures.importance.items(), key=lambda item: -item[1])),
        pictures=_pictures(evaluation, leaderboard, test) if drawn else {},
        drawn_on=today,
    )


def _pictures(evaluation: Evaluation, leaderboard: Leaderboard, test: pd.DataFrame) -> dict[str, Picture]:
    return {
        **evaluation_pictures(evaluation.figures, evaluation.predictions, test),
        "standings_chart": leaderboard_picture(leaderboard),
    }


def render_card(card: Card) -> bytes:
    """The card as a self-contained HTML page, UTF-8."""
    manifest = card.manifest
    page = page_template("mle_assets.release", "card.html").render(
        card=card,
        manifest=manifest,
        market=manifest.market,
        version=version_id(manifest.candidate, manifest.model.sha256),
        confidence=f"{100 * CONFIDENCE:.0f} %",
        prices=manifest.market.prices(),
        hardest=min(card.metrics.categories, key=lambda name: card.metrics.categories[name].recall),
        slices={
            column: [one for one in card.slices if one.column == column]
            for column in dict.fromkeys(one.column for one in card.slices)
        },
        snapshot_name=manifest.snapshot.source.rstrip("/").rsplit("/", 1)[-1].split("?")[0],
        pictures={name: one.data_url() for name, one in card.pictures.items()},
        alt={name: one.alt for name, one in card.pictures.items()},
    )
    return page.encode()
