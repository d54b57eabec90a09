"""Waiting for a store that is away: who has time says so, and asks on meanwhile."""

import logging
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from storage.errors import StoreAway, StoreRefuses

PAUSE_SECONDS = 1.0
"""From one question to the next."""

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")
_seconds = ContextVar("seconds", default=0.0)

logger = logging.getLogger("storage")


@contextmanager
def waiting(seconds: float) -> Generator[None]:
    """Wait so long for a store that is away, within the context and in this thread, before StoreAway is raised."""
    before = _seconds.set(seconds)
    try:
        yield
    finally:
        _seconds.reset(before)


def patiently(ask: Callable[_Given, _Answer]) -> Callable[_Given, _Answer]:
    """A question that is asked again while the store is away, as long as `waiting` allows: it may be asked twice."""

    @wraps(ask)
    def asked(*args: _Given.args, **kwargs: _Given.kwargs) -> _Answer:
        seconds = _seconds.get()
        deadline, told = time.monotonic() + seconds, False
        while True:
            try:
                # What it asks itself is not waited for twice.
                with waiting(0):
                    return ask(*args, **kwargs)
            except StoreRefuses:
                raise
            except StoreAway as error:
                if time.monotonic() >= deadline:
                    raise
                if not told:
                    logger.warning("%s. It is asked again for up to %.0f s.", error, seconds)
                    told = True
                time.sleep(PAUSE_SECONDS)

    return asked
