"""«evaluations/<candidate>»: the file that would be served, asked about listings it has not seen; one step for all."""

import statistics
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import dagster as dg
import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.code_version import code_version
from mle_assets.cores import side_by_side
from mle_assets.evaluation.metrics import Metrics, measure, roc_curves
from mle_assets.evaluation.pictures import evaluation_pictures, is_drawn
from mle_assets.evaluation.predictions import prediction_rows
from mle_assets.evaluation.report import Figures, Report, render
from mle_assets.io_managers import FolderIOManager
from mle_assets.lineage import snapshot_behind
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.models.candidates import AVERAGES, CANDIDATES, NAMES, features_of, group
from mle_assets.models.scoring import losses, standard_error
from mle_assets.models.training import TrainedModel, Training
from mle_assets.models.validation import CrossValidation, Validation
from mle_assets.pictures.metadata import Pictures
from mle_assets.places import replace_file
from model_registry.classifier import REPORT_FILE, Classifier
from model_registry.listing import CATEGORIES, FEATURES
from model_registry.manifest import Snapshot
from model_registry.market import Market

_LATENCY_CALLS = 200
_SEED = 0
_IMPORTANCE_ROWS = 500
_SHUFFLES = 5


@dataclass(frozen=True)
class Evaluation:
    """One candidate's figures, its answer for every test listing, and the page that shows them."""

    figures: Figures
    predictions: pd.DataFrame
    report: bytes

    def write(self, folder: Path) -> None:
        """Write predictions.csv and report.html, then evaluation.json."""
        replace_file(folder / "predictions.csv", self.predictions.to_csv(index=False).encode())
        replace_file(folder / REPORT_FILE, self.report)
        replace_file(folder / "evaluation.json", msgspec.json.format(msgspec.json.encode(self.figures)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote."""
        figures = msgspec.json.decode((folder / "evaluation.json").read_bytes(), type=Figures)
        return cls(figures, pd.read_csv(folder / "predictions.csv"), (folder / REPORT_FILE).read_bytes())


def evaluate(
    training: Training,
    model: bytes,
    validated: CrossValidation,
    test: pd.DataFrame,
    market: Market,
    snapshot: Snapshot | None = None,
) -> tuple[Figures, pd.DataFrame, Report]:
    """A model's figures on the test listings, the predecessor's prediction rows, and what the report shows.

    `validated` is how its candidate did on held-out training listings; `snapshot` is what the listings come from, as
    far as it is known.
    """
    classifier, features = Classifier(model), features_of(training.candidate)
    X, y = feature_matrix(test, market), category_codes(test)
    probabilities = answers(classifier, X, features)
    rises = rises_when_shuffled(classifier, X[:_IMPORTANCE_ROWS], y[:_IMPORTANCE_ROWS], features)
    figures = Figures(
        candidate=training.candidate,
        sha256=training.sha256,
        model_bytes=len(model),
        parameters=training.parameters,
        cross_validation=validated,
        metrics=measure(probabilities, y),
        importance={name: float(of_each.mean()) for name, of_each in rises.items()},
        latency_us=single_row_latency(classifier, X),
        importance_error={name: standard_error(of_each.mean(axis=0)) for name, of_each in rises.items()},
        importance_shuffles={name: tuple(of_each.mean(axis=1).tolist()) for name, of_each in rises.items()},
        importance_listings=len(X[:_IMPORTANCE_ROWS]),
    )
    return figures, prediction_rows(test, probabilities), Report(figures, roc_curves(probabilities, y), snapshot)


def rises_when_shuffled(
    classifier: Classifier,
    X: NDArray[np.float32],
    y: NDArray[np.int64],
    features: Collection[str] = FEATURES,
    shuffles: int = _SHUFFLES,
    seed: int = _SEED,
) -> dict[str, NDArray[np.float64]]:
    """By how much each listing's log loss rises when a feature's values are shuffled: (shuffles, n) for each feature.

    It is 0 for those that are not among `features`. The mean is the feature's permutation importance: Breiman, Random
    Forests (2001), section 10, with log loss in place of the error rate.
    """
    random = np.random.default_rng(seed)
    tables = [X]
    for column, name in enumerate(FEATURES):
        orders = [random.permutation(len(X)) for _ in range(shuffles)]
        if name in features:
            for order in orders:
                shuffled = X.copy()
                shuffled[:, column] = X[order, column]
                tables.append(shuffled)
    told = answers(classifier, np.concatenate(tables), features).reshape(len(tables), len(X), -1)
    loss, *of_tables = [losses(answer, y) for answer in told]
    rises = iter(np.array(of_tables).reshape(-1, shuffles, len(X)) - loss)
    return {name: next(rises) if name in features else np.zeros((shuffles, len(X))) for name in FEATURES}


def answers(classifier: Classifier, X: NDArray[np.float32], features: Collection[str]) -> NDArray[np.float32]:
    """The classifier's probabilities for (n, 11) rows; it is asked once for all that are alike in `features`.

    That it takes no others is part of the proof of its export.
    """
    used = X[:, [column for column, name in enumerate(FEATURES) if name in features]]
    _, first, of_row = np.unique(used, axis=0, return_index=True, return_inverse=True)
    return classifier.probabilities(X[first])[of_row]


def single_row_latency(classifier: Classifier, X: NDArray[np.float32]) -> float:
    """The median time of one answer for one row on its core, in microseconds, over a few hundred calls.

    What else runs meanwhile is not counted: the time is this thread's own.
    """
    times: list[float] = []
    for call in range(_LATENCY_CALLS):
        row = X[call % len(X)][np.newaxis]
        start = time.thread_time()
        classifier.probabilities(row)
        times.append(time.thread_time() - start)
    return statistics.median(times) * 1e6


@dg.multi_asset(
    name="evaluations",
    outs={
        one.name: dg.AssetOut(
            key=["evaluations", one.name],
            io_manager_key="artefacts",
            is_required=False,
            code_version=code_version(__file__),
            group_name=group(one) or "evaluation",
            kinds={"onnx"},
            description=f"What {one.name} answers for the test listings, row by row, and how good that is.",
        )
        for one in (*CANDIDATES, *AVERAGES)
    },
    # Not inputs: each model is read when its turn comes, and only those that are asked for.
    deps=[["models", name] for name in NAMES],
    internal_asset_deps={
        name: {
            dg.AssetKey(["models", name]),
            dg.AssetKey("validation"),
            dg.AssetKey("test_listings"),
        }
        for name in NAMES
    },
    can_subset=True,
)
def evaluations(
    context: dg.AssetExecutionContext,
    validation: pd.DataFrame,
    test_listings: pd.DataFrame,
    artefacts: dg.ResourceParam[FolderIOManager],
    market: dg.ResourceParam[Market],
    pictures: Pictures,
) -> Iterator[dg.MaterializeResult[Evaluation]]:
    """Every candidate's file, as it would be served, asked about the test listings."""
    snapshot, validated = snapshot_behind(context.instance, market.name, "test_listings"), Validation(validation)

    def evaluated(name: str) -> Iterator[tuple[float, Evaluation]]:
        start = time.perf_counter()
        model = artefacts.load(market.name, dg.AssetKey(["models", name]), TrainedModel)
        figures, predictions, report = evaluate(
            model.training, model.onnx, validated.of(name), test_listings, market, snapshot
        )
        yield time.perf_counter() - start, Evaluation(figures, predictions, render(report))

    selected = {key.path[-1] for key in context.selected_asset_keys}
    # Behind the largest forests the smaller ones fill the cores up to the end.
    largest_first = [name for name in reversed(NAMES) if name in selected]
    for seconds, evaluation in side_by_side(map(evaluated, largest_first)):
        figures = evaluation.figures
        context.log.info(
            f"{figures.candidate} has an accuracy of {figures.metrics.accuracy:.4f} and a log loss of "
            f"{figures.metrics.log_loss:.4f} on the test listings ({seconds:.1f} s)"
        )
        # Drawn here, one after the other: matplotlib is not made for several threads, and these have enough to do.
        draw = partial(evaluation_pictures, figures, evaluation.predictions, test_listings)
        drawn = pictures.of(draw) if is_drawn(figures.candidate) else {}
        yield dg.MaterializeResult(
            asset_key=["evaluations", figures.candidate],
            value=evaluation,
            metadata=_headline(figures) | drawn | _tables(figures),
        )


def _headline(figures: Figures) -> dict[str, Any]:
    return {
        **{name: round(value, 4) for name, value in figures.metrics.headline().items()},
        "cv_log_loss": round(figures.cross_validation.log_loss, 4),
        "latency_us": round(figures.latency_us, 1),
        "model_bytes": figures.model_bytes,
    }


# On a page of 1,280 pixels a table may be about 330 wide beside the names of the metadata, and is cut off there.
def _tables(figures: Figures) -> dict[str, Any]:
    return {
        "categories": _category_table(figures.metrics),
        "confusion": _confusion_table(figures.metrics),
        "importance": {name: round(rise, 4) for name, rise in figures.importance.items()},
    }


def _category_table(metrics: Metrics) -> dg.TableMetadataValue:
    of_each = {str(name): metrics.categories[name] for name in CATEGORIES}
    lines: dict[str, dict[str, str]] = {
        "precision": {name: f"{one.precision:.3f}" for name, one in of_each.items()},
        "recall": {name: f"{one.recall:.3f}" for name, one in of_each.items()},
        "F1": {name: f"{one.f1:.3f}" for name, one in of_each.items()},
        "ROC AUC": {name: _if_known(one.roc_auc) for name, one in of_each.items()},
        "average precision": {name: _if_known(one.average_precision) for name, one in of_each.items()},
        "ECE": {name: _if_known(one.calibration_error) for name, one in of_each.items()},
        "ECE by chance": {name: _if_known(one.calibration_error_by_chance) for name, one in of_each.items()},
        "listings": {name: f"{one.support:,}" for name, one in of_each.items()},
    }
    return dg.MetadataValue.table([dg.TableRecord({"figure": figure, **values}) for figure, values in lines.items()])


def _if_known(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _confusion_table(metrics: Metrics) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"true": str(name), **{f"→ {to}": row[code] for code, to in enumerate(CATEGORIES)}})
            for name, row in zip(CATEGORIES, metrics.confusion, strict=True)
        ]
    )
