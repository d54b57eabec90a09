"""The predecessor's split."""

import pandas as pd
import pytest

from mle_assets.listings.split import TooFewListings, split


def test_fifteen_percent_are_kept_back_and_no_listing_is_in_both_halves() -> None:
    train, test = split(pd.DataFrame({"id": range(1000)}))
    assert (len(train), len(test)) == (850, 150)
    assert set(train["id"]) | set(test["id"]) == set(range(1000))


def test_the_split_is_the_same_every_time() -> None:
    listings = pd.DataFrame({"id": range(20)})
    assert split(listings)[1]["id"].tolist() == split(listings)[1]["id"].tolist() == [3, 16, 6]


def test_one_listing_cannot_be_split() -> None:
    with pytest.raises(TooFewListings, match="1 listings cannot be split"):
        split(pd.DataFrame({"id": [1]}))
