"""A writer that dies at one of its requests to an object store, before or after the store has done it.

To the store, a process that was killed is one that sends nothing more: so does this one, whatever its code still tries.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Literal
from unittest import mock

import obstore

When = Literal["before", "after"]
_REQUESTS = ("put", "get", "head", "delete", "list", "list_with_delimiter")


class Killed(BaseException):
    """In place of the end of the process."""


@contextmanager
def dying_at(request: int, when: When, die: Callable[[], None]) -> Generator[None]:
    """Call `die` at the request of that number, counted from 1, and at every one after it."""
    sent = 0

    def dying(ask: Callable[..., Any]) -> Callable[..., Any]:
        def asked(*arguments: Any, **options: Any) -> Any:
            nonlocal sent
            sent += 1
            if sent > request or (sent == request and when == "before"):
                die()
            answer = ask(*arguments, **options)
            if sent == request:
                die()
            return answer

        return asked

    with mock.patch.multiple(obstore, **{name: dying(getattr(obstore, name)) for name in _REQUESTS}):
        yield


def raise_killed() -> None:
    """Die within this process."""
    raise Killed
