"""Jersey City's snapshot, as it is and with its wards in place of boroughs."""

import csv
import gzip
from pathlib import Path

import pytest

from mle_assets.listings.columns import RAW_COLUMNS
from tests.conftest import REAL_SNAPSHOT

COLUMNS = tuple(name for name in RAW_COLUMNS if name != "neighbourhood_cleansed")
"""Those of the rows that tests write by hand: a snapshot needs only one column of neighbourhoods."""

JERSEY_CITY = REAL_SNAPSHOT.with_name("jersey-city-2025-09-listings.csv.gz")
WARDS = {"A": "Bronx", "B": "Queens", "C": "Staten Island", "D": "Brooklyn", "E": "Manhattan", "F": "Manhattan"}


@pytest.fixture(scope="session")
def jersey_city() -> Path:
    """Jersey City's snapshot of 2025-09, which has no boroughs; tests that use it are skipped where it is absent."""
    if not JERSEY_CITY.exists():
        pytest.skip(f"the real snapshot is not at ../shared/data/{JERSEY_CITY.name}")
    return JERSEY_CITY


@pytest.fixture(scope="session")
def jersey_city_with_boroughs(jersey_city: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with its six wards written as boroughs, so that its listings are kept."""
    path = tmp_path_factory.mktemp("jersey-city") / jersey_city.name
    with (
        gzip.open(jersey_city, "rt", encoding="utf-8", newline="") as source,
        gzip.open(path, "wt", encoding="utf-8", newline="") as target,
    ):
        rows = csv.DictReader(source)
        writer = csv.DictWriter(target, rows.fieldnames or ())
        writer.writeheader()
        for row in rows:
            ward = row["neighbourhood_cleansed"].removeprefix("Ward ")[0]
            writer.writerow(row | {"neighbourhood_group_cleansed": WARDS[ward]})
    return path
