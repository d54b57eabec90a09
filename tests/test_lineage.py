"""What an asset was made from is found in its own market, whatever others are made at the same time."""

from collections.abc import Iterator

import dagster as dg
import pytest

from mle_assets.lineage import LineageBroken, inputs, made_from, materialization, trace

BOTH = dg.StaticPartitionsDefinition(["lisbon", "oslo"])


@dg.asset(partitions_def=BOTH)
def listings(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    return dg.MaterializeResult(data_version=dg.DataVersion(context.partition_key))


@dg.asset(partitions_def=BOTH, deps=[listings])
def leaderboard() -> None:
    """A leader of listings."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def make(instance: dg.DagsterInstance, asset: dg.AssetsDefinition, market: str) -> int:
    made = dg.materialize([listings, leaderboard], selection=[asset], partition_key=market, instance=instance)
    assert made.success
    record = materialization(instance, market, asset.key.to_user_string())
    assert record is not None
    return record.storage_id


def test_an_input_is_the_markets_own_although_dagster_points_to_another_markets(instance: dg.DagsterInstance) -> None:
    lisbons = make(instance, listings, "lisbon")
    oslos = make(instance, listings, "oslo")
    make(instance, leaderboard, "lisbon")
    record = materialization(instance, "lisbon", "leaderboard")
    assert record is not None
    assert inputs(record) == {"listings": oslos}
    found = made_from(instance, "lisbon", record, "listings")
    assert found is not None
    assert found.storage_id == lisbons
    assert trace(instance, "lisbon", "leaderboard").data_versions()["listings"] == "lisbon"


def test_what_was_made_later_was_not_made_from(instance: dg.DagsterInstance) -> None:
    first = make(instance, listings, "lisbon")
    make(instance, listings, "oslo")
    make(instance, leaderboard, "lisbon")
    assert make(instance, listings, "lisbon") > first
    assert trace(instance, "lisbon", "leaderboard").records["listings"].storage_id == first


def test_an_input_that_only_another_market_has_is_not_known(instance: dg.DagsterInstance) -> None:
    make(instance, listings, "oslo")
    make(instance, leaderboard, "lisbon")
    with pytest.raises(LineageBroken, match="no record of how listings was made"):
        trace(instance, "lisbon", "leaderboard")
