"""Feedback: what turned out to be true of an answer, taken down to be compared with it later."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from api.validation import MOST_LISTINGS, Reader
from model_registry.listing import PriceCategory
from prediction_log.record import Feedback as Record

_LATEST = 4_102_444_800.0
"""The year 2100, in seconds since 1970."""


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """What turned out to be true of a listing that was answered: its price, or its category."""

    request_id: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$", description="The X-Request-Id of the answer that it is about."),
    ]
    index: Annotated[
        Annotated[int, Meta(ge=0, lt=MOST_LISTINGS)] | UnsetType,
        Meta(description="The listing's place in its batch, counted from 0; not there for a single listing."),
    ] = UNSET
    price: Annotated[
        Annotated[float, Meta(gt=0, le=1_000_000_000)] | UnsetType,
        Meta(description="What a night costs, in the currency of the answer's market. Either this or a category."),
    ] = UNSET
    price_category: Annotated[
        PriceCategory | UnsetType, Meta(description="The category that it is in. Either this or a price.")
    ] = UNSET
    observed_at: Annotated[
        Annotated[datetime, Meta(tz=True)] | UnsetType,
        Meta(description="When that was seen to be so, with its time zone; unless said, now."),
    ] = UNSET

    def __post_init__(self) -> None:
        """Raise ValueError where there is no truth in it, or two, or one from a time or of an id that cannot be."""
        # To msgspec's regex, which is Python's, a `$` is also before it; `\Z` is not for those who read the document.
        if self.request_id.endswith("\n"):
            raise ValueError("request_id ends with a line break")
        if (self.price is UNSET) == (self.price_category is UNSET):
            raise ValueError("give either price or price_category")
        if self.observed_at is not UNSET and not 0 <= self.observed_at.timestamp() < _LATEST:
            raise ValueError("observed_at is not between 1970 and 2100")

    def record(self, now: float) -> Record:
        """What is logged of it."""
        return Record(
            now,
            self.request_id,
            None if self.index is UNSET else self.index,
            None if self.price is UNSET else self.price,
            None if self.price_category is UNSET else self.price_category.value,
            None if self.observed_at is UNSET else self.observed_at.timestamp(),
        )


class Accepted(msgspec.Struct, frozen=True):
    """How many feedbacks were taken down."""

    accepted: Annotated[int, Meta(description="All that were sent: none is taken where one is wrong.")]


def read_feedback(body: bytes) -> list[Record]:
    """The feedback in a body, one or a list of up to 10,000; raises Invalid with all that is wrong with it."""
    rows = READER.batch(body) if body.lstrip()[:1] == b"[" else [READER.one(body)]
    now = time.time()
    return [row.record(now) for row in rows]


def _quotes(rows: Sequence[Feedback]) -> int:
    # Two around each key and each text; a text cannot contain any.
    return sum(
        4
        + 2 * (row.index is not UNSET)
        + 2 * (row.price is not UNSET)
        + 4 * (row.price_category is not UNSET)
        + 4 * (row.observed_at is not UNSET)
        for row in rows
    )


READER = Reader(Feedback, "feedback", _quotes)
"""Reads feedback as strictly as listings are read."""
