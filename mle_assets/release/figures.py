"""The figures of a published model as metadata: numbers under plain names, so that Dagster plots them over time."""

from typing import Any

from model_registry.history import Decision
from model_registry.manifest import Manifest

_COUNTS = {"test_listings"}
_HEADLINE = ("accuracy", "roc_auc", "log_loss")


def published_figures(manifest: Manifest, prefix: str = "") -> dict[str, Any]:
    """A model's figures on its own test listings, and whether its listings were made up."""
    test = manifest.metrics.get("test", {})
    return {
        **{f"{prefix}{name}": test[name] for name in _HEADLINE if name in test},
        f"{prefix}synthetic": manifest.snapshot.synthetic,
    }


def decision_figures(decision: Decision) -> dict[str, float]:
    """Every number behind a decision, counts as whole numbers."""
    return {name: int(number) if name in _COUNTS else number for name, number in decision.numbers.items()}
