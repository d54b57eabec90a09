"""What became of a served model: its listings beside those it learned from, and how right it was day by day."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from mle_assets.pictures.look import ACCENT, FAINT, INK, NEUTRAL, Picture, finish, key_beside, panel, sheet, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DRIFTED = "#D55E00"
MOST_DAYS = 60
_ACROSS = 5
_VERSION_COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


class Apart(Protocol):
    """A distribution before and now, in shares, as it is drawn."""

    @property
    def name(self) -> str: ...
    @property
    def index(self) -> float: ...
    @property
    def limit(self) -> float: ...
    @property
    def is_drift(self) -> bool: ...
    @property
    def before(self) -> tuple[float, ...]: ...
    @property
    def now(self) -> tuple[float, ...]: ...
    @property
    def edges(self) -> tuple[float, ...]: ...


def drift_chart(shifts: Sequence[Apart], names: Mapping[str, Sequence[str]], listings: int) -> Picture:
    """Each distribution as it was when the version learned (grey) and as it is now, the farthest first.

    `names` are those of its bins; where there are none, the bins are told by their edges.
    """
    down = -(-len(shifts) // _ACROSS)
    height = 0.55 + 1.42 * down
    figure = sheet(6.9, height)
    for place, shift in enumerate(shifts):
        left, top = 0.32 + 1.33 * (place % _ACROSS), height - 0.5 - 1.42 * (place // _ACROSS)
        title = f"{shift.name}\n{shift.index:.3f}{' drift' if shift.is_drift else ''}"
        axes = panel(figure, left, top - 0.8, 1.08, 0.8, x="", y="")
        axes.set_title(title, fontsize=7, color=DRIFTED if shift.is_drift else INK)
        _side_by_side(axes, shift, names.get(shift.name, ()))
    figure.text(
        0.32 / 6.9,
        0.06 / height,
        f"grey: when it learned; blue: {listings:,} listings lately, orange where it is drift; above: stability index",
        fontsize=7,
    )
    told = "; ".join(f"{one.name} {one.index:.3f}{' (drift)' if one.is_drift else ''}" for one in shifts)
    return finish(
        figure, f"Distributions of {listings:,} listings beside those that the version learned from, by index: {told}."
    )


def _side_by_side(axes: "Axes", shift: Apart, names: Sequence[str]) -> None:
    bins = len(shift.before)
    edges = np.arange(bins + 1) - 0.5
    axes.stairs(shift.before, edges, fill=True, color="#D0D0D0")
    axes.stairs(shift.now, edges, color=DRIFTED if shift.is_drift else ACCENT, linewidth=1.3, baseline=None)
    most = max(*shift.before, *shift.now)
    axes.set_xlim(-0.5, bins - 0.5)
    axes.set_ylim(0, 1.08 * most)
    labels = [name[:4] for name in names] or [f"≤{edge:g}"[:6] for edge in shift.edges] + [">"]
    shown = range(bins) if bins <= 5 else ((bins - 1) // 2,)
    ticks(axes, {place: labels[place] for place in shown if place < len(labels)}, {most: f"{most:.0%}"})
    axes.tick_params(labelsize=5.5, pad=1)


def index_bars(shifts: Sequence[Apart]) -> Picture:
    """How far each distribution is from what it was, and up to where that is no drift."""
    height = 0.2 * len(shifts)
    figure = sheet(4.9, height + 0.8)
    axes = panel(figure, 1.35, 0.45, 3.3, height, title="Stability index; the mark is its limit", x="index", y="")
    rows = np.arange(len(shifts))
    axes.barh(
        rows,
        [shift.index for shift in shifts],
        color=[DRIFTED if shift.is_drift else ACCENT for shift in shifts],
        height=0.65,
    )
    axes.vlines([shift.limit for shift in shifts], rows - 0.42, rows + 0.42, color=INK, linewidth=1.3)
    ticks(axes, y={row: shift.name for row, shift in enumerate(shifts)})
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(shifts) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=4)
    told = ", ".join(f"{shift.name} {shift.index:.3f} (limit {shift.limit:.3f})" for shift in shifts)
    return finish(figure, f"Stability index of each distribution: {told}.")


@dataclass(frozen=True)
class DayOfAnswers:
    """How right a version's answers of a day were, with the interval of that share; `day` as in 2026-01-31."""

    day: str
    version: str
    accuracy: float
    low: float
    high: float


def accuracy_chart(days: Sequence[DayOfAnswers], tested: Mapping[str, tuple[float, float, float]]) -> Picture:
    """The accuracy day by day with its intervals, and each version's on its test listings (share, low, high) behind it.

    Days are in order; of more than MOST_DAYS the latest are drawn.
    """
    dates = list(dict.fromkeys(one.day for one in days))[-MOST_DAYS:]
    shown = [one for one in days if one.day in dates]
    versions = list(dict.fromkeys(one.version for one in shown))
    colours = {name: _VERSION_COLOURS[place % len(_VERSION_COLOURS)] for place, name in enumerate(versions)}
    figure = sheet(6.9, 2.9)
    title = "Share of right answers by day, 95 % intervals; bands: on the test listings"
    axes = panel(figure, 0.6, 0.6, 4.3, 1.9, title=title, x="day of the answer (UTC)", y="accuracy")
    for version in versions:
        own = [one for one in shown if one.version == version]
        places = np.array([dates.index(one.day) for one in own])
        if version in tested:
            share, low, high = tested[version]
            reach = (places.min() - 0.5, places.max() + 0.5)
            axes.fill_between(reach, low, high, color=colours[version], alpha=0.15, linewidth=0)
            axes.plot(reach, (share, share), color=colours[version], linewidth=0.9, linestyle="--")
        axes.vlines(places, [one.low for one in own], [one.high for one in own], color=NEUTRAL, linewidth=1.2)
        axes.scatter(places, [one.accuracy for one in own], s=18, color=colours[version], zorder=3)
    axes.set_xlim(-0.6, len(dates) - 0.4)
    step = -(-len(dates) // 6)
    ticks(axes, {place: dates[place][5:] for place in range(0, len(dates), step)})
    axes.locator_params(axis="y", nbins=5)
    axes.grid(visible=True, axis="y")
    axes.spines["bottom"].set_color(FAINT)
    key_beside(axes, {_short(name): colours[name] for name in versions}, marker="o")
    told = "; ".join(
        f"{one.day} {one.version}: {one.accuracy:.3f} ({one.low:.3f} to {one.high:.3f})" for one in shown[-5:]
    )
    return finish(figure, f"Accuracy of served answers on {len(dates)} days. The latest: {told}.")


def _short(version: str) -> str:
    # Its end is what tells it from others of the same candidate.
    return version if len(version) <= 23 else f"…{version[-22:]}"
