"""«evaluations/<candidate>»: the artefact that would be served, asked about listings it has not seen."""

import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dagster as dg
import msgspec
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray

from mle_assets.artefacts import replace_file
from mle_assets.code_version import code_version
from mle_assets.evaluation.metrics import Metrics, measure, roc_curves
from mle_assets.evaluation.report import Figures, Report, render
from mle_assets.lineage import snapshot_behind
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.models.candidates import Candidate
from mle_assets.models.scoring import losses
from mle_assets.models.training import TrainedModel, Training
from model_registry.classifier import REPORT_FILE, Classifier
from model_registry.listing import CATEGORIES, FEATURES
from model_registry.manifest import Snapshot

_LATENCY_CALLS = 200
_SEED = 0
_IMPORTANCE_ROWS = 500
_PART_ROWS = 500


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
    training: Training, model: bytes, test: pd.DataFrame, snapshot: Snapshot | None = None
) -> tuple[Figures, pd.DataFrame, Report]:
    """A model's figures on the test listings, the predecessor's prediction rows, and what the report shows.

    `snapshot` is what the listings come from, as far as it is known.
    """
    classifier = Classifier(model)
    X, y = feature_matrix(test), category_codes(test)
    probabilities = on_all_cores(classifier, X)
    figures = Figures(
        candidate=training.candidate,
        sha256=training.sha256,
        model_bytes=len(model),
        parameters=training.parameters,
        cross_validation=training.cross_validation,
        metrics=measure(probabilities, y),
        importance=permutation_importance(classifier, X[:_IMPORTANCE_ROWS], y[:_IMPORTANCE_ROWS]),
        latency_us=single_row_latency(classifier, X),
    )
    return figures, prediction_rows(test, probabilities), Report(figures, roc_curves(probabilities, y), snapshot)


def prediction_rows(test: pd.DataFrame, probabilities: NDArray[np.float32]) -> pd.DataFrame:
    """The predecessor's rows: id, true and predicted category code, the four probabilities."""
    return pd.DataFrame(
        {
            "id": test["id"],
            "price_category": test["price_category"],
            "predicted_price_category": probabilities.argmax(axis=1),
            **{f"price_category_prob_{code}": probabilities[:, code] for code in range(len(CATEGORIES))},
        }
    )


def permutation_importance(
    classifier: Classifier, X: NDArray[np.float32], y: NDArray[np.int64], seed: int = _SEED
) -> dict[str, float]:
    """How much the log loss rises when one feature's values are shuffled; 0 for a feature that is not used.

    Breiman, Random Forests (2001), section 10, with log loss in place of the error rate.
    """
    random = np.random.default_rng(seed)
    tables = [X]
    for column in range(len(FEATURES)):
        shuffled = X.copy()
        random.shuffle(shuffled[:, column])
        tables.append(shuffled)
    answers = on_all_cores(classifier, np.concatenate(tables)).reshape(len(tables), len(X), -1)
    base, *risen = (float(losses(probabilities, y).mean()) for probabilities in answers)
    return {name: loss - base for name, loss in zip(FEATURES, risen, strict=True)}


def on_all_cores(classifier: Classifier, X: NDArray[np.float32]) -> NDArray[np.float32]:
    """The classifier's probabilities for many rows: it runs on one thread, so the rows are shared out."""
    parts = np.array_split(X, max(1, len(X) // _PART_ROWS))
    return np.concatenate(Parallel(n_jobs=-1, prefer="threads")(delayed(classifier.probabilities)(p) for p in parts))


def single_row_latency(classifier: Classifier, X: NDArray[np.float32]) -> float:
    """The median time of one answer for one row, in microseconds, over a few hundred calls."""
    times: list[float] = []
    for call in range(_LATENCY_CALLS):
        row = X[call % len(X)][np.newaxis]
        start = time.perf_counter()
        classifier.probabilities(row)
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e6


def evaluation_asset(candidate: Candidate) -> dg.AssetsDefinition:
    """The asset «evaluations/<candidate>»."""

    @dg.asset(
        key=["evaluations", candidate.name],
        ins={"model": dg.AssetIn(["models", candidate.name])},
        io_manager_key="artefacts",
        group_name="evaluation",
        code_version=code_version(__file__),
        kinds={"onnx"},
        description=f"What {candidate.name} answers for the test listings, row by row, and how good that is.",
    )
    def evaluation(
        context: dg.AssetExecutionContext, model: TrainedModel, test_listings: pd.DataFrame
    ) -> dg.MaterializeResult[Evaluation]:
        snapshot = snapshot_behind(context.instance, "test_listings")
        figures, predictions, report = evaluate(model.training, model.onnx, test_listings, snapshot)
        return dg.MaterializeResult(value=Evaluation(figures, predictions, render(report)), metadata=_metadata(figures))

    return evaluation


def _metadata(figures: Figures) -> dict[str, Any]:
    return {
        **figures.metrics.headline(),
        "cross_validated_log_loss": figures.cross_validation.log_loss,
        "single_row_latency_us": figures.latency_us,
        "model_bytes": figures.model_bytes,
        "categories": _category_table(figures.metrics),
        "confusion": _confusion_table(figures.metrics),
        "importance": figures.importance,
    }


def _category_table(metrics: Metrics) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {"category": str(name), **{k: round(v, 4) for k, v in msgspec.structs.asdict(category).items()}}
            )
            for name, category in metrics.categories.items()
        ],
        schema=dg.TableSchema(
            [
                dg.TableColumn("category", "string"),
                *(dg.TableColumn(name, "float") for name in ("precision", "recall", "f1")),
                dg.TableColumn("support", "int"),
            ]
        ),
    )


def _confusion_table(metrics: Metrics) -> dg.TableMetadataValue:
    return dg.MetadataValue.table(
        [
            dg.TableRecord(
                {"category": str(name), **{f"answered {to}": row[code] for code, to in enumerate(CATEGORIES)}}
            )
            for name, row in zip(CATEGORIES, metrics.confusion, strict=True)
        ],
        schema=dg.TableSchema(
            [dg.TableColumn("category", "string"), *(dg.TableColumn(f"answered {to}", "int") for to in CATEGORIES)]
        ),
    )
