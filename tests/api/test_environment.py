"""The API needs only its own extra: an environment is built that has nothing else."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from model_registry.listing import EXAMPLE
from model_registry.store import Registry
from tests.making import PROMOTE, publish
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_it_serves_from_an_environment_without_the_pipeline(registry: Registry, tmp_path: Path) -> None:
    registry.promote(publish(registry, 0), PROMOTE, run_id="run-1", actor="test")
    python = tmp_path / "venv" / "bin" / "python"
    for command in (
        [sys.executable, "-m", "venv", str(tmp_path / "venv")],
        ["uv", "pip", "install", "--quiet", "--python", str(python), "-r", str(ROOT / "requirements" / "api.txt")],
    ):
        subprocess.run(command, check=True)
    installed = subprocess.run(["uv", "pip", "list", "--python", str(python), "--format", "json"], capture_output=True)
    names = {package["name"] for package in json.loads(installed.stdout)}
    assert "litestar" in names
    assert not {"dagster", "pandas", "scikit-learn", "onnx", "pyarrow"} & names
    environment = {**os.environ, "MODEL_REGISTRY": str(registry.folder), "PORT": "18123", "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([python, "-m", "api"], env=environment, cwd=tmp_path)
    try:
        with httpx.Client(base_url="http://127.0.0.1:18123") as client:
            until(lambda: answered(client) == 200)
            assert client.post("/classify", json=EXAMPLE).json()["id"] == 39331263
            assert client.get("/docs/swagger-ui.css").status_code == 200
    finally:
        process.terminate()
    assert process.wait(timeout=10) == 0


def answered(client: httpx.Client) -> int:
    """The status of /readyz, or 0."""
    try:
        return client.get("/readyz").status_code
    except httpx.TransportError:
        return 0
