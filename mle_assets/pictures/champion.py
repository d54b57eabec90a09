"""The gate's comparison, and the champions one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import NormalDist

from mle_assets.pictures.look import ACCENT, FAINT, INK, Picture, finish, panel, sheet, ticks

MOST_REIGNS = 8
"""Of older champions the history tells; more would not be legible beside each other."""


@dataclass(frozen=True)
class Reign:
    """A champion: since when, and its figures on its own test listings when it was published."""

    version: str
    since: datetime
    synthetic: bool
    accuracy: float
    roc_auc: float
    log_loss: float


def interval(numbers: Mapping[str, float]) -> tuple[float, float, float]:
    """The two-sided confidence whose interval ends at the gate's one-sided limit, and that interval's ends.

    `numbers` are those of a decision: mean_difference, standard_error and confidence.
    """
    mean, confidence = numbers["mean_difference"], numbers["confidence"]
    reach = NormalDist().inv_cdf(confidence) * numbers["standard_error"]
    return 2 * confidence - 1, mean - reach, mean + reach


def comparison_bar(numbers: Mapping[str, float], rival: str) -> Picture:
    """By how much the challenger's log loss is above its rival's, with the interval whose upper end the gate looks at.

    `numbers` are those of a decision, its margin among them.
    """
    mean, margin = numbers["mean_difference"], numbers["margin"]
    confidence, low, high = interval(numbers)
    left, right = min(low, -margin, 0), max(high, -margin, 0)
    room = 0.12 * (right - left) or 1e-4
    verdict = "better" if high < -margin else "not surely better"
    figure = sheet(5.6, 1.4)
    axes = panel(
        figure,
        0.3,
        0.5,
        5.0,
        0.55,
        title=f"The challenger against {rival}: {verdict}",
        x=f"difference of the log losses (nats), with its {confidence:.0%} interval",
        y="",
    )
    axes.set_xlim(left - room, right + room)
    axes.set_ylim(-1, 1)
    axes.axvspan(left - room, -margin, color="#009E73", alpha=0.15, linewidth=0)
    axes.axvline(0, color=FAINT, linewidth=0.8)
    axes.axvline(-margin, color=INK, linewidth=0.9, linestyle="--")
    axes.text(left - room, 0.9, f" better by more than {margin:g}" if margin else " better", va="top")
    axes.plot((low, high), (0, 0), color=ACCENT, linewidth=2.4)
    axes.plot(mean, 0, color=ACCENT, marker="o", markersize=6)
    ticks(axes, y={})
    axes.locator_params(axis="x", nbins=6)
    axes.spines["left"].set_visible(False)
    return finish(
        figure,
        f"The challenger's log loss is {abs(mean):.4f} {'below' if mean < 0 else 'above'} that of {rival}; the "
        f"{confidence:.0%} interval of the difference is {low:+.4f} to {high:+.4f}, and all of it has to be below "
        f"{-margin or 0:g}.",
    )


def reigns_chart(reigns: Sequence[Reign]) -> Picture:
    """The figures of the latest champions in the order of their promotions, each on its own test listings."""
    shown = reigns[-MOST_REIGNS:]
    figure = sheet(6.2, 3.5)
    upper = panel(figure, 0.65, 1.85, 4.4, 1.3, title="Champions, each on its own test listings", x="", y="share")
    lower = panel(figure, 0.65, 0.75, 4.4, 0.9, x="promoted (UTC); hollow: of made-up listings", y="log loss (nats)")
    for axes, label, colour, values in (
        (upper, "ROC AUC", "#0072B2", [reign.roc_auc for reign in shown]),
        (upper, "accuracy", "#D55E00", [reign.accuracy for reign in shown]),
        (lower, "log loss", INK, [reign.log_loss for reign in shown]),
    ):
        places = range(len(shown))
        axes.plot(places, values, color=colour, linewidth=1.2, zorder=1)
        axes.scatter(places, values, s=22, c=["white" if one.synthetic else colour for one in shown], edgecolors=colour)
        last = f"{label} {values[-1]:.3f}"
        axes.annotate(last, (places[-1], values[-1]), (8, 0), textcoords="offset points", va="center", color=colour)
        axes.set_xlim(-0.4, max(len(shown) - 0.6, 0.6))
        axes.margins(y=0.25)
        axes.locator_params(axis="y", nbins=4)
        axes.grid(visible=True)
    ticks(upper, dict.fromkeys(places, ""))
    ticks(lower, {place: f"{one.since:%Y}\n{one.since:%m-%d}\n{one.since:%H:%M}" for place, one in enumerate(shown)})
    told = "; ".join(
        f"{one.version} of {one.since:%Y-%m-%d}: accuracy {one.accuracy:.4f}, ROC AUC {one.roc_auc:.4f}, log loss "
        f"{one.log_loss:.4f}"
        for one in shown[-3:]
    )
    return finish(figure, f"Test figures of the last {len(shown)} of {len(reigns)} champions. The latest: {told}.")
