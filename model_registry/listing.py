"""The vocabulary: what a listing is, what a model sees of it, what a model answers."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray


class RoomType(StrEnum):
    """Airbnb's room types; a member's position is its code in the feature row."""

    SHARED = "Shared room"
    PRIVATE = "Private room"
    ENTIRE = "Entire home/apt"
    HOTEL = "Hotel room"


class PriceCategory(StrEnum):
    """What a model answers; a member's position is its column among the probabilities."""

    LOW = "Low"
    MID = "Mid"
    HIGH = "High"
    LUX = "Lux"


ROOM_TYPE_CODES = {room_type: code for code, room_type in enumerate(RoomType)}
CATEGORIES = tuple(PriceCategory)

FEATURES = (
    "neighbourhood",
    "room_type",
    "accommodates",
    "bathrooms",
    "bedrooms",
    "beds",
    "latitude",
    "longitude",
    "tv",
    "elevator",
    "internet",
)
"""The columns of every model's input, in order."""


# No part of a listing can lead back to it: ten thousand of them need not be searched for cycles, again and again.
class Listing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One listing to be priced: every field required, none other taken, every number bounded.

    Which neighbourhoods there are is for its market to say: `Market.listing` is what a client's is read by.
    """

    id: Annotated[int, Meta(ge=0, le=2**63 - 1, description="Its number at Airbnb; the answer carries it.")]
    accommodates: Annotated[int, Meta(ge=1, le=100, description="How many guests it takes.")]
    room_type: Annotated[RoomType, Meta(description="What of the home is let.")]
    beds: Annotated[int, Meta(ge=0, le=100, description="How many beds it has.")]
    bedrooms: Annotated[int, Meta(ge=0, le=100, description="How many bedrooms it has; 0 for a studio.")]
    bathrooms: Annotated[float, Meta(ge=0, le=100, multiple_of=0.5, description="How many bathrooms; halves count.")]
    neighbourhood: Annotated[str, Meta(description="The neighbourhood it is in.")]
    tv: Annotated[bool, Meta(description="Whether it has a television.")]
    elevator: Annotated[bool, Meta(description="Whether the house has an elevator.")]
    internet: Annotated[bool, Meta(description="Whether it has internet.")]
    latitude: Annotated[float, Meta(ge=-90, le=90, description="Degrees north.")]
    longitude: Annotated[float, Meta(ge=-180, le=180, description="Degrees east; west is negative.")]


EXAMPLE: Final[dict[str, int | float | bool | str]] = {
    "id": 39331263,
    "accommodates": 5,
    "room_type": "Entire home/apt",
    "beds": 2,
    "bedrooms": 2,
    "bathrooms": 1,
    "neighbourhood": "Brooklyn",
    "tv": True,
    "elevator": False,
    "internet": False,
    "latitude": 40.65837,
    "longitude": -73.98402,
}
"""A listing as a client sends it: the one that README, demo, documentation and tests ask about."""


def encode(listing: Listing, neighbourhoods: Mapping[str, int]) -> NDArray[np.float32]:
    """The listing as one feature row: shape (1, 11), float32, in the order of FEATURES."""
    return encode_all([listing], neighbourhoods)


def encode_all(listings: Sequence[Listing], neighbourhoods: Mapping[str, int]) -> NDArray[np.float32]:
    """Listings as feature rows: shape (n, 11), float32, in the order of FEATURES.

    `neighbourhoods` are the codes of their market's; raises KeyError for a listing of another one.
    """
    return np.array(
        [
            (
                neighbourhoods[listing.neighbourhood],
                ROOM_TYPE_CODES[listing.room_type],
                listing.accommodates,
                listing.bathrooms,
                listing.bedrooms,
                listing.beds,
                listing.latitude,
                listing.longitude,
                listing.tv,
                listing.elevator,
                listing.internet,
            )
            for listing in listings
        ],
        dtype=np.float32,
    )


def bounds() -> dict[str, tuple[float, float]]:
    """The smallest and largest value `Listing` takes, by name of each of its numeric fields."""
    limits: dict[str, tuple[float, float]] = {}
    for field in msgspec.structs.fields(Listing):
        for note in getattr(field.type, "__metadata__", ()):
            if note.ge is not None:
                limits[field.name] = (float(note.ge), float(note.le))
    return limits
