"""Figures of a part of the listings."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mle_assets.evaluation.slices import SLICED_BY, Slice, slices_of, weakest


def table(*rows: tuple[str, str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["neighbourhood", "room_type", "price_category"])


SURE_OF_LOW = np.array([0.7, 0.1, 0.1, 0.1], dtype=np.float32)


def test_a_slice_has_its_own_figures_and_the_gap_to_all() -> None:
    test = table(
        ("Bronx", "Private room", 0),
        ("Bronx", "Private room", 0),
        ("Bronx", "Hotel room", 1),
        ("Queens", "Hotel room", 1),
    )
    bronx, queens, *room_types = slices_of(test, np.tile(SURE_OF_LOW, (4, 1)))
    assert (bronx.value, bronx.listings, bronx.right, bronx.gap) == ("Bronx", 3, 2, pytest.approx(2 / 3 - 1 / 2))
    assert bronx.log_loss == pytest.approx((-2 * np.log(0.7) - np.log(0.1)) / 3, abs=1e-6)
    assert (queens.value, queens.accuracy, queens.gap) == ("Queens", 0, -0.5)
    assert queens.interval.high == pytest.approx(0.7935, abs=1e-4)
    assert [(one.column, one.value, one.accuracy) for one in room_types] == [
        ("room_type", "Hotel room", 0),
        ("room_type", "Private room", 1),
    ]


@given(st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from("XY"), st.integers(0, 3)), min_size=1, max_size=50))
def test_the_slices_of_a_column_add_up_to_all(rows: list[tuple[str, str, int]]) -> None:
    test, random = table(*rows), np.random.default_rng(len(rows))
    probabilities = random.dirichlet(np.ones(4), len(rows)).astype(np.float32)
    found = slices_of(test, probabilities)
    for column in SLICED_BY:
        of_column = [one for one in found if one.column == column]
        assert sum(one.listings for one in of_column) == len(rows)
        assert sum(one.right for one in of_column) == (probabilities.argmax(axis=1) == test["price_category"]).sum()
        assert sum(one.gap * one.listings for one in of_column) == pytest.approx(0, abs=1e-9)


def test_the_weakest_are_those_that_are_surely_worse_than_all_and_not_few() -> None:
    surely = Slice("neighbourhood", "surely", 400, 200, 1.0, 0.5 - 0.7)
    worse = Slice("neighbourhood", "worse", 400, 180, 1.0, 0.45 - 0.7)
    perhaps = Slice("neighbourhood", "perhaps", 40, 26, 1.0, 0.65 - 0.7)
    few = Slice("neighbourhood", "few", 10, 0, 1.0, 0.0 - 0.7)
    better = Slice("neighbourhood", "better", 400, 360, 1.0, 0.9 - 0.7)
    assert weakest([surely, perhaps, few, better, worse]) == [worse, surely]
