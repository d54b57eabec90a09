"""What the service answers about a listing, as people read it: how probable each category is, and why."""

from collections.abc import Mapping

from rich.bar import Bar
from rich.table import Table

from api.schemas import Answer
from model_registry.cli.terminal import GAP, print_table, print_wrapped
from model_registry.listing import PriceCategory

_INDENT, _BAR, _REASONS = 3, 28, 3
_LABELS = {"accommodates": "guests", "tv": "TV"}
_MINUS = "−"


def show_answer(listing: Mapping[str, object], answer: Answer, prices: Mapping[PriceCategory, str]) -> None:
    """Print the category, the four probabilities as bars, and what raised and lowered that of the category most."""
    category = answer.price_category
    print_wrapped(f"{category}: a night costs {prices[category]}.", indent=_INDENT)
    probabilities = _by_category(answer)
    print_table(_bars(probabilities, category), indent=_INDENT)
    if answer.explanation is None:
        print_wrapped(answer.no_explanation or "It gave no reasons.", indent=_INDENT)
        return
    at_large, here = percent(answer.explanation.base_value), percent(probabilities[category])
    print_wrapped(
        f"{category} is {at_large} probable among listings at large, and {here} for this one. What moves it most, in "
        "percentage points:",
        indent=_INDENT,
    )
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    for name, share in strongest(answer.explanation.contributions):
        table.add_row(points(share), stated(name, listing))
    print_table(table, indent=_INDENT)


def strongest(contributions: Mapping[str, float]) -> list[tuple[str, float]]:
    """The three that move the probability most, the strongest first; latitude and longitude are one position."""
    whole = {name: share for name, share in contributions.items() if name not in ("latitude", "longitude")}
    whole["position"] = contributions.get("latitude", 0.0) + contributions.get("longitude", 0.0)
    return sorted(whole.items(), key=lambda reason: -abs(reason[1]))[:_REASONS]


def stated(name: str, listing: Mapping[str, object]) -> str:
    """A property of a listing with its value, as in «guests: 5»."""
    value = listing.get(name)
    if name == "position":
        value = f"{listing['latitude']}, {listing['longitude']}"
    elif isinstance(value, bool):
        value = "yes" if value else "no"
    return f"{_LABELS.get(name, name.replace('_', ' '))}: {value}"


def percent(share: float) -> str:
    """A share in whole per cent; what is small but there is not said to be nothing, nor what is large to be all."""
    if 0 < share < 0.005:
        return "<1 %"
    return ">99 %" if 0.995 < share < 1 else f"{100 * share:.0f} %"


def points(share: float) -> str:
    """By how much a probability moved, in whole percentage points, with its sign."""
    rounded = round(100 * abs(share))
    return "0" if rounded == 0 else f"{'+' if share > 0 else _MINUS}{rounded}"


def _by_category(answer: Answer) -> dict[PriceCategory, float]:
    told = answer.probabilities
    if told is None:
        raise ValueError("the answer has no probabilities: ask for them")
    return dict(zip(PriceCategory, (told.low, told.mid, told.high, told.lux), strict=True))


def _bars(probabilities: Mapping[PriceCategory, float], answered: PriceCategory) -> Table:
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=_BAR)
    for category, share in probabilities.items():
        mark = "→" if category == answered else ""
        table.add_row(mark, category, percent(share), Bar(1, 0, share, width=_BAR))
    return table
