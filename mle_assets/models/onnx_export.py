"""scikit-learn to ONNX, fast to write for forests, fast to ask for boosted trees, and proven equal."""

import warnings
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import skl2onnx
from numpy.typing import NDArray
from skl2onnx.common.data_types import FloatTensorType
from skl2onnx.common.shape_calculator import calculate_linear_classifier_output_shapes
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.pipeline import Pipeline

from model_registry.classifier import TOLERANCE, Classifier
from model_registry.listing import FEATURES

_OPSETS = {"": 17, "ai.onnx.ml": 3}
_CONVERTER_OPTIONS = {"zipmap": [True, False], "nocl": [True, False], "output_class_labels": [False, True]}
_IR_VERSION = 8
"""The file format that goes with these opsets; every ONNX Runtime since 1.12 reads it."""


class CannotExport(Exception):
    """A pipeline has a shape that the export does not cover."""


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


def export(pipeline: Pipeline) -> bytes:
    """A fitted pipeline as an ONNX file: "features" (n, 11) in, "probabilities" (n, 4) out, float32.

    skl2onnx converts everything but the trees of a random forest at the end of the pipeline: it would need
    tens of seconds for a large one, because it looks at every tree and copies the node lists in Python. It
    is shown the forest without its trees and leaves an empty node, filled in here with the trees' own arrays.
    Boosted trees are written by `_write_boosted_trees`. What only a label needs is left out: nobody asks for it.
    """
    forest = pipeline.steps[-1][1] if isinstance(pipeline.steps[-1][1], RandomForestClassifier) else None
    shown = pipeline if forest is None else Pipeline([*pipeline.steps[:-1], ("forest", _without_trees(forest))])

    def leave_forest_empty(scope: Any, operator: Any, container: Any) -> None:
        if operator.raw_operator is not shown.steps[-1][1]:
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
        leave_forest_empty,
        options=_CONVERTER_OPTIONS,
    )
    skl2onnx.update_registered_converter(
        HistGradientBoostingClassifier,
        "HistGradientBoosting",
        calculate_linear_classifier_output_shapes,
        _write_boosted_trees,
        options=_CONVERTER_OPTIONS,
    )
    with warnings.catch_warnings():
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
            _fill(node, forest)
    _keep_what_leads_to(model.graph, "probabilities")
    model.ir_version = _IR_VERSION
    _order_opsets(model)
    return model.SerializeToString()


def parity(pipeline: Pipeline, exported: bytes, rows: NDArray[np.float32]) -> Parity:
    """The exported model's answers against the pipeline's own on real feature rows (n, 11).

    A label counts as another one only where scikit-learn itself sets the two categories further apart than
    TOLERANCE: which of two equally probable ones comes first is a matter of rounding.
    """
    expected = pipeline.predict_proba(rows)
    answered = Classifier(exported).probabilities(rows)
    every = np.arange(len(rows))
    behind = expected.max(axis=1) - expected[every, answered.argmax(axis=1)]
    return Parity(
        rows=len(rows),
        largest_difference=float(np.abs(expected - answered).max()),
        other_labels=int((behind > TOLERANCE).sum()),
    )


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 not above each threshold: `x <= t` then holds for the same float32 x."""
    rounded = thresholds.astype(np.float32)
    above = rounded.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _write_boosted_trees(scope: Any, operator: Any, container: Any) -> None:
    """skl2onnx's converter for HistGradientBoostingClassifier: the same trees, laid out for ONNX Runtime.

    In place of one ensemble whose leaves name their category there is one for each category, whose leaves are
    numbers: ONNX Runtime keeps those in the nodes themselves and need not look them up in a second array. And a node
    is followed in memory by its "false" child (tree_ensemble_common.h), so that a row runs through the cache, and
    past the branch predictor, the more smoothly the more often it goes there. So the child that more of the training
    listings went to is made the false one: where that would turn a comparison round, `x > t`, it is asked of the
    feature's negative, because a node with another operator makes ONNX Runtime choose between operators at each node.
    """
    estimator = operator.raw_operator
    if estimator.n_trees_per_iteration_ != len(estimator.classes_) or estimator.is_categorical_ is not None:
        raise CannotExport("boosted trees are exported only for three categories or more, and for numeric features")
    features = operator.inputs[0].full_name
    label, probabilities = (output.full_name for output in operator.outputs)
    negated, both, scores, *of_each = (
        scope.get_unique_variable_name(name) for name in ("negated", "both", "scores", *map(str, estimator.classes_))
    )
    container.add_node("Neg", [features], [negated], op_version=13, name=scope.get_unique_operator_name("Neg"))
    container.add_node(
        "Concat", [features, negated], [both], op_version=13, axis=1, name=scope.get_unique_operator_name("Concat")
    )
    # scikit-learn has no public name for the trees and their start; skl2onnx reads these too.
    rounds, start = vars(estimator)["_predictors"], vars(estimator)["_baseline_prediction"]
    for category, output in enumerate(of_each):
        container.add_node(
            "TreeEnsembleRegressor",
            [both],
            [output],
            op_domain="ai.onnx.ml",
            op_version=3,
            name=scope.get_unique_operator_name("BoostedTrees"),
            n_targets=1,
            base_values=[float(start[0, category])],
            **_boosted_trees([trees[category].nodes for trees in rounds], estimator.n_features_in_),
        )
    container.add_node(
        "Concat", of_each, [scores], op_version=13, axis=1, name=scope.get_unique_operator_name("Concat")
    )
    container.add_node(
        "Softmax", [scores], [probabilities], op_version=13, axis=1, name=scope.get_unique_operator_name("Softmax")
    )
    container.add_node(
        "ArgMax",
        [probabilities],
        [label],
        op_version=13,
        axis=1,
        keepdims=0,
        name=scope.get_unique_operator_name("ArgMax"),
    )


def _boosted_trees(trees: list[NDArray[np.void]], features: int) -> dict[str, list[Any]]:
    """The attributes of a TreeEnsembleRegressor of ai.onnx.ml 3 for one category's trees, given as node tables.

    Its input are the features and, `features` columns on, their negatives. Where neither child had more of the
    training listings, the false one stays where it is. Missing values are not asked about: a listing has none.
    """
    counts = [len(nodes) for nodes in trees]
    node = np.concatenate(trees)
    leaf = node["is_leaf"].astype(bool)
    first = np.repeat(np.cumsum([0, *counts[:-1]]), counts)
    tree_ids, node_ids = np.repeat(np.arange(len(trees)), counts), np.arange(len(node)) - first
    left, right = (np.where(leaf, 0, node[side]).astype(np.int64) for side in ("left", "right"))
    negate = ~leaf & (node["count"][first + left] > node["count"][first + right])
    threshold = round_down(node["num_threshold"])
    # `x > t` for a float32 x is "x is at least the next float32", and `-x` is at most its negative.
    threshold = np.where(negate, -np.nextafter(threshold, np.float32(np.inf)), threshold)
    return {
        "nodes_treeids": tree_ids.tolist(),
        "nodes_nodeids": node_ids.tolist(),
        "nodes_featureids": np.where(leaf, 0, node["feature_idx"] + features * negate).tolist(),
        "nodes_values": np.where(leaf, 0, threshold).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_truenodeids": np.where(negate, right, left).tolist(),
        "nodes_falsenodeids": np.where(negate, left, right).tolist(),
        "target_treeids": tree_ids[leaf].tolist(),
        "target_nodeids": node_ids[leaf].tolist(),
        "target_ids": [0] * int(leaf.sum()),
        "target_weights": node["value"][leaf].tolist(),
    }


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


def _without_trees(forest: RandomForestClassifier) -> RandomForestClassifier:
    empty = copy(forest)
    empty.estimators_ = []
    return empty


def _fill(node: onnx.NodeProto, forest: RandomForestClassifier) -> None:
    """Write the forest's trees into a TreeEnsembleRegressor of ai.onnx.ml 3 (onnx/docs/Operators-ml.md)."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    counts = [tree.node_count for tree in trees]
    tree_ids = np.repeat(np.arange(len(trees)), counts)
    node_ids = np.concatenate([np.arange(count) for count in counts])
    left = np.concatenate([tree.children_left for tree in trees])
    right = np.concatenate([tree.children_right for tree in trees])
    leaf = left < 0
    weights = np.concatenate([tree.value[:, 0, :] for tree in trees])[leaf]
    weights = weights / weights.sum(axis=1, keepdims=True)
    # Most leaves hold one category only: probabilities of zero are left out.
    of_leaf, category = np.nonzero(weights)
    _ints(node, "nodes_treeids", tree_ids)
    _ints(node, "nodes_nodeids", node_ids)
    _ints(node, "nodes_featureids", np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])))
    _ints(node, "nodes_truenodeids", np.where(leaf, 0, left))
    _ints(node, "nodes_falsenodeids", np.where(leaf, 0, right))
    _floats(node, "nodes_values", np.where(leaf, 0, round_down(np.concatenate([tree.threshold for tree in trees]))))
    modes = node.attribute.add(name="nodes_modes", type=onnx.AttributeProto.STRINGS)
    modes.strings.extend(np.where(leaf, b"LEAF", b"BRANCH_LEQ").tolist())
    _ints(node, "target_treeids", tree_ids[leaf][of_leaf])
    _ints(node, "target_nodeids", node_ids[leaf][of_leaf])
    _ints(node, "target_ids", category)
    _floats(node, "target_weights", weights[of_leaf, category])


def _ints(node: onnx.NodeProto, name: str, values: NDArray[np.integer[Any]]) -> None:
    node.attribute.add(name=name, type=onnx.AttributeProto.INTS).ints.extend(values.tolist())


def _floats(node: onnx.NodeProto, name: str, values: NDArray[np.floating[Any]]) -> None:
    node.attribute.add(name=name, type=onnx.AttributeProto.FLOATS).floats.extend(values.tolist())
