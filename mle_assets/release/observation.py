"""What the registry says about «champion», told to Dagster: a command changes the registry, and no run knows of it."""

from typing import Any

import dagster as dg

from mle_assets.release.champion import Release
from mle_assets.release.figures import decision_figures, published_figures
from model_registry.history import Champion, HistoryDamaged
from model_registry.manifest import ManifestRefused
from model_registry.store import Registry, UnknownVersion

_CHAMPION = dg.AssetKey("champion")
_CHECK = "the_registry_agrees"
_NONE = "none"


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


def observation(registry: Registry, champion: Champion) -> dg.AssetObservation:
    """The registry's champion: since when, by whom and why, with its figures where its manifest can be read."""
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
        tags={"dagster/data_version": champion.version},
    )


@dg.asset_check(asset=_CHAMPION, name=_CHECK)
def the_registry_agrees(context: dg.AssetCheckExecutionContext, release: Release) -> dg.AssetCheckResult:
    """The registry names the version that Dagster's last run of «champion» left in production."""
    materialized = materialized_champion(context.instance)
    try:
        passed, sentence = agreement(release.registry().champion(), materialized)
    except (HistoryDamaged, OSError) as error:
        passed, sentence = False, str(error)
    return dg.AssetCheckResult(passed=passed, severity=dg.AssetCheckSeverity.WARN, description=sentence)


@dg.sensor(
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=20,
    description="Tells Dagster the registry's champion after a `models promote` or `models rollback`.",
)
def observe_champion(context: dg.SensorEvaluationContext, release: Release) -> dg.SensorResult | dg.SkipReason:
    """Tells Dagster the registry's champion after a `models promote` or `models rollback`, once for each change.

    It compares states and not events: what the registry says, with what Dagster was told last.
    """
    registry = release.registry()
    try:
        champion = registry.champion()
    except (HistoryDamaged, OSError) as error:
        return dg.SkipReason(f"The registry {registry.folder} cannot be read: {error}")
    if champion is None:
        return dg.SkipReason(f"The registry {registry.folder} has no champion yet.")
    if _under_way(context.instance, champion):
        return dg.SkipReason(f"The run that put {champion.version} into production tells Dagster itself.")
    events: list[dg.AssetObservation | dg.AssetCheckEvaluation] = []
    if latest_champion(context.instance) != champion.version:
        events.append(observation(registry, champion))
    materialized = materialized_champion(context.instance)
    passed, sentence = agreement(champion, materialized)
    if latest_evaluation(context.instance) != (passed, sentence):
        events.append(
            dg.AssetCheckEvaluation(
                _CHAMPION, _CHECK, passed, severity=dg.AssetCheckSeverity.WARN, description=sentence, blocking=False
            )
        )
    return dg.SensorResult(asset_events=events) if events else dg.SkipReason(sentence)


def materialized_champion(instance: dg.DagsterInstance) -> str | None:
    """The version that the latest materialization of «champion» left in production; None where there is none."""
    records = instance.fetch_materializations(_CHAMPION, limit=1).records
    return _version(records[0].asset_materialization) if records else None


def latest_champion(instance: dg.DagsterInstance) -> str | None:
    """The version that Dagster was told last, by a materialization or an observation of «champion»."""
    records = [
        *instance.fetch_materializations(_CHAMPION, limit=1).records,
        *instance.fetch_observations(_CHAMPION, limit=1).records,
    ]
    if not records:
        return None
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
