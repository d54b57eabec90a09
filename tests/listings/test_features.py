"""The vectorised encoding is the one encoding."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.listings.features import feature_matrix, to_listing
from model_registry.listing import FEATURES, Listing, encode
from model_registry.market import NEW_YORK
from tests.making import LISTINGS


def table(listings: list[Listing]) -> pd.DataFrame:
    fields = Listing.__struct_fields__
    return pd.DataFrame([{name: getattr(listing, name) for name in fields} for listing in listings])


@settings(deadline=None)
@given(st.lists(LISTINGS, min_size=1, max_size=20))
def test_a_row_of_the_matrix_is_the_encoding_of_its_listing(listings: list[Listing]) -> None:
    expected = np.concatenate([encode(listing, NEW_YORK.codes) for listing in listings])
    np.testing.assert_array_equal(feature_matrix(table(listings), NEW_YORK), expected)


@settings(deadline=None)
@given(LISTINGS)
def test_a_cleaned_row_becomes_the_listing_a_client_would_send(listing: Listing) -> None:
    assert to_listing(table([listing]).iloc[0]) == listing


def test_the_matrix_is_float32_in_the_order_of_features() -> None:
    matrix = feature_matrix(table([]).reindex(columns=list(FEATURES)), NEW_YORK)
    assert (matrix.dtype, matrix.shape) == (np.float32, (0, 11))
