"""When things run: jobs for people, sensors for events, a schedule for time."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

TO_CHAMPION = dg.AssetSelection.assets("champion")

training = dg.define_asset_job(
    "training",
    selection=dg.AssetSelection.all() - TO_CHAMPION,
    description="From a snapshot to the leaderboard; the sensor promote_best_model takes it from there.",
)
promotion = dg.define_asset_job(
    "promotion",
    selection=TO_CHAMPION,
    description="Publish the leaderboard's leader, and promote it if the gate says so.",
)
train_and_promote = dg.define_asset_job(
    "train_and_promote",
    selection=dg.AssetSelection.all(),
    description="From a snapshot to the champion in one run, for machines without a daemon.",
)

_LEADERBOARD = dg.AssetKey("leaderboard")
_CHAMPION = dg.AssetKey("champion")
_SETTLED_SECONDS = 5


@dg.sensor(job=promotion, default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=10)
def promote_best_model(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Requests one promotion for each materialization of «leaderboard» that no champion was chosen from yet.

    It looks at the state and not at events, so a materialization while the daemon was down is seen when it
    is back, and of several in between the last one counts. The run key keeps it to one request.
    """
    latest = context.instance.fetch_materializations(_LEADERBOARD, limit=1).records
    if not latest:
        return dg.SkipReason("There is no leaderboard yet: materialize it, or run the training job.")
    chosen_from = context.instance.fetch_materializations(_CHAMPION, limit=1).records
    if chosen_from and _leaderboard_of(chosen_from[0]) == str(latest[0].storage_id):
        return dg.SkipReason("The champion was chosen from the latest leaderboard.")
    return dg.RunRequest(run_key=f"leaderboard-{latest[0].storage_id}")


def _leaderboard_of(champion: dg.EventLogRecord) -> str | None:
    tags = champion.asset_materialization.tags if champion.asset_materialization else None
    return (tags or {}).get("dagster/input_event_pointer/leaderboard")


def new_snapshot_sensor(folder: str) -> dg.SensorDefinition:
    """The sensor `new_snapshot`, watching a folder."""

    @dg.sensor(
        name="new_snapshot",
        job=training,
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
        description=f"Trains on each new file in {folder} once; names that begin with a dot are left alone.",
    )
    def new_snapshot(_: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        files = settled_files(Path(folder), now=time.time())
        if not files:
            yield dg.SkipReason(f"No snapshot lies in {folder}.")
        for file in files:
            state = file.stat()
            yield dg.RunRequest(
                run_key=f"{file.name}:{state.st_size}:{state.st_mtime_ns}",
                run_config={"ops": {"raw_listings": {"config": {"snapshot": str(file)}}}},
            )

    return new_snapshot


def settled_files(folder: Path, now: float) -> list[Path]:
    """The visible files of a folder that have not changed for some seconds (a copy may be under way), by name."""
    if not folder.is_dir():
        return []
    return sorted(
        file
        for file in folder.iterdir()
        if file.is_file() and not file.name.startswith(".") and now - file.stat().st_mtime >= _SETTLED_SECONDS
    )


weekly_training = dg.ScheduleDefinition(
    name="weekly_training",
    job=training,
    cron_schedule="0 5 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Trains on the default snapshot every Monday; off until someone turns it on.",
)
