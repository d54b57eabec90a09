"""The route that is found beforehand answers as the router would have had it answered."""

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from api import app as api_app
from api.app import create_app
from api.metrics import Metrics
from api.routes import Service
from api.serving import Serving
from api.settings import Settings
from api.validation import Reader
from model_registry.listing import EXAMPLE
from model_registry.registries import Registries

PATHS = (
    *("/classify", "/classify/", "//classify", "/classify?probabilities=true", "/classify?probabilities=maybe", "/x"),
    *("/markets/new-york/classify", "/markets/new-york/classify?probabilities=maybe", "/markets//new-york/classify/"),
    *("/markets/nowhere/classify", "/markets/new%2Dyork/classify", "/markets//classify", "/markets/a%2Fb/classify"),
)
METHODS = ("POST", "GET", "HEAD", "OPTIONS", "PUT")
HEADERS = (
    {"X-API-Key": "k"},
    {"X-API-Key": "wrong"},
    {"X-API-Key": "k", "Host": "a b"},
    {"X-API-Key": "k", "Host": "x/y"},
    {"X-API-Key": "k", "Host": "[::1]:80"},
    {"X-API-Key": "k", "Content-Type": "text/plain"},
)
OF_ONE_ANSWER = {"x-request-id", "date"}


@pytest.fixture
def clients(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[TestClient[Litestar], TestClient[Litestar]]]:
    """The service as it is, and with everything found by the router."""
    settings = Settings(model_registry=str(folder), api_keys="k")
    ours = create_app(settings)
    monkeypatch.setattr(api_app, "found_once", lambda app, *_: app.asgi_handler)
    its = create_app(settings)
    with (
        TestClient(ours, raise_server_exceptions=False) as one,
        TestClient(its, raise_server_exceptions=False) as other,
    ):
        yield one, other


def told(client: TestClient[Litestar], method: str, path: str, headers: dict[str, str]) -> tuple[object, ...]:
    """All of an answer that does not differ from answer to answer."""
    answer = client.request(method, path, headers=headers, json=EXAMPLE)
    kept = sorted((name, value) for name, value in answer.headers.items() if name not in OF_ONE_ANSWER)
    return answer.status_code, kept, answer.content


def test_every_request_is_answered_alike(clients: tuple[TestClient[Litestar], TestClient[Litestar]]) -> None:
    ours, its = clients
    statuses = set[object]()
    for method, path, headers in itertools.product(METHODS, PATHS, HEADERS):
        answer = told(ours, method, path, headers)
        assert answer == told(its, method, path, headers), (method, path, headers)
        statuses.add(answer[0])
    assert statuses == {200, 204, 400, 401, 404, 405, 415}


def test_what_nobody_foresaw_is_answered_alike(
    clients: tuple[TestClient[Litestar], TestClient[Litestar]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError("unforeseen")

    monkeypatch.setattr(Reader, "one", fails)
    for path, route in (
        ("/classify", "/classify"),
        ("/markets/new-york/classify", "/markets/{market}/classify"),
    ):
        ours, its = (told(client, "POST", path, {"X-API-Key": "k"}) for client in clients)
        assert ours == its
        assert ours[0] == 500
        counted = f'api_requests_total{{market="new-york",method="POST",route="{route}",status="500"}} 1.0'
        assert all(counted in client.get("/metrics", headers={"X-API-Key": "k"}).text for client in clients)


def test_only_markets_that_are_served_are_kept(folder: Path) -> None:
    serving = Serving(Registries(folder), Metrics())
    asyncio.run(serving.look())
    service = Service(serving, Settings())
    assert {path for path in PATHS if service.is_frequent(path)} == {"/classify", "/markets/new-york/classify"}
