"""«raw_listings»: a snapshot of listings, as a file or URL holds it, identified by its SHA-256."""

import hashlib
import shutil
import tempfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Literal

import dagster as dg
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from mle_assets.code_version import code_version
from mle_assets.failures import failing_on
from mle_assets.listings import synthetic

RAW_COLUMNS = (
    "id",
    "last_scraped",
    "neighbourhood_group_cleansed",
    "property_type",
    "room_type",
    "latitude",
    "longitude",
    "accommodates",
    "bathrooms",
    "bathrooms_text",
    "bedrooms",
    "beds",
    "amenities",
    "price",
)
"""The columns that are read, of the 74 to 79 that a snapshot has."""

_OPTIONAL = {"last_scraped", "bathrooms", "bathrooms_text"}
_TIMEOUT_SECONDS = 60


class BadSnapshot(Exception):
    """A snapshot cannot be used; the message names the file, what is wrong with it and the cure."""

    def __init__(self, source: str, problem: str) -> None:
        super().__init__(f"The snapshot {source} {problem}")


@dataclass(frozen=True)
class Snapshot:
    """The raw table (RAW_COLUMNS, every value text or missing) and where it came from."""

    listings: pd.DataFrame
    source: str
    sha256: str
    date: date | None
    synthetic: bool


def read_snapshot(source: str) -> Snapshot:
    """The snapshot in a CSV (plain or gzip) or Parquet file at a path or an http(s) URL.

    The format is taken from the content, not from the name. Raises BadSnapshot for a source that is
    missing, empty, damaged or no table of listings.
    """
    with _local_copy(source) as path:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        listings, first_url = _read_table(source, path)
    if listings.empty:
        raise BadSnapshot(source, "holds no listings, only a header: check how it was downloaded.")
    days = listings["last_scraped"].dropna() if "last_scraped" in listings else pd.Series(dtype=str)
    return Snapshot(
        listings=listings.reindex(columns=list(RAW_COLUMNS)).astype("str"),
        source=source,
        sha256=sha256,
        date=_last_day(days),
        synthetic=first_url.startswith(synthetic.URL_PREFIX),
    )


def _last_day(days: pd.Series) -> date | None:
    parsed = pd.to_datetime(days, format="%Y-%m-%d", errors="coerce").dropna()
    return None if parsed.empty else parsed.max().date()


@contextmanager
def _local_copy(source: str) -> Generator[Path]:
    if not source.startswith(("http://", "https://")):
        path = Path(source).expanduser()
        if not path.is_file():
            raise BadSnapshot(source, "is not there: give the path of a csv, csv.gz or parquet file, or a URL.")
        yield path
        return
    with tempfile.NamedTemporaryFile() as file:
        _download(source, file)
        yield Path(file.name)


def _download(url: str, file: IO[bytes]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_SECONDS) as response:  # noqa: S310 (http or https only, see _local_copy)
            shutil.copyfileobj(response, file)
            expected = response.headers.get("Content-Length")
    except (OSError, urllib.error.URLError) as error:
        raise BadSnapshot(url, f"cannot be downloaded ({error}): check the address and the network.") from error
    file.flush()
    if expected is not None and file.tell() != int(expected):
        raise BadSnapshot(url, f"broke off after {file.tell():,} of {int(expected):,} bytes: try again.")


def _read_table(source: str, path: Path) -> tuple[pd.DataFrame, str]:
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise BadSnapshot(source, "is empty (0 bytes): check how it was downloaded.")
    if head.startswith(b"PAR1"):
        return _read_parquet(source, path)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
        raise BadSnapshot(source, "is an HTML or XML page, not a table: check the address it was downloaded from.")
    return _read_csv(source, path, "gzip" if head.startswith(b"\x1f\x8b") else None)


def _read_csv(source: str, path: Path, compression: Literal["gzip"] | None) -> tuple[pd.DataFrame, str]:
    try:
        first = pd.read_csv(path, compression=compression, nrows=1, dtype=str)
        _check_columns(source, first.columns)
        columns = [column for column in first.columns if column in RAW_COLUMNS]
        listings = pd.read_csv(path, compression=compression, usecols=columns, dtype=str)
    except EOFError as error:
        raise BadSnapshot(source, "is a gzip file that breaks off: it was not downloaded to its end.") from error
    except (zlib.error, OSError) as error:
        raise BadSnapshot(source, f"is a damaged gzip file ({error}): download it again.") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadSnapshot(source, f"is not a whole CSV table ({str(error).strip()}): download it again.") from error
    return listings, _first_url(first)


def _read_parquet(source: str, path: Path) -> tuple[pd.DataFrame, str]:
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        _check_columns(source, names)
        columns = [column for column in names if column in RAW_COLUMNS]
        listings = file.read(columns).to_pandas().astype("str")
        urls = file.read(["listing_url"]).slice(0, 1).to_pandas() if "listing_url" in names else pd.DataFrame()
    except (pa.ArrowException, OSError) as error:
        raise BadSnapshot(source, f"is a damaged Parquet file ({error}): download it again.") from error
    return listings, _first_url(urls)


def _first_url(rows: pd.DataFrame) -> str:
    return str(rows["listing_url"].iloc[0]) if len(rows) and "listing_url" in rows else ""


def _check_columns(source: str, columns: "pd.Index[str] | list[str]") -> None:
    missing = [name for name in RAW_COLUMNS if name not in columns and name not in _OPTIONAL]
    if "bathrooms" not in columns and "bathrooms_text" not in columns:
        missing.append("bathrooms_text")
    if missing:
        raise BadSnapshot(
            source,
            f"has no column {', '.join(missing)} among its {len(columns)}: it takes the detailed listings file of a "
            "city with boroughs, such as New York's listings.csv.gz.",
        )


class DefaultSnapshot(dg.ConfigurableResource[None]):
    """Which snapshot is read when a run names none: a path, a URL, or "synthetic"."""

    source: str
    synthetic_listings: int
    synthetic_folder: str

    def locate(self) -> str:
        """The path or URL to read; the synthetic snapshot is written first."""
        if self.source != synthetic.SOURCE:
            return self.source
        path = Path(self.synthetic_folder) / synthetic.file_name(self.synthetic_listings)
        synthetic.write_snapshot(path, self.synthetic_listings)
        return str(path)


class RawListingsConfig(dg.Config):
    """What the launchpad or a run's config may choose for «raw_listings»."""

    snapshot: str | None = None
    """A path or URL; without one the default from the environment, else the synthetic snapshot."""


@dg.asset(group_name="listings", io_manager_key="tables", code_version=code_version(__file__), kinds={"pandas"})
def raw_listings(config: RawListingsConfig, default_snapshot: DefaultSnapshot) -> dg.MaterializeResult[pd.DataFrame]:
    """Listings as the snapshot holds them: the columns that are used, every value text.

    The SHA-256 of the snapshot's file is the data version, so everything downstream shows as stale when
    another snapshot is read.
    """
    with failing_on(BadSnapshot):
        snapshot = read_snapshot(config.snapshot or default_snapshot.locate())
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
