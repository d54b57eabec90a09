"""The `models` command: what is in the registry, what is in production, and how to change it."""

from pathlib import Path

import click

from model_registry.cli.copying import copy_command
from model_registry.cli.markets import markets
from model_registry.cli.monitoring import forget, live
from model_registry.cli.options import ADDRESS, Chosen
from model_registry.cli.reading import card, diff, history, list_versions, show_version
from model_registry.cli.verification import verify
from model_registry.cli.writing import export_command, import_command, promote, prune, rollback, shadow
from model_registry.market import DEFAULT_MARKET
from model_registry.registries import Registries
from model_registry.settings import DEFAULT_REGISTRY


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    epilog="A VERSION may be shortened to any part of it that no other version has. "
    "Exit codes: 0 done, 1 refused or damaged (the message says what), 2 wrong usage, "
    "3 another writer is at work.",
)
@click.option(
    "--registry",
    "place",
    envvar="MODEL_REGISTRY",
    default=DEFAULT_REGISTRY,
    show_default=True,
    show_envvar=True,
    type=ADDRESS,
    help="The registry: a folder or a URL.",
)
@click.option(
    "--market",
    envvar="MARKET",
    show_envvar=True,
    metavar="NAME",
    help=f"Whose models; unless told, those of the only market there, or of {DEFAULT_MARKET}.",
)
@click.pass_context
def models(context: click.Context, place: Path | str, market: str | None) -> None:
    """Look after the published models: list, compare, promote, roll back, verify."""
    context.obj = Chosen(Registries(place), market)


for command in (
    list_versions,
    show_version,
    card,
    diff,
    history,
    promote,
    rollback,
    shadow,
    verify,
    prune,
    export_command,
    import_command,
    copy_command,
    markets,
    live,
    forget,
):
    models.add_command(command)
