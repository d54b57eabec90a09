"""`make demo`: its leaderboard, its last sentence, and the whole of it as a process."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from local.demo import next_step, show_leaderboard
from model_registry.listing import EXAMPLE
from model_registry.registries import Registries

ROOT = Path(__file__).parents[2]
STANDING = {
    "cross_validated_log_loss": 0.71052,
    "model_bytes": 6_210_300,
    "latency_us": 118.2,
    "accuracy": 0.692,
    "roc_auc": 0.8795,
}


@pytest.fixture
def leaderboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A leaderboard of seven where the demo looks for it; the second leads."""
    standings = [{"rank": rank, "candidate": f"candidate_{rank}", **STANDING} for rank in range(1, 8)]
    folder = tmp_path / "new-york" / "leaderboard"
    folder.mkdir(parents=True)
    content = {"standings": standings, "leader": "candidate_2", "reason": "It is the smallest."}
    (folder / "leaderboard.json").write_text(json.dumps(content))
    monkeypatch.setenv("ASSET_FOLDER", str(tmp_path))
    monkeypatch.delenv("MARKET", raising=False)


@pytest.mark.usefixtures("leaderboard")
def test_the_first_five_of_the_leaderboard_stand_in_columns_with_the_leader_marked(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_leaderboard()
    lines = capsys.readouterr().out.splitlines()
    assert re.split("  +", lines[1].strip()) == [
        "candidate", "CV log loss", "accuracy", "ROC AUC", "size", "one answer"
    ]  # fmt: skip
    assert lines[3].split()[:3] == ["1", "candidate_1", "0.7105"]
    assert lines[4].split() == ["→", "2", "candidate_2", "0.7105", "0.6920", "0.8795", "6,210", "kB", "118", "µs"]
    assert lines[8:] == ["   and 2 more, down to candidate_7.", "   It is the smallest."]


@pytest.mark.usefixtures("leaderboard")
@pytest.mark.parametrize(("width", "last"), [(40, "CV log loss"), (60, "ROC AUC"), (80, "one answer")])
def test_a_narrow_terminal_gets_fewer_columns_of_it(
    width: int, last: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"COLUMNS": str(width), "TTY_COMPATIBLE": "1", "TERM": "xterm"}.items():
        monkeypatch.setenv(name, value)
    show_leaderboard()
    lines = click.unstyle(capsys.readouterr().out).splitlines()
    assert lines[1].endswith(last)
    assert max(len(line) for line in lines) <= width


def test_the_last_sentence_says_how_to_go_on_and_where_the_page_will_be(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MARKET", "PORT", "UI_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert next_step() == (
        "Next: `make up` keeps it running, with a page on http://127.0.0.1:8000 where you describe a listing of your "
        "own, and the runs and their pictures on http://127.0.0.1:3000."
    )
    monkeypatch.setenv("MARKET", "lisbon")
    monkeypatch.setenv("PORT", "8100")
    assert next_step().startswith(
        "Next: `MARKET=lisbon make up` keeps it running, with a page on http://127.0.0.1:8100"
    )


def demo(home: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The demo with all it keeps in a folder of its own; only its logs are this project's."""
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text().replace("var/dagster", f"{home}/dagster"))
    folders = {name: str(home / name) for name in ("ASSET_FOLDER", "MODEL_REGISTRY", "SNAPSHOT_FOLDER")}
    environment = {**os.environ, "DAGSTER_HOME": str(home), "SYNTHETIC_LISTINGS": "4000", **folders, **settings}
    environment["PYTHONWARNINGS"] = "ignore:Function"  # as the Makefile has it
    environment.pop("MARKET", None)
    return subprocess.run(
        [sys.executable, "-m", "local.demo"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_it_trains_promotes_serves_asks_and_says_what_to_do_next(tmp_path: Path) -> None:
    done = demo(tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert lines[1] == "1. Training on the embedded synthetic snapshot (made up, not real listings)"
    ticked = [line[3:47].strip() for line in lines if line.startswith(" ✓ ")]
    assert ticked[:3] == ["Dagster starts", "raw_listings", "listings"]
    assert ticked[-1] == "the API is ready"
    champion = Registries(tmp_path / "MODEL_REGISTRY").of("new-york").champion()
    assert champion
    assert f"   decision    promotion of {champion.version}: {champion.decision.reason}" in lines
    assert f"   POST /classify {json.dumps(EXAMPLE)}" in lines
    assert any(re.fullmatch(r'   200 \{"id":39331263,"price_category":"\w+"\}', line) for line in lines)
    assert len([line for line in lines if re.match(r"   [→ ]  (Low|Mid|High|Lux) +[<>]?\d+ %", line)]) == 4
    assert any(line.startswith(f"   Answered by {champion.version}, published by run ") for line in lines)
    assert lines[-1].startswith("Next: `make up` keeps it running")
    assert "models: " in (ROOT / "var" / "demo" / "training.log").read_text()


@pytest.mark.slow
def test_a_training_that_fails_ends_it_with_its_code_and_its_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.csv").touch()
    done = demo(tmp_path, SNAPSHOT=str(tmp_path / "x.csv"))
    assert done.returncode == 1
    assert " ✗ raw_listings                                    failed" in done.stdout.splitlines()
    assert done.stderr.splitlines()[-1] == (
        f"The snapshot {tmp_path / 'x.csv'} is empty (0 bytes): check how it was downloaded."
    )
    assert "Traceback" not in done.stderr
