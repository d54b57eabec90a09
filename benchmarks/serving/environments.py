"""What the benchmark runs beside this project: FastAPI's environment, and the code of another commit."""

import io
import subprocess
import sys
import tarfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
FASTAPI_APP = ROOT / "benchmarks" / "fastapi_app"
FASTAPI_ENVIRONMENT = ROOT / ".bench" / "fastapi"
"""Made on first use, and again where its requirements or this environment's Python are others; git ignores it."""


def fastapi_python() -> Path | None:
    """The Python that has FastAPI as pinned; none, said in words, where it could not be installed."""
    requirements = FASTAPI_APP / "requirements.txt"
    python, made_from = FASTAPI_ENVIRONMENT / "bin" / "python", FASTAPI_ENVIRONMENT / "made-from"
    wanted = f"Python {sys.version}\n{requirements.read_text()}"
    if made_from.exists() and made_from.read_text() == wanted:
        return python
    tell("Installing FastAPI in an environment of its own ...")
    uv = [sys.executable, "-m", "uv", "--quiet"]
    for command in (
        [*uv, "venv", "--clear", "--python", sys.executable, str(FASTAPI_ENVIRONMENT)],
        [*uv, "pip", "install", "--compile-bytecode", "--python", str(python), "--requirement", str(requirements)],
    ):
        ended = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
        if ended.returncode:
            tell(f"FastAPI could not be installed, its row is left out: {ended.stderr.strip()}")
            return None
    made_from.write_text(wanted)
    return python


def checked_out(commit: str, folder: Path) -> Path:
    """The folder, with the files of a commit in it; git keeps no trace of it, as it would of a worktree."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=False)
    if archive.returncode:
        sys.exit(f"git has no files of «{commit}»: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    # As where this project was started before: its start is not to be measured with the time to compile it.
    subprocess.run([sys.executable, "-m", "compileall", "-q", "api", "model_registry"], cwd=folder, check=True)
    return folder


def tell(words: str) -> None:
    """Say how far it is, beside the table."""
    print(words, file=sys.stderr, flush=True)
