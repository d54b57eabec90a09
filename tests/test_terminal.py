"""What is under way is told: on the last line of a terminal, elsewhere whenever it was silent for a while."""

import io
import sys
import time

import pytest

from mle_assets.terminal import Terminal
from tests.waiting import until


class Screen(io.StringIO):
    """A terminal that keeps what it was sent."""

    def isatty(self) -> bool:
        """It is one."""
        return True


def test_a_terminal_shows_what_is_under_way_and_takes_it_away_for_the_next_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    terminal = Terminal(redraw=0.01)
    terminal.line("training begins")
    terminal.under_way("models", lambda: "12:00 ")
    until(lambda: screen.getvalue().count("models … 0 s") >= 2, seconds=5)
    terminal.line("models    1.0 s")
    terminal.nothing_under_way()
    shown = [part.rsplit("\r\x1b[2K", 1)[-1] for part in screen.getvalue().split("\n")]
    assert shown == ["training begins", "models    1.0 s", ""]


def test_where_there_is_no_terminal_a_line_is_written_whenever_it_was_silent_for_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal = Terminal(quiet=0.3, redraw=0.01)
    terminal.under_way("models", lambda: "12:00 ")
    for _ in range(10):
        time.sleep(0.05)
        terminal.line("a word")
    assert set(capsys.readouterr().err.splitlines()) == {"a word"}
    time.sleep(0.8)
    terminal.nothing_under_way()
    told = capsys.readouterr().err.splitlines()
    assert 1 <= len(told) <= 3
    assert all(line.startswith("12:00 models … ") for line in told)
    time.sleep(0.5)
    assert capsys.readouterr().err == ""


def test_nothing_is_told_of_a_step_that_was_followed_by_another(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal(quiet=0.05, redraw=0.01)
    terminal.under_way("first", str)
    terminal.under_way("second", str)
    time.sleep(0.3)
    terminal.nothing_under_way()
    assert "first" not in capsys.readouterr().err


def test_what_is_wider_than_the_terminal_is_cut_off_while_it_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal(redraw=0.01, stream="stdout")
    terminal.under_way("models", lambda: "   ", lambda: ", random_forest is fitted")
    until(lambda: screen.getvalue().endswith("\x1b[2K   models … 0 s, ra"), seconds=5)
    terminal.nothing_under_way()
    terminal.line("   models    1.0 s")
    assert screen.getvalue().endswith("\x1b[2K   models    1.0 s\n")
