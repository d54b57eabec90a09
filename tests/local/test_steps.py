"""What the demo tells of its steps: the one under way, and each that has ended with its time."""

import sys

import click
import pytest

from local.steps import Steps, painted
from mle_assets.terminal import Terminal
from tests.test_terminal import Screen
from tests.waiting import until


def test_where_there_is_no_terminal_each_step_that_has_ended_is_a_plain_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = Steps()
    steps.heading("1. Training")
    steps.under_way("models")
    steps.ended("models", 10.04)
    steps.failed("validation")
    assert capsys.readouterr().out.splitlines() == [
        "",
        "1. Training",
        " ✓ models                                          10.0 s",
        " ✗ validation                                      failed",
    ]


def test_a_step_is_under_way_with_what_is_said_of_it_and_then_ticked_off(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    steps = Steps(Terminal(redraw=0.01, stream="stdout"))
    with steps.step("the API starts", "the API is ready", lambda: "its model is loaded"):
        until(lambda: "   the API starts … 0 s, its model is loaded" in screen.getvalue(), seconds=5)
    last = screen.getvalue().rsplit("\r\x1b[2K", 1)[-1]
    assert click.unstyle(last).split() == ["✓", "the", "API", "is", "ready", "0.0", "s"]


def test_a_step_that_raises_is_not_ticked_off(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConnectionError), Steps().step("the API starts", "the API is ready"):
        raise ConnectionError
    assert capsys.readouterr().out == ""


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert painted("✓", "green") == "✓"
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert painted("✓", "green") == "\x1b[32m✓\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert painted("✓", "green") == "✓"
