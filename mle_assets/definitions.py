"""The table of contents: every asset, check, job, sensor, schedule and resource, in the order of the flow."""

import gc
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import click
import dagster as dg
from dagster._utils.warnings import disable_dagster_warnings

from mle_assets.automation import (
    jobs,
    new_answers_sensor,
    new_snapshot_sensor,
    promote_best_model_sensor,
    weekly_training_schedule,
)
from mle_assets.evaluation.evaluation import evaluations
from mle_assets.evaluation.leaderboard import leader_beats_the_majority_class, leaderboard
from mle_assets.listings.cleaned_listings import enough_listings_are_kept, listings, listings_follow_their_schema
from mle_assets.listings.plausibility import the_listings_are_plausible
from mle_assets.listings.snapshot import raw_listings
from mle_assets.listings.split import the_halves_can_be_used, train_and_test_listings
from mle_assets.models.training import models
from mle_assets.models.validation import validation
from mle_assets.monitoring.inputs import drift, inputs_have_not_drifted
from mle_assets.monitoring.performance import live_performance, the_champion_is_as_right_as_on_its_test_listings
from mle_assets.monitoring.retraining import train_when_needed_sensor
from mle_assets.monitoring.served import served_listings, the_log_is_whole
from mle_assets.partitions import by_market
from mle_assets.release.champion import champion
from mle_assets.release.observation import observe_champion_sensor, the_registry_agrees
from mle_assets.release.served import served
from mle_assets.resources import Settings, known_markets, make_default_snapshot, make_resources
from model_registry.market import BadMarket
from model_registry.settings import BadSetting, read_settings

ASSETS = {
    "data": (raw_listings, listings, train_and_test_listings),
    "training": (validation, models),
    "evaluation": (evaluations, leaderboard),
    "release": (champion,),
    "monitoring": (served_listings, drift, live_performance),
}
"""By their phase, a tag to filter by; groups tell the candidates of the replaced system from the others."""
OWNER = "team:price-categories"
CHECKS = (
    listings_follow_their_schema,
    enough_listings_are_kept,
    the_listings_are_plausible,
    the_halves_can_be_used,
    leader_beats_the_majority_class,
    the_log_is_whole,
    inputs_have_not_drifted,
    the_champion_is_as_right_as_on_its_test_listings,
)


def make_definitions(settings: Settings) -> dg.Definitions:
    """The whole code location for some settings; raises BadMarket where the default market cannot be used."""
    markets, default = known_markets(settings), settings.market
    snapshot = make_default_snapshot(settings)
    return dg.Definitions(
        assets=[*_assets(markets), served(markets).replace_attributes(owners=[OWNER], tags={"phase": "release"})],
        asset_checks=[*(by_market(check, markets) for check in CHECKS), the_registry_agrees],
        jobs=jobs(default),
        sensors=[
            promote_best_model_sensor(markets),
            new_snapshot_sensor(settings.snapshot_folder, markets, default),
            observe_champion_sensor(markets),
            new_answers_sensor(settings.prediction_log, markets),
            train_when_needed_sensor(markets.values(), train_on_feedback=settings.train_on_feedback),
        ],
        schedules=[weekly_training_schedule(name for name, market in markets.items() if snapshot.of(market))],
        resources=make_resources(settings, markets),
        # A process for every step would cost more than most steps take.
        executor=dg.in_process_executor,
    )


def _assets(markets: Iterable[str]) -> Iterator[dg.AssetsDefinition]:
    for phase, assets in ASSETS.items():
        with disable_dagster_warnings():  # of links to the source being new
            linked = cast("Sequence[dg.AssetsDefinition]", dg.with_source_code_references(assets))
        for asset in linked:
            yield by_market(asset, markets, owners=[OWNER], tags={"phase": phase})


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads: the definitions for the environment it was started in."""
    # dagster.yaml names the console's handler; Dagster would warn of that in every run as being new.
    warnings.filterwarnings("ignore", "Handling yaml-defined logging", dg.BetaWarning)
    try:
        definitions = make_definitions(read_settings(Settings, os.environ))
    except (BadSetting, BadMarket) as error:
        # The one error that the `dagster` command shows as a sentence instead of a trace.
        raise click.ClickException(str(error)) from error
    # What is loaded by now stays: nobody need look through it for cycles again, hundreds of thousands of objects.
    gc.freeze()
    return definitions
