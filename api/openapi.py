"""The OpenAPI 3.1 document: the schemas are the structs' own, every status is described and has an example."""

from typing import Any

import msgspec

from api import examples
from api.access import KEY_HEADER
from api.inputs import Inputs
from api.observing import REQUEST_ID
from api.schemas import Answer, BadListing, Health, ListingOfAMarket, Model, Problem, ServedMarket
from api.settings import Settings
from api.validation import MOST_LISTINGS, PREFIX
from model_registry.listing import Listing, PriceCategory
from model_registry.market import Market

Part = dict[str, Any]
"""A part of the document."""

MODEL_HEADERS = {
    "X-Market": "The market that it answered for",
    "X-Model-Version": "The version that answered",
    "X-Run-Id": "The pipeline's run that published it",
    "X-Snapshot": "The SHA-256 of the listings it was trained on",
    "X-Synthetic": "Whether those listings were made up: true or false",
}
_OF_A_MARKET = "OfAMarket"
_TEMPLATE = "#/components/schemas/{name}"
_ERRORS = {
    400: "The body or a parameter is refused; the text names every wrong field",
    401: "No key, or a wrong one",
    404: "No such market is served; the text names those that are",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The body does not say that it is plain JSON",
    500: "A fault of the service",
    503: "No model has been promoted yet, or too many requests are under way",
}
_TAGS = {
    "listings": "What will they cost?",
    "model": "What answers, and where does it come from?",
    "markets": "The same for each city that the registry has models of.",
    "health": "Is the service alive, and can it answer?",
    "operation": "What it does, in figures.",
}
_POSTING, _READING = (400, 408, 413, 415, 500, 503), (500, 503)


def document(settings: Settings, market: Market, category: PriceCategory) -> Part:
    """The document for some settings and the default market.

    `category` is what the market's example listing is answered with.
    """
    components, schemes, example = _schemas(market), _schemes(), market.example()
    secured = bool(settings.keys())
    told = examples.refusals(settings)
    answer = Answer(int(example["id"]), category)
    listings = {"type": "array", "items": _ref(Listing), "minItems": 1, "maxItems": MOST_LISTINGS}
    answers = {"type": "array", "items": {"anyOf": [_ref(Answer), _ref(BadListing)]}}
    probabilities = _flag("probabilities", "Add the probabilities of the four categories.")
    explain = _flag("explain", "Add by how much each property of the listing raised or lowered its probability.")
    partial = _flag("partial", "Answer the good listings; a bad one has its error in its place.")
    posting = _refusals(_POSTING, told, secured=secured)
    reading = _refusals(_READING, {**told, 503: {"no model": told[503]["no model"]}}, secured=secured)
    figures = _refusals((500,), told, secured=secured)
    unknown = _exemplified(_ERRORS[404], _ref(Problem), {"no such market": examples.unknown_market(market)})
    which = _market(market)
    answer_of_a_market = {"$ref": _TEMPLATE.format(name=f"Answer{_OF_A_MARKET}")}
    answers_of_a_market = {"type": "array", "items": {"anyOf": [answer_of_a_market, _ref(BadListing)]}}
    of_a_market = {"type": "array", "items": _ref(ListingOfAMarket), "minItems": 1, "maxItems": MOST_LISTINGS}
    paths: dict[str, dict[str, Part]] = {
        "/classify": {
            "post": {
                "tags": ["listings"],
                "operationId": "classify",
                "summary": "The price category of a listing",
                "description": "Every field is required and strictly typed, and no others are taken. The text of a "
                f"400 for a wrong body begins with `{PREFIX}`.",
                "parameters": [probabilities, explain],
                "requestBody": _body("The listing", _ref(Listing), example),
                "responses": {
                    "200": _answered(_ref(Answer), answer),
                    **_with(posting, "400", "wrong fields", examples.refused_listing(market)),
                },
            }
        },
        "/classify/batch": {
            "post": {
                "tags": ["listings"],
                "operationId": "classifyBatch",
                "summary": f"The price categories of up to {MOST_LISTINGS:,} listings",
                "description": "Answered in order, by one model. A bad listing fails all, unless partial.",
                "parameters": [probabilities, partial],
                "requestBody": _body("The listings", listings, [example]),
                "responses": {
                    "200": _answered(answers, [answer]),
                    **_with(posting, "400", "wrong fields", examples.refused_batch(market)),
                },
            }
        },
        "/model": {
            "get": {
                "tags": ["model"],
                "operationId": "model",
                "summary": "What is known of the model that answers",
                "responses": {"200": _answered(_ref(Model)), **reading},
            }
        },
        "/model/inputs": {
            "get": {
                "tags": ["model"],
                "operationId": "modelInputs",
                "summary": "What the model takes that answers: enough to make a form from",
                "responses": {"200": _answered(_ref(Inputs)), **reading},
            }
        },
        "/model/card": {
            "get": {
                "tags": ["model"],
                "operationId": "modelCard",
                "summary": "The page about the model that answers",
                "responses": {"200": _page(), **reading},
            }
        },
        "/markets": {
            "get": {
                "tags": ["markets"],
                "operationId": "markets",
                "summary": "The markets that are served",
                "responses": {
                    "200": _plain({"type": "array", "items": _ref(ServedMarket)}),
                    **_refusals((500,), told, secured=secured),
                },
            }
        },
        "/markets/{market}/classify": {
            "post": {
                "tags": ["markets"],
                "operationId": "classifyInMarket",
                "summary": "The price category of a listing of a market",
                "description": "As /classify does for the default market.",
                "parameters": [which, probabilities, explain],
                "requestBody": _body("The listing", _ref(ListingOfAMarket), example),
                "responses": {
                    "200": _answered(answer_of_a_market, answer),
                    **_with(posting, "400", "wrong fields", examples.refused_listing(market)),
                    "404": unknown,
                },
            }
        },
        "/markets/{market}/classify/batch": {
            "post": {
                "tags": ["markets"],
                "operationId": "classifyBatchInMarket",
                "summary": f"The price categories of up to {MOST_LISTINGS:,} listings of a market",
                "description": "As /classify/batch does for the default market.",
                "parameters": [which, probabilities, partial],
                "requestBody": _body("The listings", of_a_market, [example]),
                "responses": {
                    "200": _answered(answers_of_a_market, [answer]),
                    **_with(posting, "400", "wrong fields", examples.refused_batch(market)),
                    "404": unknown,
                },
            }
        },
        "/markets/{market}/model": {
            "get": {
                "tags": ["markets"],
                "operationId": "modelOfMarket",
                "summary": "What is known of the model that answers for a market",
                "parameters": [which],
                "responses": {"200": _answered(_ref(Model)), **reading, "404": unknown},
            }
        },
        "/markets/{market}/model/inputs": {
            "get": {
                "tags": ["markets"],
                "operationId": "modelInputsOfMarket",
                "summary": "What the model takes that answers for a market",
                "parameters": [which],
                "responses": {"200": _answered(_ref(Inputs)), **reading, "404": unknown},
            }
        },
        "/markets/{market}/model/card": {
            "get": {
                "tags": ["markets"],
                "operationId": "modelCardOfMarket",
                "summary": "The page about the model that answers for a market",
                "parameters": [which],
                "responses": {"200": _page(), **reading, "404": unknown},
            }
        },
        "/livez": {"get": _health("livez", "Is the process alive?", told)},
        "/readyz": {"get": _health("readyz", "Can it classify?", told, ready=True)},
        "/healthz": {"get": _health("healthz", "Can it classify?", told, ready=True)},
        "/metrics": {
            "get": {
                "tags": ["operation"],
                "operationId": "metrics",
                "summary": "Figures for Prometheus",
                "responses": {"200": _text("Text format 0.0.4"), **figures},
            }
        },
    }
    for operations in paths.values():
        for operation in operations.values():
            if secured and "health" not in operation["tags"]:
                operation["security"] = [{name: []} for name in schemes]
            for response in operation["responses"].values():
                response["headers"] = {
                    **response.get("headers", {}),
                    REQUEST_ID: _header("The request's id: the client's, if it sent one"),
                }
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Listing price category",
            "version": "1.0.0",
            "description": "What price category (Low, Mid, High, Lux) will this listing have?",
        },
        "servers": [{"url": "./", "description": "This service, wherever a proxy has put it"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {"schemas": components, **({"securitySchemes": schemes} if secured else {})},
    }


def _schemas(market: Market) -> dict[str, Part]:
    kinds = [
        market.listing,
        ListingOfAMarket,
        Answer,
        BadListing,
        Health,
        Inputs,
        Model,
        Problem,
        ServedMarket,
    ]
    _, components = msgspec.json.schema_components(kinds, ref_template=_TEMPLATE)
    # With a name of its own, as other enums have: generators of clients make a type of it.
    neighbourhood = components["Listing"]["properties"]["neighbourhood"]
    components["Neighbourhood"] = {
        "title": "Neighbourhood",
        "description": f"The neighbourhoods of {market.title}.",
        "enum": neighbourhood.pop("enum"),
    }
    neighbourhood["$ref"] = _TEMPLATE.format(name="Neighbourhood")
    # The limits that the default market's have in their descriptions are not those of others.
    _copy_of_a_market(components, "Probabilities")
    _copy_of_a_market(components, "Answer")
    for name, what in _prices(market).items():
        components["Probabilities"]["properties"][name]["description"] = f"That a night costs {what}."
    # To msgspec an enum's texts say all; generators of clients want its type as well.
    return {name: {"type": "string", **schema} if "enum" in schema else schema for name, schema in components.items()}


def _copy_of_a_market(components: dict[str, Part], name: str) -> None:
    # What any market's answers say, under a name of its own.
    content = msgspec.json.encode(components[name])
    for copied in ("Probabilities", "Answer"):
        content = content.replace(f'schemas/{copied}"'.encode(), f'schemas/{copied}{_OF_A_MARKET}"'.encode())
    components[name + _OF_A_MARKET] = {**msgspec.json.decode(content), "title": name + _OF_A_MARKET}


def _prices(market: Market) -> dict[str, str]:
    low, mid, high = map(market.money, market.category_limits)
    return {
        "Low": f"up to {low}",
        "Mid": f"more than {low} and up to {mid}",
        "High": f"more than {mid} and up to {high}",
        "Lux": f"more than {high}",
    }


def _schemes() -> dict[str, Part]:
    return {
        "key": {"type": "apiKey", "in": "header", "name": KEY_HEADER, "description": "One of the service's API_KEYS"},
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token"},
    }


def _ref(kind: type) -> dict[str, str]:
    return {"$ref": _TEMPLATE.format(name=kind.__name__)}


def _header(text: str) -> Part:
    return {"description": text, "schema": {"type": "string"}}


def _flag(name: str, text: str) -> Part:
    return {"name": name, "in": "query", "description": text, "schema": {"type": "boolean", "default": False}}


def _market(market: Market) -> Part:
    return {
        "name": "market",
        "in": "path",
        "required": True,
        "description": "The name of one of the markets that /markets lists.",
        "schema": {"type": "string", "minLength": 1},
        "example": market.name,
    }


def _body(text: str, schema: Part, example: object) -> Part:
    return {
        "description": text,
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def _answered(schema: Part, example: object = None) -> Part:
    content = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {
        "description": "Answered",
        "content": {"application/json": content},
        "headers": {name: _header(text) for name, text in MODEL_HEADERS.items()},
    }


def _plain(schema: Part) -> Part:
    return {"description": "Answered", "content": {"application/json": {"schema": schema}}}


def _page() -> Part:
    return {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}


def _text(description: str) -> Part:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


def _refusals(statuses: tuple[int, ...], told: examples.Examples, *, secured: bool) -> dict[str, Part]:
    expected: list[int] = sorted({*statuses, 401} if secured else statuses)
    return {str(status): _exemplified(_ERRORS[status], _ref(Problem), told[status]) for status in expected}


def _exemplified(description: str, schema: Part, values: dict[str, Any]) -> Part:
    named = {name.replace(" ", "-"): {"summary": name, "value": value} for name, value in values.items()}
    return {"description": description, "content": {"application/json": {"schema": schema, "examples": named}}}


def _with(responses: dict[str, Part], status: str, name: str, value: Problem) -> dict[str, Part]:
    # The responses with one more example, before the others: it is the one that is shown.
    content = responses[status]["content"]["application/json"]
    shown = {name.replace(" ", "-"): {"summary": name, "value": value}, **content["examples"]}
    with_it = {**responses[status], "content": {"application/json": {**content, "examples": shown}}}
    return {**responses, status: with_it}


def _health(name: str, summary: str, told: examples.Examples, *, ready: bool = False) -> Part:
    health = {"application/json": {"schema": _ref(Health)}}
    responses = {"200": {"description": "Yes", "content": health}, **_refusals((500,), told, secured=False)}
    if ready:
        text = "No model can be served; the detail says why"
        responses["503"] = _exemplified(text, _ref(Health), {"no model": examples.not_ready()})
    return {"tags": ["health"], "operationId": name, "summary": summary, "responses": responses}
