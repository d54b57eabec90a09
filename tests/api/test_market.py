"""A service whose champion is of another market: its listings, its refusals and its document are that market's."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from model_registry.store import Registry
from tests.making import LISBON, PROMOTE, listing, publish
from tests.waiting import until

Client = TestClient[Litestar]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """A registry whose champion is of Lisbon."""
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0, market=LISBON), PROMOTE, run_id=None, actor="test")
    return registry


@pytest.fixture(scope="module")
def client(registry: Registry) -> Iterator[Client]:
    with TestClient(create_app(Settings(model_registry=str(registry.folder)))) as client:
        yield client


def example(neighbourhood: str) -> dict[str, Any]:
    return {**EXAMPLE, "neighbourhood": neighbourhood}


def test_each_of_its_neighbourhoods_is_answered_by_its_code(client: Client, registry: Registry) -> None:
    [version] = registry.versions()
    published = registry.open(version)
    batch = [example(neighbourhood) for neighbourhood in LISBON.neighbourhoods]
    expected = [published.classify(listing(neighbourhood=one)) for one in LISBON.neighbourhoods]
    assert [client.post("/classify", json=one).json()["price_category"] for one in batch] == expected
    assert [one["price_category"] for one in client.post("/classify/batch", json=batch).json()] == expected


def test_a_neighbourhood_of_another_market_is_refused_with_those_that_there_are(client: Client) -> None:
    words = (
        "Invalid JSON input: neighbourhood: invalid enum value 'Brooklyn' "
        '(allowed: L\'Alfama, Belém, Ajuda, Cais "do" Sodré, Queens)'
    )
    refused = client.post("/classify", json=example("Brooklyn"))
    assert (refused.status_code, refused.json()["detail"]) == (400, words)
    partial = client.post("/classify/batch?partial=true", json=[example("Queens"), example("Brooklyn")]).json()
    assert partial[0]["id"] == EXAMPLE["id"]
    assert partial[1]["error"]["extra"][0]["field"] == "neighbourhood"


def test_the_document_has_its_neighbourhoods_limits_and_an_example_that_is_answered(client: Client) -> None:
    told = client.get("/openapi.json").json()
    schemas = told["components"]["schemas"]
    assert set(schemas["Neighbourhood"]["enum"]) == set(LISBON.neighbourhoods)
    assert schemas["Probabilities"]["properties"]["High"]["description"] == (
        "That a night costs more than 120 EUR and up to 1,250.50 EUR."
    )
    asked = told["paths"]["/classify"]["post"]["requestBody"]["content"]["application/json"]["example"]
    assert client.post("/classify", json=asked).status_code == 200


def test_a_champion_of_another_market_is_followed_with_its_vocabulary(tmp_path: Path) -> None:
    registry = FolderRegistry(tmp_path / "registry")
    registry.promote(publish(registry, 0), PROMOTE, run_id=None, actor="test")
    with TestClient(create_app(Settings(model_registry=str(registry.folder)))) as client:
        assert client.post("/classify", json=example("Brooklyn")).status_code == 200
        registry.promote(publish(registry, 1, market=LISBON), PROMOTE, run_id=None, actor="test")
        until(lambda: client.post("/classify", json=example("L'Alfama")).status_code == 200, seconds=5)
        assert client.post("/classify", json=example("Brooklyn")).status_code == 400


def test_a_long_vocabulary_is_not_told_at_length(tmp_path: Path) -> None:
    market = msgspec.structs.replace(LISBON, neighbourhoods=("Queens", *(f"Quarter {n}" for n in range(300))))
    registry = FolderRegistry(tmp_path / "registry")
    registry.promote(publish(registry, 0, market=market), PROMOTE, run_id=None, actor="test")
    with TestClient(create_app(Settings(model_registry=str(registry.folder)))) as client:
        detail = client.post("/classify", json=example("Brooklyn")).json()["detail"]
    assert detail.endswith("Quarter 48 and 251 more)")
