"""The tables of «live_performance»: what fits on a page of 1,280 pixels, and all of it as Markdown."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import dagster as dg
import msgspec

from mle_assets.evaluation.intervals import Interval
from mle_assets.markdown import table
from mle_assets.monitoring.live import Figures, Rivalry
from mle_assets.monitoring.live_report import LiveReport

LEGEND = (
    "Of the *answers* looked at, the truth of those *labelled* is known. The figures are of the different "
    "*listings* among those: of several answers about one the latest counts. Intervals are of 95 %: Wilson's for the "
    "accuracy, the bootstrap's for the mean log loss. The *calibration error* is the expected one, and beside it what "
    "probabilities that are exactly right would show on as many. *estimated* is the mean of the largest probability: "
    "what the accuracy would be if the version were as right as it is sure, and no measurement. *p* is of McNemar's "
    "mid-p test that version and shadow are right equally often; the *log loss difference* is the shadow's less the "
    "version's."
)


def live_tables(report: LiveReport) -> dict[str, dg.MetadataValue]:
    """Versions, slices of the champion's answers, what became of the feedback, and shadows; those that there are."""
    versions = [
        {"version": name, **_figures(one.figures), "estimated": _share(one.estimate.accuracy), "verdict": one.verdict}
        for name, one in report.versions.items()
    ]
    slices = [{"slice": f"{one.column}: {one.value}", **_figures(one.figures)} for one in report.current.slices]
    shadows = list(_shadows(report))
    told = msgspec.structs.asdict(report.told)
    feedback = [{"feedback": name.replace("_", " "), "rows": rows} for name, rows in told.items()]
    whole = {"Versions": versions, "Slices of the champion's answers": slices, "Shadows": shadows}
    return {
        **_shown("versions", ("version", "accuracy", "verdict"), versions),
        **_shown("slices", ("slice", "labelled", "accuracy"), slices),
        **_shown("feedback", ("feedback", "rows"), feedback),
        **_shown("shadows", ("shadow", "compared", "only it right", "only the other right"), shadows),
        "in_full": dg.MetadataValue.md("\n\n".join([LEGEND, *(_whole(*one) for one in whole.items() if one[1])])),
    }


def _shown(name: str, columns: tuple[str, ...], rows: list[dict[str, Any]]) -> dict[str, dg.MetadataValue]:
    return {name: _table(columns, rows)} if rows else {}


def _whole(title: str, rows: list[dict[str, Any]]) -> str:
    return f"**{title}**\n\n{table(tuple(rows[0]), [tuple(row.values()) for row in rows])}"


def _table(columns: tuple[str, ...], rows: Iterable[Mapping[str, Any]]) -> dg.TableMetadataValue:
    return dg.MetadataValue.table([dg.TableRecord({column: row[column] for column in columns}) for row in rows])


def _figures(figures: Figures) -> dict[str, Any]:
    known = figures.accuracy_interval is not None
    by_chance = f"{figures.calibration_error:.3f} ({figures.calibration_error_by_chance:.3f})" if known else ""
    return {
        "answers": figures.answers,
        "labelled": figures.labelled,
        "listings": figures.listings,
        "accuracy": _measured(figures.accuracy, figures.accuracy_interval),
        "log loss": _measured(figures.log_loss, figures.log_loss_interval),
        "calibration error (by chance)": by_chance,
    }


def _shadows(report: LiveReport) -> Iterator[dict[str, Any]]:
    for name, live in report.versions.items():
        for one in live.rivalries:
            yield {
                "shadow": one.shadow,
                "beside": name,
                "asked": one.asked,
                "compared": one.listings,
                "only it right": one.only_shadow_right,
                "only the other right": one.only_version_right,
                "p": f"{one.p_value:.4f}",
                "log loss difference": _difference(one),
            }


def _measured(value: float | None, interval: Interval | None) -> str:
    return "" if interval is None else f"{value:.3f} ({interval.low:.3f} to {interval.high:.3f})"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.3f}"


def _difference(rivalry: Rivalry) -> str:
    if rivalry.log_loss_difference is None or rivalry.standard_error is None:
        return ""
    return f"{rivalry.log_loss_difference:+.4f} ± {rivalry.standard_error:.4f}"
