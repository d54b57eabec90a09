"""What the service answers to requests that it refuses, in its own words: the examples of the OpenAPI document."""

from collections.abc import Callable
from typing import Any

import msgspec

from api.auth import KEY_NEEDED
from api.concurrency import TOO_MANY
from api.errors import FAILED
from api.feedback import READER
from api.schemas import Health, Problem, WrongField
from api.settings import Settings
from api.validation import Invalid, reader_of
from model_registry.market import Market
from model_registry.settings import DEFAULT_REGISTRY

NOT_PROMOTED = f"No model has been promoted in {DEFAULT_REGISTRY} yet: run the pipeline."

FEEDBACK = {"request_id": "9f86d081884c7d659a2feaa0c55ad015", "price": 129.0, "observed_at": "2026-11-24T12:00:00Z"}
"""What a client sends."""
WRONG_FEEDBACK = {"request_id": "not plain", "price": -1}
"""One with two faults."""
NO_LOG = "No feedback is taken here: PREDICTION_LOG is empty."

UNKNOWN_MARKET = "atlantis"
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


def unknown_market(market: Market) -> Problem:
    """What is answered about a market that is not there, where one is served."""
    return Problem(404, f"No market is called {UNKNOWN_MARKET!r} here; served: {market.name}.")


def wrong_listing(market: Market) -> dict[str, Any]:
    """A listing with three faults."""
    return {**market.example(), "beds": "2", "neighbourhood": "Nowhere", "color": "red"}


def wrong_batch(market: Market) -> list[dict[str, Any]]:
    """A batch whose second listing is wrong."""
    return [market.example(), {**market.example(), "accommodates": 0}]


def refused_listing(market: Market) -> Problem:
    """What is answered to `wrong_listing`."""
    return _refused(reader_of(market).one, wrong_listing(market))


def refused_batch(market: Market) -> Problem:
    """What is answered to `wrong_batch`."""
    return _refused(reader_of(market).batch, wrong_batch(market))


def refusals_of_feedback() -> Examples:
    """What is answered to feedback besides."""
    return {
        400: {"wrong fields": _refused(READER.one, WRONG_FEEDBACK)},
        404: {"no log": Problem(404, NO_LOG)},
        503: {"too many": TOO_MANY},
    }


def not_ready() -> Health:
    """What health answers where no model was promoted."""
    return Health("not ready", detail=NOT_PROMOTED)


def _refused(read: Callable[[bytes], object], body: object) -> Problem:
    try:
        read(msgspec.json.encode(body))
    except Invalid as refused:
        return refused.problem()
    raise AssertionError("the example of a wrong body is a good one")
