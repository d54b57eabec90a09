"""Whether the process of a run is still there: a lock it holds, which the system releases however the process ends."""

import fcntl
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster import DefaultRunLauncher
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

# The lock of the run in this process. It is kept after the last step, when the last event is still to be written,
# until the process ends or begins another run.
_held: list[int] = []


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's own launcher, which starts a run in the code server, made to notice that a run's process is gone.

    Without this, run monitoring only watches runs that start: one whose process is killed stays "started" for
    ever, and with one run at a time nothing else is ever run. It sees the runs of `dagster job execute` as well
    as those it started itself, in this container or in another one that has the same volume.
    """

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring is to ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where a started run has a lock and no process holds it.

        A run that has none was made in memory (`execute_in_process`) or has another executor: it counts as RUNNING,
        and max_runtime_seconds is its limit. So does a dead run whose code server, in a container of its own, does
        not answer yet: Dagster retries a run when it fails or never, and only the server can.
        """
        try:
            if _is_held(_lock_of(run.run_id, self._instance)):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        except FileNotFoundError:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It has no lock that would tell.")
        if not _code_server_answers(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "Its code server, which is to retry it, is away.")
        return CheckRunHealthResult(WorkerStatus.FAILED, "The process it ran in has ended.")


class WatchedExecutor(InProcessExecutor):
    """Every step in the run's one process, which holds the run's lock, for WatchedRunLauncher to see."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """Take the run's lock, then its steps."""
        # Another launcher, such as that of a cluster, has other ways to know, and may not have the folder.
        if isinstance(plan_context.instance.run_launcher, WatchedRunLauncher):
            _hold(plan_context.run_id, plan_context.instance)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def watched_in_process_executor(_: dg.InitExecutorContext) -> WatchedExecutor:
    """Every step in one process: one for every step would cost more than most steps take."""
    return WatchedExecutor(RetryMode.ENABLED)


def _lock_of(run_id: str, instance: dg.DagsterInstance) -> Path:
    """The file that a run's process holds locked; every process of the instance sees this folder."""
    return Path(instance.root_directory) / "running" / run_id


def _hold(run_id: str, instance: dg.DagsterInstance) -> None:
    """Hold the lock of a run that begins in this process; remove the files of runs that have ended."""
    path = _lock_of(run_id, instance)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Locked under another name first: a file that is there and not locked is that of a dead run.
    fresh = path.with_name(f".{run_id}")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    fresh.replace(path)
    while _held:
        os.close(_held.pop())
    _held.append(descriptor)
    for other in path.parent.iterdir():
        run = instance.get_run_by_id(other.name.removeprefix("."))
        if run is None or run.is_finished:
            other.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    """Whether a process holds a lock; raises FileNotFoundError where there is none."""
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _code_server_answers(run: dg.DagsterRun) -> bool:
    """Whether the code server that started a run can be reached, where it is one that outlives the daemon."""
    server = json.loads(run.tags.get(GRPC_INFO_TAG, "{}"))
    if "port" not in server:
        return True
    try:
        socket.create_connection((server["host"], server["port"]), timeout=5).close()
    except OSError:
        return False
    return True
