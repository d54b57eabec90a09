"""The commands that change something: promote, rollback, shadow, prune, export, import."""

import getpass
import shlex
from pathlib import Path

import click

from model_registry.archive import export_version, import_version
from model_registry.cli.guidance import WHY, command, short, suggest, under_way
from model_registry.cli.options import because, full_id, pass_registry
from model_registry.cli.reading import counted
from model_registry.cli.refusals import in_words, refuse
from model_registry.cli.terminal import print_wrapped
from model_registry.history import Decision
from model_registry.live import quoting_the_shadow
from model_registry.store import Registry


class _Whole(click.IntRange):
    """As a person calls it where something else was typed."""

    name = "whole number"


@click.command()
@click.argument("version")
@because
@pass_registry
def promote(registry: Registry, version: str, reason: str) -> None:
    """Make VERSION the champion, whatever the gate says."""
    with in_words(registry):
        target = full_id(registry, version)
        decision = quoting_the_shadow(Decision(promote=True, reason=reason), registry, target)
        before = registry.champion()
        champion = registry.promote(target, decision, run_id=None, actor=getpass.getuser())
    if before is not None and before.version == target:
        click.echo(f"{target} is the champion already: nothing was changed.")
    else:
        click.echo(f"{champion.version} is the champion.")
        suggest(_followed(registry, before.version if before else None))


@click.command()
@click.option("--to", metavar="VERSION", help="Where to go back to; else the champion before the present one.")
@because
@pass_registry
def rollback(registry: Registry, to: str | None, reason: str) -> None:
    """Go back to an earlier champion."""
    with in_words(registry):
        target = None if to is None else full_id(registry, to)
        champion = registry.rollback(target, decision=Decision(promote=True, reason=reason), actor=getpass.getuser())
    click.echo(f"{champion.version} is the champion again, in place of {champion.previous}.")
    suggest(_followed(registry, champion.previous))


@click.command()
@click.argument("version", required=False)
@click.option("--none", "clear", is_flag=True, help="Ask no version beside the champion.")
@click.option("--reason", help="Why; it is kept as long as the version is the shadow.")
@pass_registry
def shadow(registry: Registry, version: str | None, *, clear: bool, reason: str | None) -> None:
    """Ask VERSION beside the champion, or say which one is.

    The service asks the shadow about a share of the listings after the champion has answered (SHADOW_SAMPLE); nobody is
    given its answers, and the prediction log holds both.
    """
    if clear and (version or reason):
        raise click.UsageError("Give a version or --none, not both; --none takes no reason.")
    if bool(version) != bool(reason):
        raise click.UsageError("A version and its --reason belong together.")
    with in_words(registry):
        if clear:
            registry.clear_shadow()
            present = None
        elif version and reason:
            present = registry.set_shadow(full_id(registry, version), reason=reason, actor=getpass.getuser())
        else:
            present = registry.shadow()
    if present is None:
        click.echo("There is no shadow.")
    else:
        since = f"{present.set_at:%Y-%m-%d %H:%M:%S} UTC"
        print_wrapped(f"{present.version} is the shadow since {since}, by {present.actor}: {present.reason}")


@click.command()
@click.option("--keep", type=_Whole(min=0), required=True, help="How many of the newest versions stay.")
@pass_registry
def prune(registry: Registry, keep: int) -> None:
    """Remove old versions; champion, predecessors and shadow stay."""
    with in_words(registry):
        removed = registry.prune(keep)
    for version in removed:
        click.echo(f"removed {version}")
    left = len(registry.versions())
    click.echo(f"{counted(len(removed))} removed, {left} stay{'s' if left == 1 else ''}.")
    if left > keep:
        suggest("The champion and those it could be rolled back to stay, whatever --keep says.")


@click.command("export")
@click.argument("version")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@pass_registry
def export_command(registry: Registry, version: str, file: Path) -> None:
    """Write VERSION into a new archive FILE."""
    with in_words(registry):
        target = full_id(registry, version)
        if not file.parent.is_dir():
            refuse(f"there is no folder {file.parent} to write {file.name} into: make it, or name another file")
        with under_way(f"Writing {file.name}"):
            export_version(registry, target, file)
    click.echo(f"{target} is in {file}.")
    suggest(f"Next: `models --registry FOLDER import {shlex.quote(str(file))}` takes it into another registry.")


@click.command("import")
@click.argument("file", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@pass_registry
def import_command(registry: Registry, file: Path) -> None:
    """Take the version in an archive FILE, verified."""
    with in_words(), under_way(f"Reading {file.name}"):
        version = import_version(registry, file)
    click.echo(f"{version} is in {registry.place}.")
    part = short(version, registry.versions())
    suggest(f"Next: {command('promote', part, *WHY)} makes it the champion, whatever the gate says.")


def _followed(registry: Registry, previous: str | None) -> str:
    follows = "An API that serves this registry follows within two seconds"
    ids = registry.versions()
    if previous not in ids:
        return f"{follows}."
    return f"{follows}; {command('promote', short(previous, ids), *WHY)} makes {previous} the champion again."
