"""What stands around an answer: headers, HEAD, the names of routes, traces, figures."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from litestar.testing import TestClient
from prometheus_client.parser import text_string_to_metric_families

from api.app import create_app
from api.settings import Settings
from model_registry.listing import EXAMPLE
from tests.api.server import serving

READING = (
    "/",
    "/model",
    "/model/inputs",
    "/livez",
    "/readyz",
    "/healthz",
    "/docs",
    "/docs/swagger-ui.css",
    "/openapi.json",
)
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def service(folder: Path) -> Iterator[httpx.Client]:
    """A service of the test's own, which counts from 0."""
    with TestClient(create_app(Settings(model_registry=str(folder)))) as client:
        yield client


def test_no_answer_is_sniffed_and_no_json_or_figure_is_stored(service: httpx.Client) -> None:
    for answer in (
        service.post("/classify", json=EXAMPLE),
        service.post("/classify/batch", json=[EXAMPLE]),
        service.post("/classify", json={}),
        service.get("/nothing"),
        service.get("/classify"),
        *(service.get(path) for path in ("/model", "/livez", "/readyz", "/healthz", "/metrics")),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers.get_list("Cache-Control") == ["no-store"]
    for path in ("/", "/docs", "/docs/start.js", "/openapi.json"):
        assert service.get(path, follow_redirects=False).headers["X-Content-Type-Options"] == "nosniff"


def test_head_says_what_get_would_and_sends_no_body(service: httpx.Client) -> None:
    for path in (*READING, "/docs/", "/nothing", "/classify"):
        read, asked = service.get(path), service.head(path)
        assert asked.status_code == read.status_code, path
        assert asked.content == b""
        own = {"x-request-id"}
        assert {name: value for name, value in asked.headers.items() if name not in own} == {
            name: value for name, value in read.headers.items() if name not in own
        }
    assert service.head("/metrics").status_code == 200


def test_what_can_be_read_says_that_head_is_allowed(service: httpx.Client) -> None:
    for answer in (service.post("/livez"), service.options("/livez")):
        assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert set(service.get("/classify").headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    ("method", "path", "route"),
    [
        ("GET", "/livez/", "/livez"),
        ("GET", "/livez//", "/livez"),
        ("GET", "/docs/", "/docs"),
        ("GET", "/docs/start.js", "/docs/{name}"),
        ("GET", "/docs/made-up.js", "/docs/{name}"),
        ("HEAD", "/readyz", "/readyz"),
        ("HEAD", "/docs/start.js", "/docs/{name}"),
        ("POST", "/livez/", "/livez"),
        ("GET", "/docs/made/up", "other"),
        ("GET", "/livez/more", "other"),
        ("BREW", "/livez", "/livez"),
        ("GET", "/markets", "/markets"),
        ("POST", "/markets/new-york/classify", "/markets/{market}/classify"),
        ("POST", "/markets//new-york///classify/", "/markets/{market}/classify"),
        ("GET", "/markets/new-york/classify", "/markets/{market}/classify"),
        ("POST", "/markets/made-up/classify/batch", "/markets/{market}/classify/batch"),
        ("HEAD", "/markets//new-york/classify//batch", "/markets/{market}/classify/batch"),
        ("HEAD", "/markets/new-york/model", "/markets/{market}/model"),
        ("POST", "/markets/made-up//model", "/markets/{market}/model"),
        ("GET", "/markets/new-york", "other"),
        ("GET", "/markets/new-york/made-up", "other"),
        ("GET", "/markets/{market}/made-up", "other"),
    ],
)
def test_a_request_is_counted_under_its_route(method: str, path: str, route: str, service: httpx.Client) -> None:
    service.request(method, path)
    known = method if method != "BREW" else "other"
    lines = service.get("/metrics").text.splitlines()
    [count] = [one for one in lines if one.startswith("api_requests_total{") and f'method="{known}"' in one]
    assert f'route="{route}"' in count
    assert count.endswith(" 1.0")


def test_a_page_of_another_origin_may_read_the_headers_of_ours(folder: Path) -> None:
    settings = Settings(model_registry=str(folder), cors_origins="https://example.org")
    with TestClient(create_app(settings)) as client:
        answer = client.post("/classify", json=EXAMPLE, headers={"Origin": "https://example.org"})
    exposed = {name.strip().lower() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    of_a_model = {"x-market", "x-model-version", "x-run-id", "x-snapshot", "x-synthetic"}
    assert exposed == of_a_model | {"x-request-id", "retry-after"}
    assert exposed - {"retry-after"} <= set(answer.headers)


@pytest.mark.parametrize(
    ("given", "trace", "span"),
    [
        ([f"00-{TRACE}-{SPAN}-01"], TRACE, SPAN),
        ([f"cc-{TRACE}-{SPAN}-00"], TRACE, SPAN),
        ([f"cc-{TRACE}-{SPAN}-00-what-the-future-brings"], TRACE, SPAN),
        ([], None, None),
        ([""], None, None),
        ([f"00-{TRACE}-{SPAN}-01-more"], None, None),
        ([f"ff-{TRACE}-{SPAN}-01"], None, None),
        ([f"cc-{TRACE}-{SPAN}-01.more"], None, None),
        ([f"00-{'0' * 32}-{SPAN}-01"], None, None),
        ([f"00-{TRACE}-{'0' * 16}-01"], None, None),
        ([f"00-{TRACE.upper()}-{SPAN}-01"], None, None),
        ([f"00-{TRACE}-{SPAN}-1"], None, None),
        ([f"00-{TRACE}-{SPAN}"], None, None),
        ([f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01"], None, None),
    ],
)
def test_a_trace_is_taken_over_into_the_log_line_if_it_is_one(
    given: list[str],
    trace: str | None,
    span: str | None,
    service: httpx.Client,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    service.get("/model", headers=[("traceparent", one) for one in given])
    service.__exit__(None, None, None)
    [line] = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines() if b'"/model"' in line]
    assert (line["trace_id"], line["span_id"]) == (trace, span)


def test_a_parser_of_prometheus_accepts_every_figure(service: httpx.Client) -> None:
    service.post("/classify", json=EXAMPLE)
    service.post("/classify", json={})
    told = service.get("/metrics")
    assert told.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = {family.name: family for family in text_string_to_metric_families(told.text)}
    assert sum(len(family.samples) for family in families.values()) == sum(
        not line.startswith("#") for line in told.text.splitlines()
    )
    for name, family in families.items():
        assert family.documentation, name
        assert family.type in ("counter", "gauge", "histogram", "info"), name
    assert {"process_resident_memory_bytes", "process_open_fds", "python_info", "python_gc_collections"} <= set(
        families
    )
    bounds = {sample.labels.get("le") for sample in families["api_request_seconds"].samples}
    assert {"0.0005", "60.0", "+Inf"} <= bounds


def test_head_under_the_real_server_leaves_the_connection_to_the_next(folder: Path, tmp_path: Path) -> None:
    with (
        serving(folder, tmp_path / "api.log") as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection,
        connection.makefile("rb") as received,
    ):
        for method, path in [("HEAD", "/docs"), ("HEAD", "/metrics"), ("HEAD", "/nothing"), ("GET", "/livez")] * 2:
            connection.sendall(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = b"".join(iter(received.readline, b"\r\n")).decode()
            assert head.startswith("HTTP/1.1 404" if path == "/nothing" else "HTTP/1.1 200"), head
            length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
            assert length > 0
            if method == "GET":
                assert json.loads(received.read(length)) == {"status": "alive"}
