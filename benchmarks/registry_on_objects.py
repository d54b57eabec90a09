"""What the registry takes in an object store, beside the folder: publishing, promoting, a look, many writers at once.

    python -m benchmarks.registry_on_objects [s3://bucket/prefix]

Without a URL it starts the store of the tests, which answers one request after another. With one, the store's own
variables (AWS_ENDPOINT and the like) lead to it; what is measured is written beneath a prefix of its own.
"""

import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import msgspec

from model_registry.history import champions
from model_registry.manifest import Manifest
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.store import ChampionChanged, MarketRegistry
from tests.making import PROMOTE, manifest, model
from tests.object_store import object_store

MODELS = 10
WRITERS, ROUNDS = 16, 30
LOOKS = 200
REPORT = b"<html>" + b" " * 200_000


def main() -> None:
    """Measure, and print."""
    models = [(manifest(content), content) for content in map(model, range(MODELS))]
    with ExitStack() as stack:
        if len(sys.argv) > 1:
            url = f"{sys.argv[1].rstrip('/')}/{uuid4().hex[:8]}"
        else:
            store = stack.enter_context(object_store())
            os.environ.update(store.variables)
            url = store.new_url()
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f"{'seconds':<30}{'folder':>18}{'object store':>18}   median (longest)")
        rows = [_one_after_another(place, models) for place in (folder / "one", f"{url}/one")]
        for name in rows[0]:
            print(f"{name:<30}" + "".join(f"{_told(row[name]):>18}" for row in rows))
        for place in (folder / "many", f"{url}/many"):
            print(_at_once(place, models))


def _one_after_another(place: Path | str, models: list[tuple[Manifest, bytes]]) -> dict[str, list[float]]:
    titles = ("publish", "promote", "roll back, in a new process", "a look at the champion")
    taken: dict[str, list[float]] = {title: [] for title in titles}
    registry = Registries(place).of(DEFAULT_MARKET)
    registry.repair()  # the store is tried out once in a process
    for draft, content in models:
        versions = list[str]()
        _timed(taken["publish"], lambda d=draft, c=content, v=versions: v.append(registry.publish(d, c, REPORT)))
        _timed(taken["promote"], lambda v=versions: _promote(registry, v[0]))
        # Who has just begun has read nothing of the history.
        other = Registries(place).of(DEFAULT_MARKET)
        _timed(taken["roll back, in a new process"], lambda o=other: _roll_back(o))
    for _ in range(LOOKS):
        _timed(taken["a look at the champion"], registry.champion)
    return taken


def _at_once(place: Path | str, models: list[tuple[Manifest, bytes]]) -> str:
    registry = Registries(place).of(DEFAULT_MARKET)
    versions = [registry.publish(draft, content, REPORT) for draft, content in models[:3]]
    _promote(registry, versions[0])
    writers = [Registries(place).of(DEFAULT_MARKET) for _ in range(WRITERS)]
    begin, over, reads = threading.Barrier(WRITERS), threading.Event(), list[str | None]()

    def write(number: int, champion: str, challenger: str) -> bool:
        # Each by a decision of its own, so that who finds it made is no winner.
        decision = msgspec.structs.replace(PROMOTE, reason=f"Writer {number}.")
        begin.wait()
        try:
            won = writers[number].promote(
                challenger, decision, run_id=None, actor=f"writer {number}", instead_of=champion
            )
        except ChampionChanged:
            return False
        return won.actor == f"writer {number}"

    def read() -> None:
        reader = Registries(place).of(DEFAULT_MARKET)
        while not over.is_set():
            champion = reader.champion()
            reads.append(champion and reader.open(champion.version).manifest.version)

    started, winners = time.perf_counter(), list[int]()
    with ThreadPoolExecutor(WRITERS + 1) as threads:
        reading = threads.submit(read)
        for turn in range(ROUNDS):
            champion, challenger = versions[turn % 3], versions[(turn + 1) % 3]
            won = threads.map(write, range(WRITERS), [champion] * WRITERS, [challenger] * WRITERS)
            winners.append(sum(won))
        over.set()
        reading.result()
    took = time.perf_counter() - started
    gapless = [event.sequence for event in registry.history()] == list(range(1, ROUNDS + 2))
    return (
        f"{WRITERS} writers x {ROUNDS} rounds, {'object store' if isinstance(place, str) else 'folder'}: "
        f"{sorted(set(winners))} winners a round, history {'without gaps' if gapless else 'WITH GAPS'}, "
        f"{took / ROUNDS:.2f} s a round; {len(reads):,} reads, {reads.count(None)} without a champion, "
        f"problems: {registry.problems() or 'none'}"
    )


def _promote(registry: MarketRegistry, version: str) -> None:
    registry.promote(version, PROMOTE, run_id=None, actor="benchmark")


def _roll_back(registry: MarketRegistry) -> None:
    if len(champions(registry.history())) > 1:
        registry.rollback(decision=PROMOTE, actor="benchmark")


def _timed(taken: list[float], do: Callable[[], object]) -> None:
    started = time.perf_counter()
    do()
    taken.append(time.perf_counter() - started)


def _told(taken: list[float]) -> str:
    return f"{statistics.median(taken):.3f} ({max(taken):.3f})"


if __name__ == "__main__":
    main()
