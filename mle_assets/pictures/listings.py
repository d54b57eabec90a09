"""What the cleaned listings look like: where they are, what they cost, and what was dropped on the way."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mle_assets.pictures.bins import extent, price_bins, sample
from mle_assets.pictures.look import ACCENT, COLOURS, INK, NEUTRAL, Picture, finish, key_beside, panel, sheet, ticks
from model_registry.listing import CATEGORIES
from model_registry.market import Market

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from mle_assets.pictures.bins import Extent

MOST_POINTS = 5_000
_MOST_REASONS = 10


def listings_map(
    latitudes: NDArray[np.float64], longitudes: NDArray[np.float64], codes: NDArray[np.int64], market: Market
) -> Picture:
    """Where a market's listings lie, each in the colour of its category code; all arrays are (n,)."""
    shown, drawn = extent(latitudes, longitudes), sample(len(codes), MOST_POINTS)
    figure = sheet(5.6, 4.5)
    axes = panel(figure, 0.75, 0.5, 3.9, 3.7, title=_title(len(codes), len(drawn), market), x="", y="")
    show_map(axes, shown)
    colours = np.array(list(COLOURS.values()))
    # In the order of the listings, which is not that of the categories: none lies on top of all others.
    axes.scatter(longitudes[drawn], latitudes[drawn], s=2, c=colours[codes[drawn]], linewidths=0)
    counts = np.bincount(codes, minlength=len(CATEGORIES))
    key_beside(
        axes,
        {
            f"{name}  {count / len(codes):.0%}": colour
            for (name, colour), count in zip(COLOURS.items(), counts, strict=True)
        },
        marker="o",
    )
    told = ", ".join(f"{count:,} {name}" for name, count in zip(CATEGORIES, counts, strict=True))
    return finish(figure, f"Map of {market.title}'s listings, coloured by price category: {told}.")


def _title(listings: int, drawn: int, market: Market) -> str:
    of_all = f"{drawn:,} of {listings:,} listings, by chance" if drawn < listings else f"{listings:,} listings"
    return f"{market.title}: {of_all}"


def show_map(axes: "Axes", shown: "Extent") -> None:
    """Make axes a map of an extent, as long as it is wide on the ground."""
    axes.set_xlim(shown.west, shown.east)
    axes.set_ylim(shown.south, shown.north)
    axes.set_aspect(shown.aspect, anchor="NW")
    axes.locator_params(nbins=5)
    axes.set_xlabel("longitude (°)")
    axes.set_ylabel("latitude (°)")
    axes.ticklabel_format(useOffset=False)


def price_histogram(prices: NDArray[np.float64], codes: NDArray[np.int64], market: Market) -> Picture:
    """How many listings cost what, on a log scale, with the limits of the market's categories."""
    edges = price_bins(prices)
    figure = sheet(6.6, 3.0)
    axes = panel(
        figure, 0.65, 0.5, 5.75, 2.0, x=f"price of a night ({market.currency}, log scale)", y="listings in a bin"
    )
    below = np.zeros(len(edges) - 1)
    for code, colour in enumerate(COLOURS.values()):
        counts, _ = np.histogram(prices[codes == code], edges)
        # One outline of all bars: 160 of them by themselves take four times as long.
        axes.stairs(below + counts, edges, baseline=below, fill=True, color=colour)
        below = below + counts
    axes.set_xscale("log")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, below.max() * 1.05)
    limits = [limit for limit in market.category_limits if edges[0] < limit < edges[-1]]
    for limit in limits:
        axes.axvline(limit, color=INK, linewidth=0.8)
    _money_ticks(axes, limits, market)
    _name_categories(axes, (edges[0], *market.category_limits, edges[-1]), np.bincount(codes, minlength=4))
    told = ", ".join(market.money(limit) for limit in market.category_limits)
    return finish(
        figure,
        f"Histogram of {len(prices):,} prices from {market.money(float(prices.min()))} to "
        f"{market.money(float(prices.max()))}, median {market.money(round(float(np.median(prices))))}, with the limits "
        f"of the categories at {told}.",
    )


def _money_ticks(axes: "Axes", limits: list[float], market: Market) -> None:
    # The limits themselves, and round prices that are far enough from them to be read.
    low, high = axes.get_xlim()
    decades = [10.0**power for power in range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)]
    room = 0.06 * np.log(high / low)
    places = list(limits)
    for tick in (decade * digit for decade in decades for digit in (1, 2, 5)):
        if low <= tick <= high and all(abs(np.log(tick / other)) > room for other in places):
            places.append(tick)
    ticks(axes, {tick: market.money(tick) for tick in sorted(places)})


def _name_categories(axes: "Axes", limits: tuple[float, ...], counts: NDArray[np.int64]) -> None:
    low, high = axes.get_xlim()
    for (name, colour), left, right, count in zip(COLOURS.items(), limits, limits[1:], counts, strict=False):
        left, right = max(left, low), min(right, high)
        if left < right:
            text = f"{name}\n{count / max(1, counts.sum()):.0%}"
            axes.text(
                (left * right) ** 0.5,
                1.03,
                text,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="bottom",
            )
            axes.axvspan(left, right, ymin=1.0, ymax=1.025, color=colour, clip_on=False, linewidth=0)


def funnel_bars(raw_rows: int, dropped: Mapping[str, int], kept: int) -> Picture:
    """How many of the snapshot's rows are kept, and how many were dropped for which reason."""
    steps = {"in the snapshot": raw_rows, **_commonest(dropped), "kept": kept}
    height = 0.24 * len(steps)
    figure = sheet(6.6, height + 0.55)
    axes = panel(figure, 2.75, 0.45, 2.75, height, x="listings", y="")
    colours = [NEUTRAL, *["#D55E00"] * (len(steps) - 2), ACCENT]
    rows = range(len(steps))
    axes.barh(rows, list(steps.values()), color=colours, height=0.7)
    for row, count in zip(rows, steps.values(), strict=True):
        share = f"{count / raw_rows:.1%}" if count / raw_rows >= 0.0005 else "under 0.1%"
        axes.text(count, row, f" {count:,} ({share})", va="center")
    ticks(axes, y=dict(enumerate(steps)))
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(steps) - 0.4, -0.6)
    axes.set_xlim(0, raw_rows)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter("{x:,.0f}")
    told = ", ".join(f"{count:,} dropped as «{reason}»" for reason, count in _commonest(dropped).items())
    return finish(figure, f"Of {raw_rows:,} listings in the snapshot {kept:,} are kept; {told or 'none was dropped'}.")


def _commonest(dropped: Mapping[str, int]) -> dict[str, int]:
    # In the order of the checks, as the table beside has them.
    rare = sorted(dropped, key=lambda reason: -dropped[reason])[_MOST_REASONS:]
    shown = {reason: count for reason, count in dropped.items() if reason not in rare}
    return {**shown, f"{len(rare)} other reasons": sum(dropped[reason] for reason in rare)} if rare else shown
