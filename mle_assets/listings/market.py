"""Drafts the market file of a new city from one of its snapshots, for a person to look through.

    python -m mle_assets.listings.market SNAPSHOT --name lisbon --currency EUR > markets/lisbon.toml

What is found is written down with the reason beside it: the column that holds neighbourhoods, the neighbourhoods by
size, limits at which a category has New York's share of the listings, and the box in which they lie.
"""

import argparse
import json
import math
import sys
from collections.abc import Sequence

import numpy as np
import pandas as pd

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.parsing import parse_name, parse_number, parse_price
from mle_assets.listings.plausibility import MOST_UNREAD_PRICES
from mle_assets.listings.snapshot import read_snapshot
from model_registry.listing import CATEGORIES
from model_registry.market import market_in

SHARES = (0.40, 0.34, 0.21, 0.05)
"""Of New York's listings that are Low, Mid, High and Lux."""
LEAST_OF_A_CATEGORY = 30
"""So many listings of a category are few, but some are in each fold of the validation and among the test listings."""

_CHOSEN = (1.0, 1.2, 1.5, 1.8, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 6.0, 7.0, 8.0, 9.0)
_COLUMNS = ("neighbourhood_group_cleansed", "neighbourhood_cleansed")
_LEAST_FILLED = 0.95
_ROOM = 0.03
"""Degrees around the outermost listings, some three kilometres."""
_FAR, _FEW = 5.0, 0.05
"""Degrees from the middle that are another region, and the share of listings that may lie there by mistake."""
_RARE = 0.0005
"""The share of listings on each side of the box that may lie anywhere."""


class CannotDraft(Exception):
    """A snapshot does not hold what a market is drafted from."""


def draft(raw: pd.DataFrame, name: str, currency: str, title: str | None = None) -> str:
    """The content of a market file for raw listings (RAW_COLUMNS, as text), which `read_market` can read.

    Raises CannotDraft where no column names neighbourhoods, where no price can be read, or where a name is none.
    """
    raw = raw.mask(raw == "")
    column = _column(raw)
    sizes = parse_name(raw[column]).dropna()
    sizes = sizes[sizes != ""].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    prices = _prices(raw["price"].dropna(), currency)
    limits = propose_limits(prices)
    lowest = as_chosen(limits[0] / 9)
    title = title or name.replace("-", " ").title()
    text = "\n".join(
        [
            f"# {title}'s listings as Inside Airbnb publishes them, drafted from a snapshot of {len(raw):,}.",
            "# What each field means: model_registry/market.py.",
            f"title = {_text(title)}",
            f"currency = {_text(currency)}",
            "",
            f"# {_columns_found(raw)}",
            f"neighbourhood_column = {_text(column)}",
            "# By size, the largest first. A neighbourhood's place is its code in the feature row: once a model is",
            "# published, add new ones at the end.",
            "neighbourhoods = [",
            *(f"  {_text(str(one))},  # {count:,}" for one, count in sizes.items()),
            "]",
            "",
            *_about_limits(prices, limits),
            f"category_limits = [{', '.join(f'{limit:g}' for limit in limits)}]",
            "# At or below it a price is a placeholder: nobody can book the listing. A ninth of the first limit, as in",
            f"# New York; {int((prices <= lowest).sum()):,} of the listings here.",
            f"lowest_price = {lowest:g}",
            *_box(raw),
            "",
        ]
    )
    try:
        market_in(text.encode(), name)
    except ValueError as error:
        raise CannotDraft(f"a market cannot be made of it: {error}") from error
    return text


def _prices(written: pd.Series, currency: str) -> pd.Series:
    if written.empty:
        raise CannotDraft("all its prices are empty: another snapshot is needed")
    prices = parse_price(written, currency)
    unread = written[prices.isna()]
    if len(unread) > MOST_UNREAD_PRICES * len(written):
        raise CannotDraft(
            f"{len(unread):,} of its {len(written):,} prices cannot be read as {currency} without doubt, as "
            f"{unread.iloc[0][:40]!r}: name their currency, or write them as 1234.50"
        )
    prices = prices[prices > 0]
    if prices.empty:
        raise CannotDraft("all its prices are 0: another snapshot is needed")
    return prices


def propose_limits(prices: pd.Series) -> tuple[float, float, float]:
    """Limits such that about New York's shares of the prices are Low, Mid, High and Lux, as a person would choose them.

    They rise, whatever the prices are: where too many are one price, the next limit is the next round number.
    """
    limits: list[float] = []
    for share in np.cumsum(SHARES)[:-1]:
        limit = as_chosen(float(np.quantile(prices, share)))
        while limits and limit <= limits[-1]:
            limit = _next(limit)
        limits.append(limit)
    low, mid, high = limits
    return low, mid, high


def as_chosen(amount: float) -> float:
    """The nearest number, by ratio, that people choose for a limit: 90, 180 and 400 rather than 92.5, 176 and 413."""
    scale = 10.0 ** math.floor(math.log10(amount))
    nearest = min((*_CHOSEN, 10.0), key=lambda one: abs(math.log(one * scale / amount)))
    return float(f"{nearest * scale:.12g}")


def _next(amount: float) -> float:
    scale = 10.0 ** math.floor(math.log10(amount) + 1e-9)
    after = next((one for one in _CHOSEN if one * scale > amount * (1 + 1e-9)), 10.0)
    return float(f"{after * scale:.12g}")


def _column(raw: pd.DataFrame) -> str:
    # The larger areas first: the fewer there are, the more listings each has to learn from.
    for column in _COLUMNS:
        if raw[column].notna().mean() >= _LEAST_FILLED and raw[column].nunique() > 1:
            return column
    fullest = max(_COLUMNS, key=lambda column: (raw[column].notna().mean(), raw[column].nunique()))
    if not raw[fullest].notna().any():
        raise CannotDraft(f"its columns {' and '.join(_COLUMNS)} are missing or empty: no neighbourhoods are named")
    return fullest


def _columns_found(raw: pd.DataFrame) -> str:
    told = [
        f"{name} names {raw[name].nunique():,} in {raw[name].notna().mean():.0%} of the listings"
        if raw[name].notna().any()
        else f"{name} is empty"
        for name in _COLUMNS
    ]
    return f"{'; '.join(told)}."


def _about_limits(prices: pd.Series, limits: Sequence[float]) -> list[str]:
    counts = np.bincount(np.digitize(prices, limits, right=True), minlength=len(CATEGORIES)).tolist()
    told = ", ".join(
        f"{name} {count:,} ({count / len(prices):.0%})" for name, count in zip(CATEGORIES, counts, strict=True)
    )
    shares = ", ".join(f"{share:.0%}" for share in SHARES)
    lines = [
        "# A night up to and including each is Low, Mid and High; above is Lux. Near New York's shares",
        f"# ({shares}): {told}.",
    ]
    scarce = [str(name) for name, count in zip(CATEGORIES, counts, strict=True) if count < LEAST_OF_A_CATEGORY]
    if len(scarce) == len(CATEGORIES):
        lines.append(f"# {len(prices)} prices are too few to learn from, whatever the limits: hundreds are needed.")
    elif scarce:
        lines.append(f"# Too few listings are {' and '.join(scarce)} to learn from: choose other limits.")
    return lines


def _box(raw: pd.DataFrame) -> list[str]:
    sides, far = dict[str, float](), pd.Series(data=False, index=raw.index)
    for name, (low, high), bound in (("latitude", ("south", "north"), 90), ("longitude", ("west", "east"), 180)):
        values = parse_number(raw[name]).dropna()
        values = values[values.abs() <= bound]
        if values.empty:
            told = raw[name].dropna()
            example = f", as {told.iloc[0][:40]!r}" if len(told) else ""
            raise CannotDraft(f"none of its listings has a {name} that can be read{example}: degrees are needed")
        away = (values - values.median()).abs() > _FAR
        if away.mean() > _FEW:
            raise CannotDraft(
                f"its listings lie more than {_FAR:g} degrees of {name} apart, as on both sides of the date line: "
                "a market is one region, and does not span longitude 180"
            )
        far |= away.reindex(raw.index, fill_value=False)
        values = values[~away]
        least, most = np.quantile(values, [_RARE, 1 - _RARE], method="inverted_cdf")
        sides[low] = max(-bound, math.floor(100 * (least - _ROOM)) / 100)
        sides[high] = min(bound, math.ceil(100 * (most + _ROOM)) / 100)
    mistaken = [f"# {far.sum():,} of them lie more than {_FAR:g} degrees away from the others, and outside."]
    return [
        "",
        "# Where the listings lie, with some three kilometres around them. A snapshot of which more than 0.1% lie",
        "# outside is refused.",
        *(mistaken if far.any() else []),
        "[box]",
        *(f"{side} = {degrees:g}" for side, degrees in sides.items()),
    ]


def _text(value: str) -> str:
    # A JSON string is a basic string of TOML.
    return json.dumps(value, ensure_ascii=False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a draft for the snapshot that the arguments name, by default those of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m mle_assets.listings.market", description="Draft the market file of a new city."
    )
    parser.add_argument("snapshot", metavar="SNAPSHOT", help="a path or an http(s) URL, as for SNAPSHOT")
    parser.add_argument("--name", required=True, help="the market's name: small letters, digits, hyphens")
    parser.add_argument("--currency", required=True, help="that of its prices, as in USD or EUR")
    parser.add_argument("--title", help="what people call it (default: the name, in capitals)")
    options = parser.parse_args(arguments)
    try:
        sys.stdout.write(draft(read_snapshot(options.snapshot).listings, options.name, options.currency, options.title))
    except BadSnapshot as error:
        sys.exit(str(error))
    except CannotDraft as error:
        sys.exit(f"No market can be drafted from {options.snapshot}: {error}.")


if __name__ == "__main__":
    main()
