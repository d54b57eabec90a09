"""The command `models copy`: registries moved to another place."""

from pathlib import Path

import click

from model_registry.cli.guidance import suggest, under_way
from model_registry.cli.options import ADDRESS
from model_registry.cli.reading import counted
from model_registry.cli.refusals import in_words, refuse
from model_registry.copying import copy_registry
from model_registry.registries import Registries


@click.command("copy")
@click.argument("source", metavar="FROM", type=ADDRESS)
@click.argument("target", metavar="TO", type=ADDRESS)
@click.option("--market", metavar="NAME", help="Copy this market's alone; else those of all.")
def copy_command(source: Path | str, target: Path | str, market: str | None) -> None:
    """Copy the registry FROM to the place TO, history included.

    Either is a folder or a URL. What was interrupted is finished by the same command; where TO holds a history of its
    own, nothing is copied.
    """
    with in_words():
        old, new = Registries(source), Registries(target)
        there = old.markets()
        if not there:
            refuse(f"there is no registry {old.place}: name the folder or the URL that has one")
        if market is not None and market not in there:
            refuse(f"there is no registry of {market} in {old.place}, only of {', '.join(there)}: name one of these")
        for name in there if market is None else [market]:
            registry = old.of(name)
            with under_way(f"Copying {name}", len(registry.versions())) as one_more:
                copied = copy_registry(registry, new.of(name), copied=one_more)
            champion = new.of(name).champion()
            click.echo(
                f"{name}: {counted(copied.versions)} and {copied.events} "
                f"event{'' if copied.events == 1 else 's'} copied to {new.of(name).place}; the champion is "
                f"{champion.version if champion else 'none yet'}."
            )
    suggest("Next: have MODEL_REGISTRY name the new place, on both sides, before anybody writes to the old one.")
