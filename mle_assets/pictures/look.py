"""The one look of all pictures, and how a drawn figure becomes a small PNG that stands in an asset's metadata.

pyplot takes no part: it keeps its figures, and which one is meant is the same for all threads.
"""

import base64
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from model_registry.listing import CATEGORIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

# Okabe and Ito, Color Universal Design (2008): told apart with every kind of colour vision. Cold to warm with the
# price, and of either hue a dark and a light one.
COLOURS: dict[str, str] = dict(zip(CATEGORIES, ("#0072B2", "#56B4E9", "#E69F00", "#D55E00"), strict=True))
"""The colour of each category."""
INK, FAINT, PAPER = "#222222", "#888888", "#FFFFFF"
ACCENT, NEUTRAL = "#0072B2", "#9A9A9A"
TEXT, TITLE = 8.0, 9.0
"""Sizes of letters in points."""

_DPI = 136
"""Dagster shows a picture pixel by pixel, in a window of four fifths of the page, and cuts off what is wider.

So the widest sheets, of seven inches, fit a page of 1,280 pixels, with letters of fifteen.
"""
_PALETTE = 64
"""Colours are counted out: lines and their soft edges need no more, and the file is a third of the size."""


@dataclass(frozen=True)
class Picture:
    """A PNG, and the text that stands for it where it cannot be seen."""

    png: bytes
    alt: str

    def data_url(self) -> str:
        """The picture whole, as an address."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"

    def markdown(self) -> str:
        """The picture as Markdown that holds it whole."""
        alt = " ".join(self.alt.replace("[", "(").replace("]", ")").split())
        return f"![{alt}]({self.data_url()})"


_LOOK = {
    "axes.axisbelow": True,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": TITLE,
    "figure.dpi": _DPI,
    "figure.facecolor": PAPER,
    "font.size": TEXT,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
    "ytick.major.size": 3.0,
}


def sheet(width: float, height: float) -> "Figure":
    """An empty figure, in inches, on white paper: readable on a dark page as on a light one."""
    figure_class, _ = _matplotlib()
    return figure_class(figsize=(width, height))


@cache
def _matplotlib() -> "tuple[type[Figure], type[FigureCanvasAgg]]":
    # Imported here: half a second that whoever only loads the definitions need not wait for. The look is set for the
    # whole process, in which nothing else draws.
    from matplotlib import rcParams
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rcParams.update(_LOOK)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return Figure, FigureCanvasAgg


def panel(
    figure: "Figure", left: float, bottom: float, width: float, height: float, *, title: str = "", x: str, y: str
) -> "Axes":
    """Axes at a place of the sheet, in inches from its lower left corner, with a title and what the axes are."""
    whole_width, whole_height = figure.get_size_inches()
    return figure.add_axes(
        (left / whole_width, bottom / whole_height, width / whole_width, height / whole_height),
        title=title,
        xlabel=x,
        ylabel=y,
    )


def ticks(axes: "Axes", x: Mapping[float, str] | None = None, y: Mapping[float, str] | None = None) -> None:
    """Put ticks at some places of an axis, and none between; a tick costs more time than all else that is drawn."""
    for axis, places in ((axes.xaxis, x), (axes.yaxis, y)):
        if places is not None:
            axis.set_ticks(list(places), list(places.values()))
            axis.set_ticks([], minor=True)


def round_ticks(low: float, high: float) -> dict[float, str]:
    """Round numbers on a log scale between two positive ones: powers of ten, or 1, 2 and 5 where there are no two."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    inside = [10.0**decade for decade in decades if low <= 10.0**decade <= high]
    if len(inside) < 2:
        inside = [d * 10.0**decade for decade in decades for d in (1, 2, 5) if low <= d * 10.0**decade <= high]
    return {tick: f"{tick:,g}" if tick < 1e6 else f"{tick:,.0f}" for tick in inside}


def key_beside(axes: "Axes", entries: Mapping[str, str], title: str = "", marker: str = "") -> None:
    """To the right of what it explains, from the top: what each colour means, by text.

    matplotlib's own legend takes as long to draw as the curves.
    """
    step = 0.18 * _DPI / axes.bbox.height
    top = 1 - step / 2
    if title:
        axes.text(1.04, top, title, transform=axes.transAxes, va="center")
        top -= step * (1.1 + 0.7 * title.count("\n"))
    for row, (text, colour) in enumerate(entries.items()):
        at = top - row * step
        swatch = ((1.065,), (at,)) if marker else ((1.04, 1.09), (at, at))
        axes.plot(*swatch, color=colour, linewidth=1.6, marker=marker, transform=axes.transAxes, clip_on=False)
        axes.text(1.11, at, text, transform=axes.transAxes, va="center")


def finish(figure: "Figure", alt: str) -> Picture:
    """The picture of a figure: a PNG of few colours."""
    from PIL import Image

    _, canvas_class = _matplotlib()
    canvas = canvas_class(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    image = Image.frombuffer("RGBA", (width, height), bytes(canvas.buffer_rgba())).convert("RGB")
    file = io.BytesIO()
    few = image.quantize(_PALETTE, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    # Counting out takes the paper for one of the nearly white colours, and it would stand out on a white page.
    paper, palette = few.getpixel((0, 0)), few.getpalette()
    if isinstance(paper, int) and palette:
        palette[3 * paper : 3 * paper + 3] = (255, 255, 255)
        few.putpalette(palette)
    few.save(file, "PNG")
    return Picture(file.getvalue(), alt)
