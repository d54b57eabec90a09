"""A run whose worker is gone is noticed; silence alone is never taken for it. Celery's own in-memory broker is between."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import dagster as dg
import pytest
from celery.contrib.testing.worker import start_worker
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG, DAGSTER_CELERY_TASK_ID_TAG

from mle_assets.celery_launcher import LOST_SECONDS, OUTAGE_SECONDS, Answers, Watch, WatchedCeleryRunLauncher
from mle_assets.partitions import MARKET_TAG
from mle_assets.run_coordinator import RunsForWorkers
from mle_assets.worker import make_worker_app

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
        "No worker has had it for 12 seconds, while worker@a answered: worker@a, which had it, has not any more.",
    )


def test_a_worker_that_is_silent_once_has_not_lost_its_run() -> None:
    told = verdicts((0, BUSY), (5, OTHERS), (10, BUSY), (20, OTHERS), (25, OTHERS))
    assert {status for status, _ in told} == {WorkerStatus.RUNNING}


@pytest.mark.parametrize("nobody", [None, {}], ids=["broker away", "no worker answers"])
def test_that_nobody_answers_is_never_taken_for_death(nobody: Answers | None) -> None:
    told = verdicts((0, BUSY), *((now, nobody) for now in range(5, 36_000, 600)))
    assert {status for status, _ in told} == {WorkerStatus.RUNNING}
    assert "not known" in (told[-1][1] or "")


def test_after_an_outage_workers_have_a_minute_to_find_back() -> None:
    told = verdicts((0, BUSY), (5, None), (10, OTHERS), (10 + LATE, OTHERS), (5 + OUTAGE_SECONDS + 1, OTHERS))
    assert [status.name for status, _ in told] == ["RUNNING", "RUNNING", "RUNNING", "RUNNING", "FAILED"]


def test_a_daemon_that_was_started_again_finds_a_lost_run_as_well() -> None:
    told = verdicts((0, OTHERS), (LATE, OTHERS))
    assert told[-1] == (WorkerStatus.FAILED, "No worker has had it for 12 seconds, while worker@b answered: nobody.")


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


def test_a_run_that_cannot_be_handed_to_the_broker_is_to_be_launched_again() -> None:
    # Dagster puts a run back into its queue after this error and no other.
    launcher = WatchedCeleryRunLauncher(NOWHERE)
    with pytest.raises(DagsterUserCodeUnreachableError, match="The broker cannot be reached"):
        launcher._hand_over(lambda: launcher.celery.send_task("execute_job", queue="dagster"))


@contextmanager
def working(launcher: WatchedCeleryRunLauncher, queue: str) -> Generator[tuple[threading.Event, threading.Event]]:
    """A worker in a thread of this process, whose one task waits; the events: it has begun, it may end."""
    begun, end = threading.Event(), threading.Event()

    @launcher.celery.task(name="waiting")
    def waiting() -> None:
        begun.set()
        assert end.wait(30)

    with start_worker(launcher.celery, perform_ping_check=False, queues=[queue], pool="threads", concurrency=1):
        yield begun, end
        end.set()
