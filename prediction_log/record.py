"""What a line of the log says: what was asked and answered, or what turned out to be true.

A line is one JSON object whose `kind` names its format, so that lines of older versions are read for as long as their
kind is listed here. It holds neither a client's address nor any text that is not from a list or an id.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Probability = Annotated[float, Meta(ge=0, le=1)]
Probabilities = tuple[Probability, Probability, Probability, Probability]
"""Of Low, Mid, High and Lux."""
Category = Literal["Low", "Mid", "High", "Lux"]


class LoggedListing(msgspec.Struct, frozen=True, gc=False):
    """A listing as it was asked about: its id and its eleven features."""

    id: int
    neighbourhood: str
    room_type: str
    accommodates: int
    bathrooms: float
    bedrooms: int
    beds: int
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

    time: float
    request_id: str
    market: str
    version: str
    listing: LoggedListing
    category: Category
    probabilities: Probabilities
    index: int | None = None
    """Its place in its batch, from 0; none for a single listing."""
    shadow: ShadowAnswer | None = None
    """For the listings that the shadow was to be asked about."""


class Feedback(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="feedback-1", omit_defaults=True):
    """What turned out to be true of an answer: a price in the market's currency, or a category; never both.

    `time` is when it was told and `observed_at` when it was seen, in seconds since 1970.
    """

    time: float
    request_id: str
    index: int | None = None
    price: float | None = None
    price_category: Category | None = None
    observed_at: float | None = None


class Forgotten(msgspec.Struct, frozen=True, gc=False, tag_field="kind", tag="forgotten-1", omit_defaults=True):
    """What is to be erased wherever it is met: the records of a request, or those of a listing."""

    time: float
    request_id: str | None = None
    listing_id: int | None = None


Record = Prediction | Feedback | Forgotten
