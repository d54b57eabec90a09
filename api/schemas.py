"""The HTTP bodies besides `Listing`, which is the registry's."""

from typing import Literal

import msgspec

from model_registry.listing import PriceCategory


class Answer(msgspec.Struct, frozen=True):
    """The price category of the listing with that id."""

    id: int
    price_category: PriceCategory


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """Whether the service is alive or ready, the model that answers, and in words what is wrong if something is."""

    status: Literal["alive", "ready", "not ready"]
    model_version: str | None = None
    detail: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """What every error answers: the HTTP status and, in words, what was wrong."""

    status_code: int
    detail: str
