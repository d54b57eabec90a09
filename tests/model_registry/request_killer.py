"""A process that is killed at a request: OPERATION URL N before|after are its arguments."""

import os
import signal
import sys

from tests.model_registry.dying import dying_at
from tests.model_registry.operations import OPERATIONS
from tests.model_registry.stores import opened


def main(operation: str, url: str, request: int, when: str) -> None:
    registry = opened(url)
    with dying_at(request, when, lambda: os.kill(os.getpid(), signal.SIGKILL)):  # type: ignore[arg-type]
        OPERATIONS[operation](registry)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4])
