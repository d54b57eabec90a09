"""The columns that are read, and what a table is that lacks them."""

from collections.abc import Sequence

from mle_assets.listings.bad_snapshot import BadSnapshot

RAW_DESCRIPTIONS = {
    "id": "Airbnb's number of the listing.",
    "last_scraped": "The day on which it was scraped.",
    "neighbourhood_cleansed": "The neighbourhood that its coordinates lie in.",
    "neighbourhood_group_cleansed": "The larger part of the city that its coordinates lie in.",
    "property_type": "What kind of home it is, in the host's words.",
    "room_type": "What of the home is let.",
    "latitude": "Degrees north.",
    "longitude": "Degrees east; west is negative.",
    "accommodates": "How many guests it takes.",
    "bathrooms": "How many bathrooms it has; empty in many snapshots.",
    "bathrooms_text": "How many bathrooms it has, and whether they are shared, as in «1.5 shared baths».",
    "bedrooms": "How many bedrooms it has.",
    "beds": "How many beds it has.",
    "amenities": "What it offers, as a list in JSON.",
    "price": "What a night costs, with the sign of its currency.",
}
RAW_COLUMNS = tuple(RAW_DESCRIPTIONS)
"""The columns that are read, of the 74 to 79 that a snapshot has."""

LISTING_URL = "listing_url"
"""Read as well, but only to tell what is made up."""

_NEIGHBOURHOODS = {"neighbourhood_cleansed", "neighbourhood_group_cleansed"}
_OPTIONAL = {"last_scraped", "bathrooms", "bathrooms_text", *_NEIGHBOURHOODS}

# What else lies beside it on Inside Airbnb's page, by columns that it has and the detailed listings have not.
_OTHER_FILES = (
    ({"neighbourhood_group", "neighbourhood", "room_type", "price"}, "the summary listings.csv"),
    ({"listing_id", "reviewer_id", "comments"}, "the reviews (reviews.csv.gz)"),
    ({"listing_id", "date", "available"}, "the calendar (calendar.csv.gz)"),
    ({"listing_id", "date"}, "the summary of the reviews (reviews.csv)"),
    ({"neighbourhood_group", "neighbourhood"}, "the list of neighbourhoods (neighbourhoods.csv)"),
)


def columns_to_read(source: str, columns: Sequence[str]) -> list[str]:
    """Those of a table's columns that are read, in the table's order.

    Raises BadSnapshot where one that is needed is missing, or one that is read is there more than once.
    """
    missing = [name for name in RAW_COLUMNS if name not in columns and name not in _OPTIONAL]
    if "bathrooms" not in columns and "bathrooms_text" not in columns:
        missing.append("bathrooms_text")
    if _NEIGHBOURHOODS.isdisjoint(columns):
        missing.append("neighbourhood_cleansed")
    if missing:
        raise BadSnapshot(source, _what_it_is(columns, missing))
    read = [name for name in columns if name in RAW_COLUMNS or name == LISTING_URL]
    for name in read:
        if read.count(name) > 1:
            places = " and ".join(str(place) for place, other in enumerate(columns, start=1) if other == name)
            raise BadSnapshot(
                source,
                f"has {read.count(name)} columns called {name} (its columns {places}), and only one can be right: "
                "download it again, or remove the others.",
            )
    return read


def _what_it_is(columns: Sequence[str], missing: list[str]) -> str:
    if "accommodates" not in columns:
        for signs, name in _OTHER_FILES:
            if signs <= set(columns):
                return (
                    f"is {name} of Inside Airbnb ({len(columns)} columns): take the detailed file of the same city and "
                    "day, listings.csv.gz."
                )
    if not set(columns) & set(RAW_COLUMNS):
        begin = ", ".join(columns)[:60]
        return (
            f"is no table of listings (its first line has no column {missing[0]} or any other that is needed; it "
            f"begins with «{begin}»): take the detailed listings.csv.gz of the city, its first line included."
        )
    return f"has no column {', '.join(missing)} among its {len(columns)}: take the city's detailed listings.csv.gz."
