"""How long a million rows of feedback take, from the log's lines to live figures: `python -m benchmarks.feedback`.

Two million listings were answered, and of each second one its price is told: three quarters by price, some of them
twice, some of requests that nobody knows. The log is written first, by the log's own writer. Each step runs in a
process of its own, so that its memory is its own.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from mle_assets.monitoring.compaction import compact
from mle_assets.monitoring.feedback import join
from mle_assets.monitoring.live import assess
from mle_assets.monitoring.performance import COLUMNS
from mle_assets.monitoring.tables import DayTables
from mle_assets.monitoring.window import served_in
from mle_assets.places import FolderPlace
from model_registry.market import NEW_YORK
from prediction_log.logs import FolderLog
from prediction_log.record import Feedback, LoggedListing, Prediction, Record
from prediction_log.writer import LogWriter

TOLD = 1_000_000
ANSWERS = 2 * TOLD
NOW = 1_800_000_000.0
_AT_ONCE = 10_000


def predictions(count: int) -> Iterator[Record]:
    """Answers of a week."""
    random = np.random.default_rng(0)
    for number in range(count):
        category = int(random.integers(4))
        yield Prediction(
            time=NOW - 7 * 86_400 * (1 - number / count),
            request_id=f"{number:032x}",
            market="new-york",
            version="tree-0123456789ab",
            listing=LoggedListing(
                number, "Brooklyn", "Private room", 2, 1.0, 1, 1, 40.7, -73.9, tv=True, elevator=False, internet=False
            ),
            category=("Low", "Mid", "High", "Lux")[category],
            probabilities=tuple(0.7 if code == category else 0.1 for code in range(4)),  # pyright: ignore
        )


def feedback(count: int) -> Iterator[Record]:
    """What was told of every second answer, a tenth of it again, and a hundredth of it of no answer."""
    random = np.random.default_rng(1)
    for number in range(count):
        about = 2 * (number if number % 10 else number // 2) + (ANSWERS if number % 100 == 1 else 0)
        told = NOW - 3_600 * (1 - number / count)
        if number % 4:
            yield Feedback(told, f"{about:032x}", price=float(random.lognormal(4.8, 0.6)))
        else:
            yield Feedback(told, f"{about:032x}", price_category="Mid")


def write(folder: Path) -> None:
    """Write the log."""
    for prefix, records in (("predictions", predictions(ANSWERS)), ("feedback", feedback(TOLD))):
        writer = LogWriter(folder / "log", prefix, keep_bytes=10**11, clock=lambda: NOW)
        writer.start()
        while part := list(islice(records, _AT_ONCE)):
            while not writer.offer(lambda part=part: part, len(part)):
                time.sleep(0.01)
        writer.close(600)
        print(f"{writer.state()}")


def tables(folder: Path) -> None:
    """The log's files as tables."""
    print(compact(FolderLog(folder / "log"), FolderPlace(folder / "tables"), "new-york", keep_days=30, now=NOW))


def joined(folder: Path) -> None:
    """The join by itself, and live figures of it."""
    start = time.perf_counter()
    kept = DayTables(FolderPlace(folder / "tables"))
    answers, told = kept.since("answers", NOW - 28 * 86_400, COLUMNS), kept.since("feedback", NOW - 28 * 86_400)
    read = time.perf_counter()
    found = join(answers, told, lambda _: NEW_YORK, lambda *_: {}, 28)
    done = time.perf_counter()
    live = assess("tree-0123456789ab", served_in(answers, found.truth), None, (0.7, 4_000))
    print(
        f"{found.counts}\nread {read - start:.1f} s, joined {done - read:.1f} s, "
        f"figures {time.perf_counter() - done:.1f} s: {live.figures}"
    )


STEPS = {"write": write, "tables": tables, "joined": joined}


def main() -> None:
    """Run every step, each in a process of its own, and print what it took."""
    if len(sys.argv) > 1:
        STEPS[sys.argv[1]](Path(sys.argv[2]))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"{sys.argv[1]}: {time.process_time():.1f} s of processor, {peak:,.0f} MB at most")
        return
    with tempfile.TemporaryDirectory() as folder:
        for step in STEPS:
            start = time.perf_counter()
            subprocess.run([sys.executable, "-m", "benchmarks.feedback", step, folder], check=True)
            print(f"{step}: {time.perf_counter() - start:.1f} s from start to end of the process\n", flush=True)


if __name__ == "__main__":
    main()
