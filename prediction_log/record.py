"""What a line of the log says: what was asked and answered, or what turned out to be true.

A line is one JSON object whose `kind` names its format, so that lines of older versions are read for as long as their
kind is listed here. It holds neither a client's address nor any text that is not from a list or an id.

The bounds are those of whoever computes with what is read: none refuses what the service answers or takes.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Time = Annotated[float, Meta(ge=0, le=253_402_300_799)]
"""Seconds since 1970, up to the year 9999."""
Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What a column of 64 bits takes."""
Probability = Annotated[float, Meta(ge=-0.001, le=1.001)]
"""A model's sums of 32 bits end at 1.0000001 now and then."""
Probabilities = tuple[Probability, Probability, Probability, Probability]
"""Of Low, Mid, High and Lux."""
Category = Literal["Low", "Mid", "High", "Lux"]


class LoggedListing(msgspec.Struct, frozen=True, gc=False):
    """A listing as it was asked about: its id and its eleven features."""

    id: Whole
    neighbourhood: str
    room_type: str
    accommodates: Whole
    bathrooms: float
    bedrooms: Whole
    beds: Whole
    latitude: float
    longitude: float
    tv: bool
    elevator: bool
    internet: bool


class ShadowAnswer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What the shadow answered about the same listing, or why it did not."""

    version: str
    category: Category | None = None
    probabilities: Probabilities | None = None
    missed: Literal["busy", "failed"] | None = None


class Prediction(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="prediction-1", omit_defaults=True):
    """One listing that was answered; `time` is that of the answer, in seconds since 1970."""

    time: Time
    request_id: str
    market: str
    version: str
    listing: LoggedListing
    category: Category
    probabilities: Probabilities
    index: Whole | None = None
    """Its place in its batch, from 0; none for a single listing."""
    shadow: ShadowAnswer | None = None
    """For the listings that the shadow was to be asked about."""


class Feedback(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="feedback-1", omit_defaults=True):
    """What turned out to be true of an answer: a price in the market's currency, or a category; never both.

    `time` is when it was told and `observed_at` when it was seen, in seconds since 1970.
    """

    time: Time
    request_id: str
    index: Whole | None = None
    price: float | None = None
    price_category: Category | None = None
    observed_at: Time | None = None


class Forgotten(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="forgotten-1", omit_defaults=True):
    """What is to be erased wherever it is met: the records of a request, or those of a listing.

    Both together: the answer `index` of the request was about the listing, so what was told of that answer is erased.
    """

    time: Time
    request_id: str | None = None
    listing_id: Whole | None = None
    index: Whole | None = None


Record = Prediction | Feedback | Forgotten
