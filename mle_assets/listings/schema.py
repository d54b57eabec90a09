"""What a cleaned listing is; everything downstream relies on it."""

import msgspec
import pandera.pandas as pa

from mle_assets.listings.parsing import AMENITY_WORDS
from model_registry.listing import CATEGORIES, Listing, RoomType, bounds
from model_registry.market import Market

INTEGERS = ("id", "accommodates", "bedrooms", "beds")
NUMBERS = (*INTEGERS, "bathrooms", "latitude", "longitude")
"""All columns of numbers, the whole ones first."""
LIMITS = bounds()
"""The least and the largest value of each of them."""

_DESCRIPTIONS = {
    **{flag: f"Whether its amenities name «{word}»." for flag, word in AMENITY_WORDS.items()},
    **{field.name: field.type.__metadata__[0].description for field in msgspec.structs.fields(Listing)},
    "property_type": "What kind of home it is, in the host's words.",
    "price": "What a night costs, in its market's currency.",
    "price_category": "Its price category: "
    + ", ".join(f"{code} {name}" for code, name in enumerate(CATEGORIES))
    + ".",
}


def schema_of(market: Market) -> pa.DataFrameSchema:
    """The columns of a market's cleaned listings, with their types, vocabularies and bounds."""
    schema = pa.DataFrameSchema(
        {
            "id": pa.Column("int64", pa.Check.ge(0), unique=True),
            "neighbourhood": pa.Column("str", pa.Check.isin(list(market.neighbourhoods))),
            "room_type": pa.Column("str", pa.Check.isin(list(RoomType))),
            "property_type": pa.Column("str", nullable=True),
            **{
                name: pa.Column("int64" if name in INTEGERS else "float64", pa.Check.in_range(*LIMITS[name]))
                for name in NUMBERS
                if name != "id"
            },
            **{flag: pa.Column("bool") for flag in AMENITY_WORDS},
            "price": pa.Column("float64", pa.Check.gt(market.lowest_price)),
            "price_category": pa.Column("int64", pa.Check.isin(range(len(CATEGORIES)))),
        },
        strict=True,
    )
    return schema.update_columns({name: {"description": _DESCRIPTIONS[name]} for name in schema.columns})
