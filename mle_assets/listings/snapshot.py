"""«raw_listings»: a snapshot of listings, as a file or URL holds it, identified by its SHA-256."""

import hashlib
import tempfile
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import dagster as dg
import pandas as pd
from pydantic import Field

from mle_assets.code_version import code_version
from mle_assets.failures import failing_on
from mle_assets.lineage import materialization
from mle_assets.listings import synthetic
from mle_assets.listings.bad_snapshot import BadSnapshot, without_password
from mle_assets.listings.catalogue import of_raw_listings
from mle_assets.listings.content import read_table
from mle_assets.listings.downloading import IDLE_SECONDS, TOTAL_SECONDS
from mle_assets.listings.fetching import fetched
from mle_assets.markdown import table as markdown_table
from mle_assets.places import FolderPlace, place_at
from model_registry.market import Market


@dataclass(frozen=True)
class Snapshot:
    """The raw table (RAW_COLUMNS, every value text or missing) and where it came from."""

    listings: pd.DataFrame
    source: str
    sha256: str
    date: date | None
    synthetic: bool


def read_snapshot(source: str, idle_seconds: float = IDLE_SECONDS, total_seconds: float = TOTAL_SECONDS) -> Snapshot:
    """The snapshot in a CSV (plain, gzip, bzip2, xz or alone in a zip) or Parquet file at a path or URL.

    The format is taken from the content, not from the name. The seconds are those a server may say nothing
    and a download may take. Raises BadSnapshot for a source that is missing, empty, damaged or no table of
    listings.
    """
    with fetched(source, idle_seconds, total_seconds) as file:
        sha256 = _sha256(source, file)
        table = read_table(source, file)
    if not table.rows:
        raise BadSnapshot(source, "holds no listings, only a header: check how it was downloaded.")
    listings = table.take()
    return Snapshot(
        listings=listings,
        source=without_password(source),
        sha256=sha256,
        date=_last_day(listings["last_scraped"]),
        synthetic=table.synthetic,
    )


def _sha256(source: str, file: BinaryIO) -> str:
    try:
        return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise BadSnapshot(source, f"cannot be read ({error.strerror}): check the disk it lies on.") from error


def _last_day(days: pd.Series) -> date | None:
    texts = pd.Series(days.dropna().unique(), dtype="str").str.slice(0, 10)
    parsed = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce").dropna()
    return None if parsed.empty else parsed.max().date()


class DefaultSnapshot(dg.ConfigurableResource[None]):
    """Which snapshot is read when a run names none: a path, a URL, or "synthetic"."""

    source: str | None = Field(description="What a run of the default market reads that names none (SNAPSHOT).")
    default_market: str = Field(description="The market that SNAPSHOT is of (MARKET).")
    synthetic_listings: int = Field(description="How many listings the synthetic snapshot has.")
    synthetic_folder: str = Field(description="Path or URL of the assets, where the synthetic snapshot is written to.")

    def locate(self, chosen: str | None, market: Market) -> str:
        """The path or URL to read: the chosen one, else SNAPSHOT for the default market, else what the market names.

        The synthetic snapshot is written first. Raises BadSnapshot where there is none for the market.
        """
        source = chosen if chosen and chosen.strip() else self.of(market) or synthetic.SOURCE
        if source != synthetic.SOURCE:
            return source
        if market.name != synthetic.MARKET:
            raise BadSnapshot(
                synthetic.SOURCE,
                f"is made up of listings of {synthetic.MARKET}, and the market is {market.name}: name one of its own, "
                f"in SNAPSHOT (with MARKET={market.name}) or in the market's file.",
            )
        place, name = place_at(self.synthetic_folder).at(market.name), synthetic.file_name(self.synthetic_listings)
        if isinstance(place, FolderPlace):
            synthetic.write_snapshot(place.folder / name, self.synthetic_listings)
            return str(place.folder / name)
        with place.in_words(), tempfile.TemporaryDirectory() as folder:
            synthetic.write_snapshot(Path(folder) / name, self.synthetic_listings)
            place.write(name, (Path(folder) / name).read_bytes())
        return place.shown(name)

    def of(self, market: Market) -> str | None:
        """What is read by default for a market, if anything is named."""
        return (self.source if market.name == self.default_market else None) or market.snapshot


class RawListingsConfig(dg.Config):
    """What the launchpad or a run's config may choose for «raw_listings»."""

    snapshot: str | None = Field(
        default=None,
        description="What to read: the path of a file, a URL (http(s), s3, gs or az), or «synthetic» for made-up "
        "listings. Without it, or left empty, the default is read: for the default market SNAPSHOT of the environment, "
        "else what the market's file names, else for New York the synthetic snapshot.",
    )


@dg.asset(group_name="listings", io_manager_key="tables", code_version=code_version(__file__), kinds={"pandas"})
def raw_listings(
    config: RawListingsConfig, default_snapshot: DefaultSnapshot, market: dg.ResourceParam[Market]
) -> dg.MaterializeResult[pd.DataFrame]:
    """Listings as the snapshot holds them: the columns that are used, every value text.

    The SHA-256 of the snapshot's file is the data version, so everything downstream shows as stale when
    another snapshot is read.
    """
    with failing_on(BadSnapshot):
        snapshot = read_snapshot(default_snapshot.locate(config.snapshot, market))
    return dg.MaterializeResult(
        value=snapshot.listings,
        data_version=dg.DataVersion(snapshot.sha256),
        metadata={
            "source": snapshot.source,
            "synthetic": snapshot.synthetic,
            "kind": "synthetic: made up, not real listings" if snapshot.synthetic else "as scraped",
            "sha256": snapshot.sha256,
            "date": str(snapshot.date or "unknown"),
            "dagster/row_count": len(snapshot.listings),
            **of_raw_listings(snapshot.listings),
            "sample": dg.MetadataValue.md(sample_table(snapshot.listings)),
        },
    )


def sample_table(table: pd.DataFrame, rows: int = 5) -> str:
    """The first rows of a table as Markdown, side by side: all its columns would be wider than a page."""
    first = table.head(rows)
    columns = first.to_numpy(dtype=object).T.tolist()
    return markdown_table(
        ["column", *(f"row {number}" for number in range(1, len(first) + 1))],
        [[name, *values] for name, values in zip(first.columns, columns, strict=True)],
    )


def source_of(instance: dg.DagsterInstance, market: str) -> str:
    """The path or URL that a market's «raw_listings» was last read from, for the texts of errors."""
    record = materialization(instance, market, "raw_listings")
    made = record.asset_materialization if record else None
    return str(made.metadata["source"].value) if made else "raw_listings"
