"""What the assets are given: settings from the environment, and the resources made from them."""

import subprocess
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from mle_assets.artefacts import Artefacts, Tables
from mle_assets.listings import synthetic
from mle_assets.listings.snapshot import DefaultSnapshot
from mle_assets.release.champion import Release
from model_registry.market import DEFAULT_MARKET, NEW_YORK, Market, read_market
from model_registry.market import FOLDER as MARKET_FOLDER
from model_registry.settings import DEFAULT_REGISTRY


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The environment of the Dagster side; each field is the variable of the same name in capitals."""

    market: str = DEFAULT_MARKET
    """The city: the name of a file in MARKET_FOLDER, without its ending."""
    market_folder: str = MARKET_FOLDER
    """The folder of market files."""
    snapshot: str | None = None
    """What a run reads unless its config says otherwise: a path, a URL or "synthetic"; else the market's own."""
    synthetic_listings: Annotated[int, Meta(ge=1)] = synthetic.DEFAULT_LISTINGS
    """How many listings the synthetic snapshot has."""
    snapshot_folder: str = "var/snapshots"
    """The folder that the sensor new_snapshot watches."""
    asset_folder: str = "var/assets"
    """Where tables, models and evaluations are kept between steps."""
    model_registry: str = DEFAULT_REGISTRY
    """The registry folder; the API is given the same."""
    gate_confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    """How sure the gate must be that a challenger is better, from 0.5 to below 1."""
    gate_margin: float = 0.0
    """By how much log loss a challenger must be better, at least."""
    git_commit: str | None = None
    """The commit this code is of; asked of git where it is not set."""


def make_resources(settings: Settings) -> dict[str, object]:
    """Every resource by the name under which the assets ask for it; raises BadMarket where there is no such market."""
    market = _market(settings)
    return {
        "market": market,
        "tables": Tables(folder=settings.asset_folder),
        "artefacts": Artefacts(folder=settings.asset_folder),
        "default_snapshot": DefaultSnapshot(
            source=settings.snapshot or market.snapshot or synthetic.SOURCE,
            market=market.name,
            synthetic_listings=settings.synthetic_listings,
            synthetic_folder=settings.asset_folder,
        ),
        "release": Release(
            registry_folder=settings.model_registry,
            confidence=settings.gate_confidence,
            margin=settings.gate_margin,
            git_commit=settings.git_commit or _git_commit(),
        ),
    }


def _market(settings: Settings) -> Market:
    file = Path(settings.market_folder) / f"{settings.market}.toml"
    # The folder is looked for where the process was started: whoever has one market need not know that there are files.
    return NEW_YORK if settings.market == NEW_YORK.name and not file.exists() else read_market(file)


def _git_commit() -> str | None:
    here = Path(__file__).parent
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True)  # noqa: S607 (git of the PATH)
    except (OSError, subprocess.CalledProcessError):
        return None
    return asked.stdout.strip()
