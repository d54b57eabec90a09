"""The cores that this process really has, and work shared out among them."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import TypeVar

import joblib

_Result = TypeVar("_Result")


def cores() -> int:
    """How many cores this process may use: its affinity and its container's quota count, not the machine's size."""
    return joblib.cpu_count()


def side_by_side(streams: Iterable[Iterable[_Result]]) -> Iterator[_Result]:
    """What several streams (generators, say) yield, each result as soon as it is there.

    As many are under way as there are cores, those first that come first: the longest belong there. They are threads,
    not processes: what takes long in here (trees, ONNX Runtime, NumPy) lets go of the interpreter, and each process
    would hold the listings and the libraries once more. The first error is raised, and no further work begun.
    """
    results = SimpleQueue[_Result | Future[None]]()
    stopped = Event()

    def follow(stream: Iterable[_Result]) -> None:
        for result in stream:
            results.put(result)
            if stopped.is_set():
                return

    with ThreadPoolExecutor(cores(), thread_name_prefix="core") as pool:
        running = [pool.submit(follow, stream) for stream in streams]
        for one in running:
            one.add_done_callback(results.put)
        left = len(running)
        try:
            while left:
                result = results.get()
                if isinstance(result, Future):
                    left -= 1
                    result.result()
                else:
                    yield result
        finally:
            stopped.set()
            for one in running:
                one.cancel()
