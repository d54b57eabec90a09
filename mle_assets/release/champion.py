"""«champion»: the leader published, compared with the champion, and promoted if it is better."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field

from mle_assets.code_version import code_version
from mle_assets.evaluation.evaluation import Evaluation
from mle_assets.evaluation.leaderboard import Leaderboard
from mle_assets.failures import failing_on
from mle_assets.io_managers import FolderIOManager
from mle_assets.lineage import LineageBroken, trace
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.models.scoring import losses
from mle_assets.models.training import TrainedModel
from mle_assets.pictures.champion import comparison_bar, reigns_chart
from mle_assets.pictures.look import Picture
from mle_assets.pictures.metadata import Pictures
from mle_assets.release.card import make_card, render_card
from mle_assets.release.comparability import learned_from, shifts
from mle_assets.release.figures import decision_figures, published_figures, reigns
from mle_assets.release.gate import Comparison, Contender, constant_losses, judge, kept_out
from mle_assets.release.publication import Halves, draft_manifest
from model_registry.classifier import Classifier, ModelRefused, PublishedModel
from model_registry.disk import RegistryBusy
from model_registry.history import Decision, HistoryDamaged
from model_registry.live import quoting_the_shadow
from model_registry.manifest import Manifest, version_id
from model_registry.market import Market
from model_registry.old_layout import TwoRegistries
from model_registry.registries import Registries
from model_registry.store import ChampionChanged, Registry, UnknownVersion
from storage.errors import UnsafeStore


class Release(dg.ConfigurableResource[None]):
    """Where models are published, and how much better a challenger has to be."""

    registry_folder: str = Field(description="The registry, a folder or a URL, which the API is given as well.")
    confidence: float = Field(description="How sure the gate must be that a challenger is better, from 0.5 to below 1.")
    margin: float = Field(description="By how much log loss a challenger must be better, at least.")
    git_commit: str | None = Field(description="The commit that the manifest of a published model names.")

    def registries(self) -> Registries:
        """Those of all markets."""
        return Registries(self.registry_folder)


class NotTheRankedModel(Exception):
    """The stored model is another one than the leaderboard ranked."""


_EXPECTED = (
    ChampionChanged,
    HistoryDamaged,
    LineageBroken,
    ModelRefused,
    NotTheRankedModel,
    RegistryBusy,
    TwoRegistries,
    UnknownVersion,
    UnsafeStore,
)


def leading_model(artefacts: FolderIOManager, market: str, ranking: Leaderboard) -> tuple[TrainedModel, Evaluation]:
    """The model that a market's leaderboard put first and its evaluation; raises NotTheRankedModel for any other."""
    model = artefacts.load(market, dg.AssetKey(["models", ranking.leader]), TrainedModel)
    evaluation = artefacts.load(market, dg.AssetKey(["evaluations", ranking.leader]), Evaluation)
    if not model.training.sha256 == evaluation.figures.sha256 == ranking.leading.sha256:
        raise NotTheRankedModel(
            f"The stored model {ranking.leader} is not the one that the leaderboard ranked: it was trained again "
            "since. Materialize its evaluation and the leaderboard first."
        )
    return model, evaluation


def compare(
    release: Release, current: PublishedModel | None, draft: Manifest, model: bytes, halves: Halves
) -> Decision:
    """The gate's decision on a model, about to be published by a draft, against the champion on the same listings."""
    if current is not None:
        if current.manifest.model == draft.model:
            return Decision(promote=False, reason="The leader is the champion already: nothing to change.")
        changed = [part for part in _DECIDING if getattr(current.manifest.market, part) != getattr(draft.market, part)]
        if changed:
            problem = (
                f"The champion {current.manifest.version} was made when {draft.market.title} had another "
                f"{' and '.join(changed)}"
            )
            return kept_out(draft.market.name, version_id(draft.candidate, draft.model.sha256), problem)
    X, y = feature_matrix(halves.test, draft.market), category_codes(halves.test)
    return judge(
        Contender(
            market=draft.market.name,
            version=version_id(draft.candidate, draft.model.sha256),
            snapshot=draft.snapshot,
            losses=losses(Classifier(model).probabilities(X), y),
        ),
        None if current is None else _standing_of(current, draft, X, y, halves),
        constant_losses(y),
        confidence=release.confidence,
        margin=release.margin,
    )


_DECIDING = ("currency", "category_limits", "neighbourhoods")
"""What of a market has to be the same for two models' answers to be about the same."""


def _standing_of(
    champion: PublishedModel, draft: Manifest, X: NDArray[np.float32], y: NDArray[np.int64], halves: Halves
) -> Comparison:
    manifest = champion.manifest
    return Comparison(
        champion=Contender(
            manifest.market.name, manifest.version, manifest.snapshot, losses(champion.classifier.probabilities(X), y)
        ),
        published_loss=manifest.metrics.get("test", {}).get("log_loss"),
        shifts=None
        if manifest.profile is None
        else shifts(manifest.profile, feature_matrix(halves.train, manifest.market), category_codes(halves.train)),
        learned=learned_from(manifest, draft, halves.test["id"].to_numpy(dtype=np.int64)),
    )


@dg.asset(group_name="release", code_version=code_version(__file__), kinds={"onnx"})
def champion(
    context: dg.AssetExecutionContext,
    leaderboard: Leaderboard,
    train_listings: pd.DataFrame,
    test_listings: pd.DataFrame,
    artefacts: dg.ResourceParam[FolderIOManager],
    release: Release,
    market: dg.ResourceParam[Market],
    pictures: Pictures,
) -> dg.MaterializeResult[Any]:
    """The model in production: the leaderboard's leader is published, and promoted if the gate says so."""
    registry, halves = release.registries().of(market.name), Halves(train_listings, test_listings)
    with failing_on(*_EXPECTED):
        model, evaluation = leading_model(artefacts, market.name, leaderboard)
        lineage = trace(context.instance, market.name, "leaderboard", "train_listings", "test_listings")
        draft = draft_manifest(lineage, context.run.run_id, release.git_commit, model, evaluation, halves, market)
        current = current_champion(registry)
        decision = compare(release, current, draft, model.onnx, halves)
        today = datetime.now(UTC).date()
        card = make_card(draft, evaluation, leaderboard, train_listings, test_listings, today, drawn=pictures.drawn)
        challenger = registry.publish(draft, model.onnx, render_card(card))
        decision = quoting_the_shadow(decision, registry, challenger)
        # Drawn before anything is decided for good: what cannot be drawn fails the run with the champion as it was.
        drawn = pictures.of(lambda: _pictures(registry, challenger, decision))
        in_production = settle(registry, challenger, decision, current, context.run)
        metadata = _metadata(registry, current, challenger, in_production, decision, drawn)
    return dg.MaterializeResult(data_version=dg.DataVersion(in_production), metadata=metadata)


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
    registry: Registry,
    current: PublishedModel | None,
    challenger: str,
    in_production: str,
    decision: Decision,
    drawn: Mapping[str, Any],
) -> dict[str, Any]:
    published = registry.open(challenger)
    manifests = [published.manifest, *([] if current is None else [current.manifest])]
    return {
        "champion": in_production,
        "decision": "promoted" if decision.promote else "kept",
        "reason": decision.reason,
        **drawn,
        "comparison": _comparison(published, current, decision),
        # What the model in production had when it was published, then the challenger's, then the gate's numbers
        # of this comparison: there, challenger and champion are what they were before the decision.
        **next((published_figures(known) for known in manifests if known.version == in_production), {}),
        **published_figures(published.manifest, prefix="challenger_"),
        **decision_figures(decision),
        "registry": _where(registry.place),
        "challenger_version": _where(registry.place_of(challenger)),
    }


def _where(place: Path | str) -> dg.MetadataValue[Any]:
    return dg.MetadataValue.path(str(place.resolve())) if isinstance(place, Path) else dg.MetadataValue.text(place)


def _pictures(registry: Registry, challenger: str, decision: Decision) -> dict[str, Picture]:
    pictures, numbers = dict[str, Picture](), decision.numbers
    # Where challenger and champion are one, or cannot be compared, there is no difference to draw.
    if "mean_difference" in numbers:
        rival = "the champion" if "champion_log_loss" in numbers else "the majority class"
        pictures["comparison_chart"] = comparison_bar(numbers, rival)
    if known := reigns(registry, challenger if decision.promote else None):
        pictures["champions_over_time"] = reigns_chart(known)
    return pictures


def _comparison(
    challenger: PublishedModel, current: PublishedModel | None, decision: Decision
) -> dg.TableMetadataValue:
    columns = {"challenger": challenger.manifest, **({} if current is None else {"champion": current.manifest})}
    # Short words, that both sides fit beside the names of the metadata on a page of 1,280 pixels; whole versions are
    # above and below.
    lines: dict[str, dict[str, Any]] = {
        "model": {side: manifest.candidate.replace("_", " ") for side, manifest in columns.items()},
        "its hash": {side: manifest.model.sha256[:8] for side, manifest in columns.items()},
        "kB": {side: round(manifest.model.bytes / 1000, 1) for side, manifest in columns.items()},
        "listings": {side: "made up" if m.snapshot.synthetic else "real" for side, m in columns.items()},
        "their hash": {side: manifest.snapshot.sha256[:8] for side, manifest in columns.items()},
        "log loss, this test half": {
            side: round(decision.numbers[f"{side}_log_loss"], 4)
            for side in columns
            if f"{side}_log_loss" in decision.numbers
        },
        **{
            f"{title}, own test half": {side: round(m.metrics["test"][name], 4) for side, m in columns.items()}
            for title, name in (("accuracy", "accuracy"), ("ROC AUC", "roc_auc"), ("log loss", "log_loss"))
        },
    }
    return dg.MetadataValue.table(
        [
            dg.TableRecord({"figure": figure, **{side: str(values.get(side, "")) for side in columns}})
            for figure, values in lines.items()
            if values
        ]
    )
