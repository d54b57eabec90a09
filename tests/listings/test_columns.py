"""What a table is that lacks columns, and which file is needed in its place."""

import pytest

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.columns import RAW_COLUMNS, columns_to_read

SUMMARY = (
    "id,name,host_id,host_name,neighbourhood_group,neighbourhood,latitude,longitude,room_type,price,minimum_nights,"
    "number_of_reviews,last_review,reviews_per_month,calculated_host_listings_count,availability_365"
)


def refusal(columns: list[str]) -> str:
    with pytest.raises(BadSnapshot) as refused:
        columns_to_read("listings.csv", columns)
    return str(refused.value).removeprefix("The snapshot listings.csv ")


@pytest.mark.parametrize(
    ("columns", "name"),
    [
        (SUMMARY, "the summary listings.csv of Inside Airbnb (16 columns)"),
        (f"{SUMMARY},number_of_reviews_ltm,license", "the summary listings.csv of Inside Airbnb (18 columns)"),
        ("listing_id,id,date,reviewer_id,reviewer_name,comments", "the reviews (reviews.csv.gz) of Inside Airbnb"),
        ("listing_id,date", "the summary of the reviews (reviews.csv) of Inside Airbnb"),
        (
            "listing_id,date,available,price,adjusted_price,minimum_nights,maximum_nights",
            "the calendar (calendar.csv.gz) of Inside Airbnb",
        ),
        ("neighbourhood_group,neighbourhood", "the list of neighbourhoods (neighbourhoods.csv) of Inside Airbnb"),
    ],
)
def test_another_file_of_inside_airbnb_is_named_and_so_is_the_one_that_is_needed(columns: str, name: str) -> None:
    said = refusal(columns.split(","))
    assert said.startswith(f"is {name}")
    assert said.endswith("take the detailed file of the same city and day, listings.csv.gz.")


@pytest.mark.parametrize("there", ["neighbourhood_cleansed", "neighbourhood_group_cleansed"])
def test_one_column_of_neighbourhoods_is_enough(there: str) -> None:
    columns = [name for name in RAW_COLUMNS if not name.startswith("neighbourhood") or name == there]
    assert columns_to_read("listings.csv", columns) == columns


def test_without_any_column_of_neighbourhoods_and_others_all_of_them_are_named() -> None:
    columns = [name for name in RAW_COLUMNS if not name.startswith(("neighbourhood", "bathrooms", "price"))]
    assert refusal(columns) == (
        f"has no column price, bathrooms_text, neighbourhood_cleansed among its {len(columns)}: take the city's "
        "detailed listings.csv.gz."
    )


def test_a_file_without_a_header_is_told_so() -> None:
    said = refusal(["7", "2021-12-04", "Brooklyn"])
    assert "its first line has no column id or any other that is needed" in said
    assert "it begins with «7, 2021-12-04, Brooklyn»" in said
