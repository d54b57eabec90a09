"""The whole loop, from a first champion by way of drift and loss to a better one, as `make demo-loop` tells it."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_the_loop_is_closed_and_told_so_that_a_person_follows_it() -> None:
    done = subprocess.run([sys.executable, "-m", "local.loop"], cwd=ROOT, capture_output=True, text=True, check=False)
    told = " ".join(done.stdout.split())
    assert done.returncode == 0, done.stdout + done.stderr
    for sentence in (
        "drift drift",
        "accuracy below its test",
        "still holds the snapshot that",
        "it asks for a training, because of drift-and-accuracy",
        "below it with 95% confidence: promoted.",
        "accuracy as tested",
        "Next: `make up` runs all of it for real",
    ):
        assert sentence in told, sentence
