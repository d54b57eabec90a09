"""What the service answers to requests that it refuses, in its own words: the examples of the OpenAPI document."""

from collections.abc import Callable
from typing import Any

import msgspec

from api.access import KEY_NEEDED
from api.concurrency import TOO_MANY
from api.errors import FAILED
from api.schemas import Health, Problem, WrongField
from api.settings import Settings
from api.validation import Invalid, read_batch, read_listing
from model_registry.listing import EXAMPLE
from model_registry.settings import DEFAULT_REGISTRY

WRONG_LISTING = {**EXAMPLE, "beds": "2", "neighbourhood": "Hoboken", "color": "red"}
WRONG_BATCH = [EXAMPLE, {**EXAMPLE, "accommodates": 0}]

NOT_PROMOTED = f"No model has been promoted in {DEFAULT_REGISTRY} yet: run the pipeline."

_NO_BOOL = WrongField("expected bool, got str", "probabilities")

Examples = dict[int, dict[str, Any]]
"""For each status its examples, by name."""


def refusals(settings: Settings) -> Examples:
    """What any route may answer besides what was asked for, where these are the settings."""
    return {
        400: {"parameter": Problem(400, f"Invalid query parameter: probabilities: {_NO_BOOL.message}", [_NO_BOOL])},
        401: {"no key": Problem(401, KEY_NEEDED)},
        408: {"slow body": Problem(408, f"The body did not arrive within {settings.body_seconds:g} s.")},
        413: {"large body": Problem(413, f"The body is larger than {settings.body_limit:,} bytes.")},
        415: {"another kind": Problem(415, "Send Content-Type: application/json, not text/plain.")},
        500: {"fault": FAILED},
        503: {"no model": Problem(503, NOT_PROMOTED), "too many": TOO_MANY},
    }


def wrong_listing() -> Problem:
    """What is answered to WRONG_LISTING."""
    return _refused(read_listing, WRONG_LISTING)


def wrong_batch() -> Problem:
    """What is answered to WRONG_BATCH."""
    return _refused(read_batch, WRONG_BATCH)


def not_ready() -> Health:
    """What health answers where no model was promoted."""
    return Health("not ready", detail=NOT_PROMOTED)


def _refused(read: Callable[[bytes], object], body: object) -> Problem:
    try:
        read(msgspec.json.encode(body))
    except Invalid as refused:
        return refused.problem()
    raise AssertionError("the example of a wrong body is a good one")
