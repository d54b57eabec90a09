"""What the API takes with many markets beside one that has a single market.

    python -m benchmarks.many_markets_served --markets 200 [--registry s3://bucket/prefix]

The model is the champion of a registry (MODEL_REGISTRY, as in benchmarks/serving; `make demo` makes one), published
once more for each of so many made-up markets, or that of the market that `--like` names: in a folder, or under a URL
where no registry is yet. The services have one core in turns, the clients the other; the ratio of their rates is what
counts.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from statistics import median

import msgspec

from benchmarks.serving.environments import ROOT
from benchmarks.serving.load import Load
from benchmarks.serving.servers import OURS, Command, Server, free_port, started
from model_registry.classifier import MODEL_FILE, REPORT_FILE
from model_registry.history import Decision
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries

ROUNDS, SECONDS, CONNECTIONS = 8, 4.0, 16
ALL_SERVED_SECONDS = 600.0
PROMOTED = Decision(promote=True, reason="Published for a measurement.", numbers={})


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--markets", type=int, default=200)
    parser.add_argument("--registry", help="a URL under which no registry is yet; a folder unless told")
    parser.add_argument("--like", default=DEFAULT_MARKET, help="the market whose champion all others than New York get")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        address = given.registry or str(folder / "many")
        one, many = f"{address}-1", f"{address}-{given.markets}"
        publish(one, 1, given.like)
        publish(many, given.markets, given.like)
        load = Load(folder)
        with started(OURS, port := free_port(), command(one, port), folder / "one.log") as single:
            print(f"   1 market:  ready after {single.ready_seconds:.1f} s, {single.resident():.0f} MB")
            single.pause()
            with started(OURS, port := free_port(), command(many, port), folder / "many.log") as several:
                all_after = several.ready_seconds + wait_for_all(several, given.markets)
                print(
                    f"{given.markets:4} markets: ready after {several.ready_seconds:.1f} s, all of them served after "
                    f"{all_after:.1f} s, {several.resident():.0f} MB"
                )
                compare(load, single, several)


def command(address: str, port: int) -> Command:
    """The API over a registry."""
    return Command(
        (sys.executable, "-m", "api"), ROOT, {"MODEL_REGISTRY": address, "PORT": str(port), "PREDICTION_LOG": ""}
    )


def publish(address: str, markets: int, like: str) -> None:
    """The champions of the registry that MODEL_REGISTRY names: New York's, and one's as that of all other markets."""
    others = [f"city-{number:03d}" for number in range(1, markets)]
    for market, names in ((DEFAULT_MARKET, [DEFAULT_MARKET]), (like, others)):
        copy(market, address, names)


def copy(market: str, address: str, names: Sequence[str]) -> None:
    """Publish a market's champion as that of others."""
    source = Registries(os.environ.get("MODEL_REGISTRY") or "var/registry").of(market)
    pointer = source.champion()
    if pointer is None:
        sys.exit(f"No model has been promoted in {source.place} yet: make demo")
    manifest = source.manifest(pointer.version)
    content, report = (source.file(pointer.version, file) for file in (MODEL_FILE, REPORT_FILE))
    for name in names:
        draft = msgspec.structs.replace(manifest, market=msgspec.structs.replace(manifest.market, name=name))
        registry = Registries(address).of(name)
        version = registry.publish(draft, content, report)
        registry.promote(version, PROMOTED, run_id=None, actor="benchmark")


def wait_for_all(server: Server, markets: int) -> float:
    """Seconds until all markets are served."""
    start = time.monotonic()
    while (count := served(server)) < markets:
        if time.monotonic() - start > ALL_SERVED_SECONDS:
            sys.exit(f"After {ALL_SERVED_SECONDS:.0f} s {count} of {markets} markets are served.")
        time.sleep(0.1)
    return time.monotonic() - start


def served(server: Server) -> int:
    """How many markets answer, by the service's own word."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("GET", "/readyz")
    told = json.loads(connection.getresponse().read())
    connection.close()
    others = (told.get("markets") or {}).values()
    return (told["status"] == "ready") + sum(one["status"] == "ready" for one in others)


def compare(load: Load, single: Server, several: Server) -> None:
    """Ask the one and the other in turns, while the other rests, and print the ratio of their rates."""
    ratios = list[float]()
    for _ in range(ROUNDS):
        several.pause()
        single.resume()
        alone = load.singles(single, CONNECTIONS, SECONDS).rate
        single.pause()
        several.resume()
        time.sleep(1)  # it looks at the registry at once
        ratios.append(load.singles(several, CONNECTIONS, SECONDS).rate / alone)
    print(
        f"/classify of the default market: {median(ratios):.3f} of the rate with one market "
        f"({min(ratios):.3f} to {max(ratios):.3f} in {ROUNDS} rounds, {CONNECTIONS} connections)"
    )


if __name__ == "__main__":
    main()
