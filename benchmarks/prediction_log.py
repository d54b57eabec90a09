"""What logging takes: `python -m benchmarks.prediction_log`.

    offer       what who answers pays: a record made, encoded and offered, beside a call of a function that does nothing
    write       what the writer's thread pays: lines handed to the system
    beside      the longest that a thread that never rests had to wait while as many were written
    read        records from the file
    forget      looking for a listing in all of them, and writing the file anew without it

Prints seconds of one processor, and records a second; each is the median of some rounds. Nothing is asserted.
"""

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from prediction_log.erasing import forget
from prediction_log.files import log_files
from prediction_log.reader import read_records
from prediction_log.record import LoggedListing, Prediction
from prediction_log.writer import LogWriter

RECORDS, ROUNDS = 200_000, 5
WAITING = 4_000


def record(number: int) -> Prediction:
    """One of a hundred listings."""
    listing = LoggedListing(
        number % 100, "Brooklyn", "Entire home/apt", 5, 1.5, 2, 2, 40.65837, -73.98402, True, False, False
    )
    probabilities = (0.12345678, 0.6234567, 0.2345678, 0.0185187)
    return Prediction(
        1.7e9 + number, f"{number:032x}", "new-york", "forest-0123456789ab", listing, "Mid", probabilities
    )


class Watch:
    """Microseconds of processor and of time that a record takes, of what is done under it."""

    def __init__(self) -> None:
        """Nothing was done yet."""
        self.processor = self.time = 0.0

    def __enter__(self) -> None:
        """Begin, or go on."""
        self._start, self._processor_start = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.processor += 1e6 * (time.process_time() - self._processor_start) / RECORDS
        self.time += 1e6 * (time.perf_counter() - self._start) / RECORDS


def nothing(make: Callable[[], object]) -> bool:
    """What `offer` is compared with."""
    return make is not None


def offered(offer: Callable[..., bool], count: int) -> None:
    """Offer them one by one, as answers come."""
    for number in range(count):
        offer(lambda number=number: [record(number)])


def answered(folder: Path, watch: Watch, *, logs: bool) -> None:
    """Offer as many, of which never more wait than do at some thousand answers a second."""
    for _ in range(RECORDS // WAITING):
        writer = LogWriter(folder, "offered")
        with watch:
            offered(writer.offer if logs else nothing, WAITING)
        # Never started, it drops them.
        writer.close()


def longest_wait(stop: threading.Event) -> float:
    """Milliseconds between two turns of a thread that always wants one, at the 99.9th percentile."""
    gaps, last = list[float](), time.perf_counter()
    while not stop.is_set():
        now = time.perf_counter()
        gaps.append(now - last)
        last = now
        sum(range(200))
    return 1e3 * sorted(gaps)[int(0.999 * len(gaps))]


def beside(folder: Path) -> tuple[float, float]:
    """The longest wait of another thread, without the writer and with it."""
    waits = list[float]()
    for writes in (False, True):
        writer, stop = LogWriter(folder, "beside", capacity=RECORDS), threading.Event()
        if writes:
            offered(writer.offer, RECORDS)
            writer.start()
        timer = threading.Timer(1.0, stop.set)
        timer.start()
        waits.append(longest_wait(stop))
        writer.close(60)
    return waits[0], waits[1]


def main() -> None:
    """Print the figures."""
    rounds, waits, size = list[dict[str, Watch]](), list[tuple[float, float]](), 0.0
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as name:
            folder, watches = Path(name), {what: Watch() for what in ("nothing", "offer", "write", "read", "forget")}
            answered(folder, watches["nothing"], logs=False)
            answered(folder, watches["offer"], logs=True)
            writer = LogWriter(folder, "predictions", capacity=RECORDS)
            offered(writer.offer, RECORDS)
            with watches["write"]:
                writer.start()
                writer.close(120)
            with watches["read"]:
                found = sum(len(part.records) for part in read_records(folder, "predictions"))
            if found != RECORDS:
                sys.exit(f"Of {RECORDS:,} records {found:,} are there.")
            with watches["forget"]:
                forget(folder, listing_id=7, settle=0)
            size = sum(file.size for file in log_files(folder, "predictions")) / (0.99 * RECORDS)
            rounds.append(watches)
            waits.append(beside(folder))
    print(f"{RECORDS:,} records of {size:.0f} bytes, {ROUNDS} rounds")
    for what in rounds[0]:
        processor, seconds = (median(getattr(one[what], name) for one in rounds) for name in ("processor", "time"))
        print(f"{what:>8} {processor:6.2f} µs of processor, {1e6 / seconds:>10,.0f} a second")
    alone, with_it = (median(column) for column in zip(*waits, strict=True))
    print(
        f"{'beside':>8} 99.9 % of another thread's turns came within {with_it:.2f} ms, {alone:.2f} ms without the log"
    )


if __name__ == "__main__":
    main()
