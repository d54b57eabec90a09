"""The API beside its own limit and beside the predecessor's way, in one run.

    make bench-api

Each server is a process on one core, the load generator (wrk, from the system's packages) is on another. Prints
requests a second and ratios; nothing is asserted. The framework's limit is the same service with the model call
left out; the predecessor's way is a 500-tree scikit-learn forest behind the same route: DataFrame, map, predict.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import uvicorn
from numpy.typing import NDArray

import api.app
from api.app import create_app
from api.logs import configure_logs
from api.serving import Champion
from api.settings import Settings
from mle_assets.listings.cleaning import clean
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.snapshot import read_snapshot
from mle_assets.listings.synthetic import write_snapshot
from mle_assets.models.candidates import CANDIDATES, PREDECESSOR_FEATURES
from model_registry.listing import EXAMPLE, FEATURES
from model_registry.store import Registry

SECONDS = 8
PREDECESSORS = {"threaded": 4, "unthreaded": 1}
"""The predecessor's way with threads for each answer, n_jobs=4, and without, which is kinder to it."""
SERVER_CORE, CLIENT_CORE = "0", "1"


Rows = NDArray[np.float32]


class WithoutTheModel:
    """In place of the model: the same answer to everything, at once."""

    def probabilities(self, rows: Rows) -> Rows:
        """One constant row for each row."""
        return np.repeat(np.array([[0.1, 0.7, 0.1, 0.1]], dtype=np.float32), len(rows), axis=0)


class ThePredecessorsWay:
    """In place of the model: a DataFrame, two maps, and a 500-tree scikit-learn forest."""

    def __init__(self, jobs: int) -> None:
        """Fit the forest on a synthetic snapshot; it predicts with that many threads."""
        with tempfile.TemporaryDirectory() as folder:
            write_snapshot(Path(folder) / "listings.csv", 31_841)
            listings = clean(read_snapshot(f"{folder}/listings.csv").listings, "synthetic").listings
        largest = next(candidate for candidate in CANDIDATES if candidate.name == "simple_classifier_500")
        self.forest = largest.estimator.fit(feature_matrix(listings)[:, :5], category_codes(listings))
        self.forest.set_params(n_jobs=jobs)

    def probabilities(self, rows: Rows) -> Rows:
        """What the forest says of the five features it uses."""
        table = pd.DataFrame(rows, columns=list(FEATURES))
        table["neighbourhood"] = table["neighbourhood"].map(dict(enumerate(range(5))))
        table["room_type"] = table["room_type"].map(dict(enumerate(range(4))))
        return self.forest.predict_proba(table[list(PREDECESSOR_FEATURES)].to_numpy(dtype=np.float32))


def serve(kind: str, registry: str, port: str) -> None:
    """Run the service in this process with one part left out or replaced; all else is the same."""
    configure_logs("info")
    if kind == "unobserved":
        api.app.observed = lambda app, **_: app
    else:
        classifier = WithoutTheModel() if kind == "limit" else ThePredecessorsWay(PREDECESSORS[kind])
        load_champion = Champion.of
        Champion.of = lambda published: replace(load_champion(published), classifier=classifier)
    app = create_app(Settings(model_registry=registry, port=int(port)))
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_config=None, access_log=False, server_header=False)


@contextmanager
def server(kind: str, registry: Path, log: Path) -> Iterator[tuple[int, int, float]]:
    """A server of a kind on its own core: its port, its process id, and how long it took to be ready."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    pin = ["taskset", "-c", SERVER_CORE, sys.executable]
    environment = {**os.environ, "MODEL_REGISTRY": str(registry), "PORT": str(port)}
    command = [*pin, "-m", "api"] if kind == "api" else [*pin, __file__, kind, str(registry), str(port)]
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            while True:
                try:
                    if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.01)
            yield port, process.pid, time.perf_counter() - start
        finally:
            process.terminate()
            process.wait()


def load(port: int, path: str, body: bytes, connections: int, folder: Path) -> tuple[float, float]:
    """Requests a second and the 99th percentile of the latency in milliseconds, from wrk on its own core."""
    script = folder / "post.lua"
    escaped = json.dumps(body.decode())
    script.write_text(
        f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {escaped}\n'
        "function done(summary, latency)\n"
        '  io.write(string.format("failed %d p99 %.3f\\n", '
        "summary.errors.status + summary.errors.read + summary.errors.connect, latency:percentile(99) / 1000))\nend\n"
    )
    command = ["taskset", "-c", CLIENT_CORE, "wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script)]
    told = subprocess.run(
        [*command, f"http://127.0.0.1:{port}{path}"], capture_output=True, text=True, check=True
    ).stdout
    rate, last = re.search(r"Requests/sec:\s+([\d.]+)", told), re.search(r"failed (\d+) p99 ([\d.]+)", told)
    if rate is None or last is None or last[1] != "0":
        sys.exit(f"wrk failed: {told}")
    return float(rate[1]), float(last[2])


def show(kind: str, what: str, rate: float, unit: str, p99: float) -> None:
    """One row."""
    print(f"{kind:<12} {what:<26} {rate:>9,.0f} {unit}   p99 {p99:>8.2f} ms", flush=True)


def resident(pid: int) -> float:
    """A process's resident memory in megabytes."""
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1e3 if found else float("nan")


def main() -> None:
    """Measure all servers on the champion of the registry."""
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed: apt-get install wrk")
    registry = Path(os.environ.get("MODEL_REGISTRY") or "var/registry")
    champion = Registry(registry).champion()
    if champion is None:
        sys.exit(f"No model has been promoted in {registry} yet: make demo")
    one = json.dumps(EXAMPLE).encode()
    thousand = json.dumps([{**EXAMPLE, "id": n, "accommodates": 1 + n % 16} for n in range(1000)]).encode()
    rates: dict[str, float] = {}
    print(f"champion {champion.version}; {SECONDS} s each; server and wrk on a core of their own")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind in ("limit", "api", "unobserved", *PREDECESSORS):
            with server(kind, registry, folder / f"{kind}.log") as (port, pid, seconds):
                load(port, "/classify", one, 1, folder)
                rates[kind], p99 = load(port, "/classify", one, 16, folder)
                show(kind, "/classify, 16 connections", rates[kind], "requests/s", p99)
                if kind == "api":
                    rate, p99 = load(port, "/classify/batch", thousand, 2, folder)
                    show(kind, "/classify/batch of 1,000", 1000 * rate, "listings/s", p99)
                    print(f"{kind:<12} start to ready {seconds:.2f} s, resident {resident(pid):.0f} MB", flush=True)
    print(f"api / limit       = {rates['api'] / rates['limit']:.2f}")
    print(f"api / unobserved  = {rates['api'] / rates['unobserved']:.2f} (without request ids, metrics and log lines)")
    for kind, jobs in PREDECESSORS.items():
        print(f"api / {kind:<11} = {rates['api'] / rates[kind]:.0f} (scikit-learn forest with n_jobs={jobs})")


if __name__ == "__main__":
    serve(*sys.argv[1:]) if len(sys.argv) > 1 else main()
