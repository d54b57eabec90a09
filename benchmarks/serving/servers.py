"""The rows: how each server is started on its own core, and what is known of its process."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from api.settings import Settings
from benchmarks.serving.environments import FASTAPI_APP, ROOT
from model_registry.listing import EXAMPLE

LIMIT, OURS, UNLOGGED, UNOBSERVED, BEFORE = "limit", "ours", "unlogged", "unobserved", "before"
FASTAPI, PREDECESSOR = "FastAPI", "predecessor"
WHAT = {
    LIMIT: "a bare ASGI application with a constant answer",
    OURS: "python -m api, whose log keeps every answer",
    UNLOGGED: "the same without PREDICTION_LOG",
    UNOBSERVED: "ours without request ids, metrics and log lines",
    BEFORE: "python -m api of another commit",
    FASTAPI: "FastAPI, pydantic and ONNX Runtime with the same model and contract",
    PREDECESSOR: "the predecessor's 500 trees in scikit-learn, n_jobs=4",
}
"""All run on uvicorn with uvloop and httptools, one process, no access log of uvicorn's."""

STARTED_WITHIN = 180.0
"""Seconds; the predecessor's forest is fitted first."""
SETTLED_WITHIN = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


def cores() -> tuple[str, str]:
    """The server's core and the client's."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        sys.exit("The benchmark needs two cores: one for the server, one for the client.")
    return str(allowed[0]), str(allowed[1])


@dataclass(frozen=True)
class Command:
    """How a server is started: its arguments, the folder it is started in, what it adds to the environment."""

    arguments: tuple[str, ...]
    folder: Path
    environment: dict[str, str]


def command(row: str, port: int, version: Path, *, python: Path, before: Path, logs: Path, answer: bytes) -> Command:
    """How a row's server is started on a port; `version` is the folder of the model it serves, `logs` for its log."""
    # One market's folder is a registry of the old layout, which servers of before several markets read as well.
    registry = {"MODEL_REGISTRY": str(version.parents[1]), "PORT": str(port)}
    registry["PREDICTION_LOG"] = "" if row == UNLOGGED else str(logs / f"{row}-predictions")
    if row in (OURS, UNLOGGED, BEFORE):
        return Command((sys.executable, "-m", "api"), before if row == BEFORE else ROOT, registry)
    if row == FASTAPI:
        uvicorn = (
            f"{python} -m uvicorn --factory app:create_app --port {port} --workers 1 --loop uvloop --http httptools"
        )
        arguments = (*uvicorn.split(), "--no-access-log", "--no-server-header")
        return Command(arguments, FASTAPI_APP, {"MODEL": str(version)})
    arguments = (sys.executable, "-m", "benchmarks.serving.variants", row)
    return Command((*arguments, answer.decode()) if row == LIMIT else arguments, ROOT, registry)


@dataclass(frozen=True)
class Server:
    """A server that is ready."""

    row: str
    port: int
    pid: int
    ready_seconds: float
    """From its start until it was ready."""

    def pause(self) -> None:
        """Have it rest: even idle it looks at its registry, on the core of the one that is measured."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Have it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def resident(self) -> float:
        """Its resident memory in megabytes."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(line.split()[1]) / 1e3 for line in status.splitlines() if line.startswith("VmRSS"))

    def cpu_seconds(self) -> float:
        """What its threads have had of the processor."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def settle(self) -> None:
        """Wait until it has finished what clients that are gone have left it to do."""
        end = time.monotonic() + SETTLED_WITHIN
        before = self.cpu_seconds() - 1
        while (now := self.cpu_seconds()) - before > 1.5 / _TICKS:
            if time.monotonic() > end:
                sys.exit(f"{self.row} is still busy {SETTLED_WITHIN:.0f} s after its last client has gone.")
            before = now
            time.sleep(0.1)

    def ask(self, body: bytes, path: str = "/classify") -> tuple[int, dict[str, str], bytes]:
        """One listing's answer: the status, the headers in small letters, the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        content = answer.read()
        connection.close()
        return answer.status, headers, content


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def started(row: str, port: int, how: Command, log: Path) -> Generator[Server]:
    """A server on its own core, ready, until the context ends."""
    # Defaults, whatever the caller's shell has set.
    settings = {name.upper() for name in Settings.__struct_fields__} | {"PYTHONPATH", "VIRTUAL_ENV"}
    environment = {name: value for name, value in os.environ.items() if name not in settings} | how.environment
    with log.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            ["taskset", "-c", cores()[0], *how.arguments], cwd=how.folder, env=environment, stdout=output, stderr=output
        )
        try:
            while not _ready(port):
                if process.poll() is not None or time.perf_counter() - start > STARTED_WITHIN:
                    sys.exit(f"{row} did not start: {log.read_text()[-2000:]}")
                time.sleep(0.01)
            yield Server(row, port, process.pid, time.perf_counter() - start)
        finally:
            process.send_signal(signal.SIGCONT)  # a paused one would not hear of its end
            process.terminate()
            process.wait()


def check(server: Server, expected: bytes) -> None:
    """Leave with a sentence where a server is not what its row says; `expected` is our answer to the example."""
    status, headers, content = server.ask(json.dumps(EXAMPLE).encode())
    same = json.loads(content) == json.loads(expected) or server.row == PREDECESSOR
    if status != 200 or not same:
        sys.exit(f"{server.row} answers {status} {content!r}, not {expected!r}.")
    if server.row in (LIMIT, PREDECESSOR):
        return
    if ("x-request-id" in headers) != (server.row in (OURS, UNLOGGED, BEFORE)):
        sys.exit(f"{server.row} {'names' if 'x-request-id' in headers else 'does not name'} its requests.")
    if "x-model-version" not in headers:
        sys.exit(f"{server.row} does not name its model.")
    for wrong in ({"beds": "2"}, {"tv": 1}, {"bathrooms": 1.3}, {"accommodates": 0}, {"stranger": 1}):
        status, _, content = server.ask(json.dumps({**EXAMPLE, **wrong}).encode())
        if not 400 <= status < 500:
            sys.exit(f"{server.row} answers {status} {content!r} to {wrong}.")


def _ready(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()
