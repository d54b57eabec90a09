"""Ranked by cross-validation, chosen by cost among the equally good."""

from pathlib import Path

import numpy as np

from mle_assets.evaluation.leaderboard import Leaderboard, rank
from mle_assets.evaluation.metrics import measure
from mle_assets.evaluation.report import Figures
from mle_assets.models.training import CrossValidation


def figures(name: str, log_loss: float, kilobytes: int, accuracy_is_perfect: bool = False) -> Figures:
    codes = np.array([0, 1, 2, 3])
    answers = np.eye(4)[codes] if accuracy_is_perfect else np.full((4, 4), 0.25)
    return Figures(
        candidate=name,
        sha256=name,
        model_bytes=1000 * kilobytes,
        parameters={},
        cross_validation=CrossValidation(log_loss, standard_error=0.01, folds=3),
        metrics=measure(answers, codes),
        importance={},
        latency_us=10.0,
    )


def test_of_the_models_within_one_standard_error_of_the_best_the_smallest_leads() -> None:
    ranking = rank([figures("large", 0.700, 900), figures("small", 0.709, 50), figures("tiny", 0.711, 1)])
    assert ranking.leader == "small"
    assert ranking.reason == (
        "small (0.7090) is within one standard error of the lowest cross-validated log loss (large, 0.7000, limit "
        "0.7100) and is the smallest model there: 50 kB against 900 kB."
    )


def test_the_best_leads_where_no_other_is_as_good() -> None:
    ranking = rank([figures("worse", 0.8, 1), figures("best", 0.7, 900)])
    assert ranking.leader == "best"
    assert ranking.reason.endswith("no other comes within one standard error.")


def test_the_best_leads_where_it_is_the_smallest_of_its_equals() -> None:
    ranking = rank([figures("best", 0.7, 1), figures("equal", 0.705, 2)])
    assert ranking.reason.endswith("is the smallest of the 2 models within one standard error of it.")


def test_test_figures_take_no_part_in_the_choice() -> None:
    assert rank([figures("best", 0.7, 10), figures("lucky", 0.8, 1, accuracy_is_perfect=True)]).leader == "best"


def test_the_order_of_the_candidates_takes_no_part_in_the_choice() -> None:
    one, other = figures("a", 0.7, 10), figures("b", 0.7, 10)
    assert rank([one, other]) == rank([other, one])


def test_a_leaderboard_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    ranking = rank([figures("a", 0.7, 10), figures("b", 0.8, 10)])
    ranking.write(tmp_path)
    assert Leaderboard.read(tmp_path) == ranking
    assert Leaderboard.read(tmp_path).leading.rank == 1
