"""Explanations are exact Shapley values: as shap has them, and by their own laws."""

from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_registry.classifier import Classifier
from model_registry.explanation import explain
from model_registry.listing import FEATURES, Listing, encode_all
from model_registry.market import NEW_YORK
from tests.making import LISTINGS, model

CLASSIFIER = Classifier(model(3))


def smooth(rows: NDArray[Any]) -> NDArray[Any]:
    """A model in a formula, in which features act together."""
    n, room, a, baths, bedrooms, beds, la, lo, tv, el, it = rows.astype(float).T
    z = np.stack(
        [
            1.2 - 0.4 * a + 0.3 * it * (bedrooms < 2),
            0.5 + 0.1 * a - 0.2 * baths + 0.4 * np.sin(n + room),
            -0.5 + 0.3 * a * (room > 1) + 5 * (la - 40.7) * (lo + 74),
            -1.5 + 0.5 * bedrooms + 0.2 * beds * el + 0.1 * tv,
        ],
        axis=1,
    )
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


BACKGROUND = np.array(
    [
        [4, 3, 3, 2.5, 4, 1, 40.766, -74.035, 0, 1, 0],
        [0, 0, 7, 1.0, 1, 0, 40.646, -73.836, 1, 1, 1],
        [3, 0, 8, 2.5, 1, 2, 40.838, -73.916, 1, 1, 0],
        [4, 0, 1, 0.5, 1, 2, 40.787, -74.087, 0, 0, 0],
        [2, 1, 4, 1.5, 3, 3, 40.897, -74.089, 1, 1, 1],
    ]
)
ROWS = np.array(
    [
        [0, 0, 6, 1.0, 1, 0, 40.646, -73.836, 1, 1, 1],
        [0, 3, 8, 2.5, 2, 3, 40.680, -73.947, 1, 1, 0],
    ]
)
# shap 0.51: shap.ExactExplainer(lambda rows: smooth(rows)[:, category], shap.maskers.Independent(BACKGROUND))(ROWS)
BY_SHAP = {
    (0, 2): (
        0.158864292341,
        [
            -0.002017002649,
            -0.044391223329,
            0.034480228916,
            -0.011728931472,
            0.017001770202,
            0.007576699783,
            -0.006542833142,
            0.003310329756,
            -0.001241845742,
            -0.000619076113,
            -0.004093098639,
        ],
    ),
    (1, 2): (
        0.158864292341,
        [
            -0.00298548271,
            0.320837382528,
            0.151114402228,
            0.018890100072,
            0.011596324164,
            -0.013661104153,
            -0.001000069499,
            0.003175329679,
            -0.002201626353,
            -0.003120942329,
            0.000308256344,
        ],
    ),
    (0, 3): (
        0.212060905854,
        [
            -0.00333009394,
            0.017266176458,
            0.003691269351,
            -0.010893671477,
            -0.080631393242,
            -0.038694306491,
            0.000994056448,
            -0.00099764877,
            0.004879425785,
            0.003850758676,
            -0.002675243904,
        ],
    ),
    (1, 3): (
        0.212060905854,
        [
            -0.004463373717,
            -0.082058266465,
            -0.049106101227,
            0.010834083227,
            -0.017036813869,
            0.03293887347,
            0.000289699403,
            -0.001041281744,
            0.005247159586,
            0.010053864771,
            0.000153688237,
        ],
    ),
}


@pytest.mark.parametrize(("row", "category"), BY_SHAP)
def test_they_are_those_of_shaps_exact_explainer(row: int, category: int) -> None:
    base, contributions = BY_SHAP[row, category]
    found = explain(smooth, ROWS[row], BACKGROUND, category)
    assert list(found.contributions) == list(FEATURES)
    assert found.base == pytest.approx(base, abs=1e-11)
    assert list(found.contributions.values()) == pytest.approx(contributions, abs=1e-11)


def test_they_are_what_a_feature_adds_on_average_over_all_orders() -> None:
    other, row = np.zeros(11), np.array([1, 2, 3, 2, 0, 0, 0, 0, 0, 0, 0], dtype=float)
    added, orders = np.zeros(4), list(permutations(range(4)))
    for order in orders:
        at = other.copy()
        for feature in order:
            before = smooth(at[np.newaxis])[0, 1]
            at[feature] = row[feature]
            added[feature] += smooth(at[np.newaxis])[0, 1] - before
    found = explain(smooth, row, other[np.newaxis], 1)
    assert list(found.contributions.values())[:4] == pytest.approx((added / len(orders)).tolist(), abs=1e-12)
    assert list(found.contributions.values())[4:] == [0] * 7


@given(listing=LISTINGS, background=st.lists(LISTINGS, min_size=1, max_size=6), category=st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_base_value_and_contributions_are_the_probability_for_any_listing(
    listing: Listing, background: list[Listing], category: int
) -> None:
    [row], others = encode_all([listing], NEW_YORK.codes), encode_all(background, NEW_YORK.codes)
    found = explain(CLASSIFIER.probabilities, row, others, category)
    probability = float(CLASSIFIER.probabilities(row[np.newaxis])[0, category])
    assert found.base + sum(found.contributions.values()) == pytest.approx(probability, abs=1e-4)
    assert found.base == pytest.approx(float(CLASSIFIER.probabilities(others)[:, category].mean()), abs=1e-6)


def test_a_feature_that_the_background_shares_contributes_nothing() -> None:
    others = BACKGROUND.copy()
    others[:, 2] = ROWS[0][2]
    assert explain(smooth, ROWS[0], others, 0).contributions["accommodates"] == 0


def test_a_feature_that_the_model_does_not_look_at_contributes_nothing() -> None:
    def blind(rows: NDArray[Any]) -> NDArray[Any]:
        return smooth(np.where(np.arange(11) == 6, 40.7, rows))

    assert explain(blind, ROWS[1], BACKGROUND, 2).contributions["latitude"] == pytest.approx(0, abs=1e-15)


def test_a_listing_that_is_the_background_has_nothing_to_explain() -> None:
    found = explain(smooth, ROWS[0], ROWS[:1], 1)
    assert found.base == smooth(ROWS[:1])[0, 1]
    assert set(found.contributions.values()) == {0.0}
