"""The OpenAPI 3.1 document: the schemas are the structs' own, every status is described."""

from typing import Any

import msgspec

from api.access import KEY_HEADER
from api.observing import REQUEST_ID
from api.schemas import Answer, BadListing, Health, Model, Problem
from api.settings import Settings
from api.validation import MOST_LISTINGS, PREFIX
from model_registry.listing import EXAMPLE, Listing

_ANSWER = {"id": 39331263, "price_category": "High"}
_TEMPLATE = "#/components/schemas/{name}"

_ERRORS = {
    400: "The body or a parameter is refused; the text names every wrong field",
    401: "No key, or a wrong one",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The body does not say that it is plain JSON",
    500: "A fault of the service",
    503: "No model has been promoted yet, or too many requests are under way",
}
_HEADERS = {
    "X-Model-Version": "The version that answered",
    "X-Run-Id": "The pipeline's run that published it",
    "X-Snapshot": "The SHA-256 of the listings it was trained on",
    "X-Synthetic": "Whether those listings were made up: true or false",
}


def document(settings: Settings) -> dict[str, Any]:
    """The document for some settings: it asks for a key only where keys are set."""
    kinds = [Listing, Answer, BadListing, Health, Model, Problem]
    _, components = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
    secured = bool(settings.keys())
    security: dict[str, Any] = {"security": [{"key": []}, {"bearer": []}]} if secured else {}
    schemes = {
        "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER},
        "bearer": {"type": "http", "scheme": "bearer"},
    }
    listings = {"type": "array", "items": _ref(Listing), "minItems": 1, "maxItems": MOST_LISTINGS}
    answers = {"type": "array", "items": {"anyOf": [_ref(Answer), _ref(BadListing)]}}
    probabilities = _flag("probabilities", "Add the probabilities of the four categories.")
    partial = _flag("partial", "Answer the good listings; a bad one has its error in its place.")
    posting, reading = [400, 408, 413, 415, 500, 503], [500, 503]
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Listing price category",
            "version": "1.0.0",
            "description": "What price category (Low, Mid, High, Lux) will this listing have?",
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/classify": {
                "post": {
                    "operationId": "classify",
                    "summary": "The price category of a listing",
                    "description": "Every field is required and strictly typed, and no others are taken. The text of a "
                    f"400 begins with `{PREFIX}`.",
                    "parameters": [probabilities],
                    "requestBody": _body(_ref(Listing), EXAMPLE),
                    "responses": _responses(_answered(_ref(Answer), _ANSWER), posting, secured=secured),
                    **security,
                }
            },
            "/classify/batch": {
                "post": {
                    "operationId": "classifyBatch",
                    "summary": f"The price categories of up to {MOST_LISTINGS:,} listings",
                    "description": "Answered in order, by one model. A bad listing fails all, unless partial.",
                    "parameters": [probabilities, partial],
                    "requestBody": _body(listings, [EXAMPLE]),
                    "responses": _responses(_answered(answers, [_ANSWER]), posting, secured=secured),
                    **security,
                }
            },
            "/model": {
                "get": {
                    "operationId": "model",
                    "summary": "What is known of the model that answers",
                    "responses": _responses(_answered(_ref(Model)), reading, secured=secured),
                    **security,
                }
            },
            "/livez": {"get": _health("livez", "Is the process alive?", [500])},
            "/readyz": {"get": _health("readyz", "Can it classify?", [500], not_ready=True)},
            "/healthz": {"get": _health("healthz", "Can it classify?", [500], not_ready=True)},
            "/metrics": {
                "get": {
                    "operationId": "metrics",
                    "summary": "Figures for Prometheus",
                    "responses": _responses(
                        {"description": "Text format 0.0.4", "content": {"text/plain": {"schema": {"type": "string"}}}},
                        [500, 503],
                        secured=secured,
                    ),
                    **security,
                }
            },
        },
        "components": {"schemas": components, **({"securitySchemes": schemes} if secured else {})},
    }
    for path in document["paths"].values():
        for operation in path.values():
            for response in operation["responses"].values():
                response.setdefault("headers", {})[REQUEST_ID] = _header(
                    "The request's id: the client's, if it sent one"
                )
    return document


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _TEMPLATE.format(name=kind.__name__)}


def _header(text: str) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string"}}


def _flag(name: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": text, "schema": {"type": "boolean", "default": False}}


def _body(schema: dict[str, Any], example: object) -> dict[str, Any]:
    return {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}


def _answered(schema: dict[str, Any], example: object = None) -> dict[str, Any]:
    content = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {
        "description": "Answered",
        "content": {"application/json": content},
        "headers": {name: _header(text) for name, text in _HEADERS.items()},
    }


def _responses(answered: dict[str, Any], errors: list[int], *, secured: bool) -> dict[str, Any]:
    problem = {"application/json": {"schema": _ref(Problem)}}
    expected = {status: text for status, text in _ERRORS.items() if status in errors or (secured and status == 401)}
    return {
        "200": answered,
        **{str(status): {"description": text, "content": problem} for status, text in expected.items()},
    }


def _health(name: str, summary: str, errors: list[int], *, not_ready: bool = False) -> dict[str, Any]:
    health = {"application/json": {"schema": _ref(Health)}}
    responses = _responses({"description": "Yes", "content": health}, errors, secured=False)
    if not_ready:
        responses["503"] = {"description": "No model can be served; the detail says why", "content": health}
    return {"operationId": name, "summary": summary, "responses": responses}
