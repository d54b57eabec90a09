"""The sweep as data: every candidate's name, its unfitted estimator and the features it uses.

A new candidate is one more entry in CANDIDATES.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from mle_assets.models.coordinates import TurnedCoordinates
from model_registry.listing import FEATURES

PREDECESSOR_FEATURES = FEATURES[:5]
"""The five that the replaced system used, of the eleven it asked for."""


@dataclass(frozen=True)
class Candidate:
    """A model that may become champion.

    `estimator` takes the columns named in `features`, and behind them, where `turned`, the coordinates turned by 45
    degrees. Candidates that name the same `forest` are forests that differ in their number of trees alone: one fit of
    the largest yields them all, because with the same random_state its first n trees are the forest of n trees.
    """

    name: str
    estimator: BaseEstimator
    features: tuple[str, ...] = FEATURES
    turned: bool = False
    forest: str | None = None

    def pipeline(self) -> Pipeline:
        """The estimator behind the choice of its columns: takes the whole feature matrix (n, 11)."""
        before: list[BaseEstimator] = []
        if self.features != FEATURES:
            columns = [FEATURES.index(name) for name in self.features]
            before.append(ColumnTransformer([("features", "passthrough", columns)]))
        if self.turned:
            before.append(TurnedCoordinates())
        return make_pipeline(*before, self.estimator)


@dataclass(frozen=True)
class Average:
    """A model that may become champion and needs no fit of its own: the mean of two candidates' probabilities."""

    name: str
    of: tuple[str, str]


def _predecessor_forest(trees: int) -> Candidate:
    return Candidate(
        name=f"simple_classifier_{trees}",
        estimator=RandomForestClassifier(trees, class_weight="balanced", random_state=0),
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
    # Trees of 2,000 leaves that choose between two features at a split differ much, which adds more to boosting than
    # forests of larger leaves or of more features do. 60 or 80 trees add 0.001 more, for half as many bytes again and
    # more. The limit to the leaves keeps the model's size where there are more listings.
    Candidate(
        "random_forest",
        RandomForestClassifier(40, min_samples_leaf=2, max_features=2, max_leaf_nodes=2_000, random_state=0),
        turned=True,
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
            max_features=0.5,
            early_stopping=False,
            random_state=0,
        ),
        turned=True,
    ),
    *(_predecessor_forest(trees) for trees in range(100, 501, 50)),
)

AVERAGES = (Average("boosting_and_forest", of=("hist_gradient_boosting", "random_forest")),)

NAMES = tuple(one.name for one in (*CANDIDATES, *AVERAGES))
"""Of all models that may become champion."""

BASELINE = "majority_class"
"""The candidate that any leader has to beat."""


@dataclass(frozen=True)
class Family:
    """Candidates that one fit yields, smallest first; most families have one member."""

    name: str
    members: tuple[Candidate, ...]


def features_of(name: str) -> tuple[str, ...]:
    """The features that a candidate takes; all of them where it is an average, or not known any more."""
    return next((candidate.features for candidate in CANDIDATES if candidate.name == name), FEATURES)


def group(candidate: Candidate | Average) -> str | None:
    """The group of a candidate's assets in the UI where it is not that of its kind: the nine forests would drown it."""
    return "predecessor" if isinstance(candidate, Candidate) and candidate.forest else None


def longest_first(some: Iterable[Family]) -> list[Family]:
    """Families in the order in which they are begun side by side; in CANDIDATES, the later ones take longer."""
    return list(some)[::-1]


def families() -> Iterator[Family]:
    """All candidates, in the order of CANDIDATES, those of one forest together."""
    for name, members in groupby(CANDIDATES, key=lambda candidate: candidate.forest or candidate.name):
        yield Family(name, tuple(members))
