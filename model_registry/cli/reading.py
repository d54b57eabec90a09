"""The commands that only look: list, show, diff, card, history."""

import tempfile
from pathlib import Path
from typing import Any

import click
import msgspec

from model_registry.classifier import REPORT_FILE
from model_registry.cli.comparison import Row, better_side, compare, comparison_table
from model_registry.cli.guidance import WHY, command, short, suggest
from model_registry.cli.manifest_view import flat, view
from model_registry.cli.options import as_json, full_id, manifest_of, pass_registry, with_details
from model_registry.cli.refusals import in_words
from model_registry.cli.terminal import label_width, print_table, print_wrapped, terminal_width, two_columns
from model_registry.cli.version_table import version_table
from model_registry.history import champions
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
        print_wrapped(f"No model has been published in {registry.place} yet: run the pipeline.")
        return
    signs = {production: _CHAMPION, shadow: _SHADOW}
    print_table(version_table(manifests, list(damaged), signs, terminal_width()), fold=False)
    which = _CHAMPION if production else "None of them"
    beside = f", {_SHADOW} its shadow" if shadow else ""
    print_wrapped(f"{which} is the champion{beside}. {registry.place} holds {counted(held)}.")
    for version, problem in damaged.items():
        print_wrapped(f"{version}: {problem}")
    ids, newest = registry.versions(), manifests[0].version if manifests else None
    if newest is None:
        suggest(f"Next: {command('verify', '--all')} tells what is damaged.")
    elif production is None:
        suggest(f"Next: {command('promote', short(newest, ids), *WHY)} makes the newest the first champion.")
    elif newest != production:
        compared = command("diff", short(production, ids), short(newest, ids))
        suggest(f"Next: {compared} compares the champion with the newest.")
    else:
        suggest(f"Next: {command('show', short(newest, ids))} tells what is known of the champion.")


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
        print_table(two_columns(lines, width))
    if everything:
        click.echo("\ndetails")
        for name, text in seen.details.items():
            print_wrapped(f"{name}: {text}", indent=2, hanging=6)
    else:
        click.echo("\nHashes, runs, code, libraries and golden rows: --all.")
    part = short(manifest.version, registry.versions())
    suggest(f"Next: {command('card', part)} opens its card, with pictures and what it is weak at.")


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
    losses = [manifest.metrics.get("test", {}).get("log_loss") for manifest in (left, right)]
    better = {"A": left, "B": right, None: None}[better_side("log_loss", *losses)]
    other = {left.version, right.version} - {better.version if better else None}
    if compared.same_test_listings and better and pointers[0] and other == {pointers[0]}:
        part = short(better.version, registry.versions())
        suggest(
            f"Next: {command('promote', part, *WHY)} puts the one with the lower log loss in the champion's place, "
            "whatever the gate says."
        )


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
    place = registry.place_of(found)
    file = (place / REPORT_FILE).resolve() if isinstance(place, Path) else _downloaded(f"{found}.html", page)
    opened = click.launch(file.as_uri()) == 0
    print_wrapped(f"{'Opened' if opened else 'No browser could be started: open'} {file}")


def _downloaded(name: str, page: bytes) -> Path:
    # It stays for the browser, which reads it when this is over.
    file = Path(tempfile.mkdtemp(prefix="model-card-")) / name
    file.write_bytes(page)
    return file


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
        print_wrapped(f"Nothing has been decided in {registry.place} yet.")
        return
    ids, standing = registry.versions(), champions(events)
    refused = events[-1].version if events[-1].action == "refusal" else None
    if refused in ids and standing and refused != standing[-1]:
        compared = command("diff", short(standing[-1], ids), short(refused, ids))
        suggest(f"Next: {compared} compares the one kept out with the champion.")
    elif len(standing) > 1:
        suggest(f"Next: {command('rollback', *WHY)} goes back to {standing[-2]}.")


def counted(versions: int) -> str:
    """How many versions, in words."""
    return f"{versions} version{'' if versions == 1 else 's'}"


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
