"""Figures to a page: one HTML file without scripts or links, to be read years later beside its model."""

from dataclasses import dataclass

import msgspec

from mle_assets.evaluation.metrics import Metrics
from mle_assets.html import page_template
from mle_assets.models.validation import CrossValidation
from model_registry.listing import CATEGORIES
from model_registry.manifest import Snapshot

_COLOURS = ("#2f6f9f", "#3f8f5f", "#c07f2f", "#b03f4f")


class Figures(msgspec.Struct, frozen=True):
    """One candidate's evaluation without its rows: evaluation.json, written last.

    `latency_us` is the median time of one single-row answer in microseconds. `importance` is the rise of
    the log loss when a feature's values are shuffled among the listings, the mean of those in `importance_shuffles`;
    `importance_error` is its standard error over the listings.
    """

    candidate: str
    sha256: str
    model_bytes: int
    parameters: dict[str, str | int | float | bool | None]
    cross_validation: CrossValidation
    metrics: Metrics
    importance: dict[str, float]
    latency_us: float
    # An evaluation of an older version has none.
    importance_error: dict[str, float] = {}
    importance_shuffles: dict[str, tuple[float, ...]] = {}
    importance_listings: int = 0


@dataclass(frozen=True)
class Report:
    """What a report shows: the figures, and each category's ROC curve as (false, true positive rate) points.

    `snapshot` is what the listings come from; None where Dagster has no record of it.
    """

    figures: Figures
    roc_curves: dict[str, list[tuple[float, float]]]
    snapshot: Snapshot | None


def render(report: Report) -> bytes:
    """The report as a self-contained HTML page, UTF-8."""
    page = page_template("mle_assets.evaluation", "report.html").render(
        figures=report.figures,
        snapshot=report.snapshot,
        metrics=report.figures.metrics,
        headline=report.figures.metrics.headline(),
        categories=[str(name) for name in CATEGORIES],
        shares=_row_shares(report.figures.metrics.confusion),
        importance=sorted(report.figures.importance.items(), key=lambda item: -item[1]),
        most_important=max(report.figures.importance.values()),
        curves=[
            (name, colour, " ".join(f"{100 * x:.1f},{100 - 100 * y:.1f}" for x, y in points))
            for (name, points), colour in zip(report.roc_curves.items(), _COLOURS, strict=True)
        ],
    )
    return page.encode()


def _row_shares(confusion: tuple[tuple[int, ...], ...]) -> list[list[float]]:
    return [[count / max(1, sum(row)) for count in row] for row in confusion]
