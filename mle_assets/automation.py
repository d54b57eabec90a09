"""When things run: jobs for people, sensors for events, a schedule for time."""

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from mle_assets.listings.content import ENDINGS

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
_KNOWN_ENDINGS = ", ".join(ENDINGS)
_MOST_NAMES = 10


@dg.sensor(
    job=promotion,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=10,
    description="Lets the gate judge the leader of each new leaderboard once, and promote it if it is better.",
)
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
        description=f"Trains once on each new file in {folder} whose name ends in {_KNOWN_ENDINGS}.",
    )
    def new_snapshot(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        found = look_into(Path(folder), now=time.time())
        left_alone = _told(found.left_alone)
        if not found.settled:
            yield dg.SkipReason(f"No snapshot lies in {folder}{left_alone}.")
        elif left_alone:
            context.log.info(f"Files in {folder} that are no snapshot{left_alone}.")
        for file, state in found.settled.items():
            yield dg.RunRequest(
                run_key=f"{file.name}:{state.st_size}:{state.st_mtime_ns}",
                run_config={"ops": {"raw_listings": {"config": {"snapshot": str(file)}}}},
            )

    return new_snapshot


@dataclass(frozen=True)
class Found:
    """What lies in a folder, by name: the snapshots with their states, and why each other entry is none."""

    settled: dict[Path, os.stat_result]
    left_alone: dict[str, str]


def look_into(folder: Path, now: float) -> Found:
    """The snapshots of a folder that have not changed for some seconds (a copy may be under way), and the rest."""
    settled, left_alone = dict[Path, os.stat_result](), dict[str, str]()
    for file in sorted(folder.iterdir()) if folder.is_dir() else []:
        try:
            state = file.stat()
        except FileNotFoundError:
            left_alone[file.name] = "no longer there, or a link to nothing"
            continue
        reason = _why_not(file, state, now)
        if reason:
            left_alone[file.name] = reason
        else:
            settled[file] = state
    return Found(settled, left_alone)


def _why_not(file: Path, state: os.stat_result, now: float) -> str | None:
    if file.name.startswith("."):
        return "hidden"
    if not stat.S_ISREG(state.st_mode):
        return "no file"
    if not file.name.lower().endswith(ENDINGS):
        return f"its name ends in none of {_KNOWN_ENDINGS}"
    return "changed a moment ago" if now - state.st_mtime < _SETTLED_SECONDS else None


def _told(left_alone: dict[str, str]) -> str:
    if not left_alone:
        return ""
    first = [f"{name} ({reason})" for name, reason in list(left_alone.items())[:_MOST_NAMES]]
    more = len(left_alone) - len(first)
    return f"; left alone: {', '.join(first)}" + (f" and {more} more" if more else "")


weekly_training = dg.ScheduleDefinition(
    name="weekly_training",
    job=training,
    cron_schedule="0 5 * * 1",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.STOPPED,
    description="Trains on the default snapshot every Monday; off until someone turns it on.",
)
