"""Fitting a family of candidates and asking its members: forests once for all of them, and by distinct rows.

The five features of the predecessor's forests take some 900 different rows among 27,000 listings. A tree is the same
whether a row stands in its table ten times or once with the weight ten, and so is its answer for all that have it.
"""

from collections.abc import Iterator
from copy import copy
from typing import cast

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils.class_weight import compute_sample_weight

from mle_assets.models.candidates import Candidate, Family
from mle_assets.models.scoring import Probabilities


def fit(family: Family, X: NDArray[np.float32], y: NDArray[np.int64]) -> Pipeline:
    """The family's largest member, fitted on feature rows (n, 11) and codes (n,)."""
    largest = family.members[-1]
    if largest.forest:
        return _fit_forest(largest, X, y)
    # A clone: the estimator in CANDIDATES stays unfitted.
    return cast("Pipeline", clone(largest.pipeline())).fit(X, y)


def member_of(fitted: Pipeline, member: Candidate) -> Pipeline:
    """A member of the family whose largest one was fitted: a smaller forest is its first trees."""
    if not member.forest:
        return fitted
    forest = copy(fitted.steps[-1][1])
    forest.n_estimators = _trees(member)
    forest.estimators_ = forest.estimators_[: forest.n_estimators]
    return Pipeline([*fitted.steps[:-1], (fitted.steps[-1][0], forest)])


def answers(family: Family, fitted: Pipeline, X: NDArray[np.float32]) -> Iterator[tuple[Candidate, Probabilities]]:
    """What each member answers, smallest first: (n, 11) feature rows to (n, 4) probabilities.

    Every tree of a forest is asked once: the sum over the first n trees is the answer of the forest of n.
    """
    if not family.members[-1].forest:
        yield family.members[-1], fitted.predict_proba(X)
        return
    forest: RandomForestClassifier = fitted.steps[-1][1]
    rows, of_listing = np.unique(np.asarray(fitted[:-1].transform(X), np.float32), axis=0, return_inverse=True)
    total, done = np.zeros((len(rows), len(forest.classes_))), 0
    for member in family.members:
        upto = _trees(member)
        for tree in forest.estimators_[done:upto]:
            total += tree.tree_.predict(rows)
        done = upto
        yield member, (total / done)[of_listing]


def _fit_forest(candidate: Candidate, X: NDArray[np.float32], y: NDArray[np.int64]) -> Pipeline:
    # scikit-learn draws the listings of a tree with probabilities in proportion to their weights (since 1.9, where
    # max_samples is given): as many draws from the weighted pairs of row and code are draws from the listings.
    *choice, last = [clone(step) for _, step in candidate.pipeline().steps]
    selection, forest = make_pipeline(*choice).fit(X), cast("RandomForestClassifier", last)
    pairs, of_listing = np.unique(np.column_stack([selection.transform(X), y]), axis=0, return_inverse=True)
    weights = np.bincount(of_listing, compute_sample_weight(forest.class_weight, y))
    forest.set_params(class_weight=None, max_samples=len(y))
    forest.fit(pairs[:, :-1], pairs[:, -1].astype(np.int64), sample_weight=weights)
    return Pipeline([*selection.steps, ("forest", forest)])


def _trees(member: Candidate) -> int:
    return cast("RandomForestClassifier", member.estimator).n_estimators
