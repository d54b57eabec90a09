"""What the registry says about «champion», told to Dagster: a command changes the registry, and no run knows of it."""

from collections.abc import Iterable
from typing import Any

import dagster as dg
from dagster import AssetRecordsFilter

from mle_assets.lineage import materialization
from mle_assets.release.champion import Release
from mle_assets.release.figures import decision_figures, published_figures
from model_registry.history import Champion, HistoryDamaged
from model_registry.manifest import ManifestRefused
from model_registry.registries import Registries
from model_registry.store import MarketRegistry, UnknownVersion

_CHAMPION = dg.AssetKey("champion")
_CHECK = "the_registry_agrees"
_NONE = "none"
_MOST_RECORDS, _MOST_TOLD = 100, 5


def agreement(champion: Champion | None, materialized: str | None) -> tuple[bool, str]:
    """Whether the registry's champion is the version that Dagster's last run left in production, and a sentence.

    `materialized` is that version ("none" where the run left none), or None where no run is on record.
    """
    named = champion.version if champion else _NONE
    if named == materialized:
        return True, f"The registry and Dagster's last run of «champion» agree: {named}."
    run = (
        "Dagster has no run of «champion» on record"
        if materialized is None
        else f"Dagster's last run of «champion» left {materialized}"
    )
    if champion is None:
        return False, f"The registry has no champion. {run}: was the registry moved or emptied?"
    return False, (
        f"The registry says {named}, by a {champion.action} of {champion.promoted_at:%Y-%m-%d %H:%M:%S} UTC by "
        f"{champion.actor} ({champion.decision.reason}). {run}. The API serves what the registry says; a person "
        "changes that with `models promote` or `models rollback`."
    )


def observation(registry: MarketRegistry, champion: Champion) -> dg.AssetObservation:
    """A market's champion: since when, by whom and why, with its figures where its manifest can be read."""
    try:
        known = published_figures(registry.manifest(champion.version))
    except (UnknownVersion, ManifestRefused, OSError) as error:
        known = {"synthetic": "unknown", "problem": str(error)}
    return dg.AssetObservation(
        _CHAMPION,
        description=f"The registry says {champion.version}.",
        metadata={
            "champion": champion.version,
            "since": dg.MetadataValue.timestamp(champion.promoted_at),
            "by": champion.actor,
            "action": champion.action,
            "reason": champion.decision.reason,
            "in_place_of": champion.previous or _NONE,
            **known,
            **decision_figures(champion.decision),
        },
        partition=registry.market,
        tags={"dagster/data_version": champion.version},
    )


def agreements(instance: dg.DagsterInstance, registries: Registries) -> tuple[bool, str]:
    """Whether the registry and Dagster agree on every market's champion, and a sentence about those that do not."""
    materialized = instance.get_latest_storage_id_by_partition(_CHAMPION, dg.DagsterEventType.ASSET_MATERIALIZATION)
    told = {market: _agreement_of(instance, registries.of(market)) for market in {*registries.markets(), *materialized}}
    apart = [market for market, (agree, _) in told.items() if not agree]
    shown = sorted(apart or told)
    sentences = [f"{market}: {told[market][1]}" if len(told) > 1 else told[market][1] for market in shown[:_MOST_TOLD]]
    more = [f"And {len(shown) - _MOST_TOLD} more."] if len(shown) > _MOST_TOLD else []
    return not apart, " ".join(sentences + more) or "The registry has no champion, and Dagster has no run on record."


def _agreement_of(instance: dg.DagsterInstance, registry: MarketRegistry) -> tuple[bool, str]:
    try:
        return agreement(registry.champion(), materialized_champion(instance, registry))
    except (HistoryDamaged, OSError) as error:
        return False, str(error)


# Of all markets at once: Dagster 1.13 cannot store a second evaluation without a run for the same partition.
@dg.asset_check(asset=_CHAMPION, name=_CHECK)
def the_registry_agrees(context: dg.AssetCheckExecutionContext, release: Release) -> dg.AssetCheckResult:
    """The registry names the version that Dagster's last run of «champion» left in production, for every market."""
    passed, sentence = agreements(context.instance, release.registries())
    return dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN, description=sentence)


def observe_champion_sensor(markets: Iterable[str]) -> dg.SensorDefinition:
    """The sensor `observe_champion`, for some markets.

    It compares states and not events, and tells each change once: what the registry says, with what Dagster was told
    last.
    """
    known = frozenset(markets)

    @dg.sensor(
        name="observe_champion",
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=20,
        description="Tells Dagster each market's champion after a `models promote` or `models rollback`.",
    )
    def observe_champion(context: dg.SensorEvaluationContext, release: Release) -> dg.SensorResult | dg.SkipReason:
        instance, registries = context.instance, release.registries()
        events, under_way = list[dg.AssetObservation | dg.AssetCheckEvaluation](), list[str]()
        try:
            there = [registries.of(market) for market in registries.markets() if market in known]
        except OSError as error:
            return dg.SkipReason(f"The registry {registries.place} cannot be read: {error}")
        empty = True
        for registry in there:
            try:
                champion = registry.champion()
            except (HistoryDamaged, OSError):
                empty = False  # the check says what is wrong with it
                continue
            if champion is None:
                continue
            empty = False
            if _under_way(instance, champion):
                under_way.append(champion.version)
            elif latest_champion(instance, registry) != champion.version:
                events.append(observation(registry, champion))
        if under_way:
            sentence = f"The run that put {under_way[0]} into production tells Dagster itself."
        elif empty:
            sentence = f"The registry {registries.place} has no champion yet."
        else:
            passed, sentence = agreements(instance, registries)
            if latest_evaluation(instance) != (passed, sentence):
                events.append(_evaluation(passed, sentence))
        return dg.SensorResult(asset_events=events) if events else dg.SkipReason(sentence)

    return observe_champion


def _evaluation(passed: bool, sentence: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        _CHAMPION, _CHECK, passed, severity=dg.AssetCheckSeverity.WARN, description=sentence, blocking=False
    )


def materialized_champion(instance: dg.DagsterInstance, registry: MarketRegistry) -> str | None:
    """The version that the latest materialization of a market's «champion» left in production; None if there is none.

    One from before there were partitions counts for the market whose version it names.
    """
    record = materialization(instance, registry.market, _CHAMPION.to_user_string())
    if record:
        return _version(record.asset_materialization)
    older = instance.fetch_materializations(_CHAMPION, limit=_MOST_RECORDS).records
    left = (_version(record.asset_materialization) for record in older if record.partition_key is None)
    version = next(left, None)
    return version if version in registry.versions() else None


def latest_champion(instance: dg.DagsterInstance, registry: MarketRegistry) -> str | None:
    """The version that Dagster was told last of a market, by a materialization or an observation of «champion»."""
    of_market = AssetRecordsFilter(asset_key=_CHAMPION, asset_partitions=[registry.market])
    told = [
        materialization(instance, registry.market, _CHAMPION.to_user_string()),
        *instance.fetch_observations(of_market, limit=1).records,
    ]
    records = [record for record in told if record]
    if not records:
        return materialized_champion(instance, registry)
    latest = max(records, key=lambda record: record.storage_id)
    return _version(latest.asset_materialization or latest.asset_observation)


def latest_evaluation(instance: dg.DagsterInstance) -> tuple[bool, str | None] | None:
    """The latest result of the check and its sentence; None where it was never evaluated."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(_CHAMPION, _CHECK))
    event = record.event.asset_check_evaluation if record and record.event else None
    return (event.passed, event.description) if event else None


def _under_way(instance: dg.DagsterInstance, champion: Champion) -> bool:
    # The pointer is renamed within the run, seconds before the materialization that tells of it.
    run = instance.get_run_by_id(champion.run_id) if champion.run_id else None
    return run is not None and not run.is_finished


def _version(event: Any) -> str | None:
    value = event.metadata.get("champion") if event else None
    return str(value.value) if value else None
