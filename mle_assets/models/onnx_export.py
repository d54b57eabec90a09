"""scikit-learn to ONNX, fast to write for forests, fast to ask for boosted trees, and proven equal."""

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
import onnx
import skl2onnx
from numpy.typing import NDArray
from onnx import compose
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from mle_assets.models.onnx_trees import CannotExport, ForestNodes, without_trees, write_boosted_trees
from mle_assets.models.scoring import Probabilities
from model_registry.classifier import TOLERANCE, Classifier
from model_registry.listing import CATEGORIES, FEATURES

_OPSETS = {"": 17, "ai.onnx.ml": 3}
_CONVERTER_OPTIONS = {"zipmap": [True, False], "nocl": [True, False], "output_class_labels": [False, True]}
_IR_VERSION = 8
"""The file format that goes with these opsets; every ONNX Runtime since 1.12 reads it."""

_converting = Lock()
"""Held while skl2onnx converts: warnings are filtered for the whole process."""


@dataclass(frozen=True)
class Parity:
    """How an exported model's answers compare with scikit-learn's on `rows` real feature rows."""

    rows: int
    largest_difference: float
    other_labels: int

    @property
    def proven(self) -> bool:
        """Every probability within TOLERANCE and every label the same."""
        return self.largest_difference <= TOLERANCE and self.other_labels == 0


def _leave_forest_empty(scope: Any, operator: Any, container: Any) -> None:
    if operator.raw_operator.estimators_:
        raise CannotExport("a random forest is exported only as the last step of a candidate's pipeline")
    label, probabilities = (output.full_name for output in operator.outputs)
    container.add_node(
        "TreeEnsembleRegressor",
        [operator.inputs[0].full_name],
        [probabilities],
        op_domain="ai.onnx.ml",
        op_version=3,
        name=scope.get_unique_operator_name("RandomForest"),
        n_targets=len(operator.raw_operator.classes_),
        aggregate_function="AVERAGE",
        post_transform="NONE",
    )
    container.add_node("ArgMax", [probabilities], [label], op_version=13, axis=1, keepdims=0)


skl2onnx.update_registered_converter(
    RandomForestClassifier,
    "RandomForest",
    calculate_linear_classifier_output_shapes,
    _leave_forest_empty,
    options=_CONVERTER_OPTIONS,
)
skl2onnx.update_registered_converter(
    HistGradientBoostingClassifier,
    "HistGradientBoosting",
    calculate_linear_classifier_output_shapes,
    write_boosted_trees,
    options=_CONVERTER_OPTIONS,
)


def export(pipeline: Pipeline, nodes: ForestNodes | None = None) -> bytes:
    """A fitted pipeline as an ONNX file: "features" (n, 11) in, "probabilities" (n, 4) out, float32.

    skl2onnx converts everything but the trees of a random forest at the end of the pipeline: it would need
    tens of seconds for a large one, because it looks at every tree and copies the node lists in Python. It
    is shown the forest without its trees and leaves an empty node, filled in here with the trees' own arrays.
    Boosted trees are written by `write_boosted_trees`. What only a label needs is left out: nobody asks for it.
    `nodes` may be those of a larger forest that this one is the first trees of. May be called from several threads.
    """
    forest = pipeline.steps[-1][1] if isinstance(pipeline.steps[-1][1], RandomForestClassifier) else None
    shown = pipeline if forest is None else Pipeline([*pipeline.steps[:-1], ("forest", without_trees(forest))])
    with _converting, warnings.catch_warnings():
        # skl2onnx writes booleans where integers belong; protobuf, held back in pyproject.toml, still takes them.
        warnings.filterwarnings("ignore", message=".*Expected an int, got a boolean")
        model = skl2onnx.to_onnx(
            shown,
            initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
            target_opset=_OPSETS,
            options={id(shown.steps[-1][1]): {"zipmap": False}},
        )
    for node in model.graph.node:
        if forest is not None and node.op_type == "TreeEnsembleRegressor":
            (nodes or ForestNodes.of(forest)).fill(node, len(forest.estimators_))
    _keep_what_leads_to(model.graph, "probabilities")
    model.ir_version = _IR_VERSION
    _order_opsets(model)
    return model.SerializeToString()


def average(exported: Sequence[bytes]) -> bytes:
    """One ONNX file that answers with the mean of several exported models' probabilities."""
    parts = [
        compose.add_prefix(onnx.load_from_string(part), f"part_{number}_", rename_inputs=False)
        for number, part in enumerate(exported)
    ]
    nodes = [node for part in parts for node in part.graph.node]
    answers = [part.graph.output[0].name for part in parts]
    share = onnx.numpy_helper.from_array(np.array(1 / len(parts), np.float32), "share")
    nodes.append(onnx.helper.make_node("Sum", answers, ["sum"]))
    nodes.append(onnx.helper.make_node("Mul", ["sum", "share"], ["probabilities"]))
    graph = onnx.helper.make_graph(
        nodes,
        "average",
        list(parts[0].graph.input),
        [onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [None, len(CATEGORIES)])],
        [share, *(constant for part in parts for constant in part.graph.initializer)],
    )
    opsets = [onnx.helper.make_opsetid(domain, version) for domain, version in sorted(_OPSETS.items())]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION).SerializeToString()


def parity(
    expected: Probabilities, exported: bytes, rows: NDArray[np.float32], features: Collection[str] = FEATURES
) -> Parity:
    """The exported model's answers for real feature rows (n, 11) against those of scikit-learn, (n, 4).

    It is asked with other listings' values for all but `features`, which proves that it takes no others. A label counts
    as another one only where scikit-learn itself sets the two categories further apart than TOLERANCE: which of two
    equally probable ones comes first is a matter of rounding.
    """
    unused = [column for column, name in enumerate(FEATURES) if name not in features]
    asked = rows.copy()
    asked[:, unused] = rows[::-1, unused]
    answered = Classifier(exported).probabilities(asked)
    every = np.arange(len(rows))
    behind = expected.max(axis=1) - expected[every, answered.argmax(axis=1)]
    return Parity(
        rows=len(rows),
        largest_difference=float(np.abs(expected - answered).max()),
        other_labels=int((behind > TOLERANCE).sum()),
    )


def _keep_what_leads_to(graph: onnx.GraphProto, output: str) -> None:
    """Remove the other outputs, and the nodes and constants that are for them alone."""
    needed = {output}
    # The nodes of a graph stand in the order in which they are computed.
    for node in reversed(list(graph.node)):
        if needed.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            needed.update(node.input)
    for value in [value for value in graph.output if value.name != output]:
        graph.output.remove(value)
    for constant in [constant for constant in graph.initializer if constant.name not in needed]:
        graph.initializer.remove(constant)


def _order_opsets(model: onnx.ModelProto) -> None:
    """One entry for each domain, in order: skl2onnx lists a set, so that one fit would have several SHA-256s."""
    versions: dict[str, int] = {}
    for opset in model.opset_import:
        versions[opset.domain] = max(opset.version, versions.get(opset.domain, 0))
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
