"""What the terminal of `make up` tells of runs and of the champion."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from local.news import News
from mle_assets.failures import failing_on
from model_registry.registries import Registries
from model_registry.store import MarketRegistry
from tests.conftest import instance_in
from tests.making import KEEP, LISBON, PROMOTE, publish


class TooCold(Exception):
    """Something foreseen."""


@dg.op(config_schema={"degrees": int})
def heat(context: dg.OpExecutionContext) -> None:
    with failing_on(TooCold):
        if context.op_config["degrees"] < 10:
            raise TooCold("It is too cold: heat it.")


@dg.job
def heating() -> None:
    heat()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance without runs."""
    with instance_in(tmp_path / "dagster") as made:
        yield made


def run(instance: dg.DagsterInstance, degrees: int) -> str:
    config = {"ops": {"heat": {"config": {"degrees": degrees}}}}
    return heating.execute_in_process(config, instance=instance, raise_on_error=False).run_id[:8]


def lines(news: News) -> list[str]:
    return list(news.lines())


def test_each_run_that_ends_is_told_once_with_its_sentence_where_it_failed(
    instance: dg.DagsterInstance, registry: MarketRegistry
) -> None:
    run(instance, 20)
    news = News(instance, Registries(registry.folder.parent), "new-york", since=datetime.now(UTC))
    assert lines(news) == []
    first, second = run(instance, 20), run(instance, -3)
    succeeded, failed = lines(news)
    assert succeeded.startswith("heating    succeeded after ")
    assert succeeded.endswith(f" s (run {first})")
    assert failed.startswith("heating    failed after ")
    assert failed.endswith(f" s (run {second}): It is too cold: heat it.")
    assert lines(news) == []


def test_promotions_refusals_and_rollbacks_are_told_with_their_reason(
    instance: dg.DagsterInstance, registry: MarketRegistry
) -> None:
    first, second = publish(registry, 0), publish(registry, 1)
    registry.promote(first, PROMOTE, run_id=None, actor="before")
    news = News(instance, Registries(registry.folder.parent), "new-york", since=datetime.now(UTC))
    assert lines(news) == []
    registry.refuse(second, KEEP, run_id=None, actor="sensor")
    registry.promote(second, PROMOTE, run_id=None, actor="person")
    assert lines(news) == [
        f"champion   stays; {second} was kept out: Not better.",
        f"champion   {second}, promotion by person: Better.",
    ]
    registry.rollback(decision=PROMOTE, actor="person")
    assert lines(news) == [f"champion   {first}, rollback by person: Better."]
    assert lines(news) == []


def test_of_which_market_something_is_is_said_unless_it_is_the_default_one(
    instance: dg.DagsterInstance, registry: MarketRegistry
) -> None:
    registries = Registries(registry.folder.parent)
    news = News(instance, registries, "new-york", since=datetime.now(UTC))
    lisbon = registries.of("lisbon")
    version, other = publish(lisbon, 1, market=LISBON), publish(registry, 2)
    for one, published in ((lisbon, version), (registry, other)):
        one.promote(published, PROMOTE, run_id=None, actor="person")
    heating.execute_in_process(
        {"ops": {"heat": {"config": {"degrees": 20}}}}, instance=instance, tags={"dagster/partition": "lisbon"}
    )
    ran, *decided = lines(news)
    assert ran.startswith("heating    of lisbon succeeded after ")
    assert decided == [
        f"champion   of lisbon: {version}, promotion by person: Better.",
        f"champion   {other}, promotion by person: Better.",
    ]


def test_a_damaged_registry_is_told_once_and_followed_again_when_it_is_whole(
    instance: dg.DagsterInstance, registry: MarketRegistry
) -> None:
    first, second = publish(registry, 0), publish(registry, 1)
    registry.promote(first, PROMOTE, run_id=None, actor="before")
    news = News(instance, Registries(registry.folder.parent), "new-york", since=datetime.now(UTC))
    pointer = registry.folder / "champion.json"
    whole = pointer.read_bytes()
    pointer.write_text("junk")
    [damage] = lines(news)
    assert damage.startswith("registry   champion.json is damaged")
    assert lines(news) == []
    pointer.write_bytes(whole)
    registry.promote(second, PROMOTE, run_id=None, actor="person")
    assert lines(news) == [f"champion   {second}, promotion by person: Better."]
