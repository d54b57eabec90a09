"""The OpenAPI 3.1 document: the schemas are the structs' own, every status is described and has an example."""

import msgspec

from api import examples
from api.auth import KEY_HEADER
from api.feedback import Accepted, Feedback
from api.inputs import Inputs
from api.middleware import REQUEST_ID
from api.openapi_parts import (
    ERRORS,
    TEMPLATE,
    Part,
    answered,
    body,
    exemplified,
    flag,
    header,
    health,
    page,
    plain,
    ref,
    refusals,
    text,
    which_market,
    with_example,
)
from api.schemas import Answer, BadListing, Health, ListingOfAMarket, Model, Problem, ServedMarket
from api.settings import Settings
from api.validation import MOST_LISTINGS, PREFIX
from model_registry.listing import Listing, PriceCategory
from model_registry.market import Market

_OF_A_MARKET = "OfAMarket"
_TAGS = {
    "listings": "What will they cost?",
    "feedback": "What did they cost?",
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
    secured, feedback_secured = bool(settings.keys()), bool(settings.keys_for_feedback())
    told = examples.refusals(settings)
    answer = Answer(int(example["id"]), category)
    listings = {"type": "array", "items": ref(Listing), "minItems": 1, "maxItems": MOST_LISTINGS}
    answers = {"type": "array", "items": {"anyOf": [ref(Answer), ref(BadListing)]}}
    probabilities = flag("probabilities", "Add the probabilities of the four categories.")
    explain = flag("explain", "Add by how much each property of the listing raised or lowered its probability.")
    partial = flag("partial", "Answer the good listings; a bad one has its error in its place.")
    posting = refusals(_POSTING, told, secured=secured)
    reading = refusals(_READING, {**told, 503: {"no model": told[503]["no model"]}}, secured=secured)
    several = {"type": "array", "items": ref(Feedback), "minItems": 1, "maxItems": MOST_LISTINGS}
    telling = refusals(
        (*_POSTING, *(() if settings.prediction_log else (404,))),
        {**told, **examples.refusals_of_feedback()},
        secured=feedback_secured,
    )
    figures = refusals((500,), told, secured=secured)
    unknown = exemplified(ERRORS[404], ref(Problem), {"no such market": examples.unknown_market(market)})
    which = which_market(market)
    answer_of_a_market = {"$ref": TEMPLATE.format(name=f"Answer{_OF_A_MARKET}")}
    answers_of_a_market = {"type": "array", "items": {"anyOf": [answer_of_a_market, ref(BadListing)]}}
    of_a_market = {"type": "array", "items": ref(ListingOfAMarket), "minItems": 1, "maxItems": MOST_LISTINGS}
    paths: dict[str, dict[str, Part]] = {
        "/classify": {
            "post": {
                "tags": ["listings"],
                "operationId": "classify",
                "summary": "The price category of a listing",
                "description": "Every field is required and strictly typed, and no others are taken. The text of a "
                f"400 for a wrong body begins with `{PREFIX}`.",
                "parameters": [probabilities, explain],
                "requestBody": body("The listing", ref(Listing), example),
                "responses": {
                    "200": answered(ref(Answer), answer),
                    **with_example(posting, "400", "wrong fields", examples.refused_listing(market)),
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
                "requestBody": body("The listings", listings, [example]),
                "responses": {
                    "200": answered(answers, [answer]),
                    **with_example(posting, "400", "wrong fields", examples.refused_batch(market)),
                },
            }
        },
        "/feedback": {
            "post": {
                "tags": ["feedback"],
                "operationId": "feedback",
                "summary": f"What turned out to be true of up to {MOST_LISTINGS:,} answers",
                "description": "Each is a price or a category, with the request id of the answer that it is about. The "
                "last one about an answer counts. It is taken down, and compared with the answer later.",
                "requestBody": body("One, or a list", {"anyOf": [ref(Feedback), several]}, examples.FEEDBACK),
                "responses": {"202": {**plain(ref(Accepted)), "description": "Taken down"}, **telling},
            }
        },
        "/model": {
            "get": {
                "tags": ["model"],
                "operationId": "model",
                "summary": "What is known of the model that answers",
                "responses": {"200": answered(ref(Model)), **reading},
            }
        },
        "/model/inputs": {
            "get": {
                "tags": ["model"],
                "operationId": "modelInputs",
                "summary": "What the model takes that answers: enough to make a form from",
                "responses": {"200": answered(ref(Inputs)), **reading},
            }
        },
        "/model/card": {
            "get": {
                "tags": ["model"],
                "operationId": "modelCard",
                "summary": "The page about the model that answers",
                "responses": {"200": page(), **reading},
            }
        },
        "/markets": {
            "get": {
                "tags": ["markets"],
                "operationId": "markets",
                "summary": "The markets that are served",
                "responses": {
                    "200": plain({"type": "array", "items": ref(ServedMarket)}),
                    **refusals((500,), told, secured=secured),
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
                "requestBody": body("The listing", ref(ListingOfAMarket), example),
                "responses": {
                    "200": answered(answer_of_a_market, answer),
                    **with_example(posting, "400", "wrong fields", examples.refused_listing(market)),
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
                "requestBody": body("The listings", of_a_market, [example]),
                "responses": {
                    "200": answered(answers_of_a_market, [answer]),
                    **with_example(posting, "400", "wrong fields", examples.refused_batch(market)),
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
                "responses": {"200": answered(ref(Model)), **reading, "404": unknown},
            }
        },
        "/markets/{market}/model/inputs": {
            "get": {
                "tags": ["markets"],
                "operationId": "modelInputsOfMarket",
                "summary": "What the model takes that answers for a market",
                "parameters": [which],
                "responses": {"200": answered(ref(Inputs)), **reading, "404": unknown},
            }
        },
        "/markets/{market}/model/card": {
            "get": {
                "tags": ["markets"],
                "operationId": "modelCardOfMarket",
                "summary": "The page about the model that answers for a market",
                "parameters": [which],
                "responses": {"200": page(), **reading, "404": unknown},
            }
        },
        "/livez": {"get": health("livez", "Is the process alive?", told)},
        "/readyz": {"get": health("readyz", "Can it classify?", told, ready=True)},
        "/healthz": {"get": health("healthz", "Can it classify?", told, ready=True)},
        "/metrics": {
            "get": {
                "tags": ["operation"],
                "operationId": "metrics",
                "summary": "Figures for Prometheus",
                "responses": {"200": text("Text format 0.0.4"), **figures},
            }
        },
    }
    for operations in paths.values():
        for operation in operations.values():
            if "401" in operation["responses"]:
                operation["security"] = [{name: []} for name in schemes]
            for response in operation["responses"].values():
                response["headers"] = {
                    **response.get("headers", {}),
                    REQUEST_ID: header("The request's id: the client's, if it sent one"),
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
        "components": {"schemas": components, **({"securitySchemes": schemes} if secured or feedback_secured else {})},
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
        Feedback,
        Accepted,
    ]
    _, components = msgspec.json.schema_components(kinds, ref_template=TEMPLATE)
    # With a name of its own, as other enums have: generators of clients make a type of it.
    neighbourhood = components["Listing"]["properties"]["neighbourhood"]
    components["Neighbourhood"] = {
        "title": "Neighbourhood",
        "description": f"The neighbourhoods of {market.title}.",
        "enum": neighbourhood.pop("enum"),
    }
    neighbourhood["$ref"] = TEMPLATE.format(name="Neighbourhood")
    # The limits that the default market's have in their descriptions are not those of others.
    _copy_of_a_market(components, "Probabilities")
    _copy_of_a_market(components, "Answer")
    for name, what in market.prices().items():
        components["Probabilities"]["properties"][name]["description"] = f"That a night costs {what}."
    # To msgspec an enum's texts say all; generators of clients want its type as well.
    return {name: {"type": "string", **schema} if "enum" in schema else schema for name, schema in components.items()}


def _copy_of_a_market(components: dict[str, Part], name: str) -> None:
    # What any market's answers say, under a name of its own.
    content = msgspec.json.encode(components[name])
    for copied in ("Probabilities", "Answer"):
        content = content.replace(f'schemas/{copied}"'.encode(), f'schemas/{copied}{_OF_A_MARKET}"'.encode())
    components[name + _OF_A_MARKET] = {**msgspec.json.decode(content), "title": name + _OF_A_MARKET}


def _schemes() -> dict[str, Part]:
    return {
        "key": {
            "type": "apiKey",
            "in": "header",
            "name": KEY_HEADER,
            "description": "One of the service's keys",
        },
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as a bearer token"},
    }
