"""What refusing costs beside answering, in bytes and milliseconds.

    python benchmarks/refusing.py

Bodies are read, answered and encoded as the service does it, in one process, without HTTP. Nothing is asserted. The
model is a registry's champion (MODEL_REGISTRY), as in benchmarks/serving.
"""

import json
import os
import sys
import time
from collections.abc import Callable

import msgspec

from api.batches import answer_batch
from api.champion import Champion
from api.validation import MOST_LISTINGS, Invalid
from model_registry.listing import EXAMPLE
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries

REPEATS = 5
GOOD = [{**EXAMPLE, "id": n, "accommodates": 1 + n % 16} for n in range(MOST_LISTINGS)]


def bodies() -> dict[str, bytes]:
    """What is sent, by what it is."""
    strangers = {f"{'x' * 790}{n:010}": n for n in range(10_000)}
    return {
        "10,000 good rows": json.dumps(GOOD).encode(),
        "30 kB of {} rows": b"[" + b",".join([b"{}"] * MOST_LISTINGS) + b"]",
        "8 MB of long unknown fields": json.dumps([{**EXAMPLE, **strangers}]).encode(),
        "10,000 rows, one wrong field": json.dumps([{**row, "beds": "1"} for row in GOOD]).encode(),
        "10,000 rows, a wrong enum": json.dumps([{**row, "room_type": "Castle"} for row in GOOD]).encode(),
        "10,000 rows, all fields wrong": json.dumps([{name: [] for name in row} for row in GOOD]).encode(),
        "10,000 rows, wrong to the last": json.dumps([*GOOD[1:], {}]).encode(),
        "10,000 rows of 2.0 for 2": json.dumps([{**row, "beds": 2.0} for row in GOOD]).encode(),
        "9 MB of zeros": b"[" + b"0," * 4_500_000 + b"0]",
        "9 MB of brackets": b"[" * 4_500_000 + b"]" * 4_500_000,
    }


def answered(champion: Champion, body: bytes, *, partial: bool) -> bytes:
    """The answer to a body, with probabilities."""
    try:
        return answer_batch(champion, body, probabilities=True, partial=partial).content
    except Invalid as refused:
        return msgspec.json.encode(refused.problem())


def best(work: Callable[[], bytes]) -> tuple[int, float]:
    """How many bytes it makes, and the shortest time it takes in milliseconds."""
    seconds: list[float] = []
    size = 0
    for _ in range(REPEATS):
        start = time.perf_counter()
        size = len(work())
        seconds.append(time.perf_counter() - start)
    return size, 1000 * min(seconds)


def main() -> None:
    """Measure each body both ways, beside the answering of 10,000 good rows."""
    registry = Registries(os.environ.get("MODEL_REGISTRY") or "var/registry").of(DEFAULT_MARKET)
    pointer = registry.champion()
    if pointer is None:
        sys.exit(f"No model has been promoted in {registry.place} yet: make demo")
    champion = Champion.of(registry.open(pointer.version))
    print(f"champion {pointer.version}; best of {REPEATS}; beside 10,000 good rows answered with probabilities")
    print(f"{'':<32}{'sent':>10} {'':<8}{'answer':>12}{'':>8}{'time':>11}")
    sent = bodies()
    for partial in (False, True):
        size, duration = best(lambda partial=partial: answered(champion, sent["10,000 good rows"], partial=partial))
        for name, body in sent.items():
            of_body, took = best(lambda body=body, partial=partial: answered(champion, body, partial=partial))
            print(
                f"{name:<32}{len(body):>10,} {'partial' if partial else '':<8}{of_body:>10,} B{of_body / size:>7.2f}x"
                f"{took:>9.1f} ms{took / duration:>7.2f}x",
                flush=True,
            )


if __name__ == "__main__":
    main()
