"""What the assets are given: settings from the environment, and the resources made from them."""

import logging
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import dagster as dg
import msgspec
from msgspec import Meta

from mle_assets.failures import Refused
from mle_assets.io_managers import FolderIOManager, ParquetIOManager
from mle_assets.listings import synthetic
from mle_assets.listings.labelled import LabelledListings
from mle_assets.listings.snapshot import DefaultSnapshot
from mle_assets.monitoring.served import Monitoring
from mle_assets.partitions import MARKET_TAG
from mle_assets.pictures.metadata import Pictures
from mle_assets.release.champion import Release
from model_registry.market import DEFAULT_MARKET, Market, find_market, find_markets
from model_registry.market import FOLDER as MARKET_FOLDER
from model_registry.settings import DEFAULT_PREDICTION_LOG, DEFAULT_REGISTRY, OrOff, check_addresses
from storage.waiting import waiting

STORE_SECONDS = 120.0
"""How long a run waits for an object store that is away, as it does for the database: some restart, some are mended."""

logger = logging.getLogger("mle_assets.markets")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the Dagster side; each field is the variable of the same name in capitals."""

    market: str = DEFAULT_MARKET
    """The city that a run is of unless it names another: the name of a file in MARKET_FOLDER, without its ending."""
    market_folder: str = MARKET_FOLDER
    """The folder of market files."""
    snapshot: str | None = None
    """What a run of MARKET reads that names nothing: a path, a URL or "synthetic"; unless set, what its file names."""
    synthetic_listings: Annotated[int, Meta(ge=1)] = synthetic.DEFAULT_LISTINGS
    """How many listings the synthetic snapshot has."""
    snapshot_folder: str = "var/snapshots"
    """The folder, or URL, that the sensor new_snapshot watches, with a folder for each market in it."""
    asset_folder: str = "var/assets"
    """Path or URL where tables, models and evaluations are kept between steps."""
    model_registry: str = DEFAULT_REGISTRY
    """The registry, a folder or a URL; the API is given the same."""
    gate_confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    """How sure the gate must be that a challenger is better, from 0.5 to below 1."""
    gate_margin: float = 0.0
    """By how much log loss a challenger must be better, at least."""
    prediction_log: OrOff = DEFAULT_PREDICTION_LOG
    """The folder, or URL, of the prediction log, which the API writes; empty where none is to be read."""
    served_days: Annotated[int, Meta(ge=1)] = 90
    """How many days of served listings are kept as tables, beside the log itself."""
    drift_days: Annotated[int, Meta(ge=1)] = 7
    """Over how many days of answers drift is looked for."""
    feedback_days: Annotated[int, Meta(ge=1)] = 28
    """How many days after an answer feedback counts, and over how many days of answers figures are made of it."""
    train_on_feedback: bool = False
    """Whether listings whose price was told as feedback are trained on, up to a fifth; strangers may tell prices."""
    pictures: bool = True
    """Whether pictures are drawn, into the assets' metadata (about half a megabyte for each training) and the card."""
    git_commit: str | None = None
    """The commit this code is of; asked of git where it is not set."""

    def __post_init__(self) -> None:
        """Raise BadSetting for a URL of a scheme that is none of ours."""
        check_addresses(self, "snapshot_folder", "asset_folder", "model_registry", "prediction_log")


def make_resources(settings: Settings, markets: Mapping[str, Market]) -> dict[str, object]:
    """Every resource by the name under which the assets ask for it."""
    return {
        "market": market_of_the_run(markets),
        "tables": ParquetIOManager(folder=settings.asset_folder),
        "artefacts": FolderIOManager(folder=settings.asset_folder),
        "pictures": Pictures(drawn=settings.pictures),
        "monitoring": Monitoring(
            log_folder=settings.prediction_log,
            served_days=settings.served_days,
            drift_days=settings.drift_days,
            feedback_days=settings.feedback_days,
        ),
        "default_snapshot": make_default_snapshot(settings),
        "labelled_listings": LabelledListings(used=settings.train_on_feedback, folder=settings.asset_folder),
        "release": Release(
            registry_folder=settings.model_registry,
            confidence=settings.gate_confidence,
            margin=settings.gate_margin,
            git_commit=settings.git_commit or _git_commit(),
        ),
    }


def make_default_snapshot(settings: Settings) -> DefaultSnapshot:
    """What a run reads that names no snapshot."""
    return DefaultSnapshot(
        source=settings.snapshot,
        default_market=settings.market,
        synthetic_listings=settings.synthetic_listings,
        synthetic_folder=settings.asset_folder,
    )


def market_of_the_run(markets: Mapping[str, Market]) -> dg.ResourceDefinition:
    """The market that a run is of, by its partition; as long as there is a run it has time for a store that is away."""

    @dg.resource(description="The market that the run is of, as its file says.")
    def market(context: dg.InitResourceContext) -> Iterator[Market]:
        name = context.run.tags.get(MARKET_TAG) if context.run else None
        if name is None or name not in markets:
            raise Refused(f"There is no market {name}: a run is of one of {', '.join(markets)}.")
        with waiting(STORE_SECONDS):
            yield markets[name]

    return market


def known_markets(settings: Settings) -> dict[str, Market]:
    """The markets that can be trained for, by name: the default one first, then those of MARKET_FOLDER.

    Raises BadMarket where the default one cannot be used. Any other file that cannot be used is told of in the log and
    left out: a slip in one city's file keeps no other from being trained.
    """
    folder = Path(settings.market_folder)
    default = find_market(folder, settings.market)
    markets, faults = find_markets(folder)
    for fault in faults:
        logger.error("%s It is left out.", fault)
    return {default.name: default, **markets}


def _git_commit() -> str | None:
    here = Path(__file__).parent
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)  # noqa: S607 (git of the PATH)
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
