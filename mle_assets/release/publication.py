"""What is published of a leader: its manifest, drafted from the run's lineage and the listings it learned from."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from typing import cast

import numpy as np
import pandas as pd

from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.predictions import probabilities_in
from mle_assets.lineage import Lineage
from mle_assets.listings.features import category_codes, feature_matrix, to_listing
from mle_assets.models.training import TrainedModel
from mle_assets.release.answers import GROUP as ANSWERS
from mle_assets.release.answers import answers_of
from model_registry.classifier import Classifier
from model_registry.id_filter import filter_of
from model_registry.listing import CATEGORIES, Listing, encode
from model_registry.manifest import SCHEMA_VERSION, GoldenRow, Manifest, Rows, Run, digest, signature_of
from model_registry.market import Market
from model_registry.places import places_of
from model_registry.profile import profile_of

_GOLDEN_PER_CATEGORY = 2
BACKGROUND = 20
"""An explanation asks the model about some 60 rows for each: with 20 it takes some 20 ms."""
_SEED = 0
_LIBRARIES = ("dagster", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx")


@dataclass(frozen=True)
class Halves:
    """The listings that the leader was trained on, and those that the gate judges by."""

    train: pd.DataFrame
    test: pd.DataFrame


def draft_manifest(
    lineage: Lineage,
    run_id: str,
    git_commit: str | None,
    model: TrainedModel,
    evaluation: Evaluation,
    halves: Halves,
    market: Market,
) -> Manifest:
    """All that is known about a model; the registry adds its version, digests and time."""
    raw, listings = lineage.metadata("raw_listings"), lineage.metadata("listings")
    rows = feature_matrix(halves.train, market)
    validated, predictions = evaluation.figures.cross_validation, evaluation.predictions
    return Manifest(
        schema_version=SCHEMA_VERSION,
        version="",
        candidate=model.training.candidate,
        created_at=datetime.fromtimestamp(0, UTC),
        model=digest(model.onnx),
        report=digest(evaluation.report),
        signature=signature_of(market),
        metrics={
            "test": evaluation.figures.metrics.headline(),
            "cross_validation": {"log_loss": validated.log_loss, "standard_error": validated.standard_error},
            ANSWERS: answers_of(probabilities_in(predictions), category_codes(predictions)).metrics(),
        },
        parameters=model.training.parameters,
        snapshot=lineage.snapshot(),
        rows=Rows(
            raw=cast("int", raw["dagster/row_count"]),
            kept=cast("int", listings["dagster/row_count"]),
            train=len(halves.train),
            test=len(halves.test),
            dropped=cast("dict[str, int]", listings["dropped_rows"]),
        ),
        data_versions=lineage.data_versions(),
        run=Run(
            run_id=run_id,
            training_run_id=lineage.run_id(f"models/{model.training.candidate}"),
            git_commit=git_commit,
            code_versions=lineage.code_versions(),
            libraries={"python": platform.python_version(), **{name: library_version(name) for name in _LIBRARIES}},
        ),
        golden=golden_rows(model.onnx, halves.test, market),
        market=market,
        profile=profile_of(rows, category_codes(halves.train), market),
        background=background_of(halves.train),
        places=places_of(rows, market),
        learned_from=filter_of(halves.train["id"].to_numpy(dtype=np.int64)),
    )


def background_of(train: pd.DataFrame) -> tuple[Listing, ...]:
    """The training listings that explanations compare with: drawn by chance, each category by its share."""
    exact = np.bincount(category_codes(train), minlength=len(CATEGORIES)) / len(train) * BACKGROUND
    places = np.maximum(exact.astype(int), 1)
    # What rounding down has left over goes where it took most.
    places[np.argsort(places - exact, kind="stable")[: max(0, BACKGROUND - places.sum())]] += 1
    shuffled = train.sample(frac=1, random_state=_SEED)
    drawn = [shuffled[shuffled["price_category"] == code].head(place) for code, place in enumerate(places)]
    return tuple(to_listing(row) for _, row in pd.concat(drawn).iterrows())


def golden_rows(model: bytes, test: pd.DataFrame, market: Market) -> tuple[GoldenRow, ...]:
    """The first listings of each category in the test half, with the model's own probabilities."""
    classifier = Classifier(model)
    chosen = test.groupby("price_category", sort=True).head(_GOLDEN_PER_CATEGORY)
    rows: list[GoldenRow] = []
    for _, row in chosen.iterrows():
        listing = to_listing(row)
        low, mid, high, lux = (float(p) for p in classifier.probabilities(encode(listing, market.codes))[0])
        rows.append(GoldenRow(listing, (low, mid, high, lux)))
    return tuple(rows)
