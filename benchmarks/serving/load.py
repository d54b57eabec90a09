"""The load: wrk for as many requests as a server answers, an open loop for latency, batches beside single listings."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.serving.batches import batch
from benchmarks.serving.environments import ROOT
from benchmarks.serving.open_loop import Figures
from benchmarks.serving.servers import Server, cores
from model_registry.listing import EXAMPLE

OPEN_CONNECTIONS = 16
BATCH, BATCH_CONNECTIONS = 1_000, 2
BATCH_CLIENTS, LARGE_BATCH = 8, 10_000
SINGLES_RATE = 200
"""Beside the batches: so many requests a second, every other one for /livez."""
WRK_SECONDS = "60s"
"""After which an answer has not come; the predecessor takes some."""


@dataclass(frozen=True)
class Rate:
    """What a server answered to as much as it could take: requests a second, and milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    """Microseconds of the processor for each request; other work on the machine changes it less than the rate."""
    failed: int


@dataclass(frozen=True)
class Mixed:
    """What others were answered beside large batches."""

    listings_rate: float
    failed_batches: int
    livez: Figures
    single: Figures


class Load:
    """Clients on their own core; what they send is in files of a folder."""

    def __init__(self, folder: Path) -> None:
        """Write the files."""
        one = json.dumps(EXAMPLE).encode()
        self.one, self.thousand = folder / "one.json", folder / "thousand.json"
        self.livez, self.single = folder / "livez.http", folder / "single.http"
        self.one.write_bytes(one)
        self.thousand.write_bytes(batch(BATCH))
        self.livez.write_bytes(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        about_it = b"Content-Type: application/json\r\nContent-Length: %d" % len(one)
        self.single.write_bytes(b"POST /classify HTTP/1.1\r\nHost: 127.0.0.1\r\n%b\r\n\r\n%b" % (about_it, one))
        self._pin = ("taskset", "-c", cores()[1])

    def singles(self, server: Server, connections: int, seconds: float) -> Rate:
        """One listing after the other on each connection."""
        return self._wrk(server, "/classify", self.one, connections, seconds)

    def batches(self, server: Server, seconds: float) -> Rate:
        """Batches of a thousand listings, likewise; the rate is that of batches."""
        return self._wrk(server, "/classify/batch", self.thousand, BATCH_CONNECTIONS, seconds)

    def due(self, server: Server, rate: float, seconds: float) -> Figures:
        """So many listings a second, each sent when it is due."""
        [figures] = self.open_loop(server, rate, seconds, self.single)
        server.settle()
        return figures

    def mixed(self, server: Server, seconds: float) -> Mixed:
        """Singles and /livez, sent when they are due, while clients post batches of ten thousand."""
        clients = subprocess.Popen(
            [*self._module("batches"), str(server.port), str(BATCH_CLIENTS), str(LARGE_BATCH)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert clients.stdout is not None  # noqa: S101 for the type
            if clients.stdout.readline() != "begun\n":
                sys.exit(f"{server.row} does not answer batches of {LARGE_BATCH:,}.")
            livez, single = self.open_loop(server, SINGLES_RATE, seconds, self.livez, self.single)
        finally:
            told = clients.communicate()[0]  # which ends their input, and so them
        batches = json.loads(told)
        server.settle()
        return Mixed(LARGE_BATCH * batches["answered"] / batches["seconds"], batches["failed"], livez, single)

    def _wrk(self, server: Server, path: str, body: Path, connections: int, seconds: float) -> Rate:
        cpu = server.cpu_seconds()
        script, url = Path(__file__).with_name("post.lua"), f"http://127.0.0.1:{server.port}{path}"
        wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:.0f}s", "--timeout", WRK_SECONDS, "-s", str(script), url]
        told = subprocess.run([*self._pin, *wrk, "--", str(body)], capture_output=True, text=True, check=False)
        last = told.stdout.splitlines()[-1:]
        if told.returncode or not last or not last[0].startswith("measured"):
            sys.exit(f"wrk failed: {told.stdout}{told.stderr}")
        requests, microseconds, p50, p99, failed = map(int, last[0].split()[1:])
        used = 1e6 * (server.cpu_seconds() - cpu) / max(requests, 1)
        server.settle()
        return Rate(1e6 * requests / microseconds, p50 / 1e3, p99 / 1e3, used, failed)

    def open_loop(self, server: Server, rate: float, seconds: float, *requests: Path) -> list[Figures]:
        """Requests in turn, each sent when it is due; the figures of each kind."""
        numbers = (str(server.port), str(rate), str(seconds), str(OPEN_CONNECTIONS))
        command = [*self._module("open_loop"), *numbers, *map(str, requests)]
        told = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
        return [Figures(**one) for one in json.loads(told)]

    def _module(self, name: str) -> tuple[str, ...]:
        return (*self._pin, sys.executable, "-m", f"benchmarks.serving.{name}")
