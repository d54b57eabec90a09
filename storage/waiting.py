"""Waiting for a store that is away: who has time says so, and asks on meanwhile."""

import logging
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import ParamSpec, TypeVar

from storage.errors import StoreAway, StoreRefuses

PAUSE_SECONDS = 1.0
"""From one question to the next."""
AT_ONCE = 16
"""So many objects are asked for at the same time."""

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")
_One = TypeVar("_One")
_seconds = ContextVar("seconds", default=0.0)

logger = logging.getLogger("storage")


@contextmanager
def waiting(seconds: float) -> Generator[None]:
    """Wait so long for a store that is away before StoreAway is raised: in the context, in this thread and `each`'s."""
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


def each(ask: Callable[[_One], _Answer], given: Iterable[_One], at_once: int = AT_ONCE) -> Iterator[_Answer]:
    """The answer about each, in order, `at_once` asked for at a time; waits for a store as long as its caller does.

    Of any number only some more are taken than were answered; after an error no more are asked about.
    """
    with ThreadPoolExecutor(at_once, initializer=_seconds.set, initargs=(_seconds.get(),)) as threads:
        begun = deque[Future[_Answer]]()
        try:
            for one in given:
                begun.append(threads.submit(ask, one))
                if len(begun) > 2 * at_once:
                    yield begun.popleft().result()
            while begun:
                yield begun.popleft().result()
        finally:
            for unanswered in begun:
                unanswered.cancel()
