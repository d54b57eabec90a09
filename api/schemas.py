"""The HTTP bodies besides `Listing`, which is the registry's."""

from datetime import date, datetime
from typing import Literal

import msgspec

from model_registry.listing import PriceCategory


class Probabilities(msgspec.Struct, frozen=True, rename={"low": "Low", "mid": "Mid", "high": "High", "lux": "Lux"}):
    """How probable each price category is; together they are one."""

    low: float
    mid: float
    high: float
    lux: float


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The price category of the listing with that id, and the probabilities where they were asked for."""

    id: int
    price_category: PriceCategory
    probabilities: Probabilities | None = None


class WrongField(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one field, and in a batch with which listing (counted from 0)."""

    message: str
    field: str | None = None
    index: int | None = None


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What every error answers: the HTTP status, in words what was wrong, and for bad input every wrong field.

    Past the hundredth, wrong fields (in a batch: wrong listings) are only counted, in `omitted`.
    """

    status_code: int
    detail: str
    extra: list[WrongField] | None = None
    omitted: int = 0


class BadListing(msgspec.Struct, frozen=True):
    """In a partial batch, what stands in the place of a listing that could not be answered."""

    error: Problem


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the service is alive or ready, the model that answers, and in words what is wrong if something is.

    `synthetic` is there, and true, where that model was trained on made-up listings.
    """

    status: Literal["alive", "ready", "not ready"]
    model_version: str | None = None
    synthetic: bool = False
    detail: str | None = None


class Model(msgspec.Struct, frozen=True):
    """The parts of the answering model's manifest that matter to a client.

    `metrics` are the test listings'; `synthetic` says whether all listings were made up.
    """

    version: str
    candidate: str
    created_at: datetime
    run_id: str
    snapshot: str
    snapshot_date: date | None
    synthetic: bool
    features: tuple[str, ...]
    classes: tuple[str, ...]
    metrics: dict[str, float]
