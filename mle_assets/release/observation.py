"""What the registry says about «champion», told to Dagster: a command changes the registry, and no run knows of it."""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg

from mle_assets.lineage import MATERIALIZED, OBSERVED, latest
from mle_assets.release.champion import Release
from mle_assets.release.figures import decision_figures, published_figures
from model_registry.history import Champion, HistoryDamaged
from model_registry.manifest import ManifestRefused
from model_registry.registries import Registries
from model_registry.store import MarketRegistry, UnknownVersion
from storage.waiting import each

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
    return _agreements(instance, registries, _pointers(instance, registries))


Pointers = Mapping[str, Champion | str | None]
"""Each market's champion, None where it has none, or a sentence where that cannot be read."""


def _agreements(instance: dg.DagsterInstance, registries: Registries, pointers: Pointers) -> tuple[bool, str]:
    left = materialized_champions(instance, [registries.of(market) for market in pointers])
    told = {
        market: (False, pointer) if isinstance(pointer, str) else agreement(pointer, left.get(market))
        for market, pointer in pointers.items()
    }
    apart = [market for market, (agree, _) in told.items() if not agree]
    shown = sorted(apart or told)
    sentences = [f"{market}: {told[market][1]}" if len(told) > 1 else told[market][1] for market in shown[:_MOST_TOLD]]
    more = [f"And {len(shown) - _MOST_TOLD} more."] if len(shown) > _MOST_TOLD else []
    return not apart, " ".join(sentences + more) or "The registry has no champion, and Dagster has no run on record."


def _pointers(instance: dg.DagsterInstance, registries: Registries) -> Pointers:
    # Of the markets that the registry has, and of those that Dagster knows a champion of.
    materialized = instance.get_latest_storage_id_by_partition(_CHAMPION, MATERIALIZED)
    markets = sorted({*registries.markets(), *materialized})
    return dict(zip(markets, each(_pointer, map(registries.of, markets)), strict=True))


def _pointer(registry: MarketRegistry) -> Champion | str | None:
    try:
        return registry.champion()
    except (HistoryDamaged, OSError) as error:
        return str(error)


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
        try:
            pointers = _pointers(instance, registries)
        except OSError as error:
            return dg.SkipReason(f"The registry {registries.place} cannot be read: {error}")
        # What is wrong with one that cannot be read is said by the check.
        named = {
            market: pointer
            for market, pointer in pointers.items()
            if market in known and pointer is not None and not isinstance(pointer, str)
        }
        telling = _told_by_runs(instance, named)
        told = latest_champions(instance, [registries.of(market) for market in named])
        new = {
            market: champion
            for market, champion in named.items()
            if market not in telling and told.get(market) != champion.version
        }
        events: list[dg.AssetObservation | dg.AssetCheckEvaluation] = [
            *each(lambda market: observation(registries.of(market), new[market]), new)
        ]
        if telling:
            sentence = f"The run that put {named[telling[0]].version} into production tells Dagster itself."
        elif not any(pointers.values()):
            sentence = f"The registry {registries.place} has no champion yet."
        else:
            passed, sentence = _agreements(instance, registries, pointers)
            if latest_evaluation(instance) != (passed, sentence):
                events.append(_evaluation(passed, sentence))
        return dg.SensorResult(asset_events=events) if events else dg.SkipReason(sentence)

    return observe_champion


def _evaluation(passed: bool, sentence: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        _CHAMPION, _CHECK, passed, severity=dg.AssetCheckSeverity.WARN, description=sentence, blocking=False
    )


def materialized_champions(instance: dg.DagsterInstance, registries: Sequence[MarketRegistry]) -> dict[str, str]:
    """The version that the latest materialization of each market's «champion» left in production, by market.

    One from before there were partitions counts for the market whose version it names.
    """
    known = latest(instance, _CHAMPION.to_user_string(), [registry.market for registry in registries])
    left = {market: version for market, record in known.items() if (version := _version(record))}
    unknown = [registry for registry in registries if registry.market not in known]
    if unknown and (older := _before_partitions(instance)):
        left |= {registry.market: older for registry in unknown if older in registry.versions()}
    return left


def latest_champions(instance: dg.DagsterInstance, registries: Sequence[MarketRegistry]) -> dict[str, str]:
    """The version that Dagster was told last of each market, by a materialization or an observation of «champion»."""
    key, markets = _CHAMPION.to_user_string(), [registry.market for registry in registries]
    newest = latest(instance, key, markets, OBSERVED)
    for market, record in latest(instance, key, markets).items():
        if market not in newest or newest[market].storage_id < record.storage_id:
            newest[market] = record
    told = {market: version for market, record in newest.items() if (version := _version(record))}
    return {**materialized_champions(instance, [one for one in registries if one.market not in newest]), **told}


def latest_champion(instance: dg.DagsterInstance, registry: MarketRegistry) -> str | None:
    """The version that Dagster was told last of one market; None where it was told of none."""
    return latest_champions(instance, [registry]).get(registry.market)


def _before_partitions(instance: dg.DagsterInstance) -> str | None:
    older = instance.fetch_materializations(_CHAMPION, limit=_MOST_RECORDS).records
    return next((_version(record) for record in older if record.partition_key is None), None)


def latest_evaluation(instance: dg.DagsterInstance) -> tuple[bool, str | None] | None:
    """The latest result of the check and its sentence; None where it was never evaluated."""
    record = instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(_CHAMPION, _CHECK))
    event = record.event.asset_check_evaluation if record and record.event else None
    return (event.passed, event.description) if event else None


def _told_by_runs(instance: dg.DagsterInstance, champions: Mapping[str, Champion]) -> list[str]:
    """The markets whose champion's own run is under way.

    It changes the pointer seconds before the materialization that tells of it.
    """
    runs = {champion.run_id: market for market, champion in champions.items() if champion.run_id}
    if not runs:
        return []
    found = instance.get_runs(dg.RunsFilter(run_ids=list(runs)))
    return [runs[run.run_id] for run in found if not run.is_finished]


def _version(record: dg.EventLogRecord) -> str | None:
    event = record.asset_materialization or record.event_log_entry.asset_observation
    value = event.metadata.get("champion") if event else None
    return str(value.value) if value else None
