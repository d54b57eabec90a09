"""Clients that behave: so many connections asking at once, and what became of each request."""

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from model_registry.listing import EXAMPLE

BODY = json.dumps(EXAMPLE).encode()
HEADERS = {"Content-Type": "application/json"}


@dataclass
class Load:
    """What became of the requests so far; complete once the clients have stopped."""

    answers: Counter[str] = field(default_factory=Counter)
    """By the version that answered, or in words where it was no 200."""
    good: int = 0
    slowest: float = 0.0
    """Seconds that the slowest good answer took."""

    @property
    def asked(self) -> int:
        """Requests of which the end is known."""
        return self.answers.total()

    @property
    def share(self) -> float:
        """The share of good answers."""
        return self.good / max(self.asked, 1)

    def __str__(self) -> str:
        """In one line."""
        said = ", ".join(f"{count} x {what}" for what, count in self.answers.most_common(6))
        return f"{self.asked - self.good} of {self.asked} requests failed, slowest {self.slowest:.2f} s ({said})"


def burst(address: tuple[str, int], count: int) -> Load:
    """Ask on so many connections at the same moment, once, and wait for every answer."""
    told = Load()
    connections = [http.client.HTTPConnection(*address, timeout=60) for _ in range(count)]
    for connection in connections:
        connection.connect()
    start = time.monotonic()
    for connection in connections:
        connection.request("POST", "/classify", BODY, HEADERS)
    for connection in connections:
        answer = connection.getresponse()
        text = answer.read()
        told.answers[answer.headers.get("X-Model-Version") or f"{answer.status} {text[:120].decode()}"] += 1
        told.good += answer.status == 200
        connection.close()
    told.slowest = time.monotonic() - start
    return told


@contextmanager
def load(
    address: tuple[str, int],
    connections: int = 16,
    *,
    keep: bool = True,
    pause: float = 0.0,
    patience: float = 60,
    batch: int = 0,
) -> Iterator[Load]:
    """Ask for the README's listing, or batches of it, on so many connections as long as the block runs.

    With `keep` each connection serves many requests, otherwise one. Each request that was begun is waited for, but none
    longer than `patience` seconds, and one that got no whole answer counts as failed: nothing is sent twice.
    """
    told, stop, lock = Load(), threading.Event(), threading.Lock()
    path, body = ("/classify/batch", b"[" + b",".join([BODY] * batch) + b"]") if batch else ("/classify", BODY)

    def one(connection: http.client.HTTPConnection) -> tuple[bool, str]:
        try:
            connection.request("POST", path, body, HEADERS)
            answer = connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            return False, repr(error)
        if answer.status == 200 and b"price_category" in text:
            return True, answer.headers["X-Model-Version"]
        return False, f"{answer.status} {text[:120].decode(errors='replace')}"

    def ask() -> None:
        connection = http.client.HTTPConnection(*address, timeout=patience)
        while not stop.is_set():
            start = time.monotonic()
            good, what = one(connection)
            with lock:
                told.answers[what] += 1
                if good:
                    told.good += 1
                    told.slowest = max(told.slowest, time.monotonic() - start)
            if not keep:
                connection.close()
            stop.wait(pause)
        connection.close()

    clients = [threading.Thread(target=ask, daemon=True) for _ in range(connections)]
    for client in clients:
        client.start()
    try:
        yield told
    finally:
        stop.set()
        for client in clients:
            client.join(90)
