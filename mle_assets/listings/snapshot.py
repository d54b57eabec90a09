"""«raw_listings»: a snapshot of listings, as a file or URL holds it, identified by its SHA-256."""

import hashlib
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import BinaryIO

import dagster as dg
import pandas as pd
from pydantic import Field

from mle_assets.code_version import code_version
from mle_assets.failures import failing_on
from mle_assets.listings import synthetic
from mle_assets.listings.bad_snapshot import BadSnapshot, without_password
from mle_assets.listings.content import read_table
from mle_assets.listings.downloading import IDLE_SECONDS, TOTAL_SECONDS
from mle_assets.listings.fetching import fetched


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

    source: str = Field(description='What a run reads that names no snapshot: a path, an http(s) URL, or "synthetic".')
    market: str = Field(description="The market that is trained for; only one has a synthetic snapshot.")
    synthetic_listings: int = Field(description="How many listings the synthetic snapshot has.")
    synthetic_folder: str = Field(description="The folder that the synthetic snapshot is written to.")

    def locate(self, chosen: str | None) -> str:
        """The path or URL to read, the chosen one or else the default; the synthetic snapshot is written first."""
        source = chosen if chosen and chosen.strip() else self.source
        if source != synthetic.SOURCE:
            return source
        if self.market != synthetic.MARKET:
            raise BadSnapshot(
                synthetic.SOURCE,
                f"is made up of listings of {synthetic.MARKET}, and the market is {self.market}: name one of its own, "
                "in SNAPSHOT or in the market's file.",
            )
        path = Path(self.synthetic_folder) / synthetic.file_name(self.synthetic_listings)
        synthetic.write_snapshot(path, self.synthetic_listings)
        return str(path)


class RawListingsConfig(dg.Config):
    """What the launchpad or a run's config may choose for «raw_listings»."""

    snapshot: str | None = Field(
        default=None,
        description="What to read: the path of a file, an http(s) URL, or «synthetic» for made-up listings. "
        "Without it, or left empty, the default is read: SNAPSHOT of the environment, else the synthetic snapshot.",
    )


@dg.asset(group_name="listings", io_manager_key="tables", code_version=code_version(__file__), kinds={"pandas"})
def raw_listings(config: RawListingsConfig, default_snapshot: DefaultSnapshot) -> dg.MaterializeResult[pd.DataFrame]:
    """Listings as the snapshot holds them: the columns that are used, every value text.

    The SHA-256 of the snapshot's file is the data version, so everything downstream shows as stale when
    another snapshot is read.
    """
    with failing_on(BadSnapshot):
        snapshot = read_snapshot(default_snapshot.locate(config.snapshot))
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
            "sample": dg.MetadataValue.md(sample_table(snapshot.listings)),
        },
    )


def sample_table(table: pd.DataFrame, rows: int = 5) -> str:
    """The first rows of a table as Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.head(rows).to_numpy(dtype=object).tolist()]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def source_of(instance: dg.DagsterInstance) -> str:
    """The path or URL that «raw_listings» was last read from, for the texts of errors."""
    event = instance.get_latest_materialization_event(dg.AssetKey("raw_listings"))
    materialization = event.asset_materialization if event else None
    return str(materialization.metadata["source"].value) if materialization else "raw_listings"
