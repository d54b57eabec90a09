"""The service as its clients see it: a real process on a real port."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.settings import Settings
from model_registry.listing import EXAMPLE
from model_registry.store import Registry
from tests.making import PROMOTE, listing, publish

Serve = Callable[[Path], httpx.Client]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts `python -m api` on a registry and gives a client of it."""
    running: list[tuple[subprocess.Popen[bytes], httpx.Client]] = []

    def start(folder: Path) -> httpx.Client:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        with (tmp_path / "api.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "api"],
                env={**os.environ, "MODEL_REGISTRY": str(folder), "PORT": str(port)},
                stdout=log,
                stderr=log,
            )
        client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=10)
        running.append((process, client))
        until(lambda: alive(client))
        return client

    yield start
    for process, client in running:
        client.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def alive(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def promoted(registry: Registry, seed: int) -> str:
    version = publish(registry, seed)
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    return version


def test_a_listing_is_answered_and_the_headers_name_the_model(serve: Serve, registry: Registry) -> None:
    version = promoted(registry, 0)
    answer = serve(registry.folder).post("/classify", json=EXAMPLE)
    expected = registry.open(version).classifier.classify(listing())
    assert (answer.status_code, answer.json()) == (200, {"id": 39331263, "price_category": expected})
    assert answer.headers["X-Model-Version"] == version
    assert answer.headers["X-Run-Id"] == "run-1"
    assert answer.headers["X-Snapshot"] == "ab" * 32


def test_without_a_champion_it_is_alive_not_ready_and_says_why_until_one_is_promoted(
    serve: Serve, registry: Registry
) -> None:
    client = serve(registry.folder)
    assert client.get("/livez").json() == {"status": "alive"}
    for path in ("/readyz", "/healthz"):
        answer = client.get(path)
        assert answer.status_code == 503
        assert answer.json()["status"] == "not ready"
        assert "No model has been promoted" in answer.json()["detail"]
    refused = client.post("/classify", json=EXAMPLE)
    assert refused.status_code == 503
    assert "run the pipeline" in refused.json()["detail"]
    version = promoted(registry, 0)
    until(lambda: client.get("/readyz").status_code == 200, seconds=3)
    assert client.get("/readyz").json() == {"status": "ready", "model_version": version}
    assert client.post("/classify", json=EXAMPLE).status_code == 200


def test_a_new_champion_answers_within_two_seconds(serve: Serve, registry: Registry) -> None:
    promoted(registry, 0)
    client = serve(registry.folder)
    second = promoted(registry, 1)
    until(
        lambda: client.post("/classify", json=EXAMPLE).headers["X-Model-Version"] == second,
        seconds=2,
    )


def test_a_damaged_champion_is_refused_and_the_old_one_keeps_answering(serve: Serve, registry: Registry) -> None:
    first = promoted(registry, 0)
    client = serve(registry.folder)
    second = publish(registry, 1)
    (registry.path(second) / "model.onnx").write_bytes(b"damaged")
    pointer = registry.folder / "champion.json"
    pointer.write_text(pointer.read_text().replace(first, second))
    until(lambda: "detail" in client.get("/readyz").json(), seconds=3)
    health = client.get("/readyz")
    assert health.status_code == 200
    assert "model.onnx is not the file that was published" in health.json()["detail"]
    assert client.post("/classify", json=EXAMPLE).headers["X-Model-Version"] == first


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "truncated"),
        (b"null", "Expected `object`, got `null`"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"id": NaN}', "malformed"),
        (b"\xff\xfe", "Invalid JSON input"),
        (json.dumps({**EXAMPLE, "beds": "1"}).encode(), "$.beds"),
        (json.dumps({**EXAMPLE, "tv": 1}).encode(), "$.tv"),
        (json.dumps({**EXAMPLE, "accommodates": -400}).encode(), "$.accommodates"),
        (json.dumps({**EXAMPLE, "new_value": 0}).encode(), "new_value"),
        (json.dumps({**EXAMPLE, "id": 2**63}).encode(), "$.id"),
        (json.dumps(EXAMPLE).replace("40.65837", "1e400").encode(), "Invalid JSON input"),
        (b"[" * 100_000, "Invalid JSON input"),
        (b'{"id": "\\ud800"}', "Invalid JSON input"),
    ],
)
def test_bad_input_is_a_400_in_words(body: bytes, words: str, service: httpx.Client) -> None:
    answer = service.post("/classify", content=body)
    assert answer.status_code == 400
    assert answer.json()["status_code"] == 400
    assert answer.json()["detail"].startswith("Invalid JSON input: ")
    assert words in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/classify", 405)])
def test_every_error_has_the_one_shape(method: str, path: str, status: int, service: httpx.Client) -> None:
    answer = service.request(method, path)
    assert answer.status_code == answer.json()["status_code"] == status
    assert set(answer.json()) == {"status_code", "detail"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One server for the tests that only ask."""
    folder = tmp_path_factory.mktemp("registry")
    promoted(Registry(folder), 0)
    with TestClient(create_app(Settings(model_registry=str(folder)))) as client:
        yield client
