"""Runs in the code server, and an answer to whether a run's worker is still there."""

import json
import socket

import dagster as dg
from dagster import DefaultRunLauncher
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.types import GetCurrentRunsResult
from dagster._serdes import deserialize_value


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which starts a run in the code server, made to notice that the run is gone.

    Without this, run monitoring only watches runs that start: one whose code server is killed stays "started"
    for ever, and with one run at a time nothing else is ever run. The code server knows its own runs; one
    that does not know a started run is another than the one that started it.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring is to ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where the code server of a started run does not know it, or was a process here that has ended.

        A server that does not answer may be busy or about to be back, with the run or without it, so that counts
        as RUNNING, as do runs that no code server started (`dagster job execute`). The longest a run may take,
        max_runtime_seconds, is the limit for those.
        """
        server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
        if not server:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It does not run in a code server.")
        if "socket" in server and not _listens(server["socket"]):
            return CheckRunHealthResult(WorkerStatus.FAILED, "The code server it ran in has ended.")
        client = DagsterGrpcClient(
            host=server["host"],
            port=server.get("port"),
            socket=server.get("socket"),
            use_ssl=server.get("use_ssl", False),
        )
        try:
            known = deserialize_value(client.get_current_runs(), GetCurrentRunsResult).current_runs
        except DagsterUserCodeUnreachableError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "Its code server does not answer at the moment.")
        if run.run_id in known:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.FAILED, "Its code server does not know it: it was killed with the one before."
        )


def _listens(path: str) -> bool:
    """Whether a process listens on a Unix socket; one that has ended leaves the file behind."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            return False
    return True
