"""How a version fares in production: the latest that the pipeline found out, beside the version and no part of it."""

from datetime import datetime
from pathlib import Path

import msgspec

from model_registry.history import Decision
from model_registry.store import Registry


class Rival(msgspec.Struct, frozen=True, kw_only=True):
    """The shadow beside the version, on the different listings that both answered and whose truth is known.

    `asked` are the times that it was to be asked, `missed` those of them that it did not answer. `p_value` is that of
    McNemar's mid-p test that both are right equally often; the difference is the shadow's log loss less the version's,
    None without listings.
    """

    version: str
    asked: int
    missed: int
    listings: int
    only_shadow_right: int
    only_version_right: int
    p_value: float
    log_loss_difference: float | None = None


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """live/<version>.json: what is known of a version's answers, as of `at`; replaced by the next look.

    `answers` are those looked at, given between `since` and `until`; of `labelled` ones the truth is known. The
    figures are of the different `listings` among those (None where they were made before that was so); intervals are of
    95 %. `estimate` is what the accuracy would be if the model were as right as it was sure: no measurement.
    `drifted` are the features whose listings are no longer those that the model learned from.
    """

    version: str
    market: str
    at: datetime
    since: datetime | None
    until: datetime | None
    answers: int
    labelled: int
    verdict: str
    reason: str
    drift: str
    drift_reason: str
    drifted: tuple[str, ...] = ()
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = None
    log_loss: float | None = None
    log_loss_interval: tuple[float, float] | None = None
    calibration_error: float | None = None
    test_accuracy: float | None = None
    estimate: float | None = None
    estimate_reason: str = ""
    rivals: tuple[Rival, ...] = ()
    listings: int | None = None


class LiveDamaged(Exception):
    """A file of live figures holds something that this code did not write."""


def write_live(registry: Registry, live: Live) -> Path | str:
    """Put the figures in place of the last ones, at once; raises UnknownVersion for one that is not there.

    Returns where they are.
    """
    registry.put_live(live.version, msgspec.json.format(msgspec.json.encode(live), indent=2))
    return registry.live_place(live.version)


def read_live(registry: Registry, version: str) -> Live | None:
    """The latest figures of a version, or None where nobody has looked yet; raises LiveDamaged for anything else."""
    content = registry.live_bytes(version)
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=Live)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LiveDamaged(
            f"{registry.live_place(version)} is damaged ({error}): remove it, the next monitoring run writes it anew"
        ) from error


def quoting_the_shadow(decision: Decision, registry: Registry, version: str) -> Decision:
    """The decision about a version with what was found out of it as the champion's shadow, if it was that.

    Whatever keeps that from being read keeps nothing from being decided.
    """
    champion = registry.champion()
    try:
        live = None if champion is None else read_live(registry, champion.version)
    except (LiveDamaged, OSError):
        return decision
    rival = next((one for one in live.rivals if one.version == version), None) if live else None
    if live is None or rival is None:
        return decision
    told = (
        f"As the shadow of {live.version} it was asked about {rival.asked:,} listings and missed {rival.missed:,}; of "
        f"{rival.listings:,} whose truth is known it alone was right {rival.only_shadow_right:,} times, the champion "
        f"alone {rival.only_version_right:,}."
    )
    numbers = {
        "shadow_asked": rival.asked,
        "shadow_missed": rival.missed,
        "shadow_listings": rival.listings,
        "shadow_alone_right": rival.only_shadow_right,
        "champion_alone_right": rival.only_version_right,
        "shadow_p_value": rival.p_value,
    }
    return msgspec.structs.replace(
        decision, reason=f"{decision.reason.rstrip('.')}. {told}", numbers={**decision.numbers, **numbers}
    )
