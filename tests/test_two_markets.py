"""Two cities in one installation: each is trained, promoted and kept apart from the other."""

from pathlib import Path

import dagster as dg
import pandas as pd
import pytest

from mle_assets.listings.synthetic import write_snapshot
from model_registry.registries import Registries
from tests.conftest import Pipeline, make_pipeline
from tests.test_runs import sentence

BOROUGHS = ("Bronx", "Queens", "Staten Island", "Brooklyn", "Manhattan")
WARDS = ("Sant'Àgata", "Übersee, West", 'The "Old" Town', "Ward D", "Ward E")
MARKET = f"""
title = "Riverside"
currency = "EUR"
neighbourhood_column = "neighbourhood_cleansed"
neighbourhoods = {list(WARDS)}
category_limits = [80.0, 160.0, 390.0]
lowest_price = 10.0
"""


@pytest.fixture
def both(ready: Pipeline, tmp_path: Path) -> Pipeline:
    """New York is trained and promoted, Riverside has its market file and its snapshot."""
    folder = tmp_path / "markets"
    folder.mkdir()
    write_snapshot(tmp_path / "made-up.csv", 2_000)
    table = pd.read_csv(tmp_path / "made-up.csv", dtype=str)
    wards = table["neighbourhood_group_cleansed"].map(dict(zip(BOROUGHS, WARDS, strict=True)))
    price = table["price"].str.replace("$", "€", regex=False)
    url = "https://www.airbnb.com/rooms/" + table["id"]
    riverside = table.assign(neighbourhood_cleansed=wards, price=price, listing_url=url)
    riverside = riverside.drop(columns="neighbourhood_group_cleansed")
    riverside.to_csv(tmp_path / "riverside.csv", index=False)
    (folder / "riverside.toml").write_text(f"snapshot = {str(tmp_path / 'riverside.csv')!r}\n{MARKET}")
    pipeline = make_pipeline(tmp_path, ready.instance, market_folder=str(folder))
    assert pipeline.run("promotion").success
    return pipeline


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


def latest(instance: dg.DagsterInstance, asset: str) -> dict[str, int]:
    key, event = dg.AssetKey.from_user_string(asset), dg.DagsterEventType.ASSET_MATERIALIZATION
    return dict(instance.get_latest_storage_id_by_partition(key, event))


@pytest.mark.slow
def test_a_training_of_one_market_leaves_the_others_files_champion_and_history_as_they_are(both: Pipeline) -> None:
    registries = Registries(both.settings.model_registry)
    new_york = registries.of("new-york")
    champion, history = new_york.champion(), new_york.history()
    before = content(both.assets), content(new_york.folder), latest(both.instance, "leaderboard")

    assert both.run("train_and_promote", market="riverside").success

    of_riverside = registries.of("riverside").champion()
    assert of_riverside
    published = registries.of("riverside").open(of_riverside.version)
    assert published.manifest.market.neighbourhoods == WARDS
    assert published.manifest.rows.raw == 2_000
    assert not published.manifest.snapshot.synthetic
    assert (new_york.champion(), new_york.history()) == (champion, history)
    assert (content(both.assets), content(new_york.folder)) == before[:2]
    assert latest(both.instance, "leaderboard")["new-york"] == before[2]["new-york"]
    assert set(latest(both.instance, "champion")) == {"new-york", "riverside"}
    checks = both.instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(dg.AssetKey("listings"), "enough_listings_are_kept"), limit=10
    )
    assert {record.partition for record in checks} == {"new-york", "riverside"}


def test_a_market_with_no_snapshot_of_its_own_is_told_where_to_name_one(both: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "markets" / "porto.toml").write_text(MARKET)
    pipeline = make_pipeline(
        tmp_path, both.instance, market_folder=str(tmp_path / "markets"), snapshot=str(tmp_path / "riverside.csv")
    )
    said = sentence(pipeline.run("training", market="porto"))
    assert said == (
        "The snapshot synthetic is made up of listings of new-york, and the market is porto: name one of its own, in "
        "SNAPSHOT (with MARKET=porto) or in the market's file."
    )


def test_a_snapshot_in_the_environment_is_the_default_markets_alone(both: Pipeline, tmp_path: Path) -> None:
    only = [dg.AssetKey("raw_listings")]
    pipeline = make_pipeline(
        tmp_path, both.instance, market_folder=str(tmp_path / "markets"), snapshot=str(tmp_path / "made-up.csv")
    )
    for market, file in (("new-york", "made-up.csv"), ("riverside", "riverside.csv")):
        [event] = pipeline.run("training", market=market, asset_selection=only).get_asset_materialization_events()
        assert event.materialization.metadata["source"].value == str(tmp_path / file)
        assert event.partition == market


def test_the_leader_of_another_market_cannot_be_promoted_from_what_new_york_has_stored(both: Pipeline) -> None:
    said = sentence(both.run("promotion", market="riverside"))
    assert "leaderboard is not stored at" in said
    assert "riverside/leaderboard: materialize it first." in said
