"""The gateway among hostile and broken clients: who behaves is served meanwhile, and nothing of it stays."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import pytest

from tests.containers.hostile import (
    Address,
    Peers,
    dripping_headers,
    half_closed,
    huge_body,
    huge_header,
    idle,
    slow_bodies,
    slow_h2_bodies,
    unread_answers,
)
from tests.containers.light import Light, light_stack
from tests.containers.load import load
from tests.containers.stack import reason_to_skip, say, told
from tests.waiting import until

pytestmark = pytest.mark.containers

Attack = Callable[[Address], AbstractContextManager[Peers]]

ATTACKS: dict[str, tuple[Attack, float]] = {
    # Each with the seconds after which all have been answered or closed.
    "200 slow bodies": (partial(slow_bodies, count=200), 15),
    "200 slow bodies above what is read first": (partial(slow_bodies, count=200, size=900_000, at_once=20_000), 60),
    "200 slow batches": (partial(slow_bodies, count=200, size=900_000, at_once=20_000, path="/classify/batch"), 60),
    "500 times 8 slow bodies over HTTP/2": (partial(slow_h2_bodies, count=500, streams=8), 45),
    "2,000 idle connections": (partial(idle, count=2_000), 15),
    "5,000 idle connections": (partial(idle, count=5_000), 15),
    "1,000 dripping headers": (partial(dripping_headers, count=1_000), 15),
    "100 that never read": (partial(unread_answers, count=100), 90),
}
GATEWAY_MEMORY, API_MEMORY = 900.0, 500.0
"""Megabytes; the engine would end a gateway that takes more than 1,024, a replica more than 512 (compose.yaml)."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Light]:
    """Two replicas behind a gateway."""
    if reason := reason_to_skip():
        pytest.skip(f"no containers here: {reason}")
    with light_stack(tmp_path_factory.mktemp("light")) as stack:
        yield stack


class Memory:
    """The most memory that each container took while it was watched, in megabytes."""

    def __init__(self, stack: Light) -> None:
        self.names = [one["Name"].strip("/") for name in ("api", "gateway") for one in stack.containers(name)]
        self.most = dict.fromkeys(self.names, 0.0)

    @contextmanager
    def watched(self) -> Iterator["Memory"]:
        """Ask the engine all the time as long as the block runs."""
        stop = threading.Event()

        def watch() -> None:
            while not stop.is_set():
                row = "{{.Name}} {{.MemUsage}}"
                for line in told("docker", "stats", "--no-stream", "--format", row, *self.names).stdout.splitlines():
                    name, used = line.split()[:2]
                    self.most[name] = max(self.most[name], megabytes(used))

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield self
        finally:
            stop.set()
            thread.join()

    def of(self, service: str) -> float:
        """The most that one container of a service took."""
        return max(most for name, most in self.most.items() if f"-{service}-" in name)


def megabytes(text: str) -> float:
    """As the engine writes it: 12.5MiB, 1.2GiB."""
    factors = {"GiB": 1024.0, "MiB": 1.0, "KiB": 1 / 1024, "B": 1 / 1024**2}
    unit = next(unit for unit in factors if text.endswith(unit))
    return float(text.removesuffix(unit)) * factors[unit]


def connections(stack: Light) -> float:
    """How many clients the gateway has."""
    return stack.figure('haproxy_frontend_current_sessions{proxy="clients"}')


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served_and_nothing_of_it_stays(stack: Light, name: str) -> None:
    attack, closed_after = ATTACKS[name]
    with Memory(stack).watched() as memory, attack(stack.gateway()) as peers:
        start = time.monotonic()
        with load(stack.gateway(), 8, keep=False, pause=0.01) as others:
            time.sleep(8)
        took, health = time.monotonic() - start, stack.get("/readyz").status_code
        # Those that never read, or speak HTTP/2, have something at once: what counts is that they are closed.
        left = peers.held if "never read" in name or "HTTP/2" in name else peers.waiting
        until(lambda: not left() or time.monotonic() - start > 8 + closed_after, seconds=300, every=0.5)
        ended, took_all, held = not left(), time.monotonic() - start, peers.held()
    say(
        f"{name}: {others} in {took:.0f} s; all {len(peers.sockets)} answered or closed after {took_all:.0f} s: "
        f"{ended}, {held} still open; "
        f"most memory: gateway {memory.of('gateway'):.0f} MB, api {memory.of('api'):.0f} MB"
    )
    assert others.asked > 300
    assert others.share >= 0.999
    assert health == 200
    assert peers.refused == 0
    assert ended
    assert memory.of("gateway") < GATEWAY_MEMORY
    assert memory.of("api") < API_MEMORY
    until(lambda: connections(stack) == 0, seconds=30, every=0.5)


@pytest.mark.parametrize("name", ATTACKS)
def test_it_ends_in_time_while_they_are_there(stack: Light, name: str) -> None:
    attack, _ = ATTACKS[name]
    with attack(stack.gateway()):
        time.sleep(1)
        start = time.monotonic()
        stack.compose("stop", "api", "gateway")
        took = time.monotonic() - start
    codes = [one["State"]["ExitCode"] for service in ("api", "gateway") for one in stack.containers(service)]
    say(f"{name}: docker compose stop took {took:.1f} s, exit codes {codes}")
    stack.start()
    assert set(codes) == {0}
    assert took < 60


def test_a_header_of_100_mb_is_refused_at_once(stack: Light) -> None:
    with Memory(stack).watched() as memory:
        answer, sent = huge_header(stack.gateway())
        time.sleep(2)
    say(f"a header of 100 MB: {answer.splitlines()[0].decode()} after {sent / 1e6:.2f} MB")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert sent < 5_000_000
    assert memory.of("gateway") < GATEWAY_MEMORY


@pytest.mark.parametrize("path", ["/classify", "/classify/batch"])
def test_a_body_of_200_mb_is_refused_at_once(stack: Light, path: str) -> None:
    with Memory(stack).watched() as memory:
        answer, sent = huge_body(stack.gateway(), path=path)
        time.sleep(2)
    say(f"a body of 200 MB to {path}: {answer.splitlines()[0].decode()} after {sent / 1e6:.2f} MB")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 20_000_000
    assert memory.of("api") < API_MEMORY


def test_a_client_that_says_it_sends_nothing_more_gets_its_answer(stack: Light) -> None:
    answers = {half_closed(stack.gateway()).partition(b"\r\n")[0] for _ in range(20)}
    assert answers == {b"HTTP/1.1 200 OK"}


def test_more_requests_than_it_holds_are_refused_in_words_and_it_lives(stack: Light) -> None:
    # 60,000 requests on 7,500 connections: most of them and of the others are turned away, and none costs memory.
    with Memory(stack).watched() as memory, slow_h2_bodies(stack.gateway(), 7_500, 8):
        with load(stack.gateway(), 4, keep=False, pause=0.1) as others:
            time.sleep(5)
        health = stack.get("/readyz").status_code
    say(f"60,000 slow requests over HTTP/2: {others}; most memory: gateway {memory.of('gateway'):.0f} MB")
    assert health == 200
    assert memory.of("gateway") < GATEWAY_MEMORY
    assert all(what in stack.versions or what.startswith('503 {"status_code":503') for what in others.answers)
    assert stack.container("gateway")["RestartCount"] == 0
    until(lambda: connections(stack) == 0, seconds=60, every=0.5)
    assert stack.ask().version == stack.versions[0]


def test_a_client_that_goes_away_does_no_harm(stack: Light) -> None:
    with load(stack.gateway(), 8) as others:
        for _ in range(20):
            with slow_bodies(stack.gateway(), 50), idle(stack.gateway(), 50):
                pass
    say(f"2,000 clients that come and go: {others}")
    assert others.good == others.asked
    until(lambda: connections(stack) == 0, seconds=20, every=0.5)
