"""The table of versions that `models list` prints, with as many columns as there is room for."""

from collections.abc import Callable, Mapping

from rich.table import Table

from model_registry.cli.manifest_view import figure, provenance
from model_registry.cli.terminal import fitted, new_table
from model_registry.manifest import Manifest

_COLUMNS: dict[str, Callable[[Manifest], str]] = {
    "version": lambda manifest: manifest.version,
    "listings": provenance,
    "snapshot": lambda manifest: f"{manifest.snapshot.date or 'unknown'}",
    "accuracy": lambda manifest: _test(manifest, "accuracy"),
    "ROC AUC": lambda manifest: _test(manifest, "roc_auc"),
    "log loss": lambda manifest: _test(manifest, "log_loss"),
    "created": lambda manifest: f"{manifest.created_at:%Y-%m-%d}",
    "trained on": lambda manifest: f"{manifest.rows.train:,}",
    "candidate": lambda manifest: manifest.candidate,
}
_NUMERIC = {"accuracy", "ROC AUC", "log loss", "trained on"}
_FIRST_TO_GO = ("candidate", "trained on", "created", "ROC AUC", "accuracy", "log loss", "snapshot")
"""The other columns always stay. A version begins with its candidate's name; the gate goes by log loss."""


def version_table(
    manifests: list[Manifest], unreadable: list[str], signs: Mapping[str | None, str], width: int | None
) -> Table:
    """The versions in the order given, some with a sign before them; `width` is the terminal's, None for all columns.

    An id is never broken: columns go until it has room, and in the narrowest terminal it stands alone with
    what its listings are.
    """
    rows = [{title: cell(manifest) for title, cell in _COLUMNS.items()} for manifest in manifests]
    rows += [{**dict.fromkeys(_COLUMNS, ""), "version": version, "listings": "unknown"} for version in unreadable]
    return fitted(lambda titles: _table(rows, titles, signs), _COLUMNS, _FIRST_TO_GO, width)


def _table(rows: list[dict[str, str]], titles: list[str], signs: Mapping[str | None, str]) -> Table:
    table = new_table()
    for title in ("", *titles):
        table.add_column(title, no_wrap=True, justify="right" if title in _NUMERIC else "left")
    for row in rows:
        table.add_row(signs.get(row["version"], ""), *(row[title] for title in titles))
    return table


def _test(manifest: Manifest, name: str) -> str:
    value = manifest.metrics.get("test", {}).get(name)
    return "" if value is None else figure(value)
