"""The contract: what is answered, what is refused and in which words."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from api.validation import MOST_LISTINGS
from model_registry.folder_store import FolderRegistry
from model_registry.listing import EXAMPLE, encode
from model_registry.market import NEW_YORK
from tests.making import MADE_UP, PROMOTE, listing, publish

JSON = {"Content-Type": "application/json"}


def promoted(folder: Path, seed: int) -> str:
    registry = FolderRegistry(folder)
    version = publish(registry, seed)
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    return version


@pytest.fixture(scope="module")
def registry_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("registry")
    promoted(folder, 0)
    return folder


@pytest.fixture(scope="module")
def service(registry_folder: Path) -> Iterator[httpx.Client]:
    """One service for the tests that only ask."""
    with TestClient(create_app(Settings(model_registry=str(registry_folder), body_limit=50_000))) as client:
        yield client


def example(**changes: object) -> dict[str, Any]:
    return {**EXAMPLE, **changes}


def test_a_listing_is_answered_with_its_id_and_category_only(service: httpx.Client, registry_folder: Path) -> None:
    registry = FolderRegistry(registry_folder)
    [version] = registry.versions()
    answer = service.post("/classify", json=EXAMPLE)
    expected = registry.open(version).classify(listing())
    assert (answer.status_code, answer.json()) == (200, {"id": 39331263, "price_category": expected})


def test_the_headers_name_the_model_the_run_and_the_data(service: httpx.Client, registry_folder: Path) -> None:
    headers = service.post("/classify", json=EXAMPLE).headers
    assert [headers["X-Model-Version"]] == FolderRegistry(registry_folder).versions()
    assert headers["X-Run-Id"] == "run-1"
    assert headers["X-Snapshot"] == "ab" * 32


def test_what_was_learned_from_made_up_listings_says_so_everywhere(service: httpx.Client, tmp_path: Path) -> None:
    real = service.post("/classify", json=EXAMPLE)
    assert real.headers["X-Synthetic"] == "false"
    assert "synthetic" not in service.get("/readyz").json()
    assert service.get("/model").json()["synthetic"] is False
    registry = FolderRegistry(tmp_path)
    registry.promote(publish(registry, 0, snapshot=MADE_UP), PROMOTE, run_id="run-1", actor="test")
    with TestClient(create_app(Settings(model_registry=str(tmp_path)))) as client:
        assert client.post("/classify", json=EXAMPLE).headers["X-Synthetic"] == "true"
        assert client.get("/readyz").json()["synthetic"] is True
        assert client.get("/model").json()["synthetic"] is True


def test_probabilities_are_added_on_request(service: httpx.Client, registry_folder: Path) -> None:
    registry = FolderRegistry(registry_folder)
    answer = service.post("/classify?probabilities=true", json=EXAMPLE).json()
    [expected] = registry.open(registry.versions()[0]).classifier.probabilities(encode(listing(), NEW_YORK.codes))
    assert list(answer["probabilities"]) == ["Low", "Mid", "High", "Lux"]
    assert list(answer["probabilities"].values()) == pytest.approx(expected.tolist())


@pytest.mark.parametrize("given_id", ["abc-1", "A.b:c_9", "x" * 128])
def test_a_request_keeps_the_id_its_client_gave(given_id: str, service: httpx.Client) -> None:
    assert service.get("/livez", headers={"X-Request-Id": given_id}).headers["X-Request-Id"] == given_id


@pytest.mark.parametrize("given_id", ["", "x" * 129, "a b", "<script>", "a\tb"])
def test_a_request_whose_id_is_not_plain_gets_one(given_id: str, service: httpx.Client) -> None:
    assert len(service.get("/livez", headers={"X-Request-Id": given_id}).headers["X-Request-Id"]) == 32


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("id", "1", "id: expected int, got str"),
        ("room_type", 1, "room_type: expected str, got int"),
        ("neighbourhood", 1, "neighbourhood: expected str, got int"),
        ("neighbourhood", "Unknown", "neighbourhood: invalid enum value 'Unknown'"),
        ("room_type", "Unknown", "room_type: invalid enum value 'Unknown'"),
        ("new_value", 0, "new_value: unknown field"),
        ("beds", "1", "beds: expected int, got str"),
        ("bedrooms", "1", "bedrooms: expected int, got str"),
        ("bathrooms", "1", "bathrooms: expected float, got str"),
        ("accomodates", "1", "accomodates: unknown field"),
        ("elevator", 0, "elevator: expected bool, got int"),
        ("elevator", "False", "elevator: expected bool, got str"),
        ("internet", 0, "internet: expected bool, got int"),
        ("internet", "False", "internet: expected bool, got str"),
        ("tv", 0, "tv: expected bool, got int"),
        ("tv", "False", "tv: expected bool, got str"),
        ("latitude", "100º", "latitude: expected float, got str"),
        ("longitude", "100º", "longitude: expected float, got str"),
        ("accommodates", -400, "accommodates: expected int >= 1"),
        ("accommodates", 0, "accommodates: expected int >= 1"),
        ("beds", True, "beds: expected int, got bool"),
        ("beds", 2.5, "beds: expected int, got float"),
        ("beds", None, "beds: expected int, got null"),
        ("id", 2**63, "id: expected int <= 9223372036854775807"),
        ("latitude", 91, "latitude: expected float <= 90"),
        ("bathrooms", 1.2, "bathrooms: expected float that's a multiple of 0.5"),
    ],
)
def test_the_predecessors_clients_find_their_words(
    field: str, value: object, message: str, service: httpx.Client
) -> None:
    answer = service.post("/classify", json=example(**{field: value}))
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith(f"Invalid JSON input: {message}")
    assert answer.json()["extra"][0]["field"] == field


def test_every_wrong_field_is_named_at_once(service: httpx.Client) -> None:
    body = example(beds="1", tv=0, latitude=100, color="red")
    del body["id"]
    detail = service.post("/classify", json=body).json()["detail"]
    for words in (
        "id: missing required field",
        "beds: expected int, got str",
        "tv: expected bool, got int",
        "latitude: expected float <= 90",
        "color: unknown field",
    ):
        assert words in detail


@pytest.mark.parametrize(("field", "value"), [("beds", 2.0), ("bathrooms", 1.5), ("bathrooms", 0), ("id", 1e3)])
def test_numbers_that_are_whole_are_integers_and_bathrooms_come_in_halves(
    field: str, value: float, service: httpx.Client
) -> None:
    assert service.post("/classify", json=example(**{field: value})).status_code == 200


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "input data was truncated"),
        (b"null", "expected object, got null"),
        (b"[]", "expected object, got array"),
        (b'"text"', "expected object, got str"),
        (b'{"id": NaN}', "malformed"),
        (b'{"id": Infinity}', "malformed"),
        (b"\xff\xfe", "malformed"),
        (json.dumps(EXAMPLE).replace("40.65837", "1e400").encode(), "number out of range"),
        (b"[" * 40_000, "expected object, got array"),
        # How deep is too deep differs between versions of Python: one reads on to where the text breaks off.
        (b'{"a":' * 8_000, "nested too deeply|input data was truncated"),
        (b'{"id": "\\ud800"}', "Invalid JSON input"),
        (json.dumps(EXAMPLE)[:-1].encode() + b', "beds": 3}', "beds: stands more than once"),
        (json.dumps(EXAMPLE)[:-1].encode() + b', "\\u0062eds": 3}', "beds: stands more than once"),
        (json.dumps(EXAMPLE).encode() + b"{}", "malformed"),
    ],
)
def test_a_hostile_body_is_a_400_in_words(body: bytes, words: str, service: httpx.Client) -> None:
    answer = service.post("/classify", content=body, headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["detail"].startswith("Invalid JSON input")
    assert re.search(words, answer.json()["detail"])
    assert service.post("/classify", json=EXAMPLE).status_code == 200


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_no_bytes_at_all_are_a_fault_of_the_service(service: httpx.Client, body: bytes) -> None:
    assert service.post("/classify", content=body, headers=JSON).status_code == 400
    assert service.post("/classify/batch?partial=true", content=body, headers=JSON).status_code in (200, 400)


@pytest.mark.parametrize(
    ("method", "path", "status", "headers", "content"),
    [
        ("GET", "/nothing", 404, {}, b""),
        ("GET", "/docs/../secret", 404, {}, b""),
        ("GET", "/docs/secret.js", 404, {}, b""),
        ("GET", "/classify", 405, {}, b""),
        ("POST", "/classify", 413, JSON, b" " * 50_001),
        ("POST", "/classify", 415, {"Content-Type": "text/plain"}, b"{}"),
        ("POST", "/classify", 415, {}, b"{}"),
        ("POST", "/classify", 415, {**JSON, "Content-Encoding": "gzip"}, b"{}"),
        ("POST", "/classify?probabilities=maybe", 400, JSON, json.dumps(EXAMPLE).encode()),
    ],
)
def test_every_error_has_the_one_shape(
    method: str, path: str, status: int, headers: dict[str, str], content: bytes, service: httpx.Client
) -> None:
    answer = service.request(method, path, headers=headers, content=content)
    assert answer.status_code == answer.json()["status_code"] == status
    assert set(answer.json()) <= {"status_code", "detail", "extra"}
    assert answer.json()["detail"]
    assert answer.headers["X-Request-Id"]


def test_a_batch_is_answered_in_order_by_one_model(service: httpx.Client) -> None:
    rows = [example(id=n, accommodates=1 + n % 16) for n in range(500)]
    answer = service.post("/classify/batch", json=rows)
    alone = [service.post("/classify", json=row).json() for row in rows[:16]]
    assert [row["id"] for row in answer.json()] == list(range(500))
    assert answer.json()[:16] == alone
    assert answer.headers["X-Model-Version"]


def test_bad_listings_fail_a_batch_with_the_index_and_field_of_every_one(service: httpx.Client) -> None:
    answer = service.post("/classify/batch", json=[example(), example(beds="1"), 3, example(tv=0, x=1)])
    assert answer.status_code == 400
    assert answer.json()["detail"] == (
        "Invalid JSON input: [1].beds: expected int, got str; [2]: expected object, got int; "
        "[3].tv: expected bool, got int; [3].x: unknown field"
    )
    places = [(one["index"], one.get("field")) for one in answer.json()["extra"]]
    assert places == [(1, "beds"), (2, None), (3, "tv"), (3, "x")]


def test_a_partial_batch_answers_the_good_and_has_each_error_in_its_place(service: httpx.Client) -> None:
    rows = [example(id=1), example(id=2, beds="1"), example(id=3)]
    answer = service.post("/classify/batch?partial=true&probabilities=true", json=rows)
    assert answer.status_code == 200
    first, second, third = answer.json()
    assert (first["id"], third["id"]) == (1, 3)
    assert sum(first["probabilities"].values()) == pytest.approx(1)
    assert second["error"]["detail"] == "Invalid JSON input: [1].beds: expected int, got str"


@pytest.mark.parametrize(
    ("rows", "words"), [([], "length >= 1"), ([0] * (MOST_LISTINGS + 1), "length <= 10000"), ({}, "expected array")]
)
def test_a_batch_of_another_size_or_kind_is_refused(rows: object, words: str, service: httpx.Client) -> None:
    for path in ("/classify/batch", "/classify/batch?partial=true"):
        answer = service.post(path, json=rows)
        assert answer.status_code == 400
        assert words in answer.json()["detail"]


def test_a_listing_with_a_key_twice_fails_its_batch(service: httpx.Client) -> None:
    twice = json.dumps(EXAMPLE)[:-1] + ', "beds": 3}'
    answer = service.post("/classify/batch", content=f"[{json.dumps(EXAMPLE)},{twice}]", headers=JSON)
    assert answer.json()["detail"] == "Invalid JSON input: [1].beds: stands more than once"


def test_the_model_that_answers_can_be_looked_up(service: httpx.Client, registry_folder: Path) -> None:
    registry = FolderRegistry(registry_folder)
    told, manifest = service.get("/model").json(), registry.manifest(registry.versions()[0])
    assert (told["version"], told["candidate"]) == (manifest.version, "tree")
    assert told["metrics"] == manifest.metrics["test"]
    assert told["classes"] == ["Low", "Mid", "High", "Lux"]


def figure(service: httpx.Client, name: str) -> float:
    lines = service.get("/metrics").text.splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), 0.0)


def test_requests_and_predictions_are_counted(registry_folder: Path) -> None:
    with TestClient(create_app(Settings(model_registry=str(registry_folder)))) as fresh:
        category = fresh.post("/classify", json=EXAMPLE).json()["price_category"]
        fresh.post("/classify/batch", json=[EXAMPLE] * 3)
        fresh.post("/classify", json={})
        fresh.get("/made/up/by/a/client")
        asked = 'api_requests_total{market="new-york",method="POST",route="/classify",status='
        assert figure(fresh, f'{asked}"200"}}') == 1
        assert figure(fresh, f'{asked}"400"}}') == 1
        assert figure(fresh, f'api_predictions_total{{category="{category}",market="new-york"') == 4
        assert figure(fresh, 'api_requests_total{market="",method="GET",route="other",status="404"}') == 1
        assert figure(fresh, 'api_model_loads_total{market="new-york"}') == 1
        assert figure(fresh, 'api_request_seconds_count{route="/classify"}') == 2
        assert "made/up" not in fresh.get("/metrics").text
        assert fresh.get("/metrics").headers["Content-Type"].startswith("text/plain; version=0.0.4")


@pytest.mark.parametrize("header", [{"X-API-Key": "second"}, {"Authorization": "Bearer first"}])
def test_with_keys_set_one_of_them_is_needed(header: dict[str, str], registry_folder: Path) -> None:
    settings = Settings(model_registry=str(registry_folder), api_keys="first, second")
    with TestClient(create_app(settings)) as client:
        for method, path in [
            ("POST", "/classify"),
            ("POST", "/classify/batch"),
            ("GET", "/model"),
            ("GET", "/metrics"),
            ("GET", "/markets"),
            ("POST", "/markets/new-york/classify"),
            ("POST", "/markets/new-york/classify/batch"),
            ("GET", "/markets/new-york/model"),
        ]:
            refused = client.request(method, path)
            assert (refused.status_code, refused.json()["status_code"]) == (401, 401)
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            assert client.request(method, path, headers={"X-API-Key": "third"}).status_code == 401
        assert client.post("/classify", json=EXAMPLE, headers=header).status_code == 200
        for path in ("/livez", "/readyz", "/healthz", "/", "/docs", "/docs/", "/docs/start.js", "/openapi.json"):
            assert client.get(path).status_code == 200
        document = client.get("/openapi.json").json()
        assert document["paths"]["/classify"]["post"]["security"] == [{"key": []}, {"bearer": []}]
        assert "401" in document["paths"]["/classify"]["post"]["responses"]


def test_other_origins_are_let_in_only_when_named(service: httpx.Client, registry_folder: Path) -> None:
    origin = {"Origin": "https://example.org"}
    assert "Access-Control-Allow-Origin" not in service.get("/livez", headers=origin).headers
    settings = Settings(model_registry=str(registry_folder), cors_origins="https://example.org")
    with TestClient(create_app(settings)) as client:
        assert client.get("/livez", headers=origin).headers["Access-Control-Allow-Origin"] == "https://example.org"
