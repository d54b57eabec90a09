"""The steps of something long: what is under way and for how long, and a line with its time for each that has ended."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from mle_assets.terminal import Terminal

_NAME = 44
"""The columns of a step's name: Dagster's longest here have 43, and with its time it fits into a terminal of 60."""

_QUIET_SECONDS = 10.0
"""Where there is no terminal, nothing is silent for longer."""


class Steps:
    """Standard output as a list of steps; where there is no terminal, what is under way is a line now and then."""

    def __init__(self, terminal: Terminal | None = None) -> None:
        """Tell nothing yet."""
        self._terminal = terminal or Terminal(quiet=_QUIET_SECONDS, stream="stdout")

    def heading(self, text: str) -> None:
        """Begin a part."""
        self._terminal.line("")
        self._terminal.line(painted(text, "bold"))

    def under_way(self, what: str, more: Callable[[], str] = str) -> None:
        """Tell that this is under way, with what `more` says of it, until something else is or nothing."""
        self._terminal.under_way(what, lambda: "   ", lambda: f", {told}" if (told := more()) else "")

    def pause(self) -> None:
        """Tell that nothing is under way: others may write now."""
        self._terminal.nothing_under_way()

    def ended(self, what: str, seconds: float) -> None:
        """Tick a step off."""
        self.pause()
        self._terminal.line(f" {painted('✓', 'green')} {what:<{_NAME}} {seconds:>7.1f} s")

    def failed(self, what: str) -> None:
        """Tell that a step has failed; why is for others to say."""
        self.pause()
        self._terminal.line(f" {painted('✗', 'red')} {what:<{_NAME}}    failed")

    def note(self, text: str) -> None:
        """Tell something else."""
        self.pause()
        self._terminal.line(f"   {text}")

    @contextmanager
    def waiting(self, what: str, more: Callable[[], str] = str) -> Generator[None]:
        """Tell that this is under way as long as the block runs."""
        self.under_way(what, more)
        try:
            yield
        finally:
            self.pause()

    @contextmanager
    def step(self, under_way: str, ended: str, more: Callable[[], str] = str) -> Generator[None]:
        """A step that is under way as long as the block runs, and is ticked off unless that raises."""
        begin = time.monotonic()
        with self.waiting(under_way, more):
            yield
        self.ended(ended, time.monotonic() - begin)


def painted(text: str, style: str) -> str:
    """A text in a style of rich's, where the terminal has colours and NO_COLOR does not forbid them."""
    console = Console(highlight=False)
    with console.capture() as captured:
        console.print(Text(text, style), end="", soft_wrap=True)
    return captured.get()
