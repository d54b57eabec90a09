"""Many questions to a place that takes its time for each, a few of them at once."""

import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

_About = TypeVar("_About")
_Answer = TypeVar("_Answer")


def ask_all(
    ask: Callable[[_About], _Answer], about: Iterable[_About], at_once: int
) -> dict[_About, _Answer | BaseException]:
    """The answer about each thing, or what was raised in its place, with `at_once` questions at the same time.

    One at a time, the calling thread asks. Otherwise daemons do: one that is never answered does not keep the process
    from ending, as a pool's would.
    """
    left, answers = iter(list(about)), dict[_About, _Answer | BaseException]()
    turn = threading.Lock()

    def ask_on() -> None:
        while True:
            with turn:
                try:
                    one = next(left)
                except StopIteration:
                    return
            try:
                answers[one] = ask(one)
            except BaseException as error:  # whoever asked is to deal with it
                answers[one] = error

    if at_once == 1:
        ask_on()
        return answers
    threads = [threading.Thread(target=ask_on, name="registry", daemon=True) for _ in range(at_once)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
