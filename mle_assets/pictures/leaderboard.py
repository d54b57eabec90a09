"""The candidates beside each other: what they lose by, and what they cost to serve."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mle_assets.pictures.look import ACCENT, INK, NEUTRAL, Picture, finish, panel, round_ticks, sheet, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NEAR = 0.06
"""Nats behind the best up to which a candidate is in the close-up."""


@dataclass(frozen=True)
class Contestant:
    """A candidate as it is drawn: its validated log loss and its paired difference to the best, each with its error."""

    name: str
    kilobytes: float
    log_loss: float
    standard_error: float
    behind: float
    behind_standard_error: float


def leaderboard_chart(contestants: Sequence[Contestant], leader: str) -> Picture:
    """Validated log loss over the model's size, best first; and close up, how far the near ones are behind the best.

    A candidate is as good as the best where its paired difference is within one standard error of that difference:
    that is where its thick bar reaches down to the line at zero. So the limit is that line, and not one height for all.
    """
    width, height = 6.9, 3.5
    figure = sheet(width, height)
    near = [one for one in contestants if one.behind <= NEAR]
    everyone = panel(figure, 0.55, 0.5, 2.2, 2.6, title="All candidates", x=_SIZE, y="validated log loss (nats)")
    close = panel(figure, 3.5, 0.5, 1.55, 2.6, title="Behind the best", x=_SIZE, y="paired difference (nats)")
    _intervals(everyone, contestants, [(one.log_loss, one.standard_error) for one in contestants], leader)
    _intervals(close, near, [(one.behind, one.behind_standard_error) for one in near], leader)
    close.axhline(0, color=INK, linewidth=0.9, linestyle="--")
    close.annotate("as good: reaches it", (0.03, 0), (0, -9), ("axes fraction", "data"), "offset points")
    close.margins(y=0.14)
    for ranks in crowds(contestants):
        first, last = contestants[ranks[0]], contestants[ranks[-1]]
        label = str(ranks[0] + 1) if len(ranks) == 1 else f"{ranks[0] + 1} to {ranks[-1] + 1}"
        beside = (5, -10) if ranks[0] == 0 else (5, 3) if len(ranks) == 1 else (-4, 16)
        everyone.annotate(label, (last.kilobytes, first.log_loss), beside, textcoords="offset points")
    for place, one in enumerate(contestants, start=1):
        if one in near:
            close.annotate(str(place), (one.kilobytes, one.behind), (5, 3), textcoords="offset points")
        text, weight = f"{place}  {one.name}", "bold" if one.name == leader else "normal"
        figure.text(5.2 / width, 1 - (0.3 + 0.19 * place) / height, text, fontsize=7, weight=weight)
    best = contestants[0]
    figure.text(5.2 / width, 0.17 / height, "bars: ± 1 and 1.96 SE", fontsize=7)
    return finish(
        figure,
        f"Validated log loss of {len(contestants)} candidates over their size. Lowest is {best.name} with "
        f"{best.log_loss:.4f} ± {best.standard_error:.4f} and {best.kilobytes:,.0f} kB; {leader} leads.",
    )


_SIZE = "size of the model (kB)"


def crowds(contestants: Sequence[Contestant]) -> list[list[int]]:
    """The positions of the candidates, those together that follow each other and stand too close for two labels."""
    losses = [one.log_loss for one in contestants]
    close = 0.06 * (max(losses) - min(losses))
    found: list[list[int]] = []
    for position, one in enumerate(contestants):
        before = contestants[position - 1] if position else None
        if (
            before is not None
            and abs(one.log_loss - before.log_loss) <= close
            and abs(math.log10(one.kilobytes / before.kilobytes)) < 0.4
        ):
            found[-1].append(position)
        else:
            found.append([position])
    return found


def _intervals(axes: "Axes", drawn: Sequence[Contestant], values: Sequence[tuple[float, float]], leader: str) -> None:
    kilobytes = np.array([one.kilobytes for one in drawn])
    means, errors = np.array(values).T
    colours = [ACCENT if one.name == leader else NEUTRAL for one in drawn]
    for reach, width in ((1.96, 0.8), (1.0, 2.4)):
        axes.vlines(kilobytes, means - reach * errors, means + reach * errors, colours, linewidths=width)
    axes.scatter(kilobytes, means, s=16, c=colours, zorder=3)
    low, high = float(kilobytes.min()) / 2, float(kilobytes.max()) * 2
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    ticks(axes, x=round_ticks(low, high))
    axes.grid()
