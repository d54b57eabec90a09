"""A snapshot is read from any of its notations, or refused in one sentence."""

import gzip
import hashlib
from pathlib import Path

import pandas as pd
import pytest

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.columns import RAW_COLUMNS
from mle_assets.listings.snapshot import read_snapshot, sample_table
from tests.listings.conftest import COLUMNS


def test_a_plain_csv_a_gzip_and_a_parquet_file_hold_the_same_listings(synthetic_snapshot: Path, tmp_path: Path) -> None:
    zipped, parquet = tmp_path / "listings.csv.gz", tmp_path / "listings.parquet"
    zipped.write_bytes(gzip.compress(synthetic_snapshot.read_bytes()))
    pd.read_csv(synthetic_snapshot, dtype=str).to_parquet(parquet)
    plain = read_snapshot(str(synthetic_snapshot))
    for path in (zipped, parquet):
        pd.testing.assert_frame_equal(read_snapshot(str(path)).listings, plain.listings)


def test_a_snapshot_is_identified_by_the_sha256_of_its_file(synthetic_snapshot: Path) -> None:
    expected = hashlib.sha256(synthetic_snapshot.read_bytes()).hexdigest()
    assert read_snapshot(str(synthetic_snapshot)).sha256 == expected


def test_a_synthetic_snapshot_says_so_whatever_its_file_is_called(synthetic_snapshot: Path, tmp_path: Path) -> None:
    renamed = tmp_path / "nyc-listings.csv"
    renamed.write_bytes(synthetic_snapshot.read_bytes())
    assert read_snapshot(str(renamed)).synthetic


def test_the_date_is_the_last_day_scraped(synthetic_snapshot: Path) -> None:
    assert str(read_snapshot(str(synthetic_snapshot)).date) == "2021-12-04"


def test_a_newer_snapshot_with_79_columns_and_numeric_bathrooms_is_read(
    synthetic_snapshot: Path, tmp_path: Path
) -> None:
    newer = pd.read_csv(synthetic_snapshot, dtype=str)
    newer["bathrooms"] = newer.pop("bathrooms_text").str.extract(r"(\d+\.?\d*)", expand=False).fillna("1.0")
    for name in ("source", "host_thumbnail", "availability_eoy", "number_of_reviews_ly", "estimated_occupancy_l365d"):
        newer[name] = "x"
    newer.to_csv(tmp_path / "newer.csv", index=False)
    listings = read_snapshot(str(tmp_path / "newer.csv")).listings
    assert list(listings.columns) == list(RAW_COLUMNS)
    assert listings["bathrooms"].notna().all()
    assert listings["bathrooms_text"].isna().all()


HEADER = ",".join(COLUMNS).encode()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes)"),
        (b"<!DOCTYPE html><html><body>404 Not Found</body></html>", "is an HTML or XML page, not a table"),
        (b"\n  <html>", "is an HTML or XML page"),
        (HEADER + b"\n", "holds no listings, only a header"),
        (HEADER.replace(b"price", b"cost") + b"\n1", "has no column price among its 14"),
        (HEADER.replace(b"neighbourhood_group_cleansed,", b"") + b"\n1", "has no column neighbourhood_cleansed"),
        (HEADER.replace(b"bathrooms,bathrooms_text,", b"") + b"\n1", "has no column bathrooms_text"),
        (HEADER + b'\n1,"unclosed', "is not a whole CSV table"),
        (b"\x1f\x8b\x08\x00 this is no gzip", "is a damaged gzip file"),
        (b"PAR1 this is no parquet", "is a damaged Parquet file"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe" * 20, "is a picture, not a table"),
        (HEADER + b"\n\xff\xfe\xff" * 3, "is not UTF-8 text (line 2 holds the byte 0xFF)"),
    ],
)
def test_a_bad_file_is_refused_in_one_sentence(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "listings.csv"
    path.write_bytes(content)
    with pytest.raises(BadSnapshot) as refusal:
        read_snapshot(str(path))
    assert str(refusal.value).startswith(f"The snapshot {path} ")
    assert words in str(refusal.value)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
def test_a_gzip_that_breaks_off_is_refused_wherever_it_breaks(
    share: float, synthetic_snapshot: Path, tmp_path: Path
) -> None:
    whole = gzip.compress(synthetic_snapshot.read_bytes())
    (tmp_path / "half.csv.gz").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(BadSnapshot, match="is a gzip file that breaks off"):
        read_snapshot(str(tmp_path / "half.csv.gz"))


def test_a_gzip_with_a_flipped_byte_is_refused(synthetic_snapshot: Path, tmp_path: Path) -> None:
    damaged = bytearray(gzip.compress(synthetic_snapshot.read_bytes()))
    damaged[len(damaged) // 2] ^= 0xFF
    (tmp_path / "damaged.csv.gz").write_bytes(damaged)
    with pytest.raises(BadSnapshot, match="damaged gzip file|not a whole CSV table|not UTF-8 text"):
        read_snapshot(str(tmp_path / "damaged.csv.gz"))


def test_a_sample_shows_the_first_listings_side_by_side() -> None:
    table = pd.DataFrame({"id": [1, 2, 3], "name": ["a|b", "c", "d"]})
    assert sample_table(table, rows=2).splitlines() == [
        "| column | row 1 | row 2 |",
        "| --- | --- | --- |",
        "| id | 1 | 2 |",
        "| name | a\\|b | c |",
    ]
