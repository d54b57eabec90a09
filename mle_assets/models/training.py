"""«models/<candidate>»: each candidate fitted, exported and proven equal; one step makes them all, or some of them."""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dagster as dg
import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mle_assets.code_version import code_version
from mle_assets.cores import side_by_side
from mle_assets.failures import Refused
from mle_assets.listings.features import category_codes, feature_matrix
from mle_assets.models.candidates import (
    AVERAGES,
    CANDIDATES,
    NAMES,
    Average,
    Candidate,
    Family,
    families,
    features_of,
    group,
    longest_first,
)
from mle_assets.models.coordinates import TURNED
from mle_assets.models.fitting import answers, fit, member_of
from mle_assets.models.onnx_export import Parity, average, export, parity
from mle_assets.models.onnx_trees import ForestNodes
from mle_assets.models.scoring import Probabilities
from mle_assets.places import replace_file
from model_registry.classifier import MODEL_FILE, TOLERANCE
from model_registry.manifest import digest
from model_registry.market import Market

PARITY_ROWS = 1_000

Note = Callable[[str], None]
Parameters = dict[str, str | int | float | bool | None]


class Training(msgspec.Struct, frozen=True):
    """What is known of a trained candidate besides the model: training.json, written last."""

    candidate: str
    sha256: str
    parameters: Parameters


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


@dataclass(frozen=True)
class Trained:
    """A candidate that was just fitted and exported, with the proof of its export."""

    candidate: Candidate | Average
    model: TrainedModel
    proof: Parity
    expected: Probabilities
    """What scikit-learn answers for the rows that the proof is made with."""


def train(
    names: Collection[str], X: NDArray[np.float32], y: NDArray[np.int64], note: Note = lambda _: None
) -> Iterator[Trained]:
    """The candidates of these names, fitted on feature rows (n, 11) and codes (n,), exported and proven, as they come.

    The parts of an average are fitted for it, whether they are asked for or not. `note` is told of each fit and export.
    """
    rows = X[:PARITY_ROWS]
    averages = [average for average in AVERAGES if average.name in names]
    needed = {*names, *(part for average in averages for part in average.of)}
    chosen = [
        Family(family.name, members)
        for family in families()
        if (members := tuple(member for member in family.members if member.name in needed))
    ]

    def fitted(family: Family) -> Iterator[str | Trained]:
        start = time.perf_counter()
        largest = fit(family, X, y)
        yield f"{family.members[-1].name} is fitted ({time.perf_counter() - start:.1f} s)"
        nodes = ForestNodes.of(largest[-1]) if family.members[-1].forest else None
        for member, expected in answers(family, largest, rows):
            start = time.perf_counter()
            onnx = export(member_of(largest, member), nodes)
            trained = _proven(member, onnx, expected, rows)
            yield f"{member.name} is exported ({time.perf_counter() - start:.1f} s)"
            yield trained

    parts = dict[str, Trained]()
    for trained in side_by_side(map(fitted, longest_first(chosen))):
        if isinstance(trained, str):
            note(trained)
            continue
        name = trained.candidate.name
        if any(name in average.of for average in averages):
            parts[name] = trained
        if name in names:
            yield trained
    for one in averages:
        of = [parts[part] for part in one.of]
        onnx = average([part.model.onnx for part in of])
        trained = _proven(one, onnx, np.mean([part.expected for part in of], axis=0), rows)
        note(f"{one.name} is put together of {' and '.join(one.of)}")
        yield trained


def _proven(candidate: Candidate | Average, onnx: bytes, expected: Probabilities, rows: NDArray[np.float32]) -> Trained:
    training = Training(candidate.name, digest(onnx).sha256, parameters(candidate))
    return Trained(
        candidate, TrainedModel(training, onnx), parity(expected, onnx, rows, features_of(candidate.name)), expected
    )


def parameters(candidate: Candidate | Average) -> Parameters:
    """What the candidate was made with: the estimator's class and plain parameters, and its features."""
    if isinstance(candidate, Average):
        return {"average_of": ", ".join(candidate.of)}
    plain = {
        name: value
        for name, value in candidate.estimator.get_params().items()
        if isinstance(value, str | int | float | bool | None) and not name.endswith("n_jobs")
    }
    steps = getattr(candidate.estimator, "steps", [("", candidate.estimator)])
    features = (*candidate.features, *(TURNED if candidate.turned else ()))
    return {"estimator": type(steps[-1][1]).__name__, "features": ", ".join(features), **plain}


def describe(candidate: Candidate | Average) -> str:
    """The candidate in one sentence."""
    if isinstance(candidate, Average):
        return f"The mean of {' and '.join(candidate.of)}, as the ONNX file that may be served."
    made_with = parameters(candidate)
    return f"A {made_with['estimator']} on {len(candidate.features)} features, as the ONNX file that may be served."


_PARITY_CLAIM = f"Same categories as scikit-learn, probabilities within {TOLERANCE}, on real listings."


@dg.multi_asset(
    name="models",
    outs={
        one.name: dg.AssetOut(
            key=["models", one.name],
            io_manager_key="artefacts",
            is_required=False,
            code_version=code_version(__file__),
            group_name=group(one) or "models",
            kinds={"scikitlearn", "onnx"},
            description=describe(one),
        )
        for one in (*CANDIDATES, *AVERAGES)
    },
    check_specs=[
        dg.AssetCheckSpec(
            "export_equals_scikit_learn", asset=["models", name], blocking=True, description=_PARITY_CLAIM
        )
        for name in NAMES
    ],
    can_subset=True,
)
def models(
    context: dg.AssetExecutionContext, train_listings: pd.DataFrame, market: dg.ResourceParam[Market]
) -> Iterator[dg.MaterializeResult[TrainedModel] | dg.AssetCheckResult]:
    """Every candidate, fitted on all training listings and exported as the file that may be served.

    A model's data version is the SHA-256 of its file, so an evaluation is stale only when the model changed.
    """
    names = {key.path[-1] for key in context.selected_asset_keys}
    X, y = feature_matrix(train_listings, market), category_codes(train_listings)
    for trained in train(names, X, y, context.log.info):
        yield _parity_check(trained)
        if not trained.proof.proven:
            raise Refused(_parity_words(trained))
        yield dg.MaterializeResult(
            asset_key=["models", trained.candidate.name],
            value=trained.model,
            data_version=dg.DataVersion(trained.model.training.sha256),
            metadata=_metadata(trained.model),
        )


def _parity_words(trained: Trained) -> str:
    proof = trained.proof
    return (
        f"The exported {trained.candidate.name} does not answer as scikit-learn does: of {proof.rows:,} listings, "
        f"{proof.other_labels} get another category (0 may), and probabilities differ by up to "
        f"{proof.largest_difference:.1e} ({TOLERANCE:.0e} may be). It is not stored."
    )


def _parity_check(trained: Trained) -> dg.AssetCheckResult:
    proof = trained.proof
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey(["models", trained.candidate.name]),
        check_name="export_equals_scikit_learn",
        passed=proof.proven,
        description=None if proof.proven else _parity_words(trained),
        metadata={
            "largest_difference": proof.largest_difference,
            "most": TOLERANCE,
            "other_labels": proof.other_labels,
            "rows": proof.rows,
        },
    )


def _metadata(model: TrainedModel) -> dict[str, Any]:
    return {
        "model_bytes": len(model.onnx),
        "sha256": model.training.sha256,
        "parameters": model.training.parameters,
    }
