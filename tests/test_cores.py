"""Work shared out among the cores."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mle_assets.cores import cores, side_by_side

ROOT = Path(__file__).parents[1]


def test_every_result_of_every_stream_comes_once() -> None:
    streams = ([(stream, n) for n in range(20)] for stream in range(7))
    assert sorted(side_by_side(streams)) == [(stream, n) for stream in range(7) for n in range(20)]


def test_a_result_is_there_before_its_stream_has_ended() -> None:
    taken = threading.Event()

    def stream() -> Iterator[str]:
        yield "first"
        assert taken.wait(5), "the first result was held back"
        yield "second"

    results = side_by_side([stream()])
    assert next(results) == "first"
    taken.set()
    assert list(results) == ["second"]


def test_the_first_error_is_raised_and_nothing_more_is_begun() -> None:
    begun: list[int] = []

    def stream(number: int) -> Iterator[int]:
        begun.append(number)
        if number == 0:
            raise ValueError("the first one fails")
        time.sleep(0.01)
        yield number

    with pytest.raises(ValueError, match="the first one fails"):
        list(side_by_side(stream(number) for number in range(1_000)))
    assert len(begun) < 1_000


def test_who_stops_listening_stops_the_work() -> None:
    done: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            done.append(1)
            yield len(done)

    results = side_by_side([endless()])
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert done


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_a_process_that_may_use_one_core_uses_one_and_libraries_bring_no_threads_of_their_own() -> None:
    program = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from mle_assets.cores import cores\n"
        "from threadpoolctl import threadpool_info\n"
        "import sklearn.ensemble\n"
        "from sklearn.utils._openmp_helpers import _openmp_effective_n_threads\n"
        "assert _openmp_effective_n_threads() == 1\n"
        "print(cores(), {one['num_threads'] for one in threadpool_info()})\n"
    )
    told = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split(maxsplit=1) == ["1", "{1}\n"]
    assert cores() >= 1
