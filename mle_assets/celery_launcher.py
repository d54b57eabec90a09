"""Runs on workers, by Celery, and an answer to whether a run is still under way on one of them."""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import dagster as dg
from dagster import StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClassData, pack_value
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG as TASK_TAG
from kombu.entity import Queue
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

DEFAULT_QUEUE, LARGE_QUEUE = "dagster", "large"
ANSWER_SECONDS = 2.0
"""How long workers are listened to; those that answer later count as silent this time."""
QUEUES_SECONDS = 5.0
"""For so long it is taken as known which workers there are; a run for one that has gone waits for another."""
LOST_SECONDS = 12.0
"""How long no worker that answers may have a run before it counts as lost, two or three questions."""
OUTAGE_SECONDS = 60.0
"""How much longer, at most, after nobody answered for as long: workers try to come back less and less often."""
_MOST_REMEMBERED = 1000

CELERY: dict[str, Any] = {
    # A message is acknowledged when its run begins: by a late one the broker would hand a long run out twice.
    "task_acks_late": False,
    # A busy worker takes no message that a free one could have.
    "worker_prefetch_multiplier": 1,
    "worker_disable_prefetch": True,
    # Each run in a process of its own, as in the code server, so that its memory is given back.
    "worker_max_tasks_per_child": 1,
    # What a run prints is its own, and kept by Dagster as such.
    "worker_redirect_stdouts": False,
    # What became of a run is in Dagster's storage.
    "task_ignore_result": True,
    # A broker that is away is waited for, however long.
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "broker_transport_options": {
        "visibility_timeout": 3600,  # after which a message is handed out again whose worker died taking it
        # A connection whose other end vanished without a word is noticed.
        "socket_connect_timeout": 5,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "max_retries": 3,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    },
}
"""Celery's settings, the same on both sides of the broker."""
BROKER_AWAY = (OperationalError, RedisError, OSError)

Answers = Mapping[str, Collection[str]]
"""What each worker that answered is at: its tasks by the worker's name."""


@dataclass
class Watch:
    """Tells lost runs from those of which nothing is known, from what workers answered over time."""

    missing_since: dict[str, float] = field(default_factory=dict[str, float])
    outage: tuple[float, float] | None = None
    """From when to when nobody answered last."""
    seen_on: dict[str, str] = field(default_factory=dict[str, str])
    """Where each task was seen last."""

    def judge(self, task: str, answers: Answers | None, now: float) -> CheckRunHealthResult:
        """FAILED where other workers have answered for some seconds and none of them has the task; else RUNNING.

        `answers` is None where the broker could not be asked. That nobody answers says nothing of the run, which goes
        on without a broker; nor does it, for a while, that only some do, when all have to find back to it.
        """
        if not answers:
            lasting = self.outage is not None and now - self.outage[1] < LOST_SECONDS
            self.outage = (self.outage[0] if self.outage and lasting else now, now)
            if now - self.outage[0] >= LOST_SECONDS:
                self.missing_since.clear()
            why = "The broker cannot be reached" if answers is None else "No worker answers"
            return CheckRunHealthResult(WorkerStatus.RUNNING, f"{why}: whether it is under way is not known.")
        for worker, tasks in answers.items():
            if task in tasks:
                self.missing_since.pop(task, None)
                self.seen_on[task] = worker
                if len(self.seen_on) > _MOST_REMEMBERED:  # the oldest, which has long ended
                    del self.seen_on[next(iter(self.seen_on))]
                return CheckRunHealthResult(WorkerStatus.RUNNING, f"It is under way on {worker}.")
        since = self.missing_since.setdefault(task, now)
        if now - since < LOST_SECONDS + self._grace(now):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "No worker that answers has it; it is asked for again.")
        del self.missing_since[task]
        told = f"No worker has had it for {now - since:.0f} seconds, while {', '.join(sorted(answers))} answered"
        if seen := self.seen_on.pop(task, None):
            told += f": {seen}, which had it, {'has it no more' if seen in answers else 'is silent'}"
        return CheckRunHealthResult(WorkerStatus.FAILED, f"{told}.")

    def _grace(self, now: float) -> float:
        if self.outage is None or now - self.outage[1] > OUTAGE_SECONDS:
            return 0.0
        return min(self.outage[1] - self.outage[0], OUTAGE_SECONDS)


class WatchedCeleryRunLauncher(CeleryRunLauncher):
    """Dagster's launcher of runs as Celery tasks, made to notice that a run's worker is gone.

    Without this a run whose worker is killed stays "started" for ever, as nothing tells its result. The workers
    are asked what they are at, all at once and for all runs; see Watch for what is made of it.
    """

    def __init__(self, broker: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(DEFAULT_QUEUE, broker=broker, backend=None, config_source=CELERY, inst_data=inst_data)
        self.celery.conf.task_queues = [
            Queue(name, routing_key=f"{name}.#", queue_arguments={"x-max-priority": 10})
            for name in (DEFAULT_QUEUE, LARGE_QUEUE)
        ]
        self._watch = Watch()
        self._asked_at = -ANSWER_SECONDS
        self._answers: Answers | None = None
        self._queues_at = 0.0
        self._queues = dict[str, list[str]]()

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Where the broker is; everything else follows from how runs are watched."""
        return {"broker": StringSource}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """The launcher that dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        """Hand a run to the broker; while that is away the run goes back into Dagster's queue."""
        run = context.dagster_run
        assert run.job_code_origin is not None  # noqa: S101 (a run from a workspace has one)
        # As Dagster's does, which makes the task anew for every run, and Celery keeps each of them.
        arguments = ExecuteRunArgs(run.job_code_origin, run.run_id, instance_ref=None, set_exit_code_on_failure=True)
        task = self.celery.signature(
            TASK_EXECUTE_JOB_NAME, kwargs={"execute_job_args_packed": pack_value(arguments)}, immutable=True
        )
        try:
            self._launch_celery_task_run(run, task, TASK_EXECUTE_JOB_NAME)
        except BROKER_AWAY as error:
            # The one error after which Dagster launches a run again instead of failing it.
            raise DagsterUserCodeUnreachableError(f"The broker cannot be reached: {error}") from error

    def terminate(self, run_id: str) -> bool:
        """Have a run cancelled by its worker; False where there is none to cancel, or the broker is away."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or TASK_TAG not in run.tags or self._ask() is None:
            return False
        # First: by this its process knows that it was meant, and run monitoring ends it where there is none any more.
        # Dagster's own leaves it out, and a cancelled run would count as lost and be begun again.
        self._instance.report_run_canceling(run)
        self.celery.control.revoke(run.tags[TASK_TAG], terminate=True)
        return True

    @property
    def supports_resume_run(self) -> bool:
        """A run that was lost is begun again as another: what it was at is not known."""
        return False

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """FAILED where the run is lost; RUNNING where it is under way, or where that cannot be known.

        The longest a run may take, max_runtime_seconds, is the limit for what is not known.
        """
        task = run.tags.get(TASK_TAG)
        if task is None:
            return CheckRunHealthResult(WorkerStatus.RUNNING, "It does not run on a worker.")
        answers = self._ask()
        return self._watch.judge(task, answers, time.monotonic())

    def get_run_worker_debug_info(self, run: dg.DagsterRun, include_container_logs: bool | None = True) -> str | None:
        """Nothing besides what the health check said; Dagster's own asks for the results that are not kept."""
        del run, include_container_logs

    def queues(self) -> dict[str, list[str]]:
        """The queues that each worker takes runs from, by the worker's name; empty where nobody answers.

        Workers are asked again after some seconds, or at once where nobody answered.
        """
        if not self._queues or time.monotonic() - self._queues_at >= QUEUES_SECONDS:
            try:
                answers = self.celery.control.inspect(timeout=ANSWER_SECONDS / 2).active_queues() or {}
            except BROKER_AWAY:
                answers = {}
            self._queues = {worker: [queue["name"] for queue in queues] for worker, queues in answers.items()}
            self._queues_at = time.monotonic()
        return self._queues

    def _ask(self) -> Answers | None:
        # Run monitoring asks for one run after the other; one question is enough for all.
        if time.monotonic() - self._asked_at >= ANSWER_SECONDS:
            try:
                active = self.celery.control.inspect(timeout=ANSWER_SECONDS).active(safe=True)
            except BROKER_AWAY:
                self._answers = None
            else:
                self._answers = {worker: {task["id"] for task in tasks} for worker, tasks in (active or {}).items()}
            self._asked_at = time.monotonic()
        return self._answers
