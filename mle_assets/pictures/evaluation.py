"""How good a candidate's answers are: where it confuses, ranks, is sure, looks, and errs."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mle_assets.pictures.bins import extent, share_by_cell
from mle_assets.pictures.listings import show_map
from mle_assets.pictures.look import (
    ACCENT,
    COLOURS,
    FAINT,
    INK,
    PAPER,
    Picture,
    finish,
    key_beside,
    panel,
    round_ticks,
    sheet,
    ticks,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Curves = Mapping[str, Sequence[tuple[float, float]]]
"""Points (x, y) for each category that has any."""

_HALVES = {0.0: "0", 0.5: "0.5", 1.0: "1"}


def confusion_matrix(confusion: Sequence[Sequence[int]]) -> Picture:
    """Counts of listings by true category (rows) and answer (columns), with the share of each in its row."""
    counts, names = np.array(confusion), list(COLOURS)
    shares = counts / np.maximum(1, counts.sum(axis=1, keepdims=True))
    figure = sheet(4.0, 3.2)
    title = "Answers, and their share of the true category"
    axes = panel(figure, 0.75, 0.5, 3.1, 2.4, title=title, x="answered", y="true category")
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="auto", interpolation="nearest")
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.7 else INK
        axes.text(column, row, f"{counts[row, column]:,}\n{share:.0%}", ha="center", va="center", color=colour)
    places = {float(code): name for code, name in enumerate(names)}
    ticks(axes, places, places)
    axes.tick_params(length=0)
    axes.spines[["left", "bottom"]].set_visible(False)
    right = ", ".join(f"{shares[code, code]:.0%} of {name}" for code, name in enumerate(names))
    return finish(figure, f"Confusion matrix of {counts.sum():,} answers; right are {right}.")


def ranking_curves(
    roc: Curves, roc_auc: Mapping[str, float], precision_recall: Curves, average_precision: Mapping[str, float]
) -> Picture:
    """Each category against the rest: the ROC curve with its area, and precision over recall with its average."""
    figure = sheet(6.75, 2.7)
    left = panel(figure, 0.55, 0.45, 1.95, 1.95, title="ROC", x="false positive rate", y="true positive rate")
    right = panel(figure, 3.85, 0.45, 1.95, 1.95, title="Precision and recall", x="recall", y="precision")
    left.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8, linestyle=":")
    for axes, curves, areas, title in (
        (left, roc, roc_auc, "area (AUC)"),
        (right, precision_recall, average_precision, "average"),
    ):
        _unit_square(axes)
        for name, points in curves.items():
            axes.plot(*zip(*points, strict=True), color=COLOURS[name], linewidth=1.4)
        key_beside(axes, {f"{name}  {areas[name]:.3f}": COLOURS[name] for name in curves}, title)
    told = "; ".join(
        f"{name}: ROC AUC {roc_auc[name]:.3f}, average precision {average_precision[name]:.3f}" for name in roc
    )
    return finish(figure, f"ROC and precision-recall curves of each category against the rest. {told}.")


def _unit_square(axes: "Axes") -> None:
    axes.set_xlim(-0.01, 1.01)
    axes.set_ylim(-0.01, 1.01)
    ticks(axes, _HALVES, _HALVES)
    axes.grid()


def reliability_curves(
    bins: Mapping[str, Sequence[tuple[float, float, int]]], errors: Mapping[str, float], by_chance: Mapping[str, float]
) -> Picture:
    """What each category's probability said and how often it was so, (said, so, listings) by bin, and how many said it.

    `errors` are the expected calibration errors, and `by_chance` those that exact probabilities would have.
    """
    figure = sheet(4.7, 3.9)
    axes = panel(figure, 0.65, 1.5, 2.3, 2.1, title="Calibration", x="", y="share of which it is true")
    axes.plot((0, 1), (0, 1), color=FAINT, linewidth=0.8, linestyle=":")
    counts = panel(figure, 0.65, 0.45, 2.3, 0.85, x="probability of the category", y="listings")
    for name, points in bins.items():
        said, so, listings = zip(*points, strict=True)
        axes.plot(said, so, color=COLOURS[name], linewidth=1.2, marker="o", markersize=3)
        counts.plot(said, listings, color=COLOURS[name], linewidth=1.2, marker="o", markersize=2)
    _unit_square(axes)
    axes.tick_params(labelbottom=False)
    most = max(listings for points in bins.values() for _, _, listings in points)
    counts.set_yscale("log")
    counts.set_ylim(0.7, 1.6 * most)
    counts.set_xlim(-0.01, 1.01)
    ticks(counts, _HALVES, round_ticks(1, max(most, 10)))
    counts.grid()
    told = {name: f"{name}  {errors[name]:.3f} ({by_chance[name]:.3f})" for name in bins}
    key_beside(axes, {told[name]: COLOURS[name] for name in bins}, "expected error\n(and by chance)")
    return finish(
        figure,
        "Reliability curves in ten bins of probability, with the expected calibration error of each category and what "
        f"it would be by chance: {', '.join(told.values())}.",
    )


def importance_bars(
    rises: Mapping[str, float], errors: Mapping[str, float], shuffles: Mapping[str, Sequence[float]], listings: int
) -> Picture:
    """By how much the log loss rises when a feature is shuffled: the mean, and each shuffle by itself.

    The lines are 1.96 standard errors of the mean over the listings.
    """
    ordered = sorted(rises, key=lambda name: -rises[name])
    height = 0.2 * len(ordered)
    figure = sheet(4.6, height + 0.8)
    title = "mean of the shuffles (dots), ± 1.96 standard errors"
    below = f"rise of the log loss (nats), {listings:,} listings"
    axes = panel(figure, 1.2, 0.45, 3.2, height, title=title, x=below, y="")
    rows = np.arange(len(ordered))
    means, reach = (np.array([of[name] for name in ordered]) for of in (rises, errors))
    axes.barh(rows, means, color=ACCENT, height=0.65)
    axes.hlines(rows, means - 1.96 * reach, means + 1.96 * reach, color=INK, linewidth=0.9)
    for row, name in enumerate(ordered):
        of_each = shuffles.get(name, ())
        axes.scatter(of_each, [row] * len(of_each), s=5, color=PAPER, edgecolors=INK, linewidths=0.5, zorder=3)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    ticks(axes, y=dict(enumerate(ordered)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=4)
    told = ", ".join(f"{name} {rises[name]:.3f}" for name in ordered)
    return finish(figure, f"Permutation importance, the rise of the log loss on {listings:,} listings: {told}.")


def error_map(latitudes: NDArray[np.float64], longitudes: NDArray[np.float64], wrong: NDArray[np.bool_]) -> Picture:
    """Which share of the answers is wrong in each cell of the map that has listings enough; all arrays are (n,)."""
    shown = extent(latitudes, longitudes)
    cells = share_by_cell(latitudes, longitudes, wrong, shown=shown)
    known = cells.shares[~np.isnan(cells.shares)]
    most = max(0.1, float(np.ceil(known.max(initial=0) * 10) / 10))
    figure = sheet(5.0, 4.3)
    title = f"Wrong answers, in cells of {cells.kilometres:.1f} km with {cells.least} listings or more"
    axes = panel(figure, 0.75, 0.5, 3.5, 3.4, title=title, x="", y="")
    show_map(axes, shown)
    axes.plot(longitudes, latitudes, linestyle="", marker=",", color="#A8A8A8")
    drawn = np.ma.masked_invalid(cells.shares)
    box = (shown.west, shown.east, shown.south, shown.north)
    axes.imshow(
        drawn,
        cmap="cividis_r",
        vmin=0,
        vmax=most,
        aspect=shown.aspect,
        interpolation="nearest",
        extent=box,
        origin="lower",
        zorder=3,
    )
    # The scale stands beside the map, as high as the map's shape lets that be.
    axes.apply_aspect()
    place = axes.get_position()
    scale = figure.add_axes((place.x1 + 0.03, place.y0, 0.03, place.height), ylabel="share that is wrong")
    scale.imshow(
        np.linspace(0, most, 32)[:, np.newaxis], extent=(0, 1, 0, most), origin="lower", cmap="cividis_r", aspect="auto"
    )
    ticks(scale, {}, {share: f"{share:.0%}" for share in (0.0, most / 2, most)})
    scale.yaxis.tick_right()
    scale.yaxis.set_label_position("right")
    scale.spines[["left", "bottom"]].set_visible(False)
    told = f"between {known.min():.0%} and {known.max():.0%} in {len(known)} cells" if len(known) else "no cell"
    return finish(
        figure,
        f"Map of the share of wrong answers: {wrong.mean():.0%} of all {len(wrong):,}; with at least {cells.least} "
        f"listings there {'are' if len(known) else 'is'} {told}.",
    )
