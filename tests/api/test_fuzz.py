"""Fuzzed by its own OpenAPI document: no 5xx, and every answer true to its schema."""

import re
import subprocess
from pathlib import Path

import pytest

from model_registry.store import Registry
from tests.api.server import serving
from tests.making import PROMOTE, publish

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("examples", "least"), [(25, 60), pytest.param(900, 1_700, marks=pytest.mark.slow)])
def test_schemathesis_finds_nothing(examples: int, least: int, registry: Registry, tmp_path: Path) -> None:
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    with serving(registry.folder, tmp_path / "api.log", ACCESS_LOG="false") as server:
        address = f"http://127.0.0.1:{server.port}/openapi.json"
        command = ["schemathesis", "run", address, "--checks", "all", "--max-examples", str(examples), "--no-color"]
        told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert told.returncode == 0, told.stdout
        cases = re.search(r"(\d+) generated, (\d+) passed", told.stdout)
        assert cases, told.stdout
        print(f"{cases[1]} cases, {cases[2]} passed")  # noqa: T201 (pytest -s shows it)
        assert int(cases[1]) == int(cases[2]) >= least
        assert server.client.get("/readyz").status_code == 200
