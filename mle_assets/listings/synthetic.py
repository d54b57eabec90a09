"""The embedded default snapshot: made-up listings in the raw notation, as messy as the real one.

Prices follow a made-up rule (borough, position, room type, size, amenities, noise) whose noise was chosen so
that models score on it about what they score on New York's snapshot of 2021-12-04.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

SOURCE = "synthetic"
MARKET = "new-york"
"""The only market that there are made-up listings of."""
URL_PREFIX = "synthetic:"
"""Every `listing_url` begins with it, which is how a reader knows, whatever the file is called."""

DEFAULT_LISTINGS = 20_000
_SEED = 20211204
_CHUNK = 100_000

_COLUMNS = """
    id listing_url scrape_id last_scraped name description neighborhood_overview picture_url host_id host_url
    host_name host_since host_location host_about host_response_time host_response_rate host_acceptance_rate
    host_is_superhost host_thumbnail_url host_picture_url host_neighbourhood host_listings_count
    host_total_listings_count host_verifications host_has_profile_pic host_identity_verified neighbourhood
    neighbourhood_cleansed neighbourhood_group_cleansed latitude longitude property_type room_type accommodates
    bathrooms bathrooms_text bedrooms beds amenities price minimum_nights maximum_nights minimum_minimum_nights
    maximum_minimum_nights minimum_maximum_nights maximum_maximum_nights minimum_nights_avg_ntm
    maximum_nights_avg_ntm calendar_updated has_availability availability_30 availability_60 availability_90
    availability_365 calendar_last_scraped number_of_reviews number_of_reviews_ltm number_of_reviews_l30d
    first_review last_review review_scores_rating review_scores_accuracy review_scores_cleanliness
    review_scores_checkin review_scores_communication review_scores_location review_scores_value license
    instant_bookable calculated_host_listings_count calculated_host_listings_count_entire_homes
    calculated_host_listings_count_private_rooms calculated_host_listings_count_shared_rooms reviews_per_month
""".split()  # noqa: SIM905 (74 names, readable as a paragraph)

_NUMBERS = {"id": pa.int64(), "latitude": pa.float64(), "longitude": pa.float64(), "accommodates": pa.int64()}

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

# Borough: share of listings, centre and spread (degrees), effect on the log price.
_BOROUGHS = {
    "Brooklyn": (0.41, (40.683, -73.950), (0.028, 0.027), 0.10),
    "Manhattan": (0.40, (40.766, -73.974), (0.038, 0.022), 0.42),
    "Queens": (0.15, (40.729, -73.867), (0.042, 0.055), 0.02),
    "Bronx": (0.03, (40.849, -73.884), (0.027, 0.032), -0.05),
    "Staten Island": (0.01, (40.612, -74.105), (0.030, 0.034), -0.05),
}
# Room type: share, effect on the log price, how many it sleeps on average beyond one.
_ROOM_TYPES = {
    "Entire home/apt": (0.507, 0.00, 2.6),
    "Private room": (0.473, -0.55, 0.75),
    "Shared room": (0.015, -0.80, 0.60),
    "Hotel room": (0.005, 0.35, 1.20),
}
_PROPERTY_TYPES = {
    "Entire home/apt": ("Entire rental unit", "Entire condominium (condo)", "Entire townhouse", "Entire loft"),
    "Private room": ("Private room in rental unit", "Private room in residential home", "Private room in townhouse"),
    "Shared room": ("Shared room in rental unit", "Shared room in residential home", "Shared room in loft"),
    "Hotel room": ("Room in hotel", "Room in boutique hotel", "Room in hostel"),
}
# Expensive and cheap spots: latitude, longitude, reach (degrees), effect on the log price.
_SPOTS = (
    (40.728, -74.000, 0.014, 0.55),
    (40.763, -73.982, 0.012, 0.45),
    (40.706, -74.010, 0.008, 0.35),
    (40.717, -73.958, 0.010, 0.45),
    (40.692, -73.990, 0.011, 0.45),
    (40.672, -73.978, 0.010, 0.30),
    (40.745, -73.950, 0.009, 0.35),
    (40.820, -73.945, 0.022, -0.35),
    (40.640, -73.955, 0.022, -0.30),
    (40.690, -73.915, 0.014, -0.25),
    (40.750, -73.870, 0.020, -0.25),
)
# Amenity as JSON text: share of listings that have it, effect on the log price.
_AMENITIES = {
    '"TV"': (0.45, 0.12),
    '"55\\" HDTV with Netflix"': (0.27, 0.16),
    '"Air conditioning"': (0.81, 0.09),
    '"Kitchen"': (0.90, -0.10),
    '"Heating"': (0.87, -0.05),
    '"Wifi"': (0.97, 0.0),
    '"Elevator"': (0.23, 0.16),
    '"Breakfast"': (0.06, 0.05),
    '"Internet"': (0.02, 0.05),
    '"Children\\u2019s books and toys"': (0.06, 0.0),
    '"Caf\\u00e9 nearby \\u2013 5 min"': (0.04, 0.0),
    '"Long term stays allowed"': (0.60, -0.05),
    '"Smoke alarm"': (0.90, 0.0),
}
_NOISE = 0.35
_BASE_LOG_PRICE = 4.38
_MISSING = {"bedrooms": 0.10, "beds": 0.06, "bathrooms_text": 0.002, "price": 0.001}


def file_name(listings: int) -> str:
    """The name of the snapshot file of that size."""
    return f"synthetic-{listings}.csv"


def write_snapshot(path: Path, listings: int, seed: int = _SEED) -> None:
    """Write a snapshot of that many made-up listings as a 74-column CSV; same size and seed, same bytes.

    The file appears whole, by a rename; memory stays bounded whatever the size.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    schema = pa.schema([(name, _NUMBERS.get(name, pa.string())) for name in _COLUMNS])
    options = pa_csv.WriteOptions(quoting_style="needed")
    random = np.random.default_rng(seed)
    with pa_csv.CSVWriter(unfinished, schema, write_options=options) as writer:
        for first in range(0, listings, _CHUNK):
            writer.write_table(_chunk(random, schema, first, min(_CHUNK, listings - first)))
    unfinished.replace(path)


def _chunk(random: np.random.Generator, schema: pa.Schema, first: int, size: int) -> pa.Table:
    boroughs, rooms = list(_BOROUGHS), list(_ROOM_TYPES)
    borough = random.choice(len(boroughs), size, p=[share for share, *_ in _BOROUGHS.values()])
    room = random.choice(len(rooms), size, p=[share for share, *_ in _ROOM_TYPES.values()])
    latitude, longitude = _position(random, borough)
    accommodates = 1 + np.minimum(15, random.poisson(np.array([sleeps for *_, sleeps in _ROOM_TYPES.values()])[room]))
    bedrooms = 1 + np.where(room == 0, random.binomial(np.maximum(0, accommodates - 2), 0.28), 0)
    beds = np.maximum(1, random.binomial(accommodates, 0.55))
    baths = (2 + random.binomial(2 * bedrooms - 1, 0.16)) / 2
    log_price = (
        _BASE_LOG_PRICE
        + np.array([effect for *_, effect in _BOROUGHS.values()])[borough]
        + np.array([effect for _, effect, _ in _ROOM_TYPES.values()])[room]
        + 0.36 * np.log(accommodates)
        + 0.14 * (bedrooms - 1)
        + 0.12 * (baths - 1)
        + _spots(latitude, longitude)
        + random.normal(0, _NOISE, size)
    )
    amenities, effect = _amenities(random, size)
    ids = 1_000 + 7 * np.arange(first, first + size)
    columns = {
        "id": pa.array(ids),
        "listing_url": pc.binary_join_element_wise(URL_PREFIX + "listings/", pc.cast(pa.array(ids), pa.string()), ""),
        "scrape_id": _constant("20211204000000", size),
        "last_scraped": _constant("2021-12-04", size),
        "name": _constant("Made-up listing", size),
        "neighbourhood_group_cleansed": pa.array(boroughs).take(pa.array(borough)),
        "latitude": pa.array(latitude),
        "longitude": pa.array(longitude),
        "property_type": _property_type(random, room, rooms),
        "room_type": pa.array(rooms).take(pa.array(room)),
        "accommodates": pa.array(accommodates),
        "bathrooms_text": _lose(random, "bathrooms_text", _bathrooms_text(random, baths, room)),
        "bedrooms": _lose(random, "bedrooms", _decimal(bedrooms, 1)),
        "beds": _lose(random, "beds", _decimal(beds, 1)),
        "amenities": amenities,
        "price": _lose(random, "price", _price_text(random, np.exp(log_price + effect))),
    }
    return pa.table({name: columns.get(name, pa.nulls(size, pa.string())) for name in _COLUMNS}, schema=schema)


def _position(random: np.random.Generator, borough: Integers) -> tuple[Floats, Floats]:
    centres = np.array([centre for _, centre, *_ in _BOROUGHS.values()])[borough]
    spreads = np.array([spread for _, _, spread, _ in _BOROUGHS.values()])[borough]
    positions = centres + spreads * np.clip(random.standard_normal(centres.shape), -2.5, 2.5)
    return np.round(positions[:, 0], 5), np.round(positions[:, 1], 5)


def _spots(latitude: Floats, longitude: Floats) -> Floats:
    effect = np.zeros_like(latitude)
    for north, west, reach, height in _SPOTS:
        # A degree of longitude is three quarters of a degree of latitude here.
        squared = (latitude - north) ** 2 + (0.76 * (longitude - west)) ** 2
        effect += height * np.exp(-squared / (2 * reach**2))
    return effect


def _amenities(random: np.random.Generator, size: int) -> tuple[pa.Array, Floats]:
    effect, parts = np.zeros(size), list[pa.Array]()
    for text, (share, value) in _AMENITIES.items():
        present = random.random(size) < share
        effect += value * (present - share)
        parts.append(pc.if_else(pa.array(present), text, pa.scalar(None, pa.string())))
    joined = pc.binary_join_element_wise(*parts, ", ", null_handling="skip")
    return pc.binary_join_element_wise("[", joined, "]", ""), effect


def _property_type(random: np.random.Generator, room: Integers, rooms: list[str]) -> pa.Array:
    names = [name for types in _PROPERTY_TYPES.values() for name in types]
    starts = np.cumsum([0, *(len(_PROPERTY_TYPES[name]) for name in rooms)])
    counts = np.diff(starts)
    return pa.array(names).take(pa.array(starts[room] + random.integers(0, counts[room])))


def _bathrooms_text(random: np.random.Generator, baths: Floats, room: Integers) -> pa.Array:
    number = pc.replace_substring_regex(_decimal(baths, 1), r"\.0$", "")
    private_room = room != 0
    chance = random.random(len(baths))
    kind = np.where(private_room & (chance < 0.6), " shared", np.where(private_room & (chance < 0.75), " private", ""))
    plural = np.where(baths == 1, " bath", " baths")
    text = pc.binary_join_element_wise(number, pa.array(kind), pa.array(plural), "")
    half = random.random(len(baths)) < 0.002
    halves = pa.array(["Half-bath", "Shared half-bath", "Private half-bath"]).take(
        pa.array(random.integers(0, 3, len(baths)))
    )
    return pc.if_else(pa.array(half), halves, text)


def _price_text(random: np.random.Generator, price: Floats) -> pa.Array:
    # Hosts like round prices; a few listings stand at 0 or 10 dollars because nobody can book them.
    rounded = np.where(random.random(len(price)) < 0.6, 5 * np.round(price / 5), np.round(price))
    rounded = np.where(random.random(len(price)) < 0.001, random.choice([0.0, 10.0], len(price)), rounded)
    digits = pc.cast(pa.array(rounded.astype(np.int64)), pa.string())
    grouped = pc.replace_substring_regex(digits, r"^(\d+)(\d{3})$", r"\1,\2")
    return pc.binary_join_element_wise("$", grouped, ".00", "")


def _decimal(values: Floats | Integers, places: int) -> pa.Array:
    return pc.cast(pc.cast(pa.array(values, pa.float64()), pa.decimal128(12, places)), pa.string())


def _constant(text: str, size: int) -> pa.Array:
    return pa.repeat(pa.scalar(text), size)


def _lose(random: np.random.Generator, column: str, values: pa.Array) -> pa.Array:
    missing = random.random(len(values)) < _MISSING[column]
    return pc.if_else(pa.array(missing), pa.scalar(None, pa.string()), values)


def main() -> None:
    """Write a synthetic snapshot of any size: `python -m mle_assets.listings.synthetic 1000000 FILE`."""
    parser = argparse.ArgumentParser(description="Write a snapshot of made-up listings in Inside Airbnb's notation.")
    parser.add_argument("listings", type=int, help="how many")
    parser.add_argument("file", type=Path, help="the CSV file to write")
    arguments = parser.parse_args()
    write_snapshot(arguments.file, arguments.listings)


if __name__ == "__main__":
    main()
