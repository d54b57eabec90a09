"""Runs as the sensors asked for them, which never ran."""

import time
from uuid import uuid4

import dagster as dg
from dagster._core.storage.runs import SqlRunStorage
from dagster._core.storage.runs.schema import RunsTable

from mle_assets.partitions import MARKET_TAG


def recorded_run(
    instance: dg.DagsterInstance,
    job: str,
    request: dg.RunRequest,
    status: dg.DagsterRunStatus = dg.DagsterRunStatus.NOT_STARTED,
) -> dg.DagsterRun:
    """A run of a job as it was asked for, in some state."""
    tags = {**request.tags, MARKET_TAG: str(request.partition_key)}
    run = dg.DagsterRun(job_name=job, run_id=str(uuid4()), status=status, tags=tags)
    instance.run_storage.add_run(run)
    return run


def failed_run(instance: dg.DagsterInstance, job: str, request: dg.RunRequest, minutes_ago: float) -> None:
    """A run of a job as it was asked for, which has failed so long ago, as have all before it."""
    instance.report_run_failed(recorded_run(instance, job, request))
    assert isinstance(instance.run_storage, SqlRunStorage)
    with instance.run_storage.connect() as connection:
        connection.execute(RunsTable.update().values(end_time=time.time() - 60 * minutes_ago))
