"""The command `models verify`: whether versions, pointers and history are whole."""

import sys
from collections.abc import Mapping

import click

from model_registry.cli.guidance import command, suggest, under_way
from model_registry.cli.options import as_json, full_id, pass_registry
from model_registry.cli.reading import counted, print_json
from model_registry.cli.refusals import EXIT_REFUSED, in_words
from model_registry.store import Registry, UnknownVersion


@click.command()
@click.argument("version", required=False)
@click.option("--all", "everything", is_flag=True, help="Every version, the pointers and the history.")
@click.option("--repair", is_flag=True, help="First complete what a killed writer left unfinished.")
@as_json
@pass_registry
def verify(registry: Registry, version: str | None, *, everything: bool, repair: bool, as_json: bool) -> None:
    """Check a model (the champion unless told): hashes, golden rows."""
    if everything and version:
        raise click.UsageError("Give a version or --all, not both.")
    with in_words(registry):
        if repair:
            registry.repair()
        versions, ledgers = registry.versions(), registry.ledgers()
        if everything:
            with under_way("Verifying", len(versions)) as one_more:
                problems = registry.problems(checked=one_more)
            checked = [*versions, *(name for name, there in ledgers.items() if there or name != "shadow.json")]
        else:
            champion = registry.champion()
            if version is None and champion is None:
                raise UnknownVersion("There is no champion yet: name a version, or give --all.")
            checked = [full_id(registry, version or (champion.version if champion else ""))]
            with under_way("Verifying"):
                problems = registry.problems(checked)
    if as_json:
        print_json({name: problems.get(name) for name in checked})
    else:
        for name in checked:
            click.echo(f"{_state(name, problems, ledgers):<8} {name}")
        for problem in problems.values():
            click.echo(f"\n{problem}", err=True)
        if set(problems) & set(versions):
            click.echo(
                "\nRestore a damaged version from a back-up, or remove its folder and take it from an archive with "
                f"{command('import', 'FILE')}.",
                err=True,
            )
        elif not problems and everything:
            suggest(f"Nothing is damaged: {counted(len(versions))}, the pointer and the history.")
        elif not problems:
            suggest(f"Next: {command('verify', '--all')} checks all versions, the pointer and the history.")
    if problems:
        sys.exit(EXIT_REFUSED)


def _state(name: str, problems: Mapping[str, str], ledgers: Mapping[str, bool]) -> str:
    if name in problems:
        return "damaged"
    return "whole" if ledgers.get(name, True) else "none yet"
