"""When things run: jobs for people, sensors for events, a schedule for time."""

import time
from collections.abc import Iterable, Iterator, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from mle_assets.asked import AGAIN, first_of, requests_for, under_way_of
from mle_assets.io_managers import FolderIOManager
from mle_assets.lineage import Record, inputs, latest
from mle_assets.listings.arrivals import KNOWN_ENDINGS, look_at_store, look_into_folders
from mle_assets.monitoring.compaction import Look, news
from mle_assets.monitoring.served import tables_of
from mle_assets.partitions import MARKET_TAG
from mle_assets.release.champion import Release
from prediction_log.logs import log_at
from storage.address import is_url
from storage.errors import StoreAway
from storage.waiting import each

TO_CHAMPION = dg.AssetSelection.assets("champion")
AFTER_CHAMPION = dg.AssetSelection.groups("monitoring")
_JOBS = {
    "training": (
        dg.AssetSelection.all() - TO_CHAMPION - AFTER_CHAMPION,
        "From a snapshot to the leaderboard; the sensor promote_best_model takes it from there.",
    ),
    "promotion": (TO_CHAMPION, "Publish the leaderboard's leader, and promote it if the gate says so."),
    "train_and_promote": (
        dg.AssetSelection.all() - AFTER_CHAMPION,
        "From a snapshot to the champion in one run, for machines without a daemon.",
    ),
    "monitoring": (
        AFTER_CHAMPION,
        "From the prediction log to what became of the champion: its listings, and how right it was.",
    ),
}

_LEADERBOARD = dg.AssetKey("leaderboard")
_LEADERBOARD_TAG = "leaderboard"
"""Of a promotion: the storage id of the leaderboard that it is asked for by."""
_NEWS_TAG = "news"
"""Of a look at the answers: the name of the news that it is asked for by."""
_LATELY_SECONDS = 86_400.0
"""A log that takes long to be listed is asked for files of that long; what comes late is found by the next run."""


def jobs(default_market: str) -> list[UnresolvedAssetJobDefinition]:
    """The jobs; each run is of one market, the default one where it names none, as from the command line."""
    return [
        dg.define_asset_job(name, selection, description=description, tags={MARKET_TAG: default_market})
        for name, (selection, description) in _JOBS.items()
    ]


def promote_best_model_sensor(markets: Iterable[str]) -> dg.SensorDefinition:
    """The sensor `promote_best_model`, for some markets."""
    known = list(markets)

    @dg.sensor(
        name="promote_best_model",
        job_name="promotion",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
        description="Lets the gate judge the leader of each new leaderboard once, and promote it if it is better.",
    )
    def promote_best_model(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        # The state is looked at and not events: so a materialization while the daemon was down is seen when it is
        # back, and of several in between the last one counts. The run key keeps it to one request.
        leaderboards = latest_leaderboards(context.instance, known)
        champions = latest(context.instance, "champion", leaderboards)
        new = {
            market: leaderboard
            for market, leaderboard in leaderboards.items()
            if market not in champions or not _is_chosen_from(champions[market], leaderboard)
        }
        asked_by = {market: str(leaderboard) for market, leaderboard in new.items()}
        keys = {market: f"leaderboard-{leaderboard}" for market, leaderboard in asked_by.items()}
        requests, later = requests_for(context.instance, "promotion", _LEADERBOARD_TAG, asked_by, keys)
        yield from requests
        if not leaderboards:
            yield dg.SkipReason("There is no leaderboard yet: materialize it, or run the training job.")
        elif not new:
            yield dg.SkipReason("The champion was chosen from the latest leaderboard.")
        elif len(later) == len(new):
            yield dg.SkipReason(f"The promotion failed for {first_of(later)}; {AGAIN}, or with the next leaderboard.")

    return promote_best_model


def latest_leaderboards(instance: dg.DagsterInstance, markets: Sequence[str]) -> dict[str, int]:
    """The storage id of the latest materialization of «leaderboard» of each market that has one."""
    materialized = dg.DagsterEventType.ASSET_MATERIALIZATION
    found = instance.get_latest_storage_id_by_partition(_LEADERBOARD, materialized, set(markets))
    return {market: found[market] for market in markets if market in found}


def _is_chosen_from(champion: Record, leaderboard: int) -> bool:
    # Whether a champion was chosen from the market's latest leaderboard. Dagster points to the latest of any market at
    # that time; where that is a later one than the market's own, its own was there as well.
    pointer = inputs(champion).get("leaderboard")
    return pointer is not None and pointer >= leaderboard


def new_snapshot_sensor(folder: str, markets: Iterable[str], default_market: str) -> dg.SensorDefinition:
    """The sensor `new_snapshot`: files in a folder are the default market's, those in <folder>/<market>/ that one's."""
    look = look_at_store if is_url(folder) else look_into_folders
    watched = {"": default_market, **{market: market for market in markets}}

    @dg.sensor(
        name="new_snapshot",
        job_name="training",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=10,
        description=f"Trains once on each new file whose name ends in {KNOWN_ENDINGS}: in {folder} for "
        f"{default_market}, in {folder}/<market> for any market.",
    )
    def new_snapshot(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        try:
            found = look(folder, watched)
        except OSError as error:
            yield dg.SkipReason(f"No snapshot can be looked for: {error}.")
            return
        for one in found.snapshots:
            yield dg.RunRequest(
                run_key=f"{one.name}:{one.state}",
                partition_key=one.market,
                run_config={"ops": {"raw_listings": {"config": {"snapshot": one.source}}}},
            )
        if not found.snapshots:
            yield dg.SkipReason(f"No snapshot lies in {folder}{_told(found.left_alone)}.")
        elif found.left_alone:
            context.log.info(f"Files in {folder} that are no snapshot{_told(found.left_alone)}.")

    return new_snapshot


def new_answers_sensor(log: str, markets: Iterable[str]) -> dg.SensorDefinition:
    """The sensor `new_answers`: what the API answered is looked at when a file of the prediction log is done."""
    known = list(markets)

    @dg.sensor(
        name="new_answers",
        job_name="monitoring",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=60,
        description="Looks at what was answered when files of the prediction log are done, which is once an hour while "
        "the API is asked, and when records were erased.",
    )
    def new_answers(
        context: dg.SensorEvaluationContext, release: Release, artefacts: dg.ResourceParam[FolderIOManager]
    ) -> Iterator[dg.RunRequest | dg.SkipReason]:
        if not log:
            yield dg.SkipReason("No prediction log is read: name its folder in PREDICTION_LOG, as for the API.")
            return
        # A run that waits its turn will see all that has come until then: another would find nothing left. They are
        # looked for before the news, or what one has just done would be asked for again.
        under_way = under_way_of(context.instance, "monitoring")
        try:
            # A market that has no model was never asked about.
            there = [market for market in release.registries().markets() if market in known]
            waiting = [market for market in there if market in under_way]
            new = _news_of(log, artefacts, [market for market in there if market not in under_way])
        except StoreAway as error:
            yield dg.SkipReason(f"Nobody can look for new answers: {error}.")
            return
        except OSError as error:
            yield dg.SkipReason(f"The prediction log {log} cannot be read ({error.strerror}): let this user read it.")
            return
        keys = {market: f"answers-{market}-{name}" for market, name in new.items()}
        requests, later = requests_for(context.instance, "monitoring", _NEWS_TAG, new, keys)
        yield from requests
        if len(later) == len(new):
            yield dg.SkipReason(_why_nobody_looks(log, there, waiting, later))

    return new_answers


def _why_nobody_looks(log: str, there: Sequence[str], waiting: Sequence[str], later: Sequence[str]) -> str:
    if not there:
        return "No market has a model yet, so nobody was answered."
    told = list[str]()
    if waiting:
        told.append(f"A run of the job monitoring is waited for, of {first_of(waiting)}.")
    if later:
        told.append(f"The job monitoring failed for {first_of(later)}; {AGAIN}, or with what comes next.")
    return " ".join(told) or f"No file of the prediction log in {log} is done that was not looked at."


def _news_of(address: str, artefacts: FolderIOManager, markets: Sequence[str]) -> dict[str, str]:
    """The name of the news for each market that has any; the log is listed once for all of them."""
    if not markets:
        return {}
    log, now = log_at(address), time.time()
    look = Look.at(log, now - _LATELY_SECONDS)

    def of(market: str) -> str | None:
        return news(look, tables_of(artefacts, market).place, now - log.wait_seconds)

    return {market: name for market, name in zip(markets, each(of, markets), strict=True) if name}


def _told(left_alone: dict[str, str]) -> str:
    if not left_alone:
        return ""
    return f"; left alone: {first_of([f'{name} ({reason})' for name, reason in left_alone.items()])}"


def weekly_training_schedule(markets: Iterable[str]) -> dg.ScheduleDefinition:
    """The schedule `weekly_training`, for the markets that have a snapshot to be read by default."""
    known = list(markets)

    @dg.schedule(
        name="weekly_training",
        job_name="training",
        cron_schedule="0 5 * * 1",
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description="Trains on the default snapshot of each market every Monday; off until someone turns it on.",
    )
    def weekly_training(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        for market in known:
            yield dg.RunRequest(run_key=f"{market}:{context.scheduled_execution_time:%Y-%m-%d}", partition_key=market)
        if not known:
            yield dg.SkipReason("No market has a snapshot to be read by default: name one in its file, or in SNAPSHOT.")

    return weekly_training
