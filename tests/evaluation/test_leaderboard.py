"""Ranked by cross-validation, chosen by cost among the equally good."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mle_assets.evaluation.leaderboard import Leaderboard, rank, standings_in_full, standings_table
from mle_assets.evaluation.metrics import measure
from mle_assets.evaluation.report import Figures
from mle_assets.models.validation import CrossValidation, Validation

# Losses of four listings each; what a candidate is behind another differs from listing to listing.
BEST = [0.6, 0.7, 0.8, 0.7]
EQUAL = [0.7, 0.6, 0.9, 0.64]
WORSE = [0.71, 0.8, 0.9, 0.81]


def figures(name: str, log_loss: float, kilobytes: int, accuracy_is_perfect: bool = False) -> Figures:
    codes = np.array([0, 1, 2, 3])
    answers = np.eye(4)[codes] if accuracy_is_perfect else np.full((4, 4), 0.25)
    return Figures(
        candidate=name,
        sha256=name,
        model_bytes=1000 * kilobytes,
        parameters={},
        cross_validation=CrossValidation(log_loss, standard_error=0.01, folds=2),
        metrics=measure(answers, codes),
        importance={},
        latency_us=10.0,
    )


def ranked(*candidates: tuple[str, list[float], int], perfect: str = "") -> Leaderboard:
    """The leaderboard of candidates with these names, losses and sizes in kilobytes."""
    table = pd.DataFrame({"fold": [0, 0, 1, 1], **{name: losses for name, losses, _ in candidates}})
    evaluated = [
        figures(name, float(np.nanmean(losses)), kilobytes, accuracy_is_perfect=name == perfect)
        for name, losses, kilobytes in candidates
    ]
    return rank(evaluated, Validation(table))


def test_of_the_models_within_one_standard_error_of_the_best_the_smallest_leads() -> None:
    ranking = ranked(("large", BEST, 900), ("small", EQUAL, 50), ("tiny", WORSE, 1))
    assert ranking.leader == "small"
    assert ranking.reason == (
        "small is within one standard error of the lowest cross-validated log loss (large, 0.7000): 0.0100 behind it "
        "± 0.0526 on the same 4 listings; and it is the smallest model there: 50 kB against 900 kB."
    )


def test_the_narrow_table_and_the_full_one_tell_the_same_standings() -> None:
    ranking = ranked(("large", BEST, 900), ("small", EQUAL, 50), perfect="small")
    assert [record.data for record in standings_table(ranking).records] == [
        {"#": 1, "candidate": "large", "CV log loss": 0.7},
        {"#": 2, "candidate": "small ← leader", "CV log loss": 0.71},
    ]
    assert standings_in_full(ranking).splitlines() == [
        "| # | candidate | CV log loss | behind | ± SE | asked | kB | accuracy | ROC AUC | log loss | µs |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        "| 1 | large | 0.7000 | 0.0000 | 0.0000 | 4 | 900.0 | 0.2500 | 0.5000 | 1.3863 | 10 |",
        "| 2 | small ← leader | 0.7100 | 0.0100 | 0.0526 | 4 | 50.0 | 1.0000 | 1.0000 | 0.0000 | 10 |",
    ]


def test_the_standard_error_is_that_of_the_paired_difference() -> None:
    # Each listing's loss is 0.01 higher: however much the losses themselves differ, that is no chance.
    assert ranked(("best", BEST, 900), ("beside", [loss + 0.01 for loss in BEST], 1)).leader == "best"


def test_the_best_leads_where_no_other_is_as_good() -> None:
    ranking = ranked(("worse", WORSE, 1), ("best", BEST, 900))
    assert ranking.leader == "best"
    assert ranking.reason.endswith("no other comes within one standard error of the difference.")


def test_the_best_leads_where_it_is_the_smallest_of_its_equals() -> None:
    ranking = ranked(("best", BEST, 1), ("equal", EQUAL, 2))
    assert ranking.reason.endswith("is the smallest of the 2 models within one standard error of the difference.")


def test_who_was_left_out_of_the_race_is_compared_on_what_it_was_asked() -> None:
    nothing = float("nan")
    ranking = ranked(("best", BEST, 9), ("left out", [0.9, 0.9, nothing, nothing], 1), ("worse", [1.2] * 4, 1))
    assert [(one.candidate, one.listings) for one in ranking.standings] == [("best", 4), ("left out", 2), ("worse", 4)]
    assert ranking.standings[1].behind == pytest.approx(0.25)


def test_test_figures_take_no_part_in_the_choice() -> None:
    assert ranked(("best", BEST, 10), ("lucky", WORSE, 1), perfect="lucky").leader == "best"


def test_the_order_of_the_candidates_takes_no_part_in_the_choice() -> None:
    one, other = ("a", BEST, 10), ("b", BEST, 10)
    assert ranked(one, other) == ranked(other, one)


def test_a_leaderboard_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "leaderboard.json").write_text(
        '{"standings": [{"rank": 1, "candidate": "a", "sha256": "a", "cross_validated_log_loss": 0.7, '
        '"standard_error": 0.01, "model_bytes": 1, "latency_us": 1.0, "accuracy": 0.7, "roc_auc": 0.8, '
        '"log_loss": 0.7}], "leader": "a", "reason": "It is alone."}'
    )
    assert Leaderboard.read(tmp_path).leading.behind is None


def test_a_leaderboard_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    ranking = ranked(("a", BEST, 10), ("b", WORSE, 10))
    ranking.write(tmp_path)
    assert Leaderboard.read(tmp_path) == ranking
    assert Leaderboard.read(tmp_path).leading.rank == 1
