"""A client that a generator made of the OpenAPI document asks a running service."""

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE
from tests.api.server import Server, serving
from tests.making import PROMOTE, publish

PACKAGE = "listing_price_category_client"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service with a key and a champion."""
    registry = FolderRegistry(tmp_path_factory.mktemp("registry"))
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    with serving(registry.folder, tmp_path_factory.mktemp("log") / "api.log", API_KEYS="key") as running:
        yield running


@pytest.fixture(scope="module")
def generated(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The client's package, made of the document that the service hands to everyone."""
    folder = tmp_path_factory.mktemp("client")
    document, settings = folder / "openapi.json", folder / "settings.json"
    document.write_bytes(server.client.get("/openapi.json").content)
    settings.write_text(json.dumps({"post_hooks": [], "package_name_override": PACKAGE}))
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning"]
    options = ["--path", str(document), "--config", str(settings), "--output-path", str(folder / PACKAGE)]
    told = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout + told.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(folder))


def part(name: str) -> Any:
    return importlib.import_module(f"{PACKAGE}.{name}")


def with_key(generated: ModuleType, server: Server, key: str) -> Any:
    return generated.AuthenticatedClient(base_url=str(server.client.base_url), token=key)


def test_it_is_answered_with_what_the_document_says(generated: ModuleType, server: Server) -> None:
    models, classify, batch = part("models"), part("api.listings.classify"), part("api.listings.classify_batch")
    listing, bad = models.Listing.from_dict(EXAMPLE), models.Listing.from_dict({**EXAMPLE, "beds": -1})
    with with_key(generated, server, "key") as client:
        answer = classify.sync(client=client, body=listing, probabilities=True)
        assert isinstance(answer, models.Answer)
        assert answer.id == EXAMPLE["id"]
        assert answer.price_category in list(models.PriceCategory)
        assert sum(answer.probabilities.to_dict().values()) == pytest.approx(1)
        assert classify.sync(client=client, body=listing).price_category == answer.price_category

        several = batch.sync(client=client, body=[listing, listing])
        assert [type(one) for one in several] == [models.Answer] * 2
        mixed = batch.sync(client=client, body=[listing, bad], partial=True)
        assert [type(one) for one in mixed] == [models.Answer, models.BadListing]
        assert mixed[1].error.extra[0].field == "beds"

        told = part("api.model.model").sync(client=client)
        assert isinstance(told, models.Model)
        assert told.version.startswith("tree-")
        assert part("api.health.readyz").sync(client=client).model_version == told.version
        assert "api_requests_total" in part("api.operation.metrics").sync(client=client)


def test_a_refusal_reaches_it_as_a_problem(generated: ModuleType, server: Server) -> None:
    models, classify = part("models"), part("api.listings.classify")
    wrong = models.Listing.from_dict({**EXAMPLE, "accommodates": 0})
    with with_key(generated, server, "key") as client:
        refused = classify.sync_detailed(client=client, body=wrong)
        assert refused.status_code == 400
        assert isinstance(refused.parsed, models.Problem)
        assert refused.parsed.detail == "Invalid JSON input: accommodates: expected int >= 1"
        assert [one.field for one in refused.parsed.extra] == ["accommodates"]
    with with_key(generated, server, "another") as client:
        refused = classify.sync_detailed(client=client, body=wrong)
        assert (refused.status_code, refused.parsed.status_code) == (401, 401)
    with generated.Client(base_url=str(server.client.base_url)) as client:
        assert part("api.health.livez").sync(client=client).status == "alive"
