"""«champion»: the leader published, compared with the champion, and promoted if it is better."""

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version as library_version
from pathlib import Path
from typing import Any, cast

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mle_assets.artefacts import Artefacts
from mle_assets.code_version import code_version
from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.leaderboard import Leaderboard
from mle_assets.failures import failing_on
from mle_assets.lineage import Lineage, LineageBroken, trace
from mle_assets.listings.features import category_codes, feature_matrix, to_listing
from mle_assets.models.scoring import losses
from mle_assets.models.training import TrainedModel
from mle_assets.release.comparability import shifts
from mle_assets.release.figures import decision_figures, published_figures
from mle_assets.release.gate import Comparison, Contender, constant_losses, judge
from model_registry.classifier import Classifier, ModelRefused, PublishedModel
from model_registry.disk import RegistryBusy
from model_registry.history import Decision, HistoryDamaged
from model_registry.listing import encode
from model_registry.manifest import (
    SCHEMA_VERSION,
    SIGNATURE,
    GoldenRow,
    Manifest,
    Rows,
    Run,
    digest,
    version_id,
)
from model_registry.profile import profile_of
from model_registry.store import ChampionChanged, Registry, UnknownVersion

_GOLDEN_PER_CATEGORY = 2
_LIBRARIES = ("dagster", "numpy", "onnx", "onnxruntime", "pandas", "scikit-learn", "skl2onnx")


class Release(dg.ConfigurableResource[None]):
    """Where models are published, and how much better a challenger has to be."""

    registry_folder: str = Field(description="The registry folder, which the API is given as well.")
    confidence: float = Field(description="How sure the gate must be that a challenger is better, from 0.5 to below 1.")
    margin: float = Field(description="By how much log loss a challenger must be better, at least.")
    git_commit: str | None = Field(description="The commit that the manifest of a published model names.")

    def registry(self) -> Registry:
        """The registry folder."""
        return Registry(Path(self.registry_folder))


@dataclass(frozen=True)
class Halves:
    """The listings that the leader was trained on, and those that the gate judges by."""

    train: pd.DataFrame
    test: pd.DataFrame


class NotTheRankedModel(Exception):
    """The stored model is another one than the leaderboard ranked."""


_EXPECTED = (
    ChampionChanged,
    HistoryDamaged,
    LineageBroken,
    ModelRefused,
    NotTheRankedModel,
    RegistryBusy,
    UnknownVersion,
)


def leading_model(artefacts: Artefacts, ranking: Leaderboard) -> tuple[TrainedModel, Evaluation]:
    """The model that the leaderboard put first and its evaluation; raises NotTheRankedModel for any other."""
    model = artefacts.load(dg.AssetKey(["models", ranking.leader]), TrainedModel)
    evaluation = artefacts.load(dg.AssetKey(["evaluations", ranking.leader]), Evaluation)
    if not model.training.sha256 == evaluation.figures.sha256 == ranking.leading.sha256:
        raise NotTheRankedModel(
            f"The stored model {ranking.leader} is not the one that the leaderboard ranked: it was trained again "
            "since. Materialize its evaluation and the leaderboard first."
        )
    return model, evaluation


def golden_rows(model: bytes, test: pd.DataFrame) -> tuple[GoldenRow, ...]:
    """The first listings of each category in the test half, with the model's own probabilities."""
    classifier = Classifier(model)
    chosen = test.groupby("price_category", sort=True).head(_GOLDEN_PER_CATEGORY)
    rows: list[GoldenRow] = []
    for _, row in chosen.iterrows():
        listing = to_listing(row)
        low, mid, high, lux = (float(p) for p in classifier.probabilities(encode(listing))[0])
        rows.append(GoldenRow(listing, (low, mid, high, lux)))
    return tuple(rows)


def compare(
    release: Release, current: PublishedModel | None, draft: Manifest, model: bytes, halves: Halves
) -> Decision:
    """The gate's decision on a model, about to be published by a draft, against the champion on the same listings."""
    if current is not None and current.manifest.model == draft.model:
        return Decision(promote=False, reason="The leader is the champion already: nothing to change.")
    X, y = feature_matrix(halves.test), category_codes(halves.test)
    return judge(
        Contender(
            version=version_id(draft.candidate, draft.model.sha256),
            snapshot=draft.snapshot,
            losses=losses(Classifier(model).probabilities(X), y),
        ),
        None if current is None else _standing_of(current, X, y, halves.train),
        constant_losses(y),
        confidence=release.confidence,
        margin=release.margin,
    )


def _standing_of(
    champion: PublishedModel, X: NDArray[np.float32], y: NDArray[np.int64], train: pd.DataFrame
) -> Comparison:
    manifest = champion.manifest
    return Comparison(
        champion=Contender(manifest.version, manifest.snapshot, losses(champion.classifier.probabilities(X), y)),
        published_loss=manifest.metrics.get("test", {}).get("log_loss"),
        shifts=None
        if manifest.profile is None
        else shifts(manifest.profile, feature_matrix(train), category_codes(train)),
    )


def draft_manifest(
    lineage: Lineage,
    run_id: str,
    git_commit: str | None,
    model: TrainedModel,
    evaluation: Evaluation,
    halves: Halves,
) -> Manifest:
    """All that is known about a model; the registry adds its version, digests and time."""
    raw, listings = lineage.metadata("raw_listings"), lineage.metadata("listings")
    validated = model.training.cross_validation
    return Manifest(
        schema_version=SCHEMA_VERSION,
        version="",
        candidate=model.training.candidate,
        created_at=datetime.fromtimestamp(0, UTC),
        model=digest(model.onnx),
        report=digest(evaluation.report),
        signature=SIGNATURE,
        metrics={
            "test": evaluation.figures.metrics.headline(),
            "cross_validation": {"log_loss": validated.log_loss, "standard_error": validated.standard_error},
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
        golden=golden_rows(model.onnx, halves.test),
        profile=profile_of(feature_matrix(halves.train), category_codes(halves.train)),
    )


@dg.asset(group_name="release", code_version=code_version(__file__), kinds={"onnx"})
def champion(
    context: dg.AssetExecutionContext,
    leaderboard: Leaderboard,
    train_listings: pd.DataFrame,
    test_listings: pd.DataFrame,
    artefacts: dg.ResourceParam[Artefacts],
    release: Release,
) -> dg.MaterializeResult[Any]:
    """The model in production: the leaderboard's leader is published, and promoted if the gate says so."""
    registry, halves = release.registry(), Halves(train_listings, test_listings)
    with failing_on(*_EXPECTED):
        model, evaluation = leading_model(artefacts, leaderboard)
        lineage = trace(context.instance, "leaderboard", "train_listings", "test_listings")
        draft = draft_manifest(lineage, context.run.run_id, release.git_commit, model, evaluation, halves)
        current = current_champion(registry)
        decision = compare(release, current, draft, model.onnx, halves)
        challenger = registry.publish(draft, model.onnx, evaluation.report)
        in_production = settle(registry, challenger, decision, current, context.run)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(in_production),
        metadata=_metadata(registry, current, challenger, in_production, decision),
    )


def current_champion(registry: Registry) -> PublishedModel | None:
    """The model in production, verified, or None before the first promotion."""
    pointer = registry.champion()
    return None if pointer is None else registry.open(pointer.version)


def settle(
    registry: Registry, challenger: str, decision: Decision, current: PublishedModel | None, run: dg.DagsterRun
) -> str:
    """Carry out and record a decision about a challenger and the current champion; the version in production after it.

    Raises ChampionChanged where another champion was promoted while this one was being compared with.
    """
    actor = run.tags.get("dagster/sensor_name", run.tags.get("dagster/schedule_name", "a person's run"))
    champion = registry.champion()
    if decision.promote:
        compared = current.manifest.version if current else None
        champion = registry.promote(challenger, decision, run_id=run.run_id, actor=actor, instead_of=compared)
    elif champion is None or champion.version != challenger:
        registry.refuse(challenger, decision, run_id=run.run_id, actor=actor)
    return champion.version if champion else "none"


def _metadata(
    registry: Registry, current: PublishedModel | None, challenger: str, in_production: str, decision: Decision
) -> dict[str, Any]:
    published = registry.open(challenger)
    manifests = [published.manifest, *([] if current is None else [current.manifest])]
    return {
        "champion": in_production,
        "decision": "promoted" if decision.promote else "kept",
        "reason": decision.reason,
        "challenger_vs_champion": _comparison(published, current, decision),
        # What the model in production had when it was published, then the challenger's, then the gate's numbers
        # of this comparison: there, challenger and champion are what they were before the decision.
        **next((published_figures(known) for known in manifests if known.version == in_production), {}),
        **published_figures(published.manifest, prefix="challenger_"),
        **decision_figures(decision),
        "registry": dg.MetadataValue.path(str(registry.folder.resolve())),
        "challenger_version": dg.MetadataValue.path(str(registry.path(challenger).resolve())),
    }


def _comparison(
    challenger: PublishedModel, current: PublishedModel | None, decision: Decision
) -> dg.TableMetadataValue:
    columns = {"challenger": challenger.manifest, **({} if current is None else {"champion": current.manifest})}
    lines: dict[str, dict[str, Any]] = {
        "version": {side: manifest.version for side, manifest in columns.items()},
        "model (kB)": {side: round(manifest.model.bytes / 1000, 1) for side, manifest in columns.items()},
        "snapshot": {side: manifest.snapshot.sha256[:12] for side, manifest in columns.items()},
        "log loss, this test half": {
            side: round(decision.numbers[f"{side}_log_loss"], 4)
            for side in columns
            if f"{side}_log_loss" in decision.numbers
        },
        **{
            f"{name}, when published": {side: round(m.metrics["test"][name], 4) for side, m in columns.items()}
            for name in ("accuracy", "roc_auc", "log_loss")
        },
    }
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"figure": figure, **{side: str(values.get(side, "")) for side in columns}})
            for figure, values in lines.items()
        ]
    )
