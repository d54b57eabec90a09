"""A process that is killed at a certain line of certain files; its parent looks at what its writing has left."""

import os
import signal
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from types import FrameType
from typing import Any


def die_at(line: int, code: Collection[str], operation: Callable[[], object]) -> bool:
    """Whether a process that does the operation was killed at that line of those files, rather than done before it."""
    child = os.fork()
    if child == 0:
        sys.settrace(_kill_at(line, code))
        operation()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return True
    assert os.WEXITSTATUS(status) == 0, "the operation failed"
    return False


def _kill_at(line: int, code: Collection[str]) -> Callable[..., Any]:
    passed = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal passed
        if Path(frame.f_code.co_filename).name not in code:
            return None
        if event == "line":
            passed += 1
            if passed == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    return trace
