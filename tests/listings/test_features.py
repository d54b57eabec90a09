"""The vectorised encoding is the one encoding."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.listings.features import feature_matrix, to_listing
from model_registry.listing import FEATURES, Listing, Neighbourhood, RoomType, encode

LISTINGS = st.builds(
    Listing,
    id=st.integers(0, 2**63 - 1),
    accommodates=st.integers(1, 100),
    room_type=st.sampled_from(RoomType),
    beds=st.integers(0, 100),
    bedrooms=st.integers(0, 100),
    bathrooms=st.integers(0, 200).map(lambda halves: halves / 2),
    neighbourhood=st.sampled_from(Neighbourhood),
    tv=st.booleans(),
    elevator=st.booleans(),
    internet=st.booleans(),
    latitude=st.floats(-90, 90),
    longitude=st.floats(-180, 180),
)


def table(listings: list[Listing]) -> pd.DataFrame:
    fields = Listing.__struct_fields__
    return pd.DataFrame([{name: getattr(listing, name) for name in fields} for listing in listings])


@settings(deadline=None)
@given(st.lists(LISTINGS, min_size=1, max_size=20))
def test_a_row_of_the_matrix_is_the_encoding_of_its_listing(listings: list[Listing]) -> None:
    expected = np.concatenate([encode(listing) for listing in listings])
    np.testing.assert_array_equal(feature_matrix(table(listings)), expected)


@settings(deadline=None)
@given(LISTINGS)
def test_a_cleaned_row_becomes_the_listing_a_client_would_send(listing: Listing) -> None:
    assert to_listing(table([listing]).iloc[0]) == listing


def test_the_matrix_is_float32_in_the_order_of_features() -> None:
    matrix = feature_matrix(table([]).reindex(columns=list(FEATURES)))
    assert (matrix.dtype, matrix.shape) == (np.float32, (0, 11))
