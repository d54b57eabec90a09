"""Threads that leave the event loop whatever it wants of the processor."""

import os
import threading
from contextlib import suppress

_LAST = 19
"""The niceness of what runs only when nothing else wants to."""


def give_way() -> None:
    """Have the thread that calls this run only when nothing else wants to."""
    # Linux gives each thread a niceness of its own; elsewhere it would be the whole process's.
    if os.uname().sysname == "Linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LAST)
