"""The shared snapshots read a second time, in plain Python from the rules alone, agree with ours in every cell.

Nothing of the cleaning code is used here; the rules are those of «Cleaning rules» in the project's design.
"""

import csv
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

from mle_assets.listings.cleaning import clean
from mle_assets.listings.snapshot import read_snapshot
from model_registry.market import NEW_YORK

WORDS = {
    "tv": "TV",
    "elevator": "Elevator",
    "internet": "Internet",
    "air_conditioning": "Air conditioning",
    "kitchen": "Kitchen",
    "heating": "Heating",
    "wifi": "Wifi",
    "breakfast": "Breakfast",
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def dollars(price: str) -> float:
    return float(price.removeprefix("$").replace(",", ""))


def baths(row: dict[str, str]) -> float | None:
    words = row["bathrooms_text"]
    if words in ("Half-bath", "Shared half-bath", "Private half-bath"):
        return 0.5
    if words:
        return float(words.split(" ")[0])
    return float(row["bathrooms"]) if row["bathrooms"] else None


def read(row: dict[str, str]) -> dict[str, Any] | str:
    """The typed listing, or the reason why there is none."""
    if not row["price"]:
        return "price missing"
    price = dollars(row["price"])
    if price <= 10:
        return "price not above $10"
    for name in ("bedrooms", "beds"):
        if not row[name]:
            return f"{name} missing"
    bathrooms = baths(row)
    if bathrooms is None:
        return "bathrooms missing"
    borough = row["neighbourhood_group_cleansed"]
    if borough not in ("Bronx", "Brooklyn", "Manhattan", "Queens", "Staten Island"):
        return "neighbourhood unknown" if borough else "neighbourhood missing"
    if row["room_type"] not in ("Entire home/apt", "Private room", "Shared room", "Hotel room"):
        return "room_type unknown"
    amenities = json.loads(row["amenities"])
    return {
        "id": int(row["id"]),
        "accommodates": int(row["accommodates"]),
        "bedrooms": int(row["bedrooms"].removesuffix(".0")),
        "beds": int(row["beds"].removesuffix(".0")),
        "bathrooms": bathrooms,
        "latitude": float(row["latitude"]),
        "longitude": float(row["longitude"]),
        "neighbourhood": borough,
        "room_type": row["room_type"],
        "property_type": row["property_type"],
        **{flag: any(word in amenity for amenity in amenities) for flag, word in WORDS.items()},
        "price": price,
        "price_category": 0 if price <= 90 else 1 if price <= 180 else 2 if price <= 400 else 3,
    }


def compare(path: Path) -> tuple[int, dict[str, int]]:
    """How many cells agree and the funnel, after both readings of a file were found to be the same."""
    expected = [read(row) for row in rows_of(path)]
    listings = [reading for reading in expected if not isinstance(reading, str)]
    reasons = Counter(reading for reading in expected if isinstance(reading, str))
    cleaned = clean(read_snapshot(str(path)).listings, str(path), NEW_YORK)
    assert cleaned.raw_rows == len(expected)
    assert cleaned.dropped == reasons
    assert set(cleaned.listings.columns) == set(listings[0])
    for name in listings[0]:
        assert cleaned.listings[name].tolist() == [listing[name] for listing in listings], name
    return cleaned.listings.size, cleaned.dropped


def test_new_yorks_636500_cells_agree(real_snapshot: Path) -> None:
    cells, dropped = compare(real_snapshot)
    assert cells == 31_825 * 20 == 636_500
    assert dropped == {"price not above $10": 16}


def test_jersey_citys_32540_cells_agree_with_its_wards_in_place_of_boroughs(jersey_city_with_boroughs: Path) -> None:
    assert len(rows_of(jersey_city_with_boroughs)[0]) == 79
    cells, dropped = compare(jersey_city_with_boroughs)
    assert cells == 1_627 * 20 == 32_540
    assert dropped == {"price missing": 198, "bedrooms missing": 3, "beds missing": 1}
