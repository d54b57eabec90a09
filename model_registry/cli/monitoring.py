"""The commands about what was answered: how a version fares, and what is to be forgotten."""

from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from model_registry.cli.options import as_json, full_id, pass_registry
from model_registry.cli.reading import print_json
from model_registry.cli.refusals import in_words, refuse
from model_registry.cli.terminal import GAP, print_table, print_wrapped
from model_registry.live import Live, read_live
from model_registry.settings import DEFAULT_PREDICTION_LOG
from model_registry.store import Registry, UnknownVersion
from prediction_log.erasing import Erased
from prediction_log.erasing import forget as erase
from storage.address import BadAddress, is_url
from storage.errors import StoreAway


@click.command("live")
@click.argument("version", required=False)
@as_json
@pass_registry
def live(registry: Registry, version: str | None, *, as_json: bool) -> None:
    """Show how VERSION (the champion unless told) does in production."""
    with in_words(registry):
        chosen = full_id(registry, version) if version else _champion(registry)
        figures = read_live(registry, chosen)
    if as_json:
        print_json(figures)
        return
    if figures is None:
        print_wrapped(f"Nobody has looked yet how {chosen} fares: launch the job monitoring.")
        return
    click.echo(f"{chosen} of {figures.market}, as of {_minute(figures.at)}\n")
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in _lines(figures).items():
        table.add_row(f"  {name}", text)
    print_table(table)
    for reason in (figures.reason, figures.drift_reason):
        click.echo()
        print_wrapped(reason)


@click.command("forget")
@click.option("--request-id", metavar="ID", help="Erase what was answered to a request, and what was told of it.")
@click.option("--listing-id", type=int, metavar="ID", help="Erase all that was answered about a listing so far.")
@click.option(
    "--log",
    envvar="PREDICTION_LOG",
    default=DEFAULT_PREDICTION_LOG,
    show_default=True,
    show_envvar=True,
    help="The folder, or URL, of the prediction log.",
)
def forget(request_id: str | None, listing_id: int | None, log: str) -> None:
    """Erase records from the prediction log."""
    if (request_id is None) == (listing_id is None):
        raise click.UsageError("Name either a --request-id or a --listing-id.")
    with in_words():
        if _is_url(log):
            erased = _erase_objects(log, request_id, listing_id)
        elif not Path(log).is_dir():
            raise UnknownVersion(
                f"there is no prediction log {log}: name its folder with --log or PREDICTION_LOG, where it is on"
            )
        else:
            erased = erase(Path(log), request_id=request_id, listing_id=listing_id)
    damaged = f" and {erased.damaged:,} damaged lines" if erased.damaged else ""
    print_wrapped(
        f"Erased {erased.predictions:,} answers and {erased.feedback:,} feedbacks{damaged} from {erased.files:,} files "
        f"of {log}. The pipeline's tables forget them with the next run of the job monitoring."
    )


def _is_url(log: str) -> bool:
    try:
        return is_url(log)
    except BadAddress as error:
        raise click.UsageError(str(error)) from error


def _erase_objects(log: str, request_id: str | None, listing_id: int | None) -> Erased:
    # Here: whoever has a folder needs no client of a store.
    from prediction_log.object_log import ObjectLog

    try:
        return ObjectLog.of(log).forget(request_id=request_id, listing_id=listing_id)
    except StoreAway as error:
        refuse(f"{error}. What was written down is erased by the next erasure; do it again")


def _champion(registry: Registry) -> str:
    champion = registry.champion()
    if champion is None:
        raise UnknownVersion(f"no model has been promoted in {registry.place} yet: name a version")
    return champion.version


def _lines(live: Live) -> dict[str, str]:
    told: dict[str, Any] = {
        "answers": f"{live.answers:,}" + _between(live.since, live.until),
        "truth known of": f"{live.labelled:,}"
        + (f" ({live.labelled / live.answers:.1%})" if live.answers else "")
        + ("" if live.listings is None else f", about {live.listings:,} different listings"),
        "accuracy": _measured(live.accuracy, live.accuracy_interval),
        "log loss": _measured(live.log_loss, live.log_loss_interval),
        "calibration error": _number(live.calibration_error),
        "accuracy when tested": _number(live.test_accuracy),
        "estimated accuracy": _number(live.estimate) and f"{_number(live.estimate)}, if it is as right as it is sure",
        "verdict": live.verdict,
        "drift": live.drift + (f": {', '.join(live.drifted)}" if live.drifted else ""),
    }
    for rival in live.rivals:
        told[f"shadow {rival.version}"] = (
            f"asked {rival.asked:,} times, {rival.missed:,} missed; of {rival.listings:,} with known truth "
            f"it alone was right {rival.only_shadow_right:,} times, the version alone {rival.only_version_right:,} "
            f"(p = {rival.p_value:.3g})"
        )
    return {name: text for name, text in told.items() if text}


def _between(since: datetime | None, until: datetime | None) -> str:
    return f", {_minute(since)} to {_minute(until)}" if since and until else ""


def _measured(figure: float | None, interval: tuple[float, float] | None) -> str:
    return "" if figure is None or interval is None else f"{figure:.4f} ({interval[0]:.4f} to {interval[1]:.4f})"


def _number(figure: float | None) -> str:
    return "" if figure is None else f"{figure:.4f}"


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"
