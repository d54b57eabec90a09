"""What an explanation takes, and what it takes from others: `python -m benchmarks.explaining`.

The service runs on one core, its clients on another. Single listings come at a fixed rate, in turns with and without a
client beside them that asks for one explanation after the other: the ratio of their latencies is what counts. The model
is a registry's champion (MODEL_REGISTRY), as in benchmarks/serving; `make demo` makes one with a background.
"""

import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from benchmarks.serving.environments import ROOT
from benchmarks.serving.load import Load
from benchmarks.serving.open_loop import Figures, percentile
from benchmarks.serving.servers import OURS, Command, Server, cores, free_port, started
from model_registry.listing import RoomType
from model_registry.manifest import Manifest
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries

ROUNDS, SECONDS = 6, 5.0
RATES = (200, 1_000)
"""Of the single listings, a second."""
ALONE = 200
"""Explanations that are timed one by one, of listings made up by chance."""


def listings(manifest: Manifest, seed: int) -> Generator[bytes]:
    """Bodies of listings without end, each property as common as it was among those that the model learned from.

    What an explanation takes depends on it: a listing that differs from all others in everything takes three times as
    long as one like them.
    """
    chance, profile = random.Random(seed), manifest.profile  # noqa: S311 (no secret)
    if profile is None:
        sys.exit(f"{manifest.version} was published without a profile of its listings: make demo")

    def drawn(name: str) -> float:
        edges, counts = profile.distributions[name].edges, profile.distributions[name].counts
        bin_ = chance.choices(range(len(counts)), counts)[0]
        if name not in ("latitude", "longitude"):
            # Where all are the same there is no edge, and a flag that nobody has.
            return [*edges, edges[-1] + 1 if edges else 0][bin_]
        return chance.uniform(edges[max(0, bin_ - 1)], edges[min(bin_, len(edges) - 1)])

    while True:
        yield json.dumps(
            {
                "id": 1,
                "neighbourhood": manifest.market.neighbourhoods[int(drawn("neighbourhood"))],
                "room_type": tuple(RoomType)[int(drawn("room_type"))],
                **{name: int(drawn(name)) for name in ("accommodates", "beds", "bedrooms")},
                **{name: drawn(name) > 0 for name in ("tv", "elevator", "internet")},
                **{name: drawn(name) for name in ("bathrooms", "latitude", "longitude")},
            }
        ).encode()


def timed(server: Server, manifest: Manifest, count: int) -> list[float]:
    """Seconds that explanations take one after the other."""
    seconds, bodies = list[float](), listings(manifest, 0)
    for _ in range(count):
        start = time.perf_counter()
        status, _, content = server.ask(next(bodies), "/classify?explain=true")
        seconds.append(time.perf_counter() - start)
        if status != 200 or "explanation" not in json.loads(content):
            sys.exit(f"The service answers {status} {content!r}: it takes a champion with a background (make demo).")
    return seconds


def pin() -> None:
    """Keep the thread that calls it on the clients' core."""
    os.sched_setaffinity(0, {int(cores()[1])})


@contextmanager
def explaining(server: Server, manifest: Manifest) -> Generator[list[float]]:
    """A client that asks for explanations without pause; when each came."""
    done, came = threading.Event(), list[float]()

    def ask() -> None:
        pin()
        bodies = listings(manifest, 1)
        while not done.is_set():
            server.ask(next(bodies), "/classify?explain=true")
            came.append(time.perf_counter())

    thread = threading.Thread(target=ask)
    thread.start()
    yield came
    done.set()
    thread.join()


def main() -> None:
    """Print the figures."""
    registry = Registries(Path(os.environ.get("MODEL_REGISTRY") or "var/registry").absolute()).of(DEFAULT_MARKET)
    pointer = registry.champion()
    if pointer is None:
        sys.exit(f"No model has been promoted in {registry.folder} yet: make demo")
    manifest = registry.manifest(pointer.version)
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        environment = {"MODEL_REGISTRY": str(registry.folder.parent), "PORT": str(port)}
        how = Command((sys.executable, "-m", "api"), ROOT, environment)
        load = Load(folder)
        with started(OURS, port, how, folder / "api.log") as server:
            with ThreadPoolExecutor(1, initializer=pin) as client:
                client.submit(timed, server, manifest, 20).result()
                alone = sorted(client.submit(timed, server, manifest, ALONE).result())
            print(
                f"{pointer.version}: one explanation {1e3 * median(alone):.1f} ms, "
                f"95 % within {1e3 * percentile(alone, 0.95):.1f} ms"
            )
            for rate in RATES:
                report(server, manifest, load, rate)


def report(server: Server, manifest: Manifest, load: Load, rate: int) -> None:
    """Single listings at a rate, in turns without and with explanations beside them."""
    without, beside, answered = list[Figures](), list[Figures](), list[float]()
    for _ in range(ROUNDS):
        without += load.open_loop(server, rate, SECONDS, load.single)
        with explaining(server, manifest) as came:
            beside += load.open_loop(server, rate, SECONDS, load.single)
        answered.append(len(came) / SECONDS)
    for figure in ("p50", "p99"):
        pairs = [(getattr(one, figure), getattr(other, figure)) for one, other in zip(without, beside, strict=True)]
        ratios = sorted(after / before for before, after in pairs)
        print(
            f"{rate:>6,} listings a second, {figure}: {median(one for one, _ in pairs):.2f} ms alone, "
            f"{median(one for _, one in pairs):.2f} ms beside explanations: {median(ratios):.2f} times "
            f"({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    failed = sum(one.failed for one in (*without, *beside))
    print(f"{'':>6} {median(answered):.0f} explanations a second beside them; {failed} listings failed")


if __name__ == "__main__":
    main()
