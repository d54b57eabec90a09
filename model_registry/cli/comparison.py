"""Two versions side by side: what differs, group by group, and which side's metrics are better."""

from dataclasses import dataclass
from typing import Literal

from rich.table import Table

from model_registry.cli.manifest_view import View, metrics_title, view
from model_registry.cli.terminal import GAP, label_width, new_table
from model_registry.manifest import Manifest

Side = Literal["A", "B"]

_BETTER = "better"
_NARROWEST_SIDE = 6
_HIGHER_IS_BETTER = {"accuracy", "balanced_accuracy", "macro_f1", "f1", "precision", "recall", "roc_auc"}
_LOWER_IS_BETTER = {"log_loss", "brier", "brier_score", "ece", "calibration_error"}


@dataclass(frozen=True)
class Row:
    """One line of a comparison: what it is, its text on both sides, and the better side of a metric."""

    name: str
    a: str
    b: str
    better: Side | None = None


@dataclass(frozen=True)
class Comparison:
    """The rows of each group (none where nothing differs), and what differs in the details."""

    groups: dict[str, list[Row]]
    details: list[Row]
    same_test_listings: bool


def compare(a: Manifest, b: Manifest) -> Comparison:
    """What differs between two manifests; of a group of metrics in which something does, all of them."""
    left, right = view(a), view(b)
    return Comparison(
        groups={title: _group(title, left, right, a, b) for title in {**left.groups, **right.groups}},
        details=_differing(left.details, right.details),
        same_test_listings=a.data_versions.get("test_listings") == b.data_versions.get("test_listings"),
    )


def better_side(metric: str, a: float | None, b: float | None) -> Side | None:
    """The side with the better figure; None where they are equal to four digits, or neither is known to be better."""
    if a is None or b is None or f"{a:.4f}" == f"{b:.4f}":
        return None
    if metric in _HIGHER_IS_BETTER:
        return "A" if a > b else "B"
    if metric in _LOWER_IS_BETTER:
        return "A" if a < b else "B"
    return None


def comparison_table(comparison: Comparison, width: int | None) -> Table:
    """The groups under each other: name, A, B, and the better side of each metric; `width` is the terminal's, or None.

    What is too long is folded within A and B, which share what the other columns leave.
    """
    label = label_width(row.name for rows in comparison.groups.values() for row in rows)
    side = None if width is None else max((width - label - len(_BETTER) - 3 * GAP) // 2, _NARROWEST_SIDE)
    table = new_table()
    table.add_column("", overflow="fold", width=label)
    for title in ("A", "B"):
        table.add_column(title, overflow="fold", max_width=side)
    table.add_column(_BETTER, width=len(_BETTER))
    for title, rows in comparison.groups.items():
        if rows:
            table.add_row(title, style="bold")
            for row in rows:
                table.add_row(f"  {row.name}", row.a, row.b, row.better or "")
            table.add_section()
    return table


def _group(title: str, left: View, right: View, a: Manifest, b: Manifest) -> list[Row]:
    ours, theirs = left.groups.get(title, {}), right.groups.get(title, {})
    differing = _differing(ours, theirs)
    for part in {**a.metrics, **b.metrics}:
        if title == metrics_title(part) and differing:
            figures = (a.metrics.get(part, {}), b.metrics.get(part, {}))
            return [
                Row(name, ours.get(name, ""), theirs.get(name, ""), better_side(name, *(f.get(name) for f in figures)))
                for name in {**ours, **theirs}
            ]
    return differing


def _differing(left: dict[str, str], right: dict[str, str]) -> list[Row]:
    return [
        Row(name, left.get(name, ""), right.get(name, ""))
        for name in {**left, **right}
        if left.get(name) != right.get(name)
    ]
