"""«models/<candidate>»: each candidate fitted, cross-validated and exported; one asset each, from one factory."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, cast

import dagster as dg
import msgspec
import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import Pipeline

from mle_assets.artefacts import replace_file
from mle_assets.code_version import code_version
from mle_assets.failures import Refused, failing_on
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.listings.split import TooFewListings
from mle_assets.models.candidates import Candidate, Family
from mle_assets.models.onnx_export import Parity, export, parity
from mle_assets.models.scoring import Probabilities, losses, standard_error
from model_registry.classifier import MODEL_FILE, TOLERANCE
from model_registry.listing import CATEGORIES
from model_registry.manifest import digest

FOLDS = 3
"""Two thirds of some 27,000 listings are enough to rank by; five folds would take about twice the time."""
SEED = 0
PARITY_ROWS = 1_000


class CrossValidation(msgspec.Struct, frozen=True):
    """Log loss on held-out folds of the training listings: its mean per listing and the standard error of that."""

    log_loss: float
    standard_error: float
    folds: int


class Training(msgspec.Struct, frozen=True):
    """What is known of a trained candidate besides the model: training.json, written last."""

    candidate: str
    sha256: str
    parameters: dict[str, str | int | float | bool | None]
    cross_validation: CrossValidation


@dataclass(frozen=True)
class TrainedModel:
    """A candidate's exported model and what is known of it."""

    training: Training
    onnx: bytes

    def write(self, folder: Path) -> None:
        """Write model.onnx, then training.json, which says what the former must be."""
        replace_file(folder / MODEL_FILE, self.onnx)
        replace_file(folder / "training.json", msgspec.json.format(msgspec.json.encode(self.training)))

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read what `write` wrote; raises ValueError where a killed run left the two files at odds."""
        training = msgspec.json.decode((folder / "training.json").read_bytes(), type=Training)
        onnx = (folder / MODEL_FILE).read_bytes()
        if digest(onnx).sha256 != training.sha256:
            raise ValueError(f"{folder} holds another model than its training.json names: materialize it again")
        return cls(training, onnx)


def require_enough(y: NDArray[np.int64]) -> None:
    """Raise TooFewListings where a category has fewer listings than there are folds."""
    counts = np.bincount(y, minlength=len(CATEGORIES))
    if counts.min() < FOLDS:
        scarce = CATEGORIES[int(counts.argmin())]
        raise TooFewListings(
            f"{counts.min()} of the training listings are {scarce}, {FOLDS} are needed: use a larger snapshot."
        )


def fit(family: Family, X: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, Pipeline]:
    """Every member of the family fitted on feature rows X and codes y, by its name.

    The largest forest is fitted once; a smaller member is its first trees.
    """
    *smaller, largest = family.members
    fitted = _fit_one(largest, X, y)
    return {**{member.name: _first_trees(fitted, member) for member in smaller}, largest.name: fitted}


def _fit_one(candidate: Candidate, X: NDArray[np.float32], y: NDArray[np.int64]) -> Pipeline:
    # A clone: the estimator in CANDIDATES stays unfitted.
    return cast("Pipeline", clone(candidate.pipeline())).fit(X, y)


def _first_trees(fitted: Pipeline, member: Candidate) -> Pipeline:
    forest = copy(fitted.steps[-1][1])
    forest.n_estimators = member.estimator.get_params()["n_estimators"]
    forest.estimators_ = forest.estimators_[: forest.n_estimators]
    return Pipeline([*fitted.steps[:-1], (fitted.steps[-1][0], forest)])


def cross_validate(family: Family, X: NDArray[np.float32], y: NDArray[np.int64]) -> dict[str, CrossValidation]:
    """Each member's log loss over FOLDS stratified folds; the folds are the same for every candidate."""
    of_listing = {member.name: np.empty(len(y)) for member in family.members}
    for train, held_out in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(X, y):
        fitted = _fit_one(family.members[-1], X[train], y[train])
        for member, probabilities in _answers(family, fitted, X[held_out]):
            of_listing[member.name][held_out] = losses(probabilities, y[held_out])
    return {
        name: CrossValidation(
            log_loss=float(values.mean()),
            standard_error=standard_error(values),
            folds=FOLDS,
        )
        for name, values in of_listing.items()
    }


def _answers(family: Family, fitted: Pipeline, X: NDArray[np.float32]) -> Iterator[tuple[Candidate, Probabilities]]:
    if len(family.members) == 1:
        yield family.members[0], fitted.predict_proba(X)
        return
    # Every tree is asked once: the sum over the first n trees is the answer of the forest of n.
    forest: RandomForestClassifier = fitted.steps[-1][1]
    selected = np.ascontiguousarray(fitted[:-1].transform(X), dtype=np.float32)
    total, done = np.zeros((len(X), len(forest.classes_))), 0
    for member in family.members:
        upto = member.estimator.get_params()["n_estimators"]
        trees = forest.estimators_[done:upto]
        parts = Parallel(n_jobs=-1, prefer="threads")(delayed(tree.tree_.predict)(selected) for tree in trees)
        total += np.sum(cast("list[Probabilities]", parts), axis=0)
        done = upto
        yield member, total / done


def train(
    family: Family, X: NDArray[np.float32], y: NDArray[np.int64]
) -> Iterator[tuple[Candidate, TrainedModel, Parity]]:
    """Every member of the family, fitted, cross-validated and exported, with the proof of its export."""
    validated, fitted = cross_validate(family, X, y), fit(family, X, y)
    for member in family.members:
        onnx = export(fitted[member.name])
        training = Training(
            candidate=member.name,
            sha256=digest(onnx).sha256,
            parameters=parameters(member),
            cross_validation=validated[member.name],
        )
        yield member, TrainedModel(training, onnx), parity(fitted[member.name], onnx, X[:PARITY_ROWS])


def parameters(candidate: Candidate) -> dict[str, str | int | float | bool | None]:
    """What the candidate was made with: the estimator's class and plain parameters, and its features."""
    plain = {
        name: value
        for name, value in candidate.estimator.get_params().items()
        if isinstance(value, str | int | float | bool | None) and not name.endswith("n_jobs")
    }
    steps = getattr(candidate.estimator, "steps", [("", candidate.estimator)])
    return {"estimator": type(steps[-1][1]).__name__, "features": ", ".join(candidate.features), **plain}


def training_asset(family: Family) -> dg.AssetsDefinition:
    """One asset «models/<candidate>» for each member; any of them can be materialized alone.

    A model's data version is the SHA-256 of its file, so an evaluation is stale only when the model changed.
    """
    by_key = {dg.AssetKey(["models", member.name]): member for member in family.members}

    @dg.multi_asset(
        name=f"train_{family.name}",
        outs={
            member.name: dg.AssetOut(
                key=key,
                io_manager_key="artefacts",
                is_required=False,
                code_version=code_version(__file__),
                kinds={"scikitlearn", "onnx"},
                description=describe(member),
            )
            for key, member in by_key.items()
        },
        check_specs=[
            dg.AssetCheckSpec("export_equals_scikit_learn", asset=key, blocking=True, description=_PARITY_CLAIM)
            for key in by_key
        ],
        group_name="models",
        can_subset=True,
    )
    def train_family(
        context: dg.AssetExecutionContext, train_listings: pd.DataFrame
    ) -> Iterator[dg.MaterializeResult[TrainedModel] | dg.AssetCheckResult]:
        selected = tuple(member for key, member in by_key.items() if key in context.selected_asset_keys)
        X, y = feature_matrix(train_listings), category_codes(train_listings)
        with failing_on(TooFewListings):
            require_enough(y)
        for member, model, proof in train(Family(family.name, selected), X, y):
            yield _parity_check(member, proof)
            if not proof.proven:
                raise Refused(_parity_words(member, proof))
            yield dg.MaterializeResult(
                asset_key=["models", member.name],
                value=model,
                data_version=dg.DataVersion(model.training.sha256),
                metadata=_metadata(model),
            )

    return train_family


_PARITY_CLAIM = f"Same categories as scikit-learn, probabilities within {TOLERANCE}, on real listings."


def describe(candidate: Candidate) -> str:
    """The candidate in one sentence."""
    made_with = parameters(candidate)
    return f"A {made_with['estimator']} on {len(candidate.features)} features, as the ONNX file that may be served."


def _parity_words(member: Candidate, proof: Parity) -> str:
    return (
        f"The exported {member.name} does not answer as scikit-learn does: of {proof.rows:,} listings, "
        f"{proof.other_labels} get another category (0 may), and probabilities differ by up to "
        f"{proof.largest_difference:.1e} ({TOLERANCE:.0e} may be). It is not stored."
    )


def _parity_check(member: Candidate, proof: Parity) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(["models", member.name]),
        check_name="export_equals_scikit_learn",
        passed=proof.proven,
        description=None if proof.proven else _parity_words(member, proof),
        metadata={
            "largest_difference": proof.largest_difference,
            "most": TOLERANCE,
            "other_labels": proof.other_labels,
            "rows": proof.rows,
        },
    )


def _metadata(model: TrainedModel) -> dict[str, Any]:
    training = model.training
    return {
        "cross_validated_log_loss": training.cross_validation.log_loss,
        "standard_error": training.cross_validation.standard_error,
        "model_bytes": len(model.onnx),
        "sha256": training.sha256,
        "parameters": training.parameters,
    }
