"""The queue of runs where workers take them: as many at once as there are workers, one of each market."""

from collections.abc import Mapping
from typing import Any, Self

import dagster as dg
from dagster import StringSource
from dagster._config.config_schema import UserConfigSchema
from dagster._core.run_coordinator.base import SubmitRunContext
from dagster._core.run_coordinator.queued_run_coordinator import QueuedRunCoordinator, RunQueueConfig
from dagster._serdes import ConfigurableClassData
from dagster_celery.tags import DAGSTER_CELERY_QUEUE_TAG as QUEUE_TAG

from mle_assets.celery_launcher import DEFAULT_QUEUE, LARGE_QUEUE, WatchedCeleryRunLauncher
from mle_assets.partitions import MARKET_TAG


class RunsForWorkers(QueuedRunCoordinator[dg.DagsterInstance]):
    """Dagster's queue, whose limit is the number of workers that answer at the moment.

    So a run waits here, where it may, and not at the broker, where it would count as one that does not start; workers
    come and go without a setting; and nothing is launched while the broker is away. Runs of large markets go to a
    queue of their own.
    """

    def __init__(self, large_markets: str = "", inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(
            dequeue_interval_seconds=1,  # a worker that is free waits no longer for its next run
            # As in dagster.yaml: a run whose turn comes while the code server restarts waits for it.
            max_user_code_failure_retries=30,
            user_code_failure_retry_delay=10,
            inst_data=inst_data,
        )
        self._large_markets = {name.strip() for name in large_markets.split(",")}

    @classmethod
    def config_type(cls) -> UserConfigSchema:
        """Which markets are large, parted by commas."""
        return {"large_markets": dg.Field(StringSource, is_required=False)}

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData, config_value: Mapping[str, Any]) -> Self:
        """The queue that dagster.yaml describes."""
        return cls(inst_data=inst_data, **config_value)

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Enqueue a run, with the queue of its market as a tag, by which it is counted here and sent later."""
        run = context.dagster_run
        queue = LARGE_QUEUE if run.tags.get(MARKET_TAG) in self._large_markets else DEFAULT_QUEUE
        self._instance.add_run_tags(run.run_id, {QUEUE_TAG: run.tags.get(QUEUE_TAG, queue)})
        return super().submit_run(context)

    def get_run_queue_config(self) -> RunQueueConfig:
        """How many runs may be under way: on each queue as many as it has workers, and of a market one."""
        launcher = self._instance.run_launcher
        workers = launcher.queues() if isinstance(launcher, WatchedCeleryRunLauncher) else {}
        taken = [queue for queues in workers.values() for queue in queues]
        by_queue = [
            {"key": QUEUE_TAG, "value": queue, "limit": taken.count(queue)} for queue in (DEFAULT_QUEUE, LARGE_QUEUE)
        ]
        one_of_each = {"key": MARKET_TAG, "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
        return (
            super()
            .get_run_queue_config()
            ._replace(max_concurrent_runs=len(workers), tag_concurrency_limits=[one_of_each, *by_queue])
        )
