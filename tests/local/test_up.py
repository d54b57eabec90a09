"""`make up` as a process: what it says where it cannot start, and the whole of it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.processes import free_port, is_taken, running
from model_registry.registries import Registries
from tests.waiting import until

ROOT = Path(__file__).parents[2]
UP = (sys.executable, "-m", "local.up")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder as the project's own is to `make up`, with nothing in it yet."""
    for name in ("dagster.yaml", "workspace.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    return tmp_path


def environment(home: Path, **settings: str) -> dict[str, str]:
    return {**os.environ, "DAGSTER_HOME": str(home), "SYNTHETIC_LISTINGS": "4000", **settings}


def refusal(home: Path, **settings: str) -> list[str]:
    """What `make up` says where it ends by itself."""
    done = subprocess.run(
        UP, cwd=home, env=environment(home, **settings), capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_a_port_in_use_is_named_with_the_variable_that_chooses_another(home: Path, tmp_path: Path) -> None:
    taken, free = free_port(), free_port()
    with running(sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(taken), log=tmp_path / "other.log"):
        until(lambda: is_taken(taken), seconds=30)
        [ui] = refusal(home, UI_PORT=str(taken), PORT=str(free))
        [api] = refusal(home, UI_PORT=str(free), PORT=str(taken))
    assert re.fullmatch(rf"Port {taken} is in use: give the UI another one, such as UI_PORT=\d+ make up", ui)
    assert re.fullmatch(rf"Port {taken} is in use: give the API another one, such as PORT=\d+ make up", api)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"UI_PORT": "abc"}, "UI_PORT='abc' cannot be used"),
        ({"UI_PORT": "3000", "PORT": "3000"}, "The UI and the API cannot both have the port 3000"),
    ],
)
def test_ports_that_cannot_be_are_refused_in_a_sentence(settings: dict[str, str], words: str, home: Path) -> None:
    [told] = refusal(home, **settings)
    assert told.startswith(words)


@pytest.mark.slow
def test_a_part_that_ends_ends_everything_with_the_end_of_its_log(home: Path) -> None:
    ports = {"UI_PORT": str(free_port()), "PORT": str(free_port())}
    first, last = refusal(home, **ports, LOG_LEVEL="loud")
    assert first == "The API ended by itself with code 1. The end of var/log/api.log:"
    assert last == "   LOG_LEVEL='loud' cannot be used: Invalid enum value 'loud'"
    assert nothing_is_left_of(home)


@pytest.mark.slow
def test_a_wrong_setting_of_the_pipeline_is_told_in_its_sentence(home: Path) -> None:
    ports = {"UI_PORT": str(free_port()), "PORT": str(free_port())}
    assert refusal(home, **ports, GATE_CONFIDENCE="2") == ["GATE_CONFIDENCE='2' cannot be used: Expected `float` < 1.0"]
    assert nothing_is_left_of(home)


@contextmanager
def up(home: Path, **settings: str) -> Generator[tuple[subprocess.Popen[bytes], Path]]:
    """`make up`, ready, and the file of what it says."""
    terminal = home / "terminal.txt"
    with terminal.open("wb") as output:
        process = subprocess.Popen(UP, cwd=home, env=environment(home, **settings), stdout=output, stderr=output)
    try:
        until(lambda: "Ctrl-C" in terminal.read_text(), seconds=180, every=0.2)
        yield process, terminal
    finally:
        process.terminate()
        process.wait(timeout=60)


@pytest.mark.slow
def test_it_is_quiet_until_ready_then_tells_what_happens_and_leaves_nothing_running(home: Path) -> None:
    ui_port, port = free_port(), free_port()
    with up(home, UI_PORT=str(ui_port), PORT=str(port)) as (process, terminal):

        def told() -> list[str]:
            return [line[10:] for line in terminal.read_text().split("Ctrl-C stops everything.\n\n")[1].splitlines()]

        before = terminal.read_text().splitlines()
        assert before[0] == "Starting the UI, the daemon and the API ..."
        assert f"   Page   http://127.0.0.1:{port}: describe a listing, and see its category and why" in before
        assert f"   UI     http://127.0.0.1:{ui_port}" in before
        assert any(line.startswith(f"   API    http://127.0.0.1:{port}, ") for line in before)
        assert told() == []
        (home / "var" / "snapshots" / "x.csv").touch()
        os.utime(home / "var" / "snapshots" / "x.csv", (0, 0))
        until(lambda: len(told()) == 1, seconds=120, every=0.5)
        assert re.fullmatch(
            r"training   failed after \d+ s \(run [\da-f]{8}\): "
            r"The snapshot var/snapshots/x.csv is empty \(0 bytes\): check how it was downloaded\.",
            told()[0],
        )
        launch = ["dagster", "job", "launch", "-j", "training"]
        subprocess.run(launch, cwd=home, env=environment(home), check=True, capture_output=True)
        until(lambda: len(told()) == 4, seconds=400, every=0.5)
        champion = Registries(home / "var" / "registry").of("new-york").champion()
        assert champion
        assert told()[1].startswith("training   succeeded after ")
        # The champion is there before its run has ended.
        of_champion, of_promotion = sorted(told()[2:])
        assert of_promotion.startswith("promotion  succeeded after ")
        assert of_champion == (
            f"champion   {champion.version}, promotion by promote_best_model: {champion.decision.reason}"
        )
        assert "Sensor promote_best_model" in (home / "var" / "log" / "dagster.log").read_text()
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        assert process.wait(timeout=60) == 0
        assert terminal.read_text().endswith("\nStopping ...\n")
    assert nothing_is_left_of(home)


@pytest.mark.slow
def test_a_part_that_dies_later_ends_everything(home: Path) -> None:
    with up(home, UI_PORT=str(free_port()), PORT=str(free_port())) as (process, terminal):
        [api] = [pid for pid in children(process.pid) if b"api" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        os.kill(api, signal.SIGKILL)
        assert process.wait(timeout=60) == 1
        assert "The API ended by itself with code -9. The end of var/log/api.log:" in terminal.read_text()
    assert nothing_is_left_of(home)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def nothing_is_left_of(home: Path) -> bool:
    """Whether no process works for this DAGSTER_HOME any more."""
    wanted = f"DAGSTER_HOME={home}".encode()
    left: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.name != str(os.getpid()) and wanted in (process / "environ").read_bytes().split(b"\0"):
                left.append((process / "cmdline").read_text())
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return not left
