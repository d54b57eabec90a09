"""A market: all in which one city's listings and models differ from another's, read from one TOML file."""

import re
from collections import Counter
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, cast
from unicodedata import normalize

import msgspec
from msgspec import Meta

from model_registry.listing import EXAMPLE, Listing, PriceCategory

FOLDER = "markets"
"""Where market files are looked for unless told otherwise; relative to where a process is started."""
DEFAULT_MARKET = "new-york"

Text = Annotated[str, Meta(min_length=1)]

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAKEN = ("incoming", "live", "versions")
"""No market is called so: these are folders of a registry, and were beside markets' before there were several."""
_CURRENCY = re.compile(r"[A-Z]{3}")
_SUFFIX = ".toml"


_NAMES = f"small letters and digits, with single hyphens between, and not {' or '.join(_TAKEN)}"


def is_market_name(name: str) -> bool:
    """Whether a market may be called so: its name is that of files and folders, and part of addresses."""
    return _NAME.fullmatch(name) is not None and name not in _TAKEN


class BadMarket(Exception):
    """A market file cannot be used; the message names it, what is wrong, and the cure."""


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where a market's listings lie, in degrees: nearly all of them, with some room around."""

    south: Annotated[float, Meta(ge=-90, le=90)]
    north: Annotated[float, Meta(ge=-90, le=90)]
    west: Annotated[float, Meta(ge=-180, le=180)]
    east: Annotated[float, Meta(ge=-180, le=180)]

    def __post_init__(self) -> None:
        """Raise ValueError where its sides are not in order."""
        if not (self.south < self.north and self.west < self.east):
            raise ValueError("the box has no inside: south must be below north, and west below east")


class Market(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One city: how its snapshot is read, what a listing of it may say, and what its price categories are."""

    name: Text
    """The name of its file without the ending: small letters, digits and single hyphens."""
    title: Text
    """What people call it."""
    currency: str
    """That of its prices: three capital letters (ISO 4217)."""
    neighbourhood_column: Literal["neighbourhood_group_cleansed", "neighbourhood_cleansed"]
    """The column of its snapshots that names a listing's neighbourhood."""
    neighbourhoods: tuple[Text, ...]
    """All of them, each once; a neighbourhood's position is its code in the feature row."""
    category_limits: tuple[float, float, float]
    """A night up to and including each is Low, Mid and High, above the last it is Lux; in the currency."""
    lowest_price: Annotated[float, Meta(ge=0)]
    """A listing at or below it is not bookable: its price is a placeholder."""
    snapshot: Text | None = None
    """What a run reads unless it is told otherwise: a path, an http(s) URL, or "synthetic"."""
    box: Box | None = None
    """Where its listings lie; without one that is not checked."""

    def __post_init__(self) -> None:
        """Raise ValueError, in words, for values that do not make a market together."""
        if not is_market_name(self.name):
            raise ValueError(f"its name {self.name!r} must be {_NAMES}")
        if not _CURRENCY.fullmatch(self.currency):
            raise ValueError(f"its currency {self.currency!r} must be three capital letters, as in USD or EUR")
        if len(self.neighbourhoods) < 1:
            raise ValueError("it names no neighbourhoods: at least one is needed")
        for one, times in Counter(self.neighbourhoods).items():
            if one != one.strip():
                raise ValueError(f"its neighbourhood {one!r} begins or ends with a space")
            if times > 1:
                raise ValueError(f"its neighbourhood {one!r} stands more than once")
        limits = (self.lowest_price, *self.category_limits)
        if not all(low < high for low, high in pairwise(limits)) or limits[-1] == float("inf"):
            told = ", ".join(f"{limit:g}" for limit in limits)
            raise ValueError(f"its lowest_price and category_limits must rise from one to the next, and are {told}")

    @property
    def codes(self) -> Mapping[str, int]:
        """The code of each neighbourhood in the feature row."""
        return _codes(self.neighbourhoods)

    def money(self, amount: float) -> str:
        """An amount as people read it, for example $1,234 or 1,234.50 EUR."""
        digits = f"{amount:,.0f}" if float(amount).is_integer() else f"{amount:,.2f}"
        return f"${digits}" if self.currency == "USD" else f"{digits} {self.currency}"

    def prices(self) -> dict[PriceCategory, str]:
        """What a night costs in each price category, in words."""
        low, mid, high = map(self.money, self.category_limits)
        return {
            PriceCategory.LOW: f"up to {low}",
            PriceCategory.MID: f"more than {low} and up to {mid}",
            PriceCategory.HIGH: f"more than {mid} and up to {high}",
            PriceCategory.LUX: f"more than {high}",
        }

    @property
    def listing(self) -> type[Listing]:
        """What a client sends about a listing of this market: `Listing`, its neighbourhood one of the market's."""
        return _listing(self.neighbourhoods)

    def example(self) -> dict[str, int | float | bool | str]:
        """A listing as a client sends it: that of README and demo, moved to this market."""
        if EXAMPLE["neighbourhood"] in self.neighbourhoods:
            return dict(EXAMPLE)
        where = {"neighbourhood": self.neighbourhoods[0]}
        if self.box is None:
            return {**EXAMPLE, **where}
        middle = {
            "latitude": round((self.box.south + self.box.north) / 2, 5),
            "longitude": round((self.box.west + self.box.east) / 2, 5),
        }
        return {**EXAMPLE, **where, **middle}


NEW_YORK = Market(
    name="new-york",
    title="New York",
    currency="USD",
    neighbourhood_column="neighbourhood_group_cleansed",
    neighbourhoods=("Bronx", "Queens", "Staten Island", "Brooklyn", "Manhattan"),
    category_limits=(90.0, 180.0, 400.0),
    lowest_price=10.0,
    box=Box(south=40.45, north=40.95, west=-74.30, east=-73.65),
)
"""The market of every model that was published before manifests named one; markets/new-york.toml says the same."""


def read_market(path: Path) -> Market:
    """The market in a TOML file that is named after it; raises BadMarket where it is not there or not one."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadMarket(_not_there(path)) from None
    except OSError as error:
        raise BadMarket(f"The market file {path} cannot be read: {error.strerror}.") from error
    try:
        return market_in(content, path.name.removesuffix(_SUFFIX))
    except ValueError as error:
        raise BadMarket(f"The market file {path} cannot be used: {error}.") from error


def market_in(content: bytes, name: str) -> Market:
    """The market of that name in the content of a TOML file; raises ValueError, in words, where it is none."""
    written = msgspec.toml.decode(content, type=dict[str, Any])
    if "name" in written:
        raise ValueError("it names itself, and its name is that of the file, without the ending")
    neighbourhoods = written.get("neighbourhoods")
    if isinstance(neighbourhoods, list):
        # An Ó of two code points is the Ó of one, in snapshots as here.
        named = [normalize("NFC", one) if isinstance(one, str) else one for one in neighbourhoods]
        written = {**written, "neighbourhoods": named}
    return msgspec.convert({"name": name, **written}, Market)


def find_market(folder: Path, name: str) -> Market:
    """The market of that name in a folder of market files; raises BadMarket.

    New York needs no file: the folder is looked for where a process was started, and whoever has one market need not
    know that there are files.
    """
    file = folder / f"{name}{_SUFFIX}"
    return NEW_YORK if name == NEW_YORK.name and not file.exists() else read_market(file)


def find_markets(folder: Path) -> tuple[dict[str, Market], list[BadMarket]]:
    """The markets of a folder by name, in alphabetical order, and what is wrong with the files that are none."""
    markets, faults = dict[str, Market](), list[BadMarket]()
    for file in sorted(folder.glob(f"[!.]*{_SUFFIX}")):
        try:
            market = read_market(file)
        except BadMarket as fault:
            faults.append(fault)
        else:
            markets[market.name] = market
    return markets, faults


def _not_there(path: Path) -> str:
    there = sorted(one.name.removesuffix(_SUFFIX) for one in path.parent.glob(f"*{_SUFFIX}"))
    known = f"there {'is' if len(there) == 1 else 'are'} {', '.join(there)}" if there else "the folder has none"
    return f"There is no market file {path}: {known}. A new city's is drafted by python -m mle_assets.listings.market."


@cache
def _codes(neighbourhoods: tuple[str, ...]) -> Mapping[str, int]:
    return {neighbourhood: code for code, neighbourhood in enumerate(neighbourhoods)}


@cache
def _listing(neighbourhoods: tuple[str, ...]) -> type[Listing]:
    of_market = Annotated[Literal[neighbourhoods], Meta(description="The neighbourhood it is in.")]  # type: ignore[valid-type]
    fields: list[tuple[str, Any]] = [
        (field.name, of_market if field.name == "neighbourhood" else field.type)
        for field in msgspec.structs.fields(Listing)
    ]
    made = msgspec.defstruct(
        "Listing", fields, bases=(Listing,), frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False
    )
    made.__doc__ = "One listing to be priced: every field required, none other taken, every number bounded."
    return cast("type[Listing]", made)
