"""A worker of the cluster as a process: how it stops."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_worker_that_is_told_to_stop_answers_for_its_run_to_the_end_and_takes_no_other() -> None:
    stopping = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("stopping_worker.py"))],
        cwd=ROOT,
        env=None,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert stopping.returncode == 0, stopping.stderr
    said = [line for line in stopping.stdout.splitlines() if line.startswith(("{", "the run"))]
    assert said == ['{"at its run": true}', "the run ended"]
