"""Forests and boosted trees as ONNX nodes: TreeEnsembleRegressor of ai.onnx.ml 3 (onnx/docs/Operators-ml.md)."""

from copy import copy
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier

_KINDS = {"nodes_values": "floats", "target_weights": "floats", "nodes_modes": "strings"}
"""Of the attributes that are not whole numbers."""
_MODES = (b"BRANCH_LEQ", b"LEAF")


class CannotExport(Exception):
    """A pipeline has a shape that the export does not cover."""


def round_down(thresholds: NDArray[np.float64]) -> NDArray[np.float32]:
    """The largest float32 not above each threshold: `x <= t` then holds for the same float32 x."""
    rounded = thresholds.astype(np.float32)
    above = rounded.astype(np.float64) > thresholds
    return np.where(above, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def without_trees(forest: RandomForestClassifier) -> RandomForestClassifier:
    """The fitted forest with none of its trees."""
    empty = copy(forest)
    empty.estimators_ = []
    return empty


@dataclass(frozen=True)
class ForestNodes:
    """A forest's trees as the attributes of a TreeEnsembleRegressor, tree after tree.

    The first trees of a larger forest are the first elements of its attributes, so that one table serves a family.
    """

    nodes: dict[str, list[Any]]
    """Attributes with an element for each node."""
    weights: dict[str, list[Any]]
    """Attributes with an element for each category of each leaf."""
    upto: list[tuple[int, int]]
    """For each number of trees how many nodes and how many weights they have."""

    @classmethod
    def of(cls, forest: RandomForestClassifier) -> Self:
        """The nodes of a fitted forest."""
        trees = [estimator.tree_ for estimator in forest.estimators_]
        counts = np.array([tree.node_count for tree in trees])
        tree_ids = np.repeat(np.arange(len(trees)), counts)
        node_ids = np.concatenate([np.arange(count) for count in counts])
        left = np.concatenate([tree.children_left for tree in trees])
        right = np.concatenate([tree.children_right for tree in trees])
        leaf = left < 0
        weights = np.concatenate([tree.value[:, 0, :] for tree in trees])[leaf]
        weights = weights / weights.sum(axis=1, keepdims=True)
        # Most leaves hold one category only: probabilities of zero are left out.
        of_leaf, category = np.nonzero(weights)
        thresholds = round_down(np.concatenate([tree.threshold for tree in trees]))
        target_trees = tree_ids[leaf][of_leaf]
        weights_upto = np.cumsum(np.bincount(target_trees, minlength=len(trees)))
        return cls(
            nodes={
                "nodes_treeids": tree_ids.tolist(),
                "nodes_nodeids": node_ids.tolist(),
                "nodes_featureids": np.where(leaf, 0, np.concatenate([tree.feature for tree in trees])).tolist(),
                "nodes_truenodeids": np.where(leaf, 0, left).tolist(),
                "nodes_falsenodeids": np.where(leaf, 0, right).tolist(),
                "nodes_values": np.where(leaf, 0, thresholds).tolist(),
                "nodes_modes": [_MODES[is_leaf] for is_leaf in leaf.tolist()],
            },
            weights={
                "target_treeids": target_trees.tolist(),
                "target_nodeids": node_ids[leaf][of_leaf].tolist(),
                "target_ids": category.tolist(),
                "target_weights": weights[of_leaf, category].tolist(),
            },
            upto=[(0, 0), *zip(np.cumsum(counts).tolist(), weights_upto.tolist(), strict=True)],
        )

    def fill(self, node: onnx.NodeProto, trees: int) -> None:
        """Write the first so many trees into an empty TreeEnsembleRegressor."""
        for attributes, upto in zip((self.nodes, self.weights), self.upto[trees], strict=True):
            for name, values in attributes.items():
                kind = _KINDS.get(name, "ints")
                attribute = node.attribute.add(name=name, type=getattr(onnx.AttributeProto, kind.upper()))
                getattr(attribute, kind).extend(values[:upto])


def write_boosted_trees(scope: Any, operator: Any, container: Any) -> None:
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

    def add(kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        name = scope.get_unique_operator_name(kind)
        container.add_node(kind, inputs, [output], **{"op_version": 13, "name": name, **attributes})

    add("Neg", [features], negated)
    add("Concat", [features, negated], both, axis=1)
    # scikit-learn has no public name for the trees and their start; skl2onnx reads these too.
    rounds, start = vars(estimator)["_predictors"], vars(estimator)["_baseline_prediction"]
    for category, output in enumerate(of_each):
        add(
            "TreeEnsembleRegressor",
            [both],
            output,
            op_domain="ai.onnx.ml",
            op_version=3,
            n_targets=1,
            base_values=[float(start[0, category])],
            **_boosted_trees([trees[category].nodes for trees in rounds], estimator.n_features_in_),
        )
    add("Concat", of_each, scores, axis=1)
    add("Softmax", [scores], probabilities, axis=1)
    add("ArgMax", [probabilities], label, axis=1, keepdims=0)


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
