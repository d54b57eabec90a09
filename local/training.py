"""The training job as the demo shows it: each step ticked off, and all that it tells in a log."""

import re
import sys
import time
from pathlib import Path
from typing import TextIO

from local.processes import on_a_terminal
from local.steps import Steps

COMMAND = ("dagster", "job", "execute", "-m", "mle_assets.definitions", "-j", "training")
_OF_THE_RUN = re.compile(r"[\d-]{10} [\d:]{8} (?P<run>[\da-f]{8}) (?P<text>.*)")
_BEGINS = "training begins"
_UNDER_WAY = re.compile(r"(?P<step>\w+) … \d+ s")
_ENDED = re.compile(r"(?P<step>\w+) +(?P<seconds>[\d.]+) s")
_FAILED = re.compile(r"(?P<step>\w+) {2,}failed")
_FAILS = "training failed; the UI shows all of it under the run's id"
_OF_A_STEP = re.compile(r"(?P<step>\w+): (?P<told>.*)")


def train(steps: Steps, log: Path) -> int:
    """Run the training job from the dagster command line, and return its exit code; its last line says why."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file, on_a_terminal(*COMMAND) as (process, lines):
        told = Told(steps, file)
        for line in lines:
            told.take(line)
    steps.pause()
    return process.returncode


class Told:
    """The lines of mle_assets/console.py, as steps."""

    def __init__(self, steps: Steps, log: TextIO) -> None:
        """Show them as these steps; whole, they go into the log."""
        self._steps, self._log = steps, log
        self._present = self._last = ""
        self._begin = time.monotonic()
        steps.under_way("Dagster starts")

    def take(self, line: str) -> None:
        """Show one line; what is not of the run itself goes to standard error: why it failed, above all."""
        of_the_run = _OF_THE_RUN.match(line)
        text = of_the_run["text"] if of_the_run else ""
        if of_the_run and (under_way := _UNDER_WAY.fullmatch(text)):
            self._now(under_way["step"])
            return
        self._log.write(f"{line}\n")
        if not of_the_run:
            self._steps.pause()
            print(line, file=sys.stderr, flush=True)
        elif text == _BEGINS:
            self._steps.ended("Dagster starts", time.monotonic() - self._begin)
        elif ended := _ENDED.fullmatch(text):
            self._steps.ended(ended["step"], float(ended["seconds"]))
            self._present = ""
        elif failed := _FAILED.match(text):
            self._steps.failed(failed["step"])
            self._present = ""
        elif text == _FAILS:
            self._steps.note(f"{text}, {of_the_run['run']}")
        elif of_a_step := _OF_A_STEP.fullmatch(text):
            self._now(of_a_step["step"], of_a_step["told"])

    def _now(self, step: str, last: str | None = None) -> None:
        if last is not None:
            self._last = last
        if step != self._present:
            self._present, self._last = step, last or ""
            self._steps.under_way(step, lambda: self._last)
