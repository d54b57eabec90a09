"""The synthetic snapshot is reproducible, and as messy as a real one."""

from pathlib import Path

import pandas as pd
import pytest

from mle_assets.listings.synthetic import write_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("synthetic") / "20000.csv"
    write_snapshot(path, 20_000)
    return pd.read_csv(path, dtype=str)


def test_it_has_the_74_columns_of_the_raw_notation(snapshot: pd.DataFrame) -> None:
    assert snapshot.shape == (20_000, 74)


def test_the_same_size_and_seed_give_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        write_snapshot(tmp_path / name, 300, seed)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes() != (tmp_path / "c").read_bytes()


def test_nothing_unfinished_is_left_beside_it(tmp_path: Path) -> None:
    write_snapshot(tmp_path / "listings.csv", 10)
    assert [file.name for file in tmp_path.iterdir()] == ["listings.csv"]


@pytest.mark.parametrize(
    ("borough", "share"),
    [("Brooklyn", 0.41), ("Manhattan", 0.40), ("Queens", 0.15), ("Bronx", 0.03), ("Staten Island", 0.01)],
)
def test_boroughs_stand_in_their_real_proportions(borough: str, share: float, snapshot: pd.DataFrame) -> None:
    assert (snapshot["neighbourhood_group_cleansed"] == borough).mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(("column", "share"), [("bedrooms", 0.10), ("beds", 0.06)])
def test_values_are_missing_as_often_as_in_the_real_one(column: str, share: float, snapshot: pd.DataFrame) -> None:
    assert snapshot[column].isna().mean() == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize(
    ("column", "example"),
    [
        ("bathrooms_text", "Half-bath"),
        ("bathrooms_text", "Shared half-bath"),
        ("bathrooms_text", "1.5 shared baths"),
        ("price", "$0.00"),
        ("price", "$10.00"),
        ("room_type", "Hotel room"),
        ("room_type", "Shared room"),
    ],
)
def test_it_has_the_real_ones_oddities(column: str, example: str, snapshot: pd.DataFrame) -> None:
    assert (snapshot[column] == example).any()


def test_prices_above_a_thousand_have_a_comma(snapshot: pd.DataFrame) -> None:
    assert snapshot["price"].str.fullmatch(r"\$\d,\d{3}\.00").any()


def test_amenities_are_json_with_unicode_escapes(snapshot: pd.DataFrame) -> None:
    assert snapshot["amenities"].str.contains(r"Caf\\u00e9", regex=True).any()
    assert snapshot["amenities"].str.startswith("[").all()


def test_every_row_says_that_it_is_made_up(snapshot: pd.DataFrame) -> None:
    assert (snapshot["name"] == "Made-up listing").all()
    assert snapshot["listing_url"].str.startswith("synthetic:").all()
