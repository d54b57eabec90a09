"""The commands that only look: list, show, diff, history, verify."""

import sys
from typing import Any

import click
import msgspec
from rich.console import Console

from model_registry.cli.options import as_json, full_id, pass_registry
from model_registry.cli.refusals import EXIT_REFUSED, in_words
from model_registry.cli.tables import flat, new_table, show
from model_registry.manifest import Manifest
from model_registry.store import Registry, UnknownVersion

_WIDE = 105
_FIGURES = {"accuracy": "accuracy", "roc_auc": "ROC AUC", "log_loss": "log loss"}


@click.command("list")
@as_json
@pass_registry
def list_versions(registry: Registry, *, as_json: bool) -> None:
    """List the published versions, newest first."""
    with in_words():
        champion = registry.champion()
        manifests, damaged = registry.manifests()
    production = champion.version if champion else None
    if as_json:
        print_json(
            [
                *({**_summary(manifest), "champion": manifest.version == production} for manifest in manifests),
                *({"version": version, "damaged": problem} for version, problem in damaged.items()),
            ]
        )
        return
    console = Console()
    columns = ["", "version", "candidate", "accuracy", "ROC AUC", "log loss", "created"]
    # A version begins with its candidate's name: a terminal of 80 columns has room for one of them.
    if console.width < _WIDE:
        columns.remove("candidate")
    table = new_table(*columns)
    for manifest in manifests:
        test = manifest.metrics.get("test", {})
        cells = {
            "": "→" if manifest.version == production else "",
            "version": manifest.version,
            "candidate": manifest.candidate,
            "created": f"{manifest.created_at:%Y-%m-%d}",
            **{title: f"{test[name]:.4f}" if name in test else "" for name, title in _FIGURES.items()},
        }
        table.add_row(*(cells[column] for column in columns))
    for version in damaged:
        table.add_row("", version, *[""] * (len(columns) - 3), "damaged")
    if table.row_count:
        held = len(manifests) + len(damaged)
        show(table, f"→ is the champion. {registry.folder} holds {held} version{'' if held == 1 else 's'}.")
    else:
        click.echo(f"No model has been published in {registry.folder} yet: run the pipeline.")


@click.command("show")
@click.argument("version")
@as_json
@pass_registry
def show_version(registry: Registry, version: str, *, as_json: bool) -> None:
    """Show all that is known about VERSION."""
    with in_words():
        manifest = registry.manifest(full_id(registry, version))
    if as_json:
        print_json(manifest)
        return
    for name, value in flat(manifest).items():
        click.echo(click.wrap_text(f"{name}: {value}", width=80, subsequent_indent="    "))


@click.command()
@click.argument("a")
@click.argument("b")
@as_json
@pass_registry
def diff(registry: Registry, a: str, b: str, *, as_json: bool) -> None:
    """Compare two versions: metrics, parameters, data."""
    with in_words():
        left, right = (registry.manifest(full_id(registry, version)) for version in (a, b))
    sides = [flat(manifest) for manifest in (left, right)]
    names = [name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)]
    if as_json:
        print_json({name: [side.get(name) for side in sides] for name in names})
        return
    table = new_table("what", left.version, right.version, fold="all")
    for name in names:
        table.add_row(name, *(side.get(name, "") for side in sides))
    show(table, None if names else "The two do not differ.")


@click.command()
@as_json
@pass_registry
def history(registry: Registry, *, as_json: bool) -> None:
    """Show promotions, refusals and rollbacks, oldest first."""
    with in_words():
        events = registry.history()
    if as_json:
        print_json(events)
        return
    for event in events:
        instead = f" in place of {event.previous}" if event.action != "refusal" and event.previous else ""
        run = f", run {event.run_id}" if event.run_id else ""
        click.echo(f"{event.sequence:>4}  {event.at:%Y-%m-%d %H:%M:%S} UTC  {event.action}")
        for text in (event.version + instead, f"by {event.actor}{run}", event.decision.reason):
            click.echo(click.wrap_text(text, width=80, initial_indent=" " * 6, subsequent_indent=" " * 6))
    if not events:
        click.echo(f"Nothing has been decided in {registry.folder} yet.")


@click.command()
@click.argument("version", required=False)
@click.option("--all", "everything", is_flag=True, help="Every version, the pointer and the history.")
@as_json
@pass_registry
def verify(registry: Registry, version: str | None, *, everything: bool, as_json: bool) -> None:
    """Check a model (the champion unless told): hashes, golden rows."""
    if everything and version:
        raise click.UsageError("Give a version or --all, not both.")
    with in_words():
        if everything:
            problems = registry.problems()
            checked = [*registry.versions(), "champion.json", "history.jsonl"]
        else:
            champion = registry.champion()
            if version is None and champion is None:
                raise UnknownVersion("There is no champion yet: name a version, or give --all.")
            checked = [full_id(registry, version or (champion.version if champion else ""))]
            problems = registry.problems(checked)
    if as_json:
        print_json({name: problems.get(name) for name in checked})
    else:
        for name in checked:
            click.echo(f"{'damaged' if name in problems else 'whole':<8} {name}")
        for problem in problems.values():
            click.echo(f"\n{problem}", err=True)
    if problems:
        sys.exit(EXIT_REFUSED)


def print_json(value: object) -> None:
    """Print anything as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "candidate": manifest.candidate,
        **{name: manifest.metrics.get("test", {}).get(name) for name in _FIGURES},
        "created_at": manifest.created_at,
        "snapshot": manifest.snapshot,
        "run_id": manifest.run.run_id,
    }
