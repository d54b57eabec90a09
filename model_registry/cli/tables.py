"""How a manifest and tables of versions look in a terminal."""

from typing import Any, cast

import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from model_registry.manifest import Manifest


def new_table(*columns: str, fold: str = "version") -> Table:
    """A table for a terminal; the column named `fold` (or "all" but the first) is broken where it is too long."""
    table = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        foldable = column == fold or (fold == "all" and column != columns[0])
        table.add_column(column, overflow="fold", no_wrap=not foldable)
    return table


def show(table: Table, note: str | None = None) -> None:
    """Print a table that has rows, and a note under it."""
    console = Console(highlight=False)
    if table.row_count:
        console.print(table)
    if note:
        console.print(note)


def flat(manifest: Manifest) -> dict[str, str]:
    """What a manifest holds, by dotted names, as short text: versions as 12 digits, golden rows as their number."""
    lines: dict[str, str] = {}

    def add(name: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in cast("dict[str, Any]", value).items():
                add(f"{name}.{key}" if name else key, inner)
        elif isinstance(value, float):
            lines[name] = f"{value:.4f}" if abs(value) >= 1e-3 else f"{value:g}"
        elif isinstance(value, list | tuple):
            lines[name] = ", ".join(str(item) for item in cast("list[Any]", value))
        elif value is not None:
            lines[name] = str(value)[:12] if name.startswith("data_versions.") else str(value)

    add("", {**msgspec.to_builtins(manifest), "golden": f"{len(manifest.golden)} rows"})
    return lines
