"""The service as a process of its own on a port of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx


@dataclass(frozen=True)
class Server:
    """A running service, and a client of it."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    port: int
    log: Path


@contextmanager
def serving(registry: Path, log: Path, **settings: str) -> Generator[Server]:
    """`python -m api` over a registry, alive; killed at the end if it still runs."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "MODEL_REGISTRY": str(registry), "PORT": str(port), **settings}
    with log.open("wb") as output, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        process = subprocess.Popen([sys.executable, "-m", "api"], env=environment, stdout=output, stderr=output)
        try:
            until(lambda: alive(client))
            yield Server(process, client, port, log)
        finally:
            process.kill()
            process.wait()


def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def alive(client: httpx.Client) -> bool:
    """Whether it answers."""
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False
