"""The commands that only look: list, show, diff, history, verify."""

import sys
from typing import Any

import click
import msgspec
from rich.table import Table

from model_registry.classifier import REPORT_FILE
from model_registry.cli.comparison import Row, compare, comparison_table
from model_registry.cli.manifest_view import flat, view
from model_registry.cli.options import as_json, full_id, manifest_of, pass_registry, with_details
from model_registry.cli.refusals import EXIT_REFUSED, in_words
from model_registry.cli.terminal import label_width, print_table, print_wrapped, terminal_width
from model_registry.cli.version_table import version_table
from model_registry.manifest import Manifest, ManifestRefused
from model_registry.store import Registry, UnknownVersion

_CHAMPION, _SHADOW = "→", "⇢"


@click.command("list")
@as_json
@pass_registry
def list_versions(registry: Registry, *, as_json: bool) -> None:
    """List the published versions, newest first."""
    with in_words(registry):
        production, shadow = _pointers(registry)
        manifests, damaged = registry.manifests()
    if as_json:
        print_json(
            [
                *(
                    {**_summary(one), "champion": one.version == production, "shadow": one.version == shadow}
                    for one in manifests
                ),
                *({"version": version, "damaged": problem} for version, problem in damaged.items()),
            ]
        )
        return
    held = len(manifests) + len(damaged)
    if not held:
        print_wrapped(f"No model has been published in {registry.folder} yet: run the pipeline.")
        return
    signs = {production: _CHAMPION, shadow: _SHADOW}
    print_table(version_table(manifests, list(damaged), signs, terminal_width()), fold=False)
    beside = f", {_SHADOW} its shadow" if shadow else ""
    print_wrapped(
        f"{_CHAMPION} is the champion{beside}. {registry.folder} holds {held} version{'' if held == 1 else 's'}."
    )
    for version, problem in damaged.items():
        print_wrapped(f"{version}: {problem}")


@click.command("show")
@click.argument("version")
@with_details
@as_json
@pass_registry
def show_version(registry: Registry, version: str, *, everything: bool, as_json: bool) -> None:
    """Show what is known about VERSION: metrics, data, parameters."""
    with in_words(registry):
        manifest = manifest_of(registry, version)
        pointers = _pointers(registry)
    if as_json:
        print_json(manifest)
        return
    click.echo(_titled(manifest, pointers))
    seen = view(manifest)
    width = label_width(name for lines in seen.groups.values() for name in lines)
    for title, lines in seen.groups.items():
        click.echo(f"\n{title}")
        print_table(_two_columns(lines, width))
    if not everything:
        click.echo("\nHashes, runs, code, libraries and golden rows: --all.")
        return
    click.echo("\ndetails")
    for name, text in seen.details.items():
        print_wrapped(f"{name}: {text}", indent=2, hanging=6)


@click.command()
@click.argument("a")
@click.argument("b")
@with_details
@as_json
@pass_registry
def diff(registry: Registry, a: str, b: str, *, everything: bool, as_json: bool) -> None:
    """Compare two versions: metrics, data, parameters."""
    with in_words(registry):
        left, right = manifest_of(registry, a), manifest_of(registry, b)
        pointers = _pointers(registry)
    if as_json:
        sides = [flat(manifest) for manifest in (left, right)]
        names = [name for name in {**sides[0], **sides[1]} if sides[0].get(name) != sides[1].get(name)]
        print_json({name: [side.get(name) for side in sides] for name in names})
        return
    for side, manifest in (("A", left), ("B", right)):
        click.echo(f"{side}  {_titled(manifest, pointers)}")
    click.echo()
    if left == right:
        click.echo("The two do not differ.")
        return
    compared = compare(left, right)
    print_table(comparison_table(compared, terminal_width()))
    click.echo()
    same = [title for title, rows in compared.groups.items() if not rows]
    if same:
        print_wrapped(f"No difference: {'; '.join(same)}.")
    if not compared.same_test_listings:
        print_wrapped("Their test listings differ: a better figure may come from easier listings.")
    if everything:
        _print_details(compared.details)
    elif compared.details:
        print_wrapped(f"{len(compared.details)} differences in hashes, runs, code and libraries: --all.")


@click.command()
@click.argument("version")
@pass_registry
def card(registry: Registry, version: str) -> None:
    """Open VERSION's card in a browser, or print it."""
    with in_words(registry):
        found = full_id(registry, version)
        page = registry.open(found).report
    if terminal_width() is None:
        click.echo(page, nl=False)
        return
    file = (registry.path(found) / REPORT_FILE).resolve()
    opened = click.launch(file.as_uri()) == 0
    print_wrapped(f"{'Opened' if opened else 'No browser could be started: open'} {file}")


@click.command()
@as_json
@pass_registry
def history(registry: Registry, *, as_json: bool) -> None:
    """Show promotions, refusals and rollbacks, oldest first."""
    with in_words(registry):
        events = registry.history()
        made_up = _synthetic(registry, {event.version for event in events} | {e.previous for e in events if e.previous})
    if as_json:
        print_json([{**msgspec.to_builtins(event), "synthetic": made_up[event.version]} for event in events])
        return

    def marked(version: str) -> str:
        return f"{version} (made up)" if made_up[version] else version

    for event in events:
        instead = f" in place of {marked(event.previous)}" if event.action != "refusal" and event.previous else ""
        run = f", run {event.run_id}" if event.run_id else ""
        click.echo(f"{event.sequence:>4}  {event.at:%Y-%m-%d %H:%M:%S} UTC  {event.action}")
        for text in (marked(event.version) + instead, f"by {event.actor}{run}", event.decision.reason):
            print_wrapped(text, indent=6)
    if not events:
        print_wrapped(f"Nothing has been decided in {registry.folder} yet.")


@click.command()
@click.argument("version", required=False)
@click.option("--all", "everything", is_flag=True, help="Every version, the pointers and the history.")
@as_json
@pass_registry
def verify(registry: Registry, version: str | None, *, everything: bool, as_json: bool) -> None:
    """Check a model (the champion unless told): hashes, golden rows."""
    if everything and version:
        raise click.UsageError("Give a version or --all, not both.")
    with in_words(registry):
        if everything:
            problems = registry.problems()
            checked = [*registry.versions(), "champion.json", "history.jsonl"]
            if (registry.folder / "shadow.json").exists():
                checked.append("shadow.json")
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
    test = manifest.metrics.get("test", {})
    return {
        "version": manifest.version,
        "candidate": manifest.candidate,
        **{name: test.get(name) for name in ("accuracy", "roc_auc", "log_loss")},
        "created_at": manifest.created_at,
        "snapshot": manifest.snapshot,
        "run_id": manifest.run.run_id,
    }


def _pointers(registry: Registry) -> tuple[str | None, str | None]:
    """The champion and the shadow, where there are any."""
    champion, shadow = registry.champion(), registry.shadow()
    return champion.version if champion else None, shadow.version if shadow else None


def _titled(manifest: Manifest, pointers: tuple[str | None, str | None]) -> str:
    champion, shadow = pointers
    remarks = [
        *(["the champion"] if manifest.version == champion else []),
        *(["the shadow"] if manifest.version == shadow else []),
        *(["made up"] if manifest.snapshot.synthetic else []),
    ]
    return manifest.version + (f"  ({', '.join(remarks)})" if remarks else "")


def _two_columns(lines: dict[str, str], label: int) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(overflow="fold", min_width=label)
    table.add_column(overflow="fold")
    for name, text in lines.items():
        table.add_row(f"  {name}", text)
    return table


def _print_details(rows: list[Row]) -> None:
    click.echo("\ndetails")
    for row in rows:
        click.echo(f"  {row.name}")
        for side, text in (("A", row.a), ("B", row.b)):
            print_wrapped(f"{side}  {text}", indent=4, hanging=7)


def _synthetic(registry: Registry, versions: set[str]) -> dict[str, bool | None]:
    """Whether each version's listings were made up; None where the version is gone or cannot be read."""
    found: dict[str, bool | None] = {}
    for version in versions:
        try:
            found[version] = registry.manifest(version).snapshot.synthetic
        except (UnknownVersion, ManifestRefused):
            found[version] = None
    return found
