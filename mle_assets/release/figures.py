"""The figures of a published model as metadata: numbers under plain names, so that Dagster plots them over time."""

from typing import Any

from mle_assets.pictures.champion import Reign
from model_registry.history import Decision
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.store import Registry, UnknownVersion, utc_now

_COUNTS = {"test_listings"}
_HEADLINE = ("accuracy", "roc_auc", "log_loss")


def published_figures(manifest: Manifest, prefix: str = "") -> dict[str, Any]:
    """A model's figures on its own test listings, and whether its listings were made up."""
    test = manifest.metrics.get("test", {})
    return {
        **{f"{prefix}{name}": round(test[name], 4) for name in _HEADLINE if name in test},
        f"{prefix}synthetic": manifest.snapshot.synthetic,
    }


def decision_figures(decision: Decision) -> dict[str, float]:
    """Every number behind a decision, counts as whole numbers and the others to four digits."""
    return {name: int(number) if name in _COUNTS else round(number, 4) for name, number in decision.numbers.items()}


def reigns(registry: Registry, promoted_now: str | None = None) -> list[Reign]:
    """Every promotion and rollback of a registry, oldest first, with the champion's figures.

    `promoted_now` is a version that is about to be promoted. Without those that are gone, cannot be read, or were
    published without figures. Raises HistoryDamaged.
    """
    begun = [(event.version, event.at) for event in registry.history() if event.action != "refusal"]
    if promoted_now is not None and (not begun or begun[-1][0] != promoted_now):
        begun.append((promoted_now, utc_now()))
    known: list[Reign] = []
    for version, since in begun:
        try:
            manifest = registry.manifest(version)
        except (UnknownVersion, ManifestRefused):
            continue
        test = manifest.metrics.get("test", {})
        if set(_HEADLINE) <= set(test):
            figures = {name: test[name] for name in _HEADLINE}
            known.append(Reign(version, since, manifest.snapshot.synthetic, **figures))
    return known
