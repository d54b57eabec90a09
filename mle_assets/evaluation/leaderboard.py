"""«leaderboard»: the candidates in order, and which of them may challenge the champion."""

from pathlib import Path
from typing import Self

import dagster as dg
import msgspec

from mle_assets.artefacts import replace_file
from mle_assets.code_version import code_version
from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.report import Figures
from mle_assets.failures import refusing
from mle_assets.models.candidates import BASELINE, CANDIDATES


class Standing(msgspec.Struct, frozen=True):
    """One candidate's place: ranked by cross-validated log loss; accuracy and roc_auc are the test listings'."""

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


def rank(evaluated: list[Figures]) -> Leaderboard:
    """Order candidates by cross-validated log loss and choose the cheapest to serve among the equally good.

    Equally good are those within one standard error of the best (the one-standard-error rule of Breiman et
    al., Classification and Regression Trees, 1984). Cost is the model's size in bytes: measured latency is
    noise and would make the choice irreproducible. Test figures take no part.
    """
    ordered = sorted(evaluated, key=lambda figures: (figures.cross_validation.log_loss, figures.candidate))
    best = ordered[0]
    limit = best.cross_validation.log_loss + best.cross_validation.standard_error
    equals = [figures for figures in ordered if figures.cross_validation.log_loss <= limit]
    leader = min(equals, key=lambda figures: (figures.model_bytes, figures.candidate))
    return Leaderboard(
        standings=tuple(_standing(place, figures) for place, figures in enumerate(ordered, start=1)),
        leader=leader.candidate,
        reason=_reason(best, leader, equals, limit),
    )


def _standing(place: int, figures: Figures) -> Standing:
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
    )


def _reason(best: Figures, leader: Figures, equals: list[Figures], limit: float) -> str:
    of_best = f"{best.cross_validation.log_loss:.4f}"
    if leader is best:
        lowest = f"{leader.candidate} has the lowest cross-validated log loss, {of_best}"
        if len(equals) == 1:
            return f"{lowest}; no other comes within one standard error."
        return f"{lowest}, and is the smallest of the {len(equals)} models within one standard error of it."
    return (
        f"{leader.candidate} ({leader.cross_validation.log_loss:.4f}) is within one standard error of the lowest "
        f"cross-validated log loss ({best.candidate}, {of_best}, limit {limit:.4f}) and is the smallest model there: "
        f"{leader.model_bytes / 1e3:,.0f} kB against {best.model_bytes / 1e3:,.0f} kB."
    )


@dg.asset(
    ins={
        candidate.name: dg.AssetIn(["evaluations", candidate.name], dagster_type=Evaluation) for candidate in CANDIDATES
    },
    io_manager_key="artefacts",
    group_name="evaluation",
    code_version=code_version(__file__),
)
def leaderboard(**evaluations: Evaluation) -> dg.MaterializeResult[Leaderboard]:
    """The candidates ranked by cross-validated log loss, with the leader and the reason for the choice."""
    ranking = rank([evaluation.figures for evaluation in evaluations.values()])
    leading = ranking.leading
    return dg.MaterializeResult(
        value=ranking,
        metadata={
            "leader": ranking.leader,
            "reason": ranking.reason,
            "standings": standings_table(ranking),
            "leader_accuracy": leading.accuracy,
            "leader_roc_auc": leading.roc_auc,
            "leader_log_loss": leading.log_loss,
            "leader_cross_validated_log_loss": leading.cross_validated_log_loss,
        },
    )


def standings_table(ranking: Leaderboard) -> dg.TableMetadataValue:
    """The leaderboard as the UI shows it."""
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {
                    "rank": standing.rank,
                    "candidate": standing.candidate + (" ← leader" if standing.candidate == ranking.leader else ""),
                    "CV log loss": round(standing.cross_validated_log_loss, 4),
                    "± SE": round(standing.standard_error, 4),
                    "size (kB)": round(standing.model_bytes / 1000, 1),
                    "accuracy": round(standing.accuracy, 4),
                    "ROC AUC": round(standing.roc_auc, 4),
                    "log loss": round(standing.log_loss, 4),
                    "one answer (µs)": round(standing.latency_us, 1),
                }
            )
            for standing in ranking.standings
        ]
    )


@dg.asset_check(asset=leaderboard, blocking=True)
@refusing
def leader_beats_the_majority_class(leaderboard: Leaderboard) -> dg.AssetCheckResult:
    """The leader's cross-validated log loss is below that of always answering with the categories' shares."""
    baseline = next(standing for standing in leaderboard.standings if standing.candidate == BASELINE)
    figure, limit = leaderboard.leading.cross_validated_log_loss, baseline.cross_validated_log_loss
    return dg.AssetCheckResult(
        passed=figure < limit,
        description=f"The leader {leaderboard.leader} has a cross-validated log loss of {figure:.4f}; always answering "
        f"with the categories' shares has {limit:.4f}, and it must be below that.",
        metadata={"leader": figure, "limit": limit},
    )
