"""«leaderboard»: the candidates in order, and which of them may challenge the champion."""

from collections.abc import Sequence
from pathlib import Path
from typing import Self

import dagster as dg
import msgspec
import pandas as pd

from mle_assets.code_version import code_version
from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.report import Figures
from mle_assets.failures import refusing
from mle_assets.markdown import table as markdown_table
from mle_assets.models.candidates import BASELINE, NAMES
from mle_assets.models.validation import Difference, Validation
from mle_assets.pictures.leaderboard import Contestant, leaderboard_chart
from mle_assets.pictures.look import Picture
from mle_assets.pictures.metadata import Pictures
from mle_assets.places import replace_file


class Standing(msgspec.Struct, frozen=True):
    """One candidate's place.

    `behind` is by how much its cross-validated losses are above those of the best, on the listings that both were
    asked about, and `behind_standard_error` the standard error of that paired difference. `listings` is how many those
    are: fewer where it was left out of the race. Accuracy, roc_auc and log_loss are the test listings'.
    """

    rank: int
    candidate: str
    sha256: str
    cross_validated_log_loss: float
    standard_error: float
    model_bytes: int
    latency_us: float
    accuracy: float
    roc_auc: float
    log_loss: float
    # A leaderboard of an older version has none of these.
    behind: float | None = None
    behind_standard_error: float | None = None
    listings: int | None = None


class Leaderboard(msgspec.Struct, frozen=True):
    """All candidates, best first; the one that was chosen, and why in one sentence."""

    standings: tuple[Standing, ...]
    leader: str
    reason: str

    @property
    def leading(self) -> Standing:
        """The leader's own line."""
        return next(standing for standing in self.standings if standing.candidate == self.leader)

    def write(self, folder: Path) -> None:
        """Write leaderboard.json."""
        replace_file(folder / "leaderboard.json", msgspec.json.format(msgspec.json.encode(self)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read leaderboard.json."""
        return msgspec.json.decode((folder / "leaderboard.json").read_bytes(), type=cls)


def rank(evaluated: Sequence[Figures], validation: Validation) -> Leaderboard:
    """Order candidates by their cross-validated losses and choose the cheapest to serve among the equally good.

    Equally good are those within one standard error of the best (the one-standard-error rule of Breiman et
    al., Classification and Regression Trees, 1984), that of the paired difference: all were asked about the same
    listings. Cost is the model's size in bytes: measured latency is noise and would make the choice irreproducible.
    Test figures take no part.
    """
    best = validation.best()
    behind = {figures.candidate: validation.difference(figures.candidate, best) for figures in evaluated}
    ordered = sorted(evaluated, key=lambda figures: (behind[figures.candidate].log_loss, figures.candidate))
    equals = [figures for figures in ordered if behind[figures.candidate].standard_errors <= 1]
    leader = min(equals, key=lambda figures: (figures.model_bytes, figures.candidate))
    return Leaderboard(
        standings=tuple(
            _standing(place, figures, behind[figures.candidate]) for place, figures in enumerate(ordered, start=1)
        ),
        leader=leader.candidate,
        reason=_reason(ordered[0], leader, len(equals), behind[leader.candidate]),
    )


def _standing(place: int, figures: Figures, behind: Difference) -> Standing:
    return Standing(
        rank=place,
        candidate=figures.candidate,
        sha256=figures.sha256,
        cross_validated_log_loss=figures.cross_validation.log_loss,
        standard_error=figures.cross_validation.standard_error,
        model_bytes=figures.model_bytes,
        latency_us=figures.latency_us,
        accuracy=figures.metrics.accuracy,
        roc_auc=figures.metrics.roc_auc,
        log_loss=figures.metrics.log_loss,
        behind=behind.log_loss,
        behind_standard_error=behind.standard_error,
        listings=behind.listings,
    )


def _reason(best: Figures, leader: Figures, equals: int, behind: Difference) -> str:
    of_best = f"{best.cross_validation.log_loss:.4f}"
    if leader is best:
        lowest = f"{leader.candidate} has the lowest cross-validated log loss, {of_best}"
        if equals == 1:
            return f"{lowest}; no other comes within one standard error of the difference."
        return f"{lowest}, and is the smallest of the {equals} models within one standard error of the difference."
    return (
        f"{leader.candidate} is within one standard error of the lowest cross-validated log loss ({best.candidate}, "
        f"{of_best}): {behind.log_loss:.4f} behind it ± {behind.standard_error:.4f} on the same {behind.listings:,} "
        f"listings; and it is the smallest model there: {leader.model_bytes / 1e3:,.0f} kB against "
        f"{best.model_bytes / 1e3:,.0f} kB."
    )


@dg.asset(
    ins={
        "validation": dg.AssetIn("validation"),
        **{name: dg.AssetIn(["evaluations", name], dagster_type=Evaluation) for name in NAMES},
    },
    io_manager_key="artefacts",
    group_name="evaluation",
    kinds={"json"},
    code_version=code_version(__file__),
)
def leaderboard(
    validation: pd.DataFrame, pictures: Pictures, **evaluations: Evaluation
) -> dg.MaterializeResult[Leaderboard]:
    """The candidates ranked by cross-validated log loss, with the leader and the reason for the choice."""
    ranking = rank([evaluation.figures for evaluation in evaluations.values()], Validation(validation))
    leading = ranking.leading
    return dg.MaterializeResult(
        value=ranking,
        metadata={
            "leader": ranking.leader,
            "reason": ranking.reason,
            **pictures.of(lambda: {"standings_chart": leaderboard_picture(ranking)}),
            "standings": standings_table(ranking),
            "standings_in_full": dg.MetadataValue.md(standings_in_full(ranking)),
            "leader_accuracy": round(leading.accuracy, 4),
            "leader_roc_auc": round(leading.roc_auc, 4),
            "leader_log_loss": round(leading.log_loss, 4),
            "leader_cv_log_loss": round(leading.cross_validated_log_loss, 4),
        },
    )


def standings_table(ranking: Leaderboard) -> dg.TableMetadataValue:
    """Who is where: what fits beside the names of the metadata on a page of 1,280 pixels."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "#": standing.rank,
                    "candidate": _named(standing, ranking),
                    "CV log loss": round(standing.cross_validated_log_loss, 4),
                }
            )
            for standing in ranking.standings
        ]
    )


def standings_in_full(ranking: Leaderboard) -> str:
    """All figures of the candidates as a Markdown table, which Dagster opens in a window of its own."""
    return markdown_table(
        ("#", "candidate", "CV log loss", "behind", "± SE", "asked", "kB", "accuracy", "ROC AUC", "log loss", "µs"),
        [
            (
                f"{standing.rank}",
                _named(standing, ranking),
                f"{standing.cross_validated_log_loss:.4f}",
                f"{standing.behind or 0:.4f}",
                f"{standing.behind_standard_error or 0:.4f}",
                f"{standing.listings or 0:,}",
                f"{standing.model_bytes / 1000:,.1f}",
                f"{standing.accuracy:.4f}",
                f"{standing.roc_auc:.4f}",
                f"{standing.log_loss:.4f}",
                f"{standing.latency_us:.0f}",
            )
            for standing in ranking.standings
        ],
    )


def _named(standing: Standing, ranking: Leaderboard) -> str:
    return standing.candidate + (" ← leader" if standing.candidate == ranking.leader else "")


def leaderboard_picture(ranking: Leaderboard) -> Picture:
    """The leaderboard as a chart."""
    contestants = [
        Contestant(
            name=standing.candidate,
            kilobytes=standing.model_bytes / 1000,
            log_loss=standing.cross_validated_log_loss,
            standard_error=standing.standard_error,
            behind=standing.behind or 0.0,
            behind_standard_error=standing.behind_standard_error or 0.0,
        )
        for standing in ranking.standings
    ]
    return leaderboard_chart(contestants, ranking.leader)


@dg.asset_check(asset=leaderboard, blocking=True, additional_ins={"validation": dg.AssetIn("validation")})
@refusing
def leader_beats_the_majority_class(leaderboard: Leaderboard, validation: pd.DataFrame) -> dg.AssetCheckResult:
    """The leader's cross-validated log loss is below that of always answering with the categories' shares."""
    behind = Validation(validation).difference(leaderboard.leader, BASELINE)
    return dg.AssetCheckResult(
        passed=behind.log_loss < 0,
        description=f"The cross-validated log loss of the leader {leaderboard.leader}, less that of always answering "
        f"with the categories' shares, is {behind.log_loss:.4f} on {behind.listings:,} listings; it must be below 0.",
        metadata={"difference": behind.log_loss, "listings": behind.listings},
    )
