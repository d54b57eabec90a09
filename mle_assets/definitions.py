"""The table of contents: every asset, check, job, sensor, schedule and resource, in the order of the flow."""

import gc
import os
import warnings

import click
import dagster as dg

from mle_assets.automation import (
    new_snapshot_sensor,
    promote_best_model,
    promotion,
    train_and_promote,
    training,
    weekly_training,
)
from mle_assets.evaluation.evaluation import evaluations
from mle_assets.evaluation.leaderboard import leader_beats_the_majority_class, leaderboard
from mle_assets.listings.cleaning import enough_listings_are_kept, listings, listings_follow_their_schema
from mle_assets.listings.plausibility import the_listings_are_plausible
from mle_assets.listings.snapshot import raw_listings
from mle_assets.listings.split import the_halves_can_be_used, train_and_test_listings
from mle_assets.models.training import models
from mle_assets.models.validation import validation
from mle_assets.release.champion import champion
from mle_assets.release.observation import observe_champion, the_registry_agrees
from mle_assets.resources import Settings, make_resources
from model_registry.market import BadMarket
from model_registry.settings import BadSetting, read_settings


def make_definitions(settings: Settings) -> dg.Definitions:
    """The whole code location for some settings."""
    return dg.Definitions(
        assets=[
            raw_listings,
            listings,
            train_and_test_listings,
            validation,
            models,
            evaluations,
            leaderboard,
            champion,
        ],
        asset_checks=[
            listings_follow_their_schema,
            enough_listings_are_kept,
            the_listings_are_plausible,
            the_halves_can_be_used,
            leader_beats_the_majority_class,
            the_registry_agrees,
        ],
        jobs=[training, promotion, train_and_promote],
        sensors=[promote_best_model, new_snapshot_sensor(settings.snapshot_folder), observe_champion],
        schedules=[weekly_training],
        resources=make_resources(settings),
        # A process for every step would cost more than most steps take.
        executor=dg.in_process_executor,
    )


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
