"""The documentation's pages: open to all, local, compressed, and right behind a path of a proxy's."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from litestar.testing import TestClient

from api.app import create_app
from api.pages import takes_gzip
from api.settings import Settings

PAGES = (
    "/",
    "/docs",
    "/docs/",
    "/docs/start.js",
    "/docs/contrast.css",
    "/docs/swagger-ui.css",
    "/docs/swagger-ui-bundle.js",
    "/openapi.json",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service with a key and no champion: its pages need neither."""
    folder: Path = tmp_path_factory.mktemp("registry")
    settings = Settings(model_registry=str(folder), api_keys="key", access_log=False)
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.mark.parametrize("page", ["docs", "docs/"])
@pytest.mark.parametrize("base", ["https://example.org/", "https://example.org/prices/"])
def test_whatever_the_page_asks_for_is_there_and_local(base: str, page: str, service: httpx.Client) -> None:
    told = service.get(f"/{page}")
    assert "http" not in told.text
    assert "default-src 'none'" in told.headers["Content-Security-Policy"]
    links = re.findall(r'(?:src|href)="([^"]+)"', told.text)
    asked = {urljoin(f"{base}{page}", link) for link in links if not link.startswith("data:")}
    assert asked == {
        f"{base}docs/{name}" for name in ("swagger-ui.css", "contrast.css", "swagger-ui-bundle.js", "start.js")
    }
    for address in asked:
        assert service.get(f"/{address.removeprefix(base)}").status_code == 200
    assert '"../openapi.json", document.currentScript.src' in service.get("/docs/start.js").text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_comes_compressed_to_who_takes_that_and_as_it_is_to_others(path: str, service: httpx.Client) -> None:
    plain = service.get(path, headers={"Accept-Encoding": "identity"})
    packed = service.get(path, headers={"Accept-Encoding": "br, gzip"})
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(plain.headers["Content-Length"]) == len(plain.content)
    assert int(packed.headers["Content-Length"]) == len(gzip.compress(plain.content, mtime=0))
    for answer in (plain, packed):
        assert answer.headers["Vary"] == "Accept-Encoding"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] in ("no-cache", "public, max-age=86400")


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("path", PAGES)
def test_a_page_that_a_browser_has_is_not_sent_again(path: str, coding: str, service: httpx.Client) -> None:
    first = service.get(path, headers={"Accept-Encoding": coding})
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = service.get(path, headers={"Accept-Encoding": coding, "If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["ETag"] == tag
        assert again.headers["Vary"] == "Accept-Encoding"
    other = service.get(path, headers={"Accept-Encoding": "gzip" if coding == "identity" else "identity"})
    assert other.headers["ETag"] != tag
    assert service.get(path, headers={"If-None-Match": '"other"'}).status_code == 200


def test_a_cache_is_told_of_both_that_an_answer_depends_on(tmp_path: Path) -> None:
    settings = Settings(model_registry=str(tmp_path), cors_origins="https://example.org", access_log=False)
    with TestClient(create_app(settings)) as client:
        answer = client.get("/openapi.json", headers={"Origin": "https://example.org"})
    assert set(answer.headers["Vary"].split(", ")) == {"Origin", "Accept-Encoding"}


@pytest.mark.parametrize(
    ("accepted", "taken"),
    [
        ("gzip", True),
        ("GZIP", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
        ("br, *", True),
        ("gzip ; q=0.001", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip;q=0.000", False),
        ("gzip;q=0, *", False),
        ("*;q=0", False),
        ("gzip;q=much", False),
        ("gzip;level=1", False),
        ("notgzip", False),
    ],
)
def test_an_encoding_with_weight_0_is_not_taken(accepted: str, taken: bool) -> None:
    assert takes_gzip(accepted) is taken


def test_what_is_no_page_is_not_there(service: httpx.Client) -> None:
    for path in ("/docs/secret.js", "/docs/swagger-ui.css/x", "/docs/..%2fapp.py"):
        assert service.get(path).status_code == 404
