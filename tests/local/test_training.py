"""The lines of a training run become steps; what is not of the run goes to standard error as it is."""

import io
import os
import pty
import sys

import pytest

from local.processes import on_a_terminal
from local.steps import Steps
from local.training import Told
from mle_assets.terminal import Terminal
from tests.test_terminal import Screen
from tests.waiting import until

RUN = "2026-11-26 15:05:02 237a5731"


def test_steps_that_end_are_ticked_off_and_their_own_words_go_into_the_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log = io.StringIO()
    told = Told(Steps(), log)
    lines = [
        f"{RUN} training begins",
        f"{RUN} listings                                         3.5 s",
        f"{RUN} models … 4 s",
        f"{RUN} models: random_forest is fitted (1.8 s)",
        f"{RUN} models                                          10.0 s",
        f"{RUN} training succeeded",
    ]
    for line in lines:
        told.take(line)
    assert capsys.readouterr() == (
        " ✓ Dagster starts                                   0.0 s\n"
        " ✓ listings                                         3.5 s\n"
        " ✓ models                                          10.0 s\n",
        "",
    )
    assert log.getvalue().splitlines() == [line for line in lines if "…" not in line]


def test_a_step_that_fails_is_marked_and_why_is_the_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(Steps(), io.StringIO())
    for line in (
        f"{RUN} raw_listings                                    failed",
        f"{RUN} training failed; the UI shows all of it under the run's id",
        "The snapshot x.csv is empty (0 bytes): check how it was downloaded.",
    ):
        told.take(line)
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        " ✗ raw_listings                                    failed",
        "   training failed; the UI shows all of it under the run's id, 237a5731",
    ]
    assert err == "The snapshot x.csv is empty (0 bytes): check how it was downloaded.\n"


def test_what_a_step_said_last_stands_beside_it_while_it_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stdout", screen)
    steps = Steps(Terminal(redraw=0.01, stream="stdout"))
    told = Told(steps, io.StringIO())
    told.take(f"{RUN} models … 0 s")
    until(lambda: screen.getvalue().endswith("   models … 0 s"), seconds=5)
    told.take(f"{RUN} models: random_forest is fitted (1.8 s)")
    until(lambda: screen.getvalue().endswith("   models … 0 s, random_forest is fitted (1.8 s)"), seconds=5)
    steps.pause()


def terminals_are_given() -> bool:
    try:
        for descriptor in pty.openpty():
            os.close(descriptor)
    except OSError:
        return False
    return True


@pytest.mark.skipif(not terminals_are_given(), reason="this machine has no terminals to give")
def test_a_program_is_given_a_terminal_and_read_without_its_colours() -> None:
    code = (
        "import sys; print('unread'); write = sys.stderr.write;"
        "write('\\x1b[31mred\\x1b[0m\\n\\n'); write('\\r\\x1b[2Kunder way'); write('\\r\\x1b[2K');"
        "write(f'{sys.stderr.isatty()}\\n'); sys.exit(3)"
    )
    with on_a_terminal(sys.executable, "-c", code) as (process, lines):
        assert list(lines) == ["red", "under way", "True"]
    assert process.returncode == 3


def test_where_a_machine_has_no_terminals_to_give_it_is_heard_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left() -> tuple[int, int]:
        raise OSError("out of pty devices")

    monkeypatch.setattr("pty.openpty", none_left)
    code = "import sys; print('told', file=sys.stderr)"
    with on_a_terminal(sys.executable, "-c", code) as (process, lines):
        assert list(lines) == ["told"]
    assert process.returncode == 0
