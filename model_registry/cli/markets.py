"""The command `models markets`: which cities have models, and which of them are in production."""

from typing import Any

import click

from model_registry.cli.options import Chosen, as_json, pass_chosen
from model_registry.cli.reading import print_json
from model_registry.cli.refusals import in_words
from model_registry.cli.terminal import new_table, print_table, print_wrapped
from model_registry.history import HistoryDamaged
from model_registry.registries import MarketRegistry
from model_registry.shadow import ShadowDamaged


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
        print_wrapped(f"No model has been published in {registries.folder} yet: run the pipeline.")
        return
    table = new_table()
    for title in ("", "market", "champion", "since"):
        table.add_column(title, no_wrap=True)
    table.add_column("versions", justify="right")
    shadows = any(one["shadow"] for one in found)
    if shadows:
        table.add_column("shadow", no_wrap=True)
    for one in found:
        since = f"{one['promoted_at']:%Y-%m-%d}" if one["promoted_at"] else ""
        champion = one["champion"] or ("damaged" if "damaged" in one else "none yet")
        cells = [one["market"], champion, since, str(one["versions"]), *([one["shadow"] or ""] if shadows else [])]
        table.add_row("→" if one["market"] == own else "", *cells)
    print_table(table)
    if any(one["market"] == own for one in found):
        print_wrapped("→ is the one that commands are about unless --market or MARKET names another.")
    for one in found:
        if "damaged" in one:
            print_wrapped(f"{one['market']}: {one['damaged']}")


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
