"""The OpenAPI document: valid, complete, and true of what is answered."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.app import create_app
from api.errors import answer_unexpected
from api.examples import FEEDBACK, WRONG_FEEDBACK, wrong_batch, wrong_listing
from api.openapi import document
from api.settings import Settings
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE, PriceCategory
from model_registry.market import NEW_YORK
from tests.making import PROMOTE, listing, publish

KEY = {"X-API-Key": "key"}
JSON = {"Content-Type": "application/json"}
MODEL = ("/model", "/model/inputs", "/model/card")
Document = dict[str, Any]


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """A service with a key and no champion yet, over the registry in the usual place of an empty folder."""
    monkeypatch.chdir(tmp_path)
    with TestClient(create_app(Settings(api_keys="key", body_limit=1_000, access_log=False))) as running:
        yield running


@pytest.fixture
def told(client: httpx.Client) -> Document:
    """Its document."""
    return client.get("/openapi.json").json()


@pytest.mark.parametrize("keys", ["", "key"])
def test_a_validator_accepts_it(keys: str) -> None:
    content = TestClient(create_app(Settings(api_keys=keys))).get("/openapi.json").content
    OpenAPIV31SpecValidator(json.loads(content)).validate()


def test_it_describes_every_route_and_only_asks_for_a_key_where_one_is_needed(told: Document) -> None:
    routes = {route.path_format for route in create_app(Settings()).routes}
    assert set(told["paths"]) == routes - {"/", "/web/{name}", "/docs", "/docs/{name}", "/openapi.json"}
    for path, operations in told["paths"].items():
        for operation in operations.values():
            open_to_all = path in ("/livez", "/readyz", "/healthz")
            assert ("security" not in operation) == ("401" not in operation["responses"]) == open_to_all
    assert set(told["components"]["securitySchemes"]) == {"key", "bearer"}
    assert "securitySchemes" not in document(Settings(), NEW_YORK, PriceCategory.MID)["components"]


def test_every_part_of_it_has_a_description(told: Document) -> None:
    names = {tag["name"] for tag in told["tags"]}
    for operations in told["paths"].values():
        for operation in operations.values():
            assert operation["summary"]
            assert set(operation["tags"]) <= names
            parts = [*operation.get("parameters", []), *operation["responses"].values()]
            for part in (*parts, *([operation["requestBody"]] if "requestBody" in operation else [])):
                assert part["description"]
                assert all(header["description"] for header in part.get("headers", {}).values())
    for name, schema in told["components"]["schemas"].items():
        assert schema["description"], name
        for field, of_field in schema.get("properties", {}).items():
            assert of_field["description"].endswith((".", "...")), f"{name}.{field}"
    assert all(one["description"] for one in (*told["tags"], *told["components"]["securitySchemes"].values()))


def test_the_listing_is_strict_and_bounded(told: Document) -> None:
    schemas = told["components"]["schemas"]
    assert schemas["Listing"]["additionalProperties"] is False
    accommodates = schemas["Listing"]["properties"]["accommodates"]
    assert (accommodates["type"], accommodates["minimum"], accommodates["maximum"]) == ("integer", 1, 100)
    assert schemas["RoomType"]["type"] == "string"


def test_its_example_is_answered_with_what_the_model_says_that_answers(told: Document, tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "var" / "registry")
    for seed in range(3):
        version = publish(registry, seed)
        registry.promote(version, PROMOTE, run_id="run-1", actor="test")
        with TestClient(create_app(Settings(access_log=False))) as fresh:
            classify = fresh.get("/openapi.json").json()["paths"]["/classify"]["post"]
            asked = classify["requestBody"]["content"]["application/json"]["example"]
            answered = classify["responses"]["200"]["content"]["application/json"]["example"]
            assert fresh.post("/classify", json=asked).json() == answered
            assert answered["price_category"] == registry.open(version).classify(listing())
    assert told["paths"]["/classify"]["post"]["responses"]["200"]["content"]["application/json"]["example"]["id"]


def test_every_example_of_an_error_is_what_is_answered(client: httpx.Client, told: Document, tmp_path: Path) -> None:
    unseen = {
        (path, status, name)
        for path, operations in told["paths"].items()
        for operation in operations.values()
        for status, response in operation["responses"].items()
        for name in next(iter(response["content"].values())).get("examples", {})
    }

    def same(path: str, name: str, answer: httpx.Response) -> None:
        [operation] = told["paths"][path].values()
        examples = operation["responses"][str(answer.status_code)]["content"]["application/json"]["examples"]
        assert answer.json() == examples[name]["value"]
        unseen.discard((path, str(answer.status_code), name))

    for path in ("/readyz", "/healthz"):
        same(path, "no-model", client.get(path))
    for place in ("", "/markets/{market}"):
        address = place.format(market="new-york")
        for path in MODEL:
            same(f"{place}{path}", "no-model", client.get(f"{address}{path}", headers=KEY))
        for path in ("/classify", "/classify/batch"):
            same(f"{place}{path}", "no-model", client.post(f"{address}{path}", json=EXAMPLE, headers=KEY))
    registry = FolderRegistry(tmp_path / "var" / "registry")
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    settings = Settings(api_keys="key", body_limit=1_000, batch_body_limit=1_000, access_log=False)
    with TestClient(create_app(settings)) as ready:
        for place, (path, wrong) in itertools.product(
            ("", "/markets/{market}"),
            (("/classify", wrong_listing(NEW_YORK)), ("/classify/batch", wrong_batch(NEW_YORK))),
        ):
            told_of, address = f"{place}{path}", f"{place.format(market='new-york')}{path}"
            same(told_of, "wrong-fields", ready.post(address, json=wrong, headers=KEY))
            same(told_of, "parameter", ready.post(f"{address}?probabilities=maybe", json=wrong, headers=KEY))
            same(told_of, "no-key", ready.post(address, json=wrong))
            text = {**KEY, "Content-Type": "text/plain"}
            same(told_of, "another-kind", ready.post(address, content="x", headers=text))
            same(told_of, "large-body", ready.post(address, content=b" " * 1_001, headers={**KEY, **JSON}))
        for path in ("/classify", "/classify/batch"):
            unknown = ready.post(f"/markets/atlantis{path}", json=EXAMPLE, headers=KEY)
            same(f"/markets/{{market}}{path}", "no-such-market", unknown)
        for path in MODEL:
            unknown = ready.get(f"/markets/atlantis{path}", headers=KEY)
            same(f"/markets/{{market}}{path}", "no-such-market", unknown)
            same(f"/markets/{{market}}{path}", "no-key", ready.get(f"/markets/new-york{path}"))
        same("/feedback", "wrong-fields", ready.post("/feedback", json=WRONG_FEEDBACK, headers=KEY))
        same("/feedback", "no-key", ready.post("/feedback", json=FEEDBACK))
        same("/feedback", "another-kind", ready.post("/feedback", content="x", headers=text))
        same("/feedback", "large-body", ready.post("/feedback", content=b" " * 1_001, headers={**KEY, **JSON}))
        for path in (*MODEL, "/metrics", "/markets"):
            same(path, "no-key", ready.get(path))
    fault = answer_unexpected(None, ValueError("secret"))  # type: ignore[arg-type]
    for path, status, name in sorted(unseen):
        if status == "500":
            [operation] = told["paths"][path].values()
            value = operation["responses"]["500"]["content"]["application/json"]["examples"][name]["value"]
            assert value == {"status_code": fault.status_code, "detail": fault.content.detail}
            unseen.discard((path, status, name))
    # These two need a slow peer and many of them: tests/api/test_process.py has the words.
    assert {(status, name) for _, status, name in unseen} == {("408", "slow-body"), ("503", "too-many")}
    slow = told["paths"]["/classify"]["post"]["responses"]["408"]["content"]["application/json"]["examples"]
    assert slow["slow-body"]["value"]["detail"] == "The body did not arrive within 10 s."
