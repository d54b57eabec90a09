"""How the parts of an OpenAPI document are written: parameters, bodies, answers, refusals."""

from typing import Any

from api import examples
from api.schemas import Health, Problem
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
TEMPLATE = "#/components/schemas/{name}"
ERRORS = {
    400: "The body or a parameter is refused; the text names every wrong field",
    401: "No key, or a wrong one",
    404: "No such market is served; the text names those that are",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "The body does not say that it is plain JSON",
    500: "A fault of the service",
    503: "No model has been promoted yet, or too many requests are under way",
}


def ref(kind: type) -> dict[str, str]:
    """The schema of a struct, by its name among the components."""
    return {"$ref": TEMPLATE.format(name=kind.__name__)}


def header(text: str) -> Part:
    """A header that is a text."""
    return {"description": text, "schema": {"type": "string"}}


def flag(name: str, text: str) -> Part:
    """A parameter of the query that is true or false, and false unless it is given."""
    return {"name": name, "in": "query", "description": text, "schema": {"type": "boolean", "default": False}}


def which_market(market: Market) -> Part:
    """The market in an address."""
    return {
        "name": "market",
        "in": "path",
        "required": True,
        "description": "The name of one of the markets that /markets lists.",
        "schema": {"type": "string", "minLength": 1},
        "example": market.name,
    }


def body(text: str, schema: Part, example: object) -> Part:
    """A JSON body, with an example."""
    return {
        "description": text,
        "required": True,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


def answered(schema: Part, example: object = None) -> Part:
    """A model's answer: JSON, with the headers that name the model."""
    content = {"schema": schema} if example is None else {"schema": schema, "example": example}
    return {
        "description": "Answered",
        "content": {"application/json": content},
        "headers": {name: header(text) for name, text in MODEL_HEADERS.items()},
    }


def plain(schema: Part) -> Part:
    """An answer in JSON that is no model's."""
    return {"description": "Answered", "content": {"application/json": {"schema": schema}}}


def page() -> Part:
    """A page of HTML."""
    return {"description": "A page", "content": {"text/html": {"schema": {"type": "string"}}}}


def text(description: str) -> Part:
    """A plain text."""
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


def refusals(statuses: tuple[int, ...], told: examples.Examples, *, secured: bool) -> dict[str, Part]:
    """The answers of these statuses, and of 401 where a key is needed, each with its examples."""
    expected: list[int] = sorted({*statuses, 401} if secured else statuses)
    return {str(status): exemplified(ERRORS[status], ref(Problem), told[status]) for status in expected}


def exemplified(description: str, schema: Part, values: dict[str, Any]) -> Part:
    """An answer in JSON, with an example under each name."""
    named = {name.replace(" ", "-"): {"summary": name, "value": value} for name, value in values.items()}
    return {"description": description, "content": {"application/json": {"schema": schema, "examples": named}}}


def with_example(responses: dict[str, Part], status: str, name: str, value: Problem) -> dict[str, Part]:
    """The responses with one more example for a status, before its others: it is the one that is shown."""
    content = responses[status]["content"]["application/json"]
    shown = {name.replace(" ", "-"): {"summary": name, "value": value}, **content["examples"]}
    with_it = {**responses[status], "content": {"application/json": {**content, "examples": shown}}}
    return {**responses, status: with_it}


def health(name: str, summary: str, told: examples.Examples, *, ready: bool = False) -> Part:
    """A question after the service's health; one after its readiness may be a no."""
    content = {"application/json": {"schema": ref(Health)}}
    responses = {"200": {"description": "Yes", "content": content}, **refusals((500,), told, secured=False)}
    if ready:
        words = "No model can be served; the detail says why"
        responses["503"] = exemplified(words, ref(Health), {"no model": examples.not_ready()})
    return {"tags": ["health"], "operationId": name, "summary": summary, "responses": responses}
