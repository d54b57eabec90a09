"""Lines for whoever watches, and what is under way.

The last line of a terminal says what is under way, and for how long. Elsewhere that is a line of its own whenever
nothing was told for a while.
"""

import shutil
import sys
import threading
import time
from collections.abc import Callable
from typing import Literal, TextIO

QUIET_SECONDS = 4.0
"""Where there is no terminal, nothing is silent for longer."""
REDRAW_SECONDS = 0.5
_CLEAR = "\r\x1b[2K"


class Terminal:
    """Standard error, or standard output, as people read it; may be used by several threads."""

    def __init__(
        self,
        quiet: float = QUIET_SECONDS,
        redraw: float = REDRAW_SECONDS,
        stream: Literal["stderr", "stdout"] = "stderr",
    ) -> None:
        """Tell nothing yet."""
        self._quiet, self._redraw, self._name = quiet, redraw, stream
        self._lock = threading.RLock()
        self._told = time.monotonic()
        self._over: threading.Event | None = None

    def line(self, text: str) -> None:
        """Write a line."""
        with self._lock:
            self._write(f"{_CLEAR if self.is_watched() else ''}{text}\n")
            self._told = time.monotonic()

    def is_watched(self) -> bool:
        """Whether a person looks at it: it is a terminal."""
        return self._stream.isatty()

    def under_way(self, what: str, stamp: Callable[[], str], more: Callable[[], str] = str) -> None:
        """Tell from now on that this is under way; a line begins with `stamp`, and ends with `more` after the time."""
        self.nothing_under_way()
        over = self._over = threading.Event()
        threading.Thread(target=self._tell, args=(what, stamp, more, over), name="under-way", daemon=True).start()

    def nothing_under_way(self) -> None:
        """Tell no more of what was under way."""
        with self._lock:
            if self._over is None:
                return
            self._over.set()
            self._over = None
            if self.is_watched():
                self._write(_CLEAR)

    def _tell(self, what: str, stamp: Callable[[], str], more: Callable[[], str], over: threading.Event) -> None:
        start = time.monotonic()
        while not over.wait(self._redraw):
            with self._lock:
                if over.is_set():
                    return
                now = time.monotonic()
                text = f"{stamp()}{what} … {now - start:.0f} s{more()}"
                if self.is_watched():
                    # What is wider than the terminal would go on in a second line, which is not cleared.
                    self._write(_CLEAR + text[: shutil.get_terminal_size().columns - 1])
                elif now - self._told >= self._quiet - self._redraw:
                    self.line(text)

    @property
    def _stream(self) -> TextIO:
        # Looked up each time: another may have taken its place.
        return sys.stdout if self._name == "stdout" else sys.stderr

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
