"""Wrong data, through the whole of train_and_promote: a real champion stays, and the reason names the cause."""

from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from mle_assets.listings.synthetic import write_snapshot
from model_registry.history import Champion
from tests.conftest import Pipeline, instance_in, make_pipeline
from tests.test_runs import sentence

pytestmark = pytest.mark.slow

LISTINGS = 4_000
Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """A snapshot that says of itself that it was scraped; it is the synthetic one under another address."""
    path = tmp_path_factory.mktemp("snapshot") / "listings.csv"
    write_snapshot(path, LISTINGS)
    table = pd.read_csv(path, dtype=str)
    return table.assign(listing_url="https://www.airbnb.com/rooms/" + table["id"])


@pytest.fixture(scope="module")
def real(table: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that made a real champion."""
    folder = tmp_path_factory.mktemp("real")
    table.to_csv(folder / "listings.csv", index=False)
    with instance_in(folder / "dagster") as instance:
        pipeline = make_pipeline(folder, instance)
        assert pipeline.run("train_and_promote", snapshot=str(folder / "listings.csv")).success
        champion = pipeline.registry.champion()
        assert champion
        assert not pipeline.registry.manifest(champion.version).snapshot.synthetic
        yield pipeline


def third(table: pd.DataFrame, column: str, value: str) -> pd.DataFrame:
    changed = table.copy()
    changed.loc[changed.index % 3 == 0, column] = value
    return changed


def doubled(table: pd.DataFrame) -> pd.DataFrame:
    prices = 2 * pd.to_numeric(table["price"].str.replace(r"[$,]", "", regex=True))
    return table.assign(price=prices.map("${:,.2f}".format, na_action="ignore"))


def mispaired(table: pd.DataFrame) -> pd.DataFrame:
    """The prices of two thirds of the listings stand beside other listings."""
    prices = table["price"].copy()
    moved = prices.index % 3 != 0
    prices[moved] = prices[moved].sample(frac=1, random_state=0).to_numpy()
    return table.assign(price=prices)


STOPPED: dict[str, tuple[Change, str]] = {
    "the latitude has lost its sign": (
        lambda t: t.assign(latitude="-" + t["latitude"]),
        "(100%) lie outside New York's box (latitude 40.45 to 40.95, longitude -74.3 to -73.65), at most 0.1% may",
    ),
    "all coordinates are 0": (lambda t: t.assign(latitude="0", longitude="0"), "(100%) lie outside New York's box"),
    "the coordinates are swapped": (
        lambda t: t.assign(latitude=t["longitude"], longitude=t["latitude"]),
        "have latitude and longitude been swapped, or lost a sign?",
    ),
    "a third of the prices is a placeholder": (
        lambda t: third(t, "price", "$999,999,999.00"),
        "cost more than $10,000 a night, at most 1% may",
    ),
    "the ids went through floats": (lambda t: t.assign(id="1.2E+17"), "id damaged by floating point in 100% of them"),
    "the prices have points for thousands": (
        lambda t: t.assign(price="$75.000"),
        "price ambiguous (three digits after the point) in ",
    ),
    "the amenities are lost": (lambda t: t.assign(amenities=None), "have no JSON list of texts as amenities"),
    "a column is constant": (
        lambda t: t.assign(accommodates="2"),
        "have accommodates 2, at most 99% may have the same",
    ),
}

KEPT_OUT: dict[str, tuple[Change, str]] = {
    "made up": (
        # Without the last listings it is another model: the same one again would change nothing.
        lambda t: t[:-100].assign(listing_url="synthetic:listings/1"),
        "The challenger was trained on made-up listings, the champion",
    ),
    "older": (
        lambda t: t[:-100].assign(last_scraped="2019-12-04"),
        "The challenger's snapshot of 2019-12-04 is older than the champion's of 2021-12-04",
    ),
    "in another currency": (doubled, "of another kind than the champion's, by the stability index of price_category"),
    "mispaired": (mispaired, "The listings contradict what the champion learned: its log loss on them is"),
}


def standing(pipeline: Pipeline) -> Champion:
    champion = pipeline.registry.champion()
    assert champion
    return champion


@pytest.mark.parametrize("damage", STOPPED)
def test_data_that_is_wrong_in_itself_is_stopped_before_anything_learns_from_it(
    damage: str, real: Pipeline, table: pd.DataFrame, tmp_path: Path
) -> None:
    change, words = STOPPED[damage]
    change(table).to_csv(tmp_path / "wrong.csv", index=False)
    before = (standing(real), real.registry.history())
    assert words in sentence(real.run("train_and_promote", snapshot=str(tmp_path / "wrong.csv")))
    assert (standing(real), real.registry.history()) == before


@pytest.mark.parametrize("damage", KEPT_OUT)
def test_data_that_is_only_wrong_beside_the_champions_trains_a_model_that_is_kept_out(
    damage: str, real: Pipeline, table: pd.DataFrame, tmp_path: Path
) -> None:
    change, words = KEPT_OUT[damage]
    change(table).to_csv(tmp_path / "wrong.csv", index=False)
    before = standing(real)
    assert real.run("train_and_promote", snapshot=str(tmp_path / "wrong.csv")).success
    assert standing(real) == before
    last = real.registry.history()[-1]
    assert last.action == "refusal"
    assert words in last.decision.reason
    assert last.version in real.registry.versions()


def test_one_damaged_id_and_one_ambiguous_price_cost_two_listings_and_change_no_other(
    real: Pipeline, table: pd.DataFrame, tmp_path: Path
) -> None:
    long = table.assign(id=(600_000_000_000_000_000 + 7_919 * table.index).astype(str))
    damaged = long.copy()
    damaged.loc[0, "id"] = "1.2E+17"
    damaged.loc[1, "price"] = "$75.000"
    damaged.to_csv(tmp_path / "damaged.csv", index=False)
    result = real.run(
        "training",
        snapshot=str(tmp_path / "damaged.csv"),
        asset_selection=[dg.AssetKey("raw_listings"), dg.AssetKey("listings")],
    )
    assert result.success
    kept = pd.read_parquet(real.assets / "listings.parquet")
    assert set(kept["id"].astype(str)) <= set(long["id"])
    [event] = result.asset_materializations_for_node("listings")
    funnel = event.metadata["dropped_rows"].value
    assert funnel["id damaged by floating point"] == 1
    assert funnel["price ambiguous (three digits after the point)"] == 1
