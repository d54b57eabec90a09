"""Many questions to a place that takes its time for each, a few of them at once."""

import threading
import time
from collections.abc import Callable, Iterable
from typing import TypeVar

_About = TypeVar("_About")
_Answer = TypeVar("_Answer")


def ask_all(
    ask: Callable[[_About], _Answer],
    about: Iterable[_About],
    at_once: int,
    waits: Callable[[_About, float], None] | None = None,
) -> dict[_About, _Answer | BaseException]:
    """The answer about each thing, or what was raised in its place, with `at_once` questions at the same time.

    One at a time, the calling thread asks. Otherwise daemons do: one that is never answered does not keep the process
    from ending, as a pool's would. With each question and answer `waits` is told, by any of them but by one at a time,
    which of those not yet answered was asked first, and when: a monotonic time.
    """
    left, answers = iter(about), dict[_About, _Answer | BaseException]()
    asked, turn = dict[_About, float](), threading.Lock()

    def tell() -> None:
        if waits is not None and asked:
            waits(*next(iter(asked.items())))

    def ask_on() -> None:
        while True:
            with turn:
                try:
                    one = next(left)
                except StopIteration:
                    return
                asked[one] = time.monotonic()
                tell()
            try:
                answers[one] = ask(one)
            except BaseException as error:  # whoever asked is to deal with it
                answers[one] = error
            with turn:
                del asked[one]
                tell()

    if at_once == 1:
        ask_on()
        return answers
    threads = [threading.Thread(target=ask_on, name="registry", daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
