"""The page for people: its files, and what it asks the service for."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import msgspec
import numpy as np
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from model_registry.listing import EXAMPLE, FEATURES, encode_all
from model_registry.market import NEW_YORK
from model_registry.places import Places, places_of
from model_registry.profile import profile_of
from model_registry.registries import Registries
from tests.making import LISBON, PROMOTE, listing, publish
from tests.waiting import until

LISTINGS = [listing(accommodates=1 + n % 6, latitude=40.5 + n / 250, longitude=-74 + n / 200) for n in range(100)]
ROWS = encode_all(LISTINGS, NEW_YORK.codes)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """New York's champion knows what its listings looked like, Lisbon's is of schema version 1."""
    registries = Registries(tmp_path_factory.mktemp("registry"))
    known = {"profile": profile_of(ROWS, np.arange(100) % 4, NEW_YORK), "places": places_of(ROWS, NEW_YORK)}
    for market, changes in ((NEW_YORK, known), (LISBON, {"profile": None})):
        registry = registries.of(market.name)
        registry.promote(publish(registry, 1, market=market, **changes), PROMOTE, run_id=None, actor="test")
    with TestClient(create_app(Settings(model_registry=str(registries.place)))) as client:
        # A start waits for the default market alone.
        until(lambda: len(client.get("/markets").json()) == 2)
        yield client


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with a key and no champion."""
    folder: Path = tmp_path_factory.mktemp("empty")
    with TestClient(create_app(Settings(model_registry=str(folder), api_keys="key"))) as client:
        yield client


def files(service: httpx.Client, base: str) -> dict[str, str]:
    """The page and, by their addresses, all that it and its modules name."""
    found, left = dict[str, str](), [base]
    while left:
        address = left.pop()
        answer = service.get(f"/{address.removeprefix(base)}")
        assert answer.status_code == 200, address
        found[address] = answer.text
        named = re.findall(r'(?:src|href)="((?!data:)[^"]+\.(?:js|css))"|from "([^"]+)"', answer.text)
        left += [new for names in named for name in names if name and (new := urljoin(address, name)) not in found]
    return found


@pytest.mark.parametrize("base", ["https://example.org/", "https://example.org/prices/"])
def test_all_that_the_page_names_is_there_without_a_key_and_nothing_is_elsewhere(
    base: str, closed: httpx.Client
) -> None:
    found = files(closed, base)
    names = {"style.css", *(f"{name}.js" for name in ("answer", "elements", "form", "map", "page", "service", "words"))}
    assert set(found) == {base, *(f"{base}web/{name}" for name in names)}
    assert not [address for address, text in found.items() if "http://" in text or "https://" in text]


def test_it_is_small_and_has_the_policy_of_the_other_pages(closed: httpx.Client) -> None:
    told = closed.get("/")
    assert "default-src 'none'; script-src 'self'" in told.headers["Content-Security-Policy"]
    assert sum(len(text) for text in files(closed, "https://example.org/").values()) < 60_000


@pytest.mark.parametrize("name", ["index.html", "nothing.js", "..%2Fapp.py", "__init__.py"])
def test_nothing_else_is_handed_out(name: str, closed: httpx.Client) -> None:
    assert closed.get(f"/web/{name}").status_code == 404


@pytest.mark.parametrize("path", ["/model/inputs", "/model/card", "/markets/new-york/model/inputs"])
def test_what_it_asks_for_needs_the_key(path: str, closed: httpx.Client) -> None:
    assert closed.get(path).status_code == 401


def test_what_the_model_takes_is_each_feature_with_its_bounds(service: httpx.Client) -> None:
    told = service.get("/model/inputs")
    assert told.headers["X-Model-Version"] == told.json()["model_version"]
    properties = {one["name"]: one for one in told.json()["properties"]}
    assert tuple(properties) == FEATURES
    assert properties["neighbourhood"]["choices"] == list(NEW_YORK.neighbourhoods)
    assert properties["tv"] == {"name": "tv", "description": "Whether it has a television.", "type": "flag"}
    assert properties["bathrooms"]["step"] == 0.5
    assert properties["latitude"] == {
        "name": "latitude",
        "description": "Degrees north.",
        "type": "number",
        "minimum": -90.0,
        "maximum": 90.0,
    }


def test_a_form_need_not_offer_what_hardly_any_listing_has(service: httpx.Client) -> None:
    properties = {one["name"]: one for one in service.get("/model/inputs").json()["properties"]}
    # Nine of ten of them take five guests or fewer; all have two beds.
    assert (properties["accommodates"]["usually_up_to"], properties["accommodates"]["maximum"]) == (10.0, 100.0)
    assert properties["beds"]["usually_up_to"] == 4.0


def test_its_listing_to_begin_with_is_answered(service: httpx.Client) -> None:
    for market in (NEW_YORK, LISBON):
        told = service.get(f"/markets/{market.name}/model/inputs").json()
        assert told["example"] == {name: value for name, value in market.example().items() if name != "id"}
        answer = service.post(f"/markets/{market.name}/classify", json={"id": 0, **told["example"]})
        assert answer.status_code == 200


def test_it_has_the_map_of_the_listings(service: httpx.Client) -> None:
    places = msgspec.convert(service.get("/model/inputs").json()["places"], Places)
    assert places == places_of(ROWS, NEW_YORK)


def test_a_version_published_before_there_were_maps_has_none(service: httpx.Client) -> None:
    told = service.get("/markets/lisbon/model/inputs").json()
    assert "places" not in told
    assert all("usually_up_to" not in one for one in told["properties"])


def test_the_card_is_the_page_that_was_published_with_the_model(service: httpx.Client) -> None:
    for path in ("/model/card", "/markets/lisbon/model/card"):
        card = service.get(path)
        assert (card.status_code, card.text) == (200, "<html>report</html>")
        assert card.headers["Content-Type"].startswith("text/html")
        assert service.get(path, headers={"If-None-Match": card.headers["ETag"]}).status_code == 304


def test_a_market_that_is_not_served_has_neither(service: httpx.Client) -> None:
    for path in ("card", "inputs"):
        answer = service.get(f"/markets/atlantis/model/{path}")
        assert (answer.status_code, answer.json()["detail"]) == (
            404,
            "No market is called 'atlantis' here; served: lisbon and new-york.",
        )


def test_the_example_of_the_readme_is_where_the_form_begins(service: httpx.Client) -> None:
    assert {"id": EXAMPLE["id"], **service.get("/model/inputs").json()["example"]} == EXAMPLE
