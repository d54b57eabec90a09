"""Which Python the project is set up with, on machines that have this one or that one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
TOOLS = ("bash", "env", "grep", "mktemp", "rm")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A folder that is the whole PATH: what the smallest Debian has, and no Python."""
    for tool in TOOLS:
        [found] = [path for folder in os.get_exec_path() if (path := Path(folder) / tool).exists()][:1]
        (tmp_path / tool).symlink_to(found)
    return tmp_path


def install(machine: Path, name: str, code: str) -> None:
    (machine / name).write_text(f"#!/usr/bin/env bash\n{code}\n")
    (machine / name).chmod(0o755)


def told(machine: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(machine), "HOME": str(machine), **environment}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_python3_is_taken_where_it_will_do(machine: Path) -> None:
    (machine / "python3").symlink_to(sys.executable)
    assert told(machine, "local/pythons").stdout == f"{VERSION} {machine / 'python3'}\n"


def test_another_python_is_found_where_python3_is_too_old_or_does_not_run(machine: Path) -> None:
    install(machine, "python3", "exit 127")
    (machine / f"python{VERSION}").symlink_to(sys.executable)
    assert told(machine, "local/pythons").stdout.startswith(f"{VERSION} ")


def test_pythons_that_pyenv_keeps_are_found(machine: Path) -> None:
    folder = machine / ".pyenv" / "versions" / f"{VERSION}.1" / "bin"
    folder.mkdir(parents=True)
    (folder / "python3").symlink_to(sys.executable)
    assert told(machine, "local/pythons").stdout == f"{VERSION} {folder / 'python3'}\n"


def test_a_python_that_is_named_and_will_not_do_is_refused(machine: Path) -> None:
    said = told(machine, "local/set-up", str(machine / "venv"), PYTHON="python2.7")
    assert said.returncode == 1
    assert said.stderr.startswith("PYTHON=python2.7 is none from 3.11 to 3.14 that has venv")


def test_uv_is_asked_for_a_python_where_there_is_none(machine: Path) -> None:
    install(machine, "uv", f'echo "$@" >>{machine}/asked')
    said = told(machine, "local/set-up", "the-folder")
    assert said.returncode == 0, said.stderr
    assert said.stdout == "No Python from 3.11 to 3.14 is installed: uv fetches Python 3.13 ...\n"
    fetched, dependencies, project = (machine / "asked").read_text().splitlines()
    assert fetched == "venv --quiet --clear --managed-python --python 3.13 the-folder"
    assert "--requirement requirements/dev.txt" in dependencies
    assert "--editable ." in project


def test_where_neither_is_possible_one_sentence_says_so(machine: Path) -> None:
    install(machine, "uv", "exit 1")
    said = told(machine, "local/set-up", "the-folder")
    assert said.returncode == 1
    assert said.stderr.startswith("Python 3.11 to 3.14 with venv is needed, none is installed and uv could not fetch")
    assert said.stderr.count("\n") == 1
