"""A run whose code server is gone is noticed; one that may still be running is left alone."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient

from local.processes import free_port, running
from mle_assets.run_launcher import WatchedRunLauncher
from tests.waiting import until

LAUNCHER = WatchedRunLauncher()


@dataclass(frozen=True)
class CodeServer:
    """Where a code server listens."""

    port: int | None = None
    socket: str | None = None

    def run(self, run_id: str) -> dg.DagsterRun:
        """A run as the launcher leaves it: tagged with the server that started it."""
        where = f'"socket": "{self.socket}"' if self.socket else f'"port": {self.port}'
        return dg.DagsterRun("training", run_id=run_id, tags={GRPC_INFO_TAG: f'{{"host": "127.0.0.1", {where}}}'})


@pytest.fixture(scope="module")
def code_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CodeServer]:
    """A real code server on a port."""
    port = free_port()
    command = ("dagster", "api", "grpc", "-m", "mle_assets.definitions", "--host", "127.0.0.1", "--port", str(port))
    with running(*command, log=tmp_path_factory.mktemp("log") / "code.log"):
        client = DagsterGrpcClient(host="127.0.0.1", port=port)
        until(lambda: answers(port) and client.health_check_query() == "SERVING", 60)
        yield CodeServer(port)


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_run_its_code_server_does_not_know_has_failed(code_server: CodeServer) -> None:
    health = LAUNCHER.check_run_worker_health(code_server.run("d0c47f5c-0e3e-4f4d-9d8f-3c1f3a1f0001"))
    assert health.status == WorkerStatus.FAILED
    assert health.msg == "Its code server does not know it: it was killed with the one before."


def test_a_run_whose_code_server_cannot_be_reached_may_still_be_running() -> None:
    health = LAUNCHER.check_run_worker_health(CodeServer(port=free_port()).run("d0c47f5c-0e3e-4f4d-9d8f-3c1f3a1f0002"))
    assert health.status == WorkerStatus.RUNNING


@pytest.mark.parametrize("left_behind", [True, False])
def test_a_run_whose_code_server_was_a_process_here_that_ended_has_failed(tmp_path: Path, left_behind: bool) -> None:
    path = tmp_path / "code.sock"
    if left_behind:
        with socket.socket(socket.AF_UNIX) as ended:
            ended.bind(str(path))
    health = LAUNCHER.check_run_worker_health(CodeServer(socket=str(path)).run("d0c47f5c-0e3e-4f4d-9d8f-3c1f3a1f0003"))
    assert health.status == WorkerStatus.FAILED
    assert health.msg == "The code server it ran in has ended."


def test_a_run_from_the_command_line_is_left_alone() -> None:
    health = LAUNCHER.check_run_worker_health(dg.DagsterRun("training"))
    assert health.status == WorkerStatus.RUNNING


def test_run_monitoring_asks_it() -> None:
    assert LAUNCHER.supports_check_run_worker_health
