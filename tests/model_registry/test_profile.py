"""A profile puts every value into one bin, whatever the values are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_registry.listing import FEATURES
from model_registry.market import NEW_YORK
from model_registry.profile import count, profile_of

FLOATS = st.floats(-180, 180, width=32)


def rows_of(n: int) -> NDArray[np.float32]:
    return np.zeros((n, len(FEATURES)), dtype=np.float32)


@given(st.lists(FLOATS, min_size=1, max_size=200), st.lists(FLOATS, min_size=1, max_size=50))
def test_every_value_is_in_one_bin_also_one_that_was_never_seen(seen: list[float], others: list[float]) -> None:
    rows = rows_of(len(seen))
    rows[:, FEATURES.index("latitude")] = seen
    latitude = profile_of(rows, np.zeros(len(seen), dtype=np.int64), NEW_YORK).distributions["latitude"]
    assert sum(latitude.counts) == len(seen)
    assert list(latitude.edges) == sorted(set(latitude.edges))
    assert sum(count(np.array(others), latitude.edges)) == len(others)


def test_a_number_has_a_bin_for_each_tenth_of_the_listings() -> None:
    rows = rows_of(1_000)
    rows[:, FEATURES.index("longitude")] = np.arange(1_000)
    longitude = profile_of(rows, np.zeros(1_000, dtype=np.int64), NEW_YORK).distributions["longitude"]
    assert longitude.edges == (99, 199, 299, 399, 499, 599, 699, 799, 899)
    assert longitude.counts == (100,) * 10


def test_a_value_that_many_listings_share_has_a_bin_that_ends_with_it() -> None:
    rows = rows_of(10)
    rows[:, FEATURES.index("beds")] = [1, 1, 1, 1, 1, 1, 2, 2, 3, 9]
    beds = profile_of(rows, np.zeros(10, dtype=np.int64), NEW_YORK).distributions["beds"]
    assert (beds.edges, beds.counts) == ((1, 2, 3), (6, 2, 1, 1))


def test_a_code_has_a_bin_of_its_own_also_where_no_listing_has_it() -> None:
    profile = profile_of(rows_of(3), np.array([0, 3, 3]), NEW_YORK)
    assert profile.distributions["price_category"].counts == (1, 0, 0, 2)
    assert profile.distributions["neighbourhood"].counts == (3, 0, 0, 0, 0)
    assert profile.distributions["tv"].counts == (3,)
