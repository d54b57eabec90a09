"""A run whose process is gone is noticed, however it was started; one that is still running is left alone."""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from local.processes import running
from mle_assets.liveness import WatchedRunLauncher, watched_in_process_executor
from tests.waiting import until

ROOT = Path(__file__).parents[1]


@dg.op
def wait(context: dg.OpExecutionContext) -> None:
    """Ends when the file `go` is in the instance's folder."""
    until((Path(context.instance.root_directory) / "go").exists, seconds=60)


@dg.job(executor_def=watched_in_process_executor)
def waiting() -> None:
    """One step that waits."""
    wait()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance as dagster.yaml makes it, in a folder of its own."""
    (tmp_path / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text().replace("var/dagster", str(tmp_path)))
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def run_to_its_end(instance: dg.DagsterInstance) -> dg.DagsterRun:
    (Path(instance.root_directory) / "go").touch()
    with dg.execute_job(dg.reconstructable(waiting), instance=instance) as result:
        assert result.success
        return result.dagster_run


def locks(instance: dg.DagsterInstance) -> set[str]:
    """The runs that have a lock, held or not."""
    return {file.name for file in Path(instance.root_directory).glob("running/*")}


def health(instance: dg.DagsterInstance, run: dg.DagsterRun) -> CheckRunHealthResult:
    """What run monitoring is told."""
    assert isinstance(instance.run_launcher, WatchedRunLauncher)
    assert instance.run_launcher.supports_check_run_worker_health
    return instance.run_launcher.check_run_worker_health(run)


def test_a_run_is_running_until_its_process_is_killed(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    command = ("dagster", "job", "execute", "-m", __name__, "-j", "waiting")
    with running(*command, log=tmp_path / "log", DAGSTER_HOME=str(tmp_path), PYTHONPATH=str(ROOT)) as process:
        until(lambda: bool(locks(instance)), seconds=60)
        [run] = instance.get_runs()
        assert run.status == dg.DagsterRunStatus.STARTED
        assert health(instance, run).status == WorkerStatus.RUNNING
        process.kill()
        process.wait()
    dead = CheckRunHealthResult(WorkerStatus.FAILED, "The process it ran in has ended.")
    assert health(instance, run) == dead
    # Its file outlives it until it is known to have failed.
    run_to_its_end(instance)
    assert run.run_id in locks(instance)
    assert health(instance, run) == dead
    instance.report_run_failed(run)
    last = run_to_its_end(instance)
    assert locks(instance) == {last.run_id}


def test_a_run_counts_as_running_until_its_last_event_is_written(instance: dg.DagsterInstance) -> None:
    # That comes after the last step; the lock is kept until the process ends or begins another run.
    first = run_to_its_end(instance)
    assert health(instance, first).status == WorkerStatus.RUNNING
    second = run_to_its_end(instance)
    assert health(instance, second).status == WorkerStatus.RUNNING
    assert locks(instance) == {second.run_id}


def test_a_dead_run_is_left_alone_until_the_code_server_that_is_to_retry_it_answers(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    dead, _ = run_to_its_end(instance), run_to_its_end(instance)
    lock = Path(instance.root_directory) / "running" / dead.run_id
    lock.touch()
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        where = {"host": "127.0.0.1", "port": server.getsockname()[1]}
        launched = dead.with_tags({**dead.tags, GRPC_INFO_TAG: json.dumps(where)})
        assert health(instance, launched).status == WorkerStatus.RUNNING
        server.listen()
        assert health(instance, launched).status == WorkerStatus.FAILED
    # The code server of a daemon, which listens on a socket, ends with it; the next daemon brings its own.
    where = {"host": "localhost", "socket": str(tmp_path / "gone")}
    launched = dead.with_tags({**dead.tags, GRPC_INFO_TAG: json.dumps(where)})
    assert health(instance, launched).status == WorkerStatus.FAILED


def test_a_run_made_in_memory_has_no_lock_and_is_left_alone(instance: dg.DagsterInstance) -> None:
    (Path(instance.root_directory) / "go").touch()
    run = waiting.execute_in_process(instance=instance).dagster_run
    assert locks(instance) == set()
    assert health(instance, run).status == WorkerStatus.RUNNING


def test_under_another_launcher_no_lock_is_taken(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_to_its_end(instance)
        assert locks(instance) == set()
