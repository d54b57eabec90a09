"""A run whose worker is gone is noticed; silence alone is never taken for it (over Celery's own in-memory broker)."""

import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import pytest
import yaml
from celery.contrib.testing.worker import start_worker
from celery.signals import setup_logging
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from mle_assets import celery_launcher
from mle_assets.celery_launcher import LOST_SECONDS, Answers, Watch, WatchedCeleryRunLauncher
from mle_assets.partitions import MARKET_TAG
from mle_assets.run_coordinator import RunsForWorkers
from mle_assets.worker import make_worker_app
from tests.waiting import until

ROOT = Path(__file__).parents[1]
NOWHERE = "redis://127.0.0.1:1/0"
LATE = LOST_SECONDS + 0.1
BUSY: Answers = {"worker@a": {"task"}, "worker@b": set()}
OTHERS: Answers = {"worker@b": set()}


def verdicts(*told: tuple[float, Answers | None]) -> list[tuple[WorkerStatus, str | None]]:
    watch = Watch()
    return [(health.status, health.msg) for health in (watch.judge("task", answers, now) for now, answers in told)]


def test_a_run_that_a_worker_has_is_running() -> None:
    assert verdicts((0, BUSY)) == [(WorkerStatus.RUNNING, "It is under way on worker@a.")]


def test_a_run_whose_worker_is_silent_while_others_answer_has_failed_after_some_seconds() -> None:
    told = verdicts((0, BUSY), (5, OTHERS), (10, OTHERS), (5 + LATE, OTHERS))
    assert [status.name for status, _ in told] == ["RUNNING", "RUNNING", "RUNNING", "FAILED"]
    assert told[-1][1] == (
        "No worker has had it for 12 seconds, while worker@b answered: worker@a, which had it, is silent."
    )


def test_a_run_whose_worker_was_started_again_without_it_has_failed() -> None:
    told = verdicts((0, BUSY), (5, {"worker@a": set()}), (5 + LATE, {"worker@a": set()}))
    assert told[-1] == (
        WorkerStatus.FAILED,
        "No worker has had it for 12 seconds, while worker@a answered: worker@a, which had it, has it no more.",
    )


def test_a_worker_that_is_silent_once_has_not_lost_its_run() -> None:
    told = verdicts((0, BUSY), (5, OTHERS), (10, BUSY), (20, OTHERS), (25, OTHERS))
    assert {status for status, _ in told} == {WorkerStatus.RUNNING}


@pytest.mark.parametrize("nobody", [None, {}], ids=["broker away", "no worker answers"])
def test_that_nobody_answers_is_never_taken_for_death(nobody: Answers | None) -> None:
    told = verdicts((0, BUSY), *((now, nobody) for now in range(5, 36_000, 600)))
    assert {status for status, _ in told} == {WorkerStatus.RUNNING}
    assert "not known" in (told[-1][1] or "")


def test_after_an_outage_workers_have_as_long_to_find_back_and_a_minute_at_most() -> None:
    outage: list[tuple[float, Answers | None]] = [(now, None) for now in range(5, 100, 5)]
    told = verdicts((0, BUSY), *outage, (100, OTHERS), (100 + LATE, OTHERS), (150, OTHERS), (156, OTHERS))
    assert [status.name for status, _ in told[-4:]] == ["RUNNING", "RUNNING", "RUNNING", "FAILED"]


def test_that_nobody_answered_once_delays_nothing() -> None:
    # As on a busy machine: both workers were late with their answers.
    told = verdicts((0, BUSY), (5, OTHERS), (10, {}), (15, OTHERS), (5 + LATE, OTHERS))
    assert [status.name for status, _ in told] == ["RUNNING", "RUNNING", "RUNNING", "RUNNING", "FAILED"]


def test_a_daemon_that_was_started_again_finds_a_lost_run_as_well() -> None:
    told = verdicts((0, OTHERS), (LATE, OTHERS))
    assert told[-1] == (WorkerStatus.FAILED, "No worker has had it for 12 seconds, while worker@b answered.")


def run_of(tags: dict[str, str]) -> dg.DagsterRun:
    return dg.DagsterRun("training", run_id="d0c47f5c-0e3e-4f4d-9d8f-3c1f3a1f0001", tags=tags)


def test_a_run_from_the_command_line_is_left_alone() -> None:
    health = WatchedCeleryRunLauncher(NOWHERE).check_run_worker_health(run_of({}))
    assert (health.status, health.msg) == (WorkerStatus.RUNNING, "It does not run on a worker.")


def test_a_broker_that_cannot_be_reached_fails_no_run() -> None:
    health = WatchedCeleryRunLauncher(NOWHERE).check_run_worker_health(run_of({DAGSTER_CELERY_TASK_ID_TAG: "task"}))
    assert (health.status, health.msg) == (
        WorkerStatus.RUNNING,
        "The broker cannot be reached: whether it is under way is not known.",
    )


def test_a_run_that_cannot_be_handed_to_the_broker_goes_back_into_the_queue(tmp_path: Path) -> None:
    # Dagster puts a run back there after this error and no other.
    with instance_of(tmp_path, NOWHERE) as instance:
        run = submitted(instance)
        with pytest.raises(DagsterUserCodeUnreachableError, match="The broker cannot be reached"):
            instance.run_launcher.launch_run(LaunchRunContext(run, None))


def test_a_run_is_handed_to_the_queue_of_its_market_and_found_on_the_worker_that_has_it(tmp_path: Path) -> None:
    with instance_of(tmp_path, "memory://large") as instance, working(instance, "large") as begun:
        run = submitted(instance, market="lisbon")
        assert run.tags[DAGSTER_CELERY_QUEUE_TAG] == "large"
        instance.run_launcher.launch_run(LaunchRunContext(run, None))
        assert begun.wait(20)
        launched = instance.get_run_by_id(run.run_id)
        assert launched is not None

        def found() -> bool:
            health = instance.run_launcher.check_run_worker_health(launched)
            assert health.status == WorkerStatus.RUNNING
            return (health.msg or "").startswith("It is under way on ")

        until(found)


def test_a_run_that_is_cancelled_is_told_so_before_its_worker_is(tmp_path: Path) -> None:
    with instance_of(tmp_path, "memory://cancelled") as instance:
        run = submitted(instance)
        assert not instance.run_launcher.terminate(run.run_id)  # it waits: nobody has it
        instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: "task"})
        assert instance.run_launcher.terminate(run.run_id)
        assert status(instance, run) == "CANCELING"


def test_a_run_cannot_be_cancelled_while_the_broker_is_away(tmp_path: Path) -> None:
    with instance_of(tmp_path, NOWHERE) as instance:
        run = submitted(instance)
        instance.add_run_tags(run.run_id, {DAGSTER_CELERY_TASK_ID_TAG: "task"})
        assert not instance.run_launcher.terminate(run.run_id)
        assert status(instance, run) == "QUEUED"


def status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    known = instance.get_run_by_id(run.run_id)
    assert known is not None
    return known.status.value


def test_as_many_runs_are_launched_as_workers_answer_and_one_of_each_market(tmp_path: Path) -> None:
    with instance_of(tmp_path, "memory://some") as instance, working(instance, "dagster"):
        until(lambda: coordinator(instance).get_run_queue_config().max_concurrent_runs == 1, seconds=30)
        limits = coordinator(instance).get_run_queue_config()
    assert limits.tag_concurrency_limits == [
        {"key": MARKET_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1},
        {"key": DAGSTER_CELERY_QUEUE_TAG, "value": "dagster", "limit": 1},
        {"key": DAGSTER_CELERY_QUEUE_TAG, "value": "large", "limit": 0},
    ]


def test_workers_are_asked_again_what_they_take_after_some_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with instance_of(tmp_path, "memory://again") as instance:
        launcher = instance.run_launcher
        assert isinstance(launcher, WatchedCeleryRunLauncher)
        monkeypatch.setattr(celery_launcher, "QUEUES_SECONDS", 3600.0)
        assert launcher.queues() == {}
        with working(instance, "dagster"):  # asked at once, for nobody had answered
            until(lambda: list(launcher.queues().values()) == [["dagster"]], seconds=30)
        assert list(launcher.queues().values()) == [["dagster"]]
        monkeypatch.setattr(celery_launcher, "QUEUES_SECONDS", 0.0)
        assert launcher.queues() == {}


def test_while_the_broker_is_away_nothing_is_launched(tmp_path: Path) -> None:
    with instance_of(tmp_path, NOWHERE) as instance:
        assert coordinator(instance).get_run_queue_config().max_concurrent_runs == 0


def test_a_worker_without_a_broker_says_what_to_set() -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(SystemExit, match="set CELERY_BROKER"):
        make_worker_app(instance)


@contextmanager
def instance_of(folder: Path, broker: str) -> Generator[dg.DagsterInstance]:
    """An instance as containers/dagster.celery.yaml makes it, with Lisbon as a large market."""
    cluster = yaml.safe_load((ROOT / "containers" / "dagster.celery.yaml").read_text())
    overrides = {
        "run_launcher": {**cluster["run_launcher"], "config": {"broker": broker}},
        "run_coordinator": {**cluster["run_coordinator"], "config": {"large_markets": "lisbon, porto"}},
    }
    with dg.DagsterInstance.local_temp(str(folder), overrides) as instance:
        yield instance


def coordinator(instance: dg.DagsterInstance) -> RunsForWorkers:
    assert isinstance(instance.run_coordinator, RunsForWorkers)
    return instance.run_coordinator


def submitted(instance: dg.DagsterInstance, market: str = "new-york") -> dg.DagsterRun:
    """A run of a market, enqueued."""

    @dg.job
    def training() -> None:
        """No steps."""

    pointer = ModuleCodePointer("mle_assets.definitions", "defs")
    origin = JobPythonOrigin("training", RepositoryPythonOrigin(sys.executable, pointer))
    location = GrpcServerCodeLocationOrigin("code", port=4000, location_name="listing-price-category")
    remote = RemoteRepositoryOrigin(location, "__repository__").get_job_origin("training")
    run = instance.create_run_for_job(
        training, tags={MARKET_TAG: market}, job_code_origin=origin, remote_job_origin=remote
    )
    return coordinator(instance).submit_run(SubmitRunContext(run, None))


@contextmanager
def working(instance: dg.DagsterInstance, queue: str) -> Generator[threading.Event]:
    """A worker in a thread of this process, in which a run sets an event and waits for the end."""
    launcher = instance.run_launcher
    assert isinstance(launcher, WatchedCeleryRunLauncher)
    begun, end = threading.Event(), threading.Event()

    @launcher.celery.task(name=TASK_EXECUTE_JOB_NAME, shared=False)
    def execute_job(execute_job_args_packed: object) -> None:
        assert execute_job_args_packed
        begun.set()
        assert end.wait(30)

    # It would set the level and the handlers of this process' root logger, for all tests that come after.
    setup_logging.connect(_leave_logging)
    try:
        with start_worker(launcher.celery, perform_ping_check=False, queues=[queue], pool="threads", concurrency=1):
            yield begun
            end.set()
    finally:
        setup_logging.disconnect(_leave_logging)


def _leave_logging(**_: object) -> None:
    """Whoever listens to this signal of Celery's has it leave logging alone."""
