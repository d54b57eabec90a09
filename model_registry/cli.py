"""The `models` command: what is in the registry, what is in production, and how to change it."""

import getpass
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from model_registry.archive import BadArchive, export_version, import_version
from model_registry.classifier import ModelRefused
from model_registry.disk import RegistryBusy
from model_registry.history import Decision, HistoryDamaged
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.settings import DEFAULT_REGISTRY
from model_registry.store import NothingToRollBackTo, Registry, UnknownVersion

EXIT_REFUSED, EXIT_BUSY = 1, 3
_WIDE = 105
_FIGURES = {"accuracy": "accuracy", "roc_auc": "ROC AUC", "log_loss": "log loss"}

_REFUSALS = (
    BadArchive,
    FileExistsError,
    HistoryDamaged,
    ManifestRefused,
    ModelRefused,
    NothingToRollBackTo,
    UnknownVersion,
)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
because = click.option("--reason", required=True, help="Why; it goes into the history.")
pass_registry = click.make_pass_decorator(Registry)


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="A VERSION may be shortened to any part of it that no other version has. "
    "Exit codes: 0 done, 1 refused or damaged (the message says what), 2 wrong usage, "
    "3 another writer is at work.",
)
@click.option(
    "--registry",
    "folder",
    envvar="MODEL_REGISTRY",
    default=DEFAULT_REGISTRY,
    show_default=True,
    show_envvar=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The registry folder.",
)
@click.pass_context
def models(context: click.Context, folder: Path) -> None:
    """Look after the published models: list, compare, promote, roll back, verify."""
    context.obj = Registry(folder)


@models.command("list")
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


@models.command("show")
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


@models.command()
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


@models.command()
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


@models.command()
@click.argument("version")
@because
@pass_registry
def promote(registry: Registry, version: str, reason: str) -> None:
    """Make VERSION the champion, whatever the gate says."""
    with in_words():
        target = full_id(registry, version)
        decision = Decision(promote=True, reason=reason)
        before = registry.champion()
        champion = registry.promote(target, decision, run_id=None, actor=getpass.getuser())
    if before is not None and before.version == target:
        click.echo(f"{target} is the champion already: nothing was changed.")
    else:
        click.echo(f"{champion.version} is the champion.")


@models.command()
@click.option("--to", metavar="VERSION", help="Where to go back to; else the champion before the present one.")
@because
@pass_registry
def rollback(registry: Registry, to: str | None, reason: str) -> None:
    """Go back to an earlier champion."""
    with in_words():
        target = None if to is None else full_id(registry, to)
        champion = registry.rollback(target, decision=Decision(promote=True, reason=reason), actor=getpass.getuser())
    click.echo(f"{champion.version} is the champion again, in place of {champion.previous}.")


@models.command()
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


@models.command()
@click.option("--keep", type=click.IntRange(min=0), required=True, help="How many of the newest versions stay.")
@pass_registry
def prune(registry: Registry, keep: int) -> None:
    """Remove old versions; the champion and its predecessors stay."""
    with in_words():
        removed = registry.prune(keep)
    for version in removed:
        click.echo(f"removed {version}")
    click.echo(f"{len(removed)} versions removed, {len(registry.versions())} stay.")


@models.command("export")
@click.argument("version")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_registry
def export_command(registry: Registry, version: str, file: Path) -> None:
    """Write VERSION into a new archive FILE."""
    with in_words():
        target = full_id(registry, version)
        export_version(registry, target, file)
    click.echo(f"{target} is in {file}.")


@models.command("import")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@pass_registry
def import_command(registry: Registry, file: Path) -> None:
    """Take the version in an archive FILE, verified."""
    with in_words():
        version = import_version(registry, file)
    click.echo(f"{version} is in {registry.folder}; `models promote {version} --reason ...` makes it the champion.")


@contextmanager
def in_words() -> Generator[None]:
    """Turn an expected error into its sentence on standard error and the exit code for it."""
    try:
        yield
    except RegistryBusy as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_BUSY)
    except FileExistsError as error:
        click.echo(f"Error: {error.filename2 or error.filename} is there already: choose another name.", err=True)
        sys.exit(EXIT_REFUSED)
    except _REFUSALS as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


def full_id(registry: Registry, part: str) -> str:
    """The one version whose id is, or contains, what was typed."""
    versions = registry.versions()
    found = [version for version in versions if version == part] or [v for v in versions if part and part in v]
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownVersion(f"{part!r} may be any of {', '.join(found)}: give more of it")
    raise UnknownVersion(f"the registry {registry.folder} holds no version {part!r}: see `models list`")


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


def print_json(value: object) -> None:
    """Print anything as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


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


def _summary(manifest: Manifest) -> dict[str, Any]:
    return {
        "version": manifest.version,
        "candidate": manifest.candidate,
        **{name: manifest.metrics.get("test", {}).get(name) for name in _FIGURES},
        "created_at": manifest.created_at,
        "snapshot": manifest.snapshot,
        "run_id": manifest.run.run_id,
    }


if __name__ == "__main__":
    models()
