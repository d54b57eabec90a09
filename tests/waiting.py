"""Waiting for other processes."""

import time
from collections.abc import Callable


def until(condition: Callable[[], bool], seconds: float = 20, every: float = 0.02) -> None:
    """Wait for something to become true; the test fails where it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {seconds:g} s"
        time.sleep(every)
