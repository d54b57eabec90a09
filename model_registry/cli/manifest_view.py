"""A manifest as a person reads it: what the model is, its metrics, its data, its parameters; the rest as details."""

import textwrap
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from model_registry.manifest import Manifest

_DETAIL_LENGTH = 70
_SHOWN_IN_GROUPS = {"version", "candidate", "created_at", "metrics", "parameters", "rows"}
_KNOWN = {*Manifest.__struct_fields__} - {"profile"}


@dataclass(frozen=True)
class View:
    """What a manifest holds as short texts: by group and name, and by dotted name what only `--all` shows."""

    groups: dict[str, dict[str, str]]
    details: dict[str, str]


def view(manifest: Manifest) -> View:
    """The manifest in groups; hashes, runs, code, libraries and what this code does not know are details."""
    snapshot, rows = manifest.snapshot, manifest.rows
    groups = {
        "model": {
            "candidate": manifest.candidate,
            "created": f"{manifest.created_at:%Y-%m-%d %H:%M} UTC",
            "size": f"{manifest.model.bytes / 1000:,.0f} kB",
        },
        **{
            metrics_title(part): {name: figure(value) for name, value in figures.items()}
            for part, figures in manifest.metrics.items()
        },
        "data": {
            "listings": "made up (synthetic)" if snapshot.synthetic else "real",
            "snapshot": snapshot.source,
            "date": f"{snapshot.date or 'unknown'}",
            "rows in the snapshot": f"{rows.raw:,}",
            "kept": f"{rows.kept:,}",
            "trained on": f"{rows.train:,}",
            "tested on": f"{rows.test:,}",
            **{f"dropped: {reason}": f"{count:,}" for reason, count in rows.dropped.items()},
        },
        "parameters": {name: _plain(value) for name, value in manifest.parameters.items()},
    }
    return View({title: lines for title, lines in groups.items() if lines}, _details(manifest))


def metrics_title(part: str) -> str:
    """The name of a group of metrics: "test" or "cross_validation" as words."""
    return f"metrics, {part.replace('_', ' ')}"


def provenance(manifest: Manifest) -> str:
    """What the listings are that a model was trained on: "real" or "made up"."""
    return "made up" if manifest.snapshot.synthetic else "real"


def figure(value: float) -> str:
    """A metric with four digits after the point."""
    return f"{value:.4f}"


def flat(manifest: Manifest) -> dict[str, str]:
    """All that a manifest holds, by dotted names, as text; golden rows as their number, filters as their size."""
    lines: dict[str, str] = {}
    _flatten(lines, "", _shortened(manifest))
    return lines


def summarize(lines: dict[str, str], name: str, value: Any) -> None:
    """Add one short line for each name: a manifest of a later schema may carry hundreds of numbers per feature."""
    if isinstance(value, dict):
        inner = cast("dict[str, Any]", value)
        if any(isinstance(deeper, dict) for deeper in inner.values()):
            for key, deeper in inner.items():
                summarize(lines, f"{name}.{key}", deeper)
            return
        value = ", ".join(
            f"{len(cast('list[Any]', part))} {key}" if isinstance(part, list | tuple) else f"{key} {_plain(part)}"
            for key, part in inner.items()
        )
    elif isinstance(value, list | tuple):
        value = f"{len(cast('list[Any]', value))} entries"
    if value is not None:
        lines[name] = textwrap.shorten(_plain(value), _DETAIL_LENGTH, placeholder=" ...")


def _details(manifest: Manifest) -> dict[str, str]:
    content = _shortened(manifest)
    content["snapshot"] = {"sha256": manifest.snapshot.sha256}
    lines: dict[str, str] = {}
    for field, value in content.items():
        if field not in _KNOWN:
            summarize(lines, field, value)
        elif field not in _SHOWN_IN_GROUPS:
            _flatten(lines, field, value)
    return lines


def _shortened(manifest: Manifest) -> dict[str, Any]:
    content: dict[str, Any] = msgspec.to_builtins(manifest)
    content["golden"] = f"{len(manifest.golden)} rows"
    if manifest.learned_from is not None:
        content["learned_from"] = f"{len(manifest.learned_from.bits):,} bytes"
    return content


def _flatten(lines: dict[str, str], name: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            _flatten(lines, f"{name}.{key}" if name else key, inner)
    elif value is not None:
        text = _plain(value)
        lines[name] = text[:12] if name.startswith("data_versions.") else text


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in cast("list[Any]", value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
