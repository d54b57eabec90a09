"""The service as a process of its own on a port of its own."""

import os
import resource
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from local.processes import free_port
from tests.waiting import until


@dataclass(frozen=True)
class Server:
    """A running service, and a client of it."""

    process: subprocess.Popen[bytes]
    client: httpx.Client
    port: int
    log: Path


@contextmanager
def serving(registry: Path | str, log: Path, *, descriptors: int | None = None, **settings: str) -> Generator[Server]:
    """`python -m api` over a registry, alive; killed at the end if it still runs. It may open so many descriptors."""

    def limit() -> None:
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    port = free_port()
    environment = {**os.environ, "MODEL_REGISTRY": str(registry), "PORT": str(port), "PREDICTION_LOG": "", **settings}
    with log.open("wb") as output, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        command = [sys.executable, "-m", "api"]
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output, preexec_fn=limit)
        try:
            until(lambda: alive(client))
            yield Server(process, client, port, log)
        finally:
            process.kill()
            process.wait()


def alive(client: httpx.Client) -> bool:
    """Whether it answers."""
    try:
        return client.get("/livez").status_code == 200
    except httpx.TransportError:
        return False
