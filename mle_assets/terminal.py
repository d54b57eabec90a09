"""Lines on standard error, and what is under way.

The last line of a terminal says what is under way, and for how long. Elsewhere that is a line of its own whenever
nothing was told for a while.
"""

import sys
import threading
import time
from collections.abc import Callable

QUIET_SECONDS = 4.0
"""Where there is no terminal, nothing is silent for longer."""
REDRAW_SECONDS = 0.5
_CLEAR = "\r\x1b[2K"


class Terminal:
    """Standard error as people read it; may be used by several threads."""

    def __init__(self, quiet: float = QUIET_SECONDS, redraw: float = REDRAW_SECONDS) -> None:
        """Tell nothing yet."""
        self._quiet, self._redraw = quiet, redraw
        self._lock = threading.RLock()
        self._told = time.monotonic()
        self._over: threading.Event | None = None

    def line(self, text: str) -> None:
        """Write a line."""
        with self._lock:
            sys.stderr.write(f"{_CLEAR if sys.stderr.isatty() else ''}{text}\n")
            sys.stderr.flush()
            self._told = time.monotonic()

    def under_way(self, what: str, stamp: Callable[[], str]) -> None:
        """Tell from now on that this is under way; `stamp` is what a line begins with."""
        self.nothing_under_way()
        over = self._over = threading.Event()
        threading.Thread(target=self._tell, args=(what, stamp, over), name="under-way", daemon=True).start()

    def nothing_under_way(self) -> None:
        """Tell no more of what was under way."""
        with self._lock:
            if self._over is None:
                return
            self._over.set()
            self._over = None
            if sys.stderr.isatty():
                sys.stderr.write(_CLEAR)
                sys.stderr.flush()

    def _tell(self, what: str, stamp: Callable[[], str], over: threading.Event) -> None:
        start = time.monotonic()
        while not over.wait(self._redraw):
            with self._lock:
                if over.is_set():
                    return
                now = time.monotonic()
                text = f"{stamp()}{what} … {now - start:.0f} s"
                if sys.stderr.isatty():
                    sys.stderr.write(_CLEAR + text)
                    sys.stderr.flush()
                elif now - self._told >= self._quiet - self._redraw:
                    self.line(text)
