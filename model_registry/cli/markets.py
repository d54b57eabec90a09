"""The command `models markets`: which cities have models, and which of them are in production."""

from collections.abc import Callable
from typing import Any

import click
from rich.table import Table

from model_registry.cli.guidance import suggest
from model_registry.cli.options import Chosen, as_json, pass_chosen
from model_registry.cli.reading import print_json
from model_registry.cli.refusals import in_words
from model_registry.cli.terminal import fitted, new_table, print_table, print_wrapped, terminal_width
from model_registry.history import HistoryDamaged
from model_registry.shadow import ShadowDamaged
from model_registry.store import MarketRegistry


@click.command()
@as_json
@pass_chosen
def markets(chosen: Chosen, *, as_json: bool) -> None:
    """List the markets with their champions and shadows."""
    registries = chosen.registries
    with in_words():
        found = [_seen(registries.of(market)) for market in registries.markets()]
        own = chosen.registry().market
    if as_json:
        print_json(found)
        return
    if not found:
        print_wrapped(f"No model has been published in {registries.place} yet: run the pipeline.")
        return
    shadows = any(one["shadow"] for one in found)
    titles = [title for title in _COLUMNS if shadows or title != "shadow"]
    first_to_go = [title for title in _FIRST_TO_GO if title in titles]
    print_table(fitted(lambda shown: _table(found, own, shown), titles, first_to_go, terminal_width()), fold=False)
    if any(one["market"] == own for one in found):
        print_wrapped("→ is the one that commands are about unless --market or MARKET names another.")
    for one in found:
        if "damaged" in one:
            print_wrapped(f"{one['market']}: {one['damaged']}")
    if others := [one["market"] for one in found if one["market"] != own]:
        suggest(f"Next: `models --market {others[0]} list` lists the versions of that one.")


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "market": lambda one: one["market"],
    "champion": lambda one: one["champion"] or ("damaged" if "damaged" in one else "none yet"),
    "since": lambda one: f"{one['promoted_at']:%Y-%m-%d}" if one["promoted_at"] else "",
    "versions": lambda one: str(one["versions"]),
    "shadow": lambda one: one["shadow"] or "",
}
_FIRST_TO_GO = ("shadow", "versions", "since")
"""Where the terminal is narrow; an id is never broken."""


def _table(found: list[dict[str, Any]], own: str, titles: list[str]) -> Table:
    table = new_table()
    for title in ("", *titles):
        table.add_column(title, no_wrap=True, justify="right" if title == "versions" else "left")
    for one in found:
        table.add_row("→" if one["market"] == own else "", *(_COLUMNS[title](one) for title in titles))
    return table


def _seen(registry: MarketRegistry) -> dict[str, Any]:
    seen: dict[str, Any] = {
        "market": registry.market,
        "champion": None,
        "promoted_at": None,
        "shadow": None,
        "versions": len(registry.versions()),
    }
    try:
        champion = registry.champion()
        if champion is not None:
            seen |= {"champion": champion.version, "promoted_at": champion.promoted_at}
        shadow = registry.shadow()
        if shadow is not None:
            seen["shadow"] = shadow.version
    except (HistoryDamaged, ShadowDamaged) as error:
        seen["damaged"] = str(error)
    return seen
