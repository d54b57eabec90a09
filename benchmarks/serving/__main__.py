"""The API beside its limit, FastAPI, the predecessor's way and another commit, in one run.

    make bench-api BEFORE=commit

Each server is a process on one core, its clients are on another. Rows take turns in several rounds, so that a machine
that gets slower does it to all of them; what is printed is the median of the rounds. Nothing is asserted.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from pathlib import Path

from benchmarks.serving.environments import ROOT, checked_out, fastapi_python, tell
from benchmarks.serving.load import Load
from benchmarks.serving.report import CONNECTIONS, Measured, goals, tables
from benchmarks.serving.servers import (
    BEFORE,
    FASTAPI,
    LIMIT,
    OURS,
    PREDECESSOR,
    UNLOGGED,
    UNOBSERVED,
    Server,
    check,
    command,
    cores,
    free_port,
    started,
)
from model_registry.listing import EXAMPLE
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries

ROWS = (LIMIT, OURS, UNLOGGED, UNOBSERVED, BEFORE, FASTAPI, PREDECESSOR)
BEARABLE = 0.8
"""The share of its highest rate that a row is given when it is due; at more, it is its queue that is measured."""


def main() -> None:
    """Measure all servers on the champion of the registry."""
    what = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description=what)
    parser.add_argument("--before", metavar="COMMIT", help="also measure the service of this commit")
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement (default 3)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is taken (default 3)")
    parser.add_argument("--rows", nargs="+", default=ROWS, choices=ROWS, metavar="ROW", help="only these beside ours")
    options = parser.parse_args()
    for tool, package in (("wrk", "wrk"), ("taskset", "util-linux")):
        if shutil.which(tool) is None:
            sys.exit(f"{tool} is not installed: apt-get install {package}")
    registry = Registries(Path(os.environ.get("MODEL_REGISTRY") or ROOT / "var" / "registry").absolute()).of(
        DEFAULT_MARKET
    )
    champion = registry.champion()
    if champion is None:
        sys.exit(f"No model has been promoted in {registry.folder} yet: make demo")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("The benchmark was ended."))  # and its servers with it
    busy = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as temporary, ExitStack() as stack:
        folder = Path(temporary)
        version = registry.folder / "versions" / champion.version
        python = fastapi_python() if FASTAPI in options.rows else None
        before = checked_out(options.before, folder / "before") if options.before else None
        ready = starts(version, before, folder, options.rounds)
        servers = start(stack, {OURS, *options.rows}, version, before, python, folder)
        measured = measure(servers, Load(folder), options.rounds, options.seconds)
        measured.ready = ready
    server_core, client_core = cores()
    print(
        f"champion {champion.version}; {options.rounds} rounds of {options.seconds} s; "
        f"servers on core {server_core}, clients on core {client_core}; "
        f"load average before {busy:.1f}"
    )
    tables(measured, tuple(servers))
    goals(measured)


def starts(version: Path, before: Path | None, folder: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds from start to ready of ours and another commit's, each started alone."""
    taken: dict[str, list[float]] = {}
    for turn in range(rounds + 1):
        for row in (OURS, BEFORE) if before else (OURS,):
            port = free_port()
            how = command(row, port, version, python=folder, before=before or folder, logs=folder, answer=b"")
            with started(row, port, how, folder / f"{row}.log") as server:
                if turn:  # the first one also reads its files from the disk
                    taken.setdefault(row, []).append(server.ready_seconds)
    return taken


def start(
    stack: ExitStack, rows: Collection[str], version: Path, before: Path | None, python: Path | None, folder: Path
) -> dict[str, Server]:
    """The servers of some rows, ready, and each found to be what it is said to be."""
    servers: dict[str, Server] = {}
    answer = b""
    for row in (OURS, *(row for row in reversed(ROWS) if row != OURS)):
        if row not in rows or (row == BEFORE and before is None) or (row == FASTAPI and python is None):
            continue
        tell(f"Starting {row} ...")
        port = free_port()
        how = command(row, port, version, python=python or folder, before=before or folder, logs=folder, answer=answer)
        servers[row] = stack.enter_context(started(row, port, how, folder / f"{row}.log"))
        if row == OURS:
            answer = servers[row].ask(json.dumps(EXAMPLE).encode())[2]
        check(servers[row], answer)
    return {row: servers[row] for row in ROWS if row in servers}


def measure(servers: dict[str, Server], load: Load, rounds: int, seconds: int) -> Measured:
    """Every figure, a value for each round."""
    measured = Measured()
    ready = {row: server.resident() for row, server in servers.items()}
    for server in servers.values():
        load.singles(server, 16, 1)  # to be warm
    for connections in CONNECTIONS:
        for row in turns(servers, servers, rounds, f"as many requests as are answered, {connections} connections"):
            rate = load.singles(servers[row], connections, seconds)
            measured.singles.setdefault((row, connections), []).append(rate)
    half = measured.highest(OURS) / 2
    for row in (LIMIT, OURS, UNLOGGED, BEFORE, FASTAPI):
        if row in servers:
            bearable = half <= BEARABLE * measured.highest(row)
            measured.due[row] = half if bearable else measured.highest(row) / 2, []
    for row in turns(measured.due, servers, rounds, "requests when they are due"):
        rate, figures = measured.due[row]
        figures.append(load.due(servers[row], rate, seconds))
    ourselves = tuple(row for row in (OURS, BEFORE) if row in servers)
    for row in turns(ourselves, servers, rounds, "batches"):
        measured.batches.setdefault(row, []).append(load.batches(servers[row], seconds))
    for row in turns(ourselves, servers, rounds, "others beside large batches"):
        measured.mixed.setdefault(row, []).append(load.mixed(servers[row], 2 * seconds))
    for row in ourselves:
        measured.resident[row] = ready[row], servers[row].resident()
    return measured


def turns(rows: Collection[str], servers: dict[str, Server], rounds: int, what: str) -> Iterator[str]:
    """Each row once a round, all others paused, every other round backwards: what drifts steadily cancels out."""
    for server in servers.values():
        server.pause()
    for turn in range(rounds):
        tell(f"{what}: round {turn + 1} of {rounds} ...")
        for row in list(rows) if turn % 2 == 0 else reversed(list(rows)):
            servers[row].resume()
            yield row
            servers[row].pause()
    for server in servers.values():
        server.resume()


if __name__ == "__main__":
    main()
