"""The service as a process: following the registry, hostile connections, signals, logs."""

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_registry.listing import EXAMPLE
from model_registry.market import NEW_YORK
from model_registry.registries import Registries
from model_registry.store import Registry
from tests.api.server import Server, alive, serving
from tests.making import LISBON, PROMOTE, listing, publish
from tests.waiting import until


def promoted(registry: Registry, seed: int) -> str:
    version = publish(registry, seed)
    registry.promote(version, PROMOTE, run_id="run-1", actor="test")
    return version


@pytest.fixture
def server(registry: Registry, tmp_path: Path) -> Iterator[Server]:
    """A service over a registry with a champion."""
    promoted(registry, 0)
    with serving(registry.folder, tmp_path / "api.log", BODY_LIMIT="1000000") as running:
        yield running


def answering(client: httpx.Client) -> str:
    return client.post("/classify", json=EXAMPLE).headers["X-Model-Version"]


def test_without_a_champion_it_is_alive_not_ready_and_says_why_until_one_is_promoted(
    registry: Registry, tmp_path: Path
) -> None:
    with serving(registry.folder, tmp_path / "api.log") as server:
        client = server.client
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


def test_a_damaged_champion_is_refused_counted_and_logged_once_and_the_old_one_keeps_answering(
    server: Server, registry: Registry
) -> None:
    first = answering(server.client)
    second = publish(registry, 1)
    (registry.path(second) / "model.onnx").write_bytes(b"damaged")
    pointer = registry.folder / "champion.json"
    pointer.write_text(pointer.read_text().replace(first, second))
    until(lambda: "detail" in server.client.get("/readyz").json(), seconds=3)
    time.sleep(2.5)
    health = server.client.get("/readyz")
    assert health.status_code == 200
    assert "model.onnx is not the file that was published" in health.json()["detail"]
    assert answering(server.client) == first
    assert 'api_model_refusals_total{market="new-york"} 1.0' in server.client.get("/metrics").text
    assert server.log.read_text().count("The champion cannot be served") == 1


@pytest.mark.parametrize("swaps", [6, pytest.param(100, marks=pytest.mark.slow)])
def test_promotions_and_rollbacks_in_two_markets_cut_no_request_and_mix_no_answer(swaps: int, tmp_path: Path) -> None:
    registries = Registries(tmp_path / "registry")
    asked_of = {"new-york": ("", "/markets/new-york"), "lisbon": ("/markets/lisbon",)}
    versions, expected, bodies = dict[str, list[str]](), dict[str, dict[str, list[str]]](), dict[str, list[Any]]()
    for market, seeds in ((NEW_YORK, (0, 1)), (LISBON, (2, 3))):
        registry, name = registries.of(market.name), market.name
        versions[name] = [publish(registry, seed, market=market) for seed in seeds]
        registry.promote(versions[name][0], PROMOTE, run_id="run-1", actor="test")
        places = [market.neighbourhoods[n % len(market.neighbourhoods)] for n in range(16)]
        bodies[name] = [
            {**EXAMPLE, "id": n, "accommodates": 1 + n, "beds": n, "neighbourhood": place}
            for n, place in enumerate(places)
        ]
        rows = [listing(id=n, accommodates=1 + n, beds=n, neighbourhood=place) for n, place in enumerate(places)]
        expected[name] = {one: [registry.open(one).classify(row) for row in rows] for one in versions[name]}
        assert len(set(map(tuple, expected[name].values()))) == 2, "the two models answer alike"
    assert not set(versions["new-york"]) & set(versions["lisbon"])
    done, failures, answered = threading.Event(), list[str](), dict[str, int]()

    def ask(client: httpx.Client, name: str, address: str, n: int) -> tuple[httpx.Response, list[str], list[str]]:
        answer = client.post(f"{address}/classify", json=bodies[name][n])
        right = expected[name].get(answer.headers.get("X-Model-Version", "none"), [])
        return answer, [answer.json().get("price_category")], right[n : n + 1]

    def ask_batch(client: httpx.Client, name: str, address: str, _: int) -> tuple[httpx.Response, list[str], list[str]]:
        answer = client.post(f"{address}/classify/batch", json=[body for body in bodies[name] for _ in range(40)])
        right = expected[name].get(answer.headers.get("X-Model-Version", "none"), [])
        told = [one["price_category"] for one in answer.json()] if answer.status_code == 200 else ["none"]
        return answer, told, [category for category in right for _ in range(40)]

    def keep_asking(how: Callable[..., tuple[httpx.Response, list[str], list[str]]], name: str, n: int) -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=20) as client:
            addresses = itertools.cycle(asked_of[name])
            while not done.is_set():
                answer, told, right = how(client, name, next(addresses), n)
                answered[f"{name} {how.__name__} {n}"] = answered.get(f"{name} {how.__name__} {n}", 0) + 1
                if answer.status_code != 200 or answer.headers["X-Market"] != name or told != right:
                    failures.append(f"{name}: {answer.status_code} {dict(answer.headers)} {answer.text[:300]}")

    def answers_now(name: str) -> str:
        told = server.client.get("/readyz").json()
        return told["model_version"] if name == "new-york" else told["markets"][name].get("model_version", "none")

    stale: list[float] = []
    with serving(registries.place, tmp_path / "api.log") as server, ThreadPoolExecutor(18) as pool:
        until(lambda: answers_now("lisbon") == versions["lisbon"][0])
        asking = [pool.submit(keep_asking, ask, name, n) for n in range(0, 16, 2) for name in asked_of]
        asking += [pool.submit(keep_asking, ask_batch, name, 0) for name in asked_of]
        try:
            for swap in range(swaps):
                name = ("new-york", "lisbon")[swap % 2]
                registry, target = registries.of(name), versions[name][(swap // 2 + 1) % 2]
                if target == versions[name][0]:
                    registry.rollback(target, decision=PROMOTE, actor="test")
                else:
                    registry.promote(target, PROMOTE, run_id=None, actor="test")
                start = time.monotonic()
                until(lambda name=name, target=target: answers_now(name) == target)
                stale.append(time.monotonic() - start)
        finally:
            done.set()
        for one in asking:
            one.result()
    told = f"{swaps} swaps, {sum(answered.values())} answers, longest {max(stale):.2f} s stale"
    print(told)  # noqa: T201 (pytest -s shows it)
    assert failures == []
    assert max(stale) <= 2
    assert len(answered) == 18


@pytest.mark.slow
def test_large_batches_hold_up_neither_the_follower_nor_others(server: Server, registry: Registry) -> None:
    versions = [answering(server.client), publish(registry, 1)]
    rows = json.dumps([{**EXAMPLE, "id": n} for n in range(10_000)]).encode()
    done, statuses = threading.Event(), list[int]()

    def post() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
            while not done.is_set():
                answer = client.post("/classify/batch", content=rows, headers={"Content-Type": "application/json"})
                statuses.append(answer.status_code)

    with ThreadPoolExecutor(8) as pool:
        posting = [pool.submit(post) for _ in range(8)]
        try:
            until(lambda: len(statuses) > 8)
            registry.promote(versions[1], PROMOTE, run_id=None, actor="test")
            promotion = time.monotonic()
            until(lambda: answering(server.client) == versions[1])
            followed = time.monotonic() - promotion
            for _ in range(200):
                assert server.client.post("/classify", json=EXAMPLE).status_code == 200
        finally:
            done.set()
        for one in posting:
            one.result()
    assert set(statuses) == {200}
    assert followed <= 2


def raw(port: int, head: bytes, body: bytes = b"", wait: float = 10) -> bytes:
    """What the server answers to some bytes before it closes or the time is over."""
    with socket.create_connection(("127.0.0.1", port), timeout=wait) as connection:
        try:
            connection.sendall(head + body)
            received = b""
            while part := connection.recv(65536):
                received += part
                if b"\r\n\r\n" in received and b"}" in received:
                    break
        except (ConnectionError, TimeoutError):
            return b""
        return received


POST = b"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def test_a_hundred_megabytes_are_turned_away(server: Server) -> None:
    told = raw(server.port, POST + b"Content-Length: 104857600\r\n\r\n", b" " * 104_857_600)
    assert told == b"" or told.startswith(b"HTTP/1.1 413")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    told = raw(server.port, POST + b"Transfer-Encoding: chunked\r\n\r\n", chunk * 100)
    assert told == b"" or told.startswith(b"HTTP/1.1 413")
    assert answering(server.client)


def test_a_body_that_does_not_arrive_is_a_408(registry: Registry, tmp_path: Path) -> None:
    promoted(registry, 0)
    with serving(registry.folder, tmp_path / "api.log", BODY_SECONDS="1") as server:
        told = raw(server.port, POST + b"Content-Length: 100\r\n\r\n", b'{"id":')
        assert told.startswith(b"HTTP/1.1 408")
        assert b"The body did not arrive within 1 s." in told
        assert answering(server.client)


@pytest.mark.parametrize(
    "garbage", [b"\x00" * 100, b"GET\r\n\r\n", b"POST /classify HTTP/9.9\r\n\r\n", b"\x16\x03\x01"]
)
def test_what_is_no_http_closes_the_connection_and_harms_nobody(garbage: bytes, server: Server) -> None:
    told = raw(server.port, garbage, wait=1)
    assert told == b"" or told.startswith(b"HTTP/1.1 400")
    assert answering(server.client)


# Of two requests at once one may be a large batch.
@pytest.mark.parametrize("limit", ["1", "2"])
def test_past_the_limit_requests_are_turned_away_in_words_and_health_is_not(
    limit: str, registry: Registry, tmp_path: Path
) -> None:
    promoted(registry, 0)
    with serving(registry.folder, tmp_path / "api.log", CONCURRENCY_LIMIT=limit) as server:
        rows, refused = json.dumps([EXAMPLE] * 10_000).encode(), list[httpx.Response]()

        def ask() -> None:
            with httpx.Client(base_url=server.client.base_url, timeout=20) as client:
                while not refused:
                    answer = client.post("/classify/batch", content=rows, headers={"Content-Type": "application/json"})
                    if answer.status_code != 200:
                        refused.append(answer)

        with ThreadPoolExecutor(2) as pool:
            asking = [pool.submit(ask) for _ in range(2)]
            until(lambda: bool(refused))
            for one in asking:
                one.result()
        assert refused[0].status_code == 503
        assert refused[0].json() == {
            "status_code": 503,
            "detail": "Too many requests are under way: try again in a second.",
        }
        assert refused[0].headers["Retry-After"] == "1"
        assert "api_turned_away_total 0.0" not in server.client.get("/metrics").text
        assert server.client.get("/readyz").status_code == 200
        assert server.client.post("/classify", json=EXAMPLE).status_code == 200


def test_bodies_that_are_still_coming_do_not_count_against_the_limit(registry: Registry, tmp_path: Path) -> None:
    promoted(registry, 0)
    with serving(registry.folder, tmp_path / "api.log", CONCURRENCY_LIMIT="1") as server, ExitStack() as stack:
        for _ in range(20):
            peer = stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
            peer.sendall(POST + b"Content-Length: 100\r\n\r\n")
        until(lambda: "api_requests_under_way 21.0" in server.client.get("/metrics").text)
        assert server.client.post("/classify", json=EXAMPLE).status_code == 200


def test_a_peer_that_leaves_before_its_body_is_there_is_no_fault_of_the_service(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(POST + b"Content-Length: 100\r\n\r\n{")
    until(lambda: 'route="/classify",status="400"} 1.0' in server.client.get("/metrics").text, seconds=5)
    assert '"level":"error"' not in server.log.read_text()


def test_sigterm_under_load_cuts_no_request_and_exits_with_0(server: Server) -> None:
    answered: list[int] = []

    def ask() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=20) as client:
            while True:
                try:
                    answered.append(client.post("/classify", json=EXAMPLE).status_code)
                except httpx.TransportError:
                    return  # the listener, or the idle connection, was closed before this request

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    until(lambda: len(answered) > 200)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(timeout=10) == 0
    for thread in threads:
        thread.join(timeout=10)
    # Every request that the service took was answered, and every answer arrived.
    taken = [line for line in server.log.read_text().splitlines() if '"path":"/classify"' in line]
    assert len(taken) == len(answered)
    assert set(answered) == {200}


def test_a_request_on_its_way_on_an_idle_connection_at_sigterm_is_answered(server: Server) -> None:
    body = json.dumps(EXAMPLE).encode()
    request = POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as known,
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as fresh,
    ):
        known.sendall(request)
        time.sleep(0.2)
        known.recv(65536)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        for connection in (known, fresh):
            connection.sendall(request)
            received = connection.recv(65536)
            assert received.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in received
    assert server.process.wait(timeout=10) == 0


def test_before_it_ends_it_says_so_and_answers_meanwhile(registry: Registry, tmp_path: Path) -> None:
    promoted(registry, 0)
    with serving(registry.folder, tmp_path / "api.log", DRAIN_SECONDS="2") as server:
        assert server.client.get("/readyz").status_code == 200
        start = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: server.client.get("/readyz").status_code == 503, seconds=2)
        assert server.client.get("/readyz").json() == {"status": "not ready", "detail": "The service is ending."}
        assert server.client.post("/classify", json=EXAMPLE).status_code == 200
        assert httpx.post(f"{server.client.base_url}/classify", json=EXAMPLE).status_code == 200
        assert server.process.wait(timeout=10) == 0
        assert time.monotonic() > start + 2


def test_a_request_under_way_at_sigterm_is_answered(server: Server) -> None:
    body = json.dumps(EXAMPLE).encode()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(POST + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:-10])
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        connection.sendall(body[-10:])
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
    assert server.process.wait(timeout=10) == 0


def test_after_sigkill_it_is_ready_again_with_the_same_champion(
    server: Server, registry: Registry, tmp_path: Path
) -> None:
    champion = answering(server.client)
    server.process.kill()
    server.process.wait()
    assert not alive(server.client)
    with serving(registry.folder, tmp_path / "again.log") as again:
        assert again.client.get("/readyz").json() == {"status": "ready", "model_version": champion}


def test_each_request_is_one_json_line_without_its_contents(server: Server) -> None:
    server.client.post("/classify", json={**EXAMPLE, "id": 987654321}, headers={"X-Request-Id": "trace-me"})
    until(lambda: "trace-me" in server.log.read_text(), seconds=2)
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    [line] = [line for line in lines if line.get("request_id") == "trace-me"]
    assert (line["method"], line["path"], line["status"]) == ("POST", "/classify", 200)
    assert line["milliseconds"] > 0
    assert line["model_version"].startswith("tree-")
    assert line["market"] == "new-york"
    assert {"time", "level", "logger"} <= set(line)
    assert "987654321" not in server.log.read_text()
    assert "API_KEYS is not set" in server.log.read_text()


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LOG_LEVEL", "loud", "Invalid enum value 'loud'"),
        (
            "MARKET",
            "New York",
            "a market's name is small letters and digits with single hyphens between, as in new-york; see `models "
            "markets`",
        ),
    ],
)
def test_a_wrong_setting_stops_the_start_in_a_sentence(name: str, value: str, words: str) -> None:
    environment = {**os.environ, name: value}
    told = subprocess.run([sys.executable, "-m", "api"], env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr == f"{name}={value!r} cannot be used: {words}\n"
