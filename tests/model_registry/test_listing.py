"""The listing is strict, and its encoding is what the models were made with."""

import msgspec
import numpy as np
import pytest

from model_registry.listing import CATEGORIES, EXAMPLE, FEATURES, Listing, bounds, encode
from model_registry.market import NEW_YORK
from tests.making import listing


def decode(**changes: object) -> Listing:
    return msgspec.json.decode(msgspec.json.encode({**EXAMPLE, **changes}), type=NEW_YORK.listing)


def test_a_listing_becomes_one_float32_row_in_the_order_of_features() -> None:
    row = encode(listing(), NEW_YORK.codes)
    assert row.dtype == np.float32
    assert dict(zip(FEATURES, row[0].tolist(), strict=True)) == pytest.approx(
        {
            "neighbourhood": 3,
            "room_type": 2,
            "accommodates": 5,
            "bathrooms": 1,
            "bedrooms": 2,
            "beds": 2,
            "latitude": 40.65837,
            "longitude": -73.98402,
            "tv": 1,
            "elevator": 0,
            "internet": 0,
        }
    )


def test_the_four_categories_stand_in_the_order_of_their_codes() -> None:
    assert [str(category) for category in CATEGORIES] == ["Low", "Mid", "High", "Lux"]


@pytest.mark.parametrize("bathrooms", [0, 0.5, 1, 1.5, 8.0])
def test_bathrooms_also_come_in_halves(bathrooms: float) -> None:
    assert decode(bathrooms=bathrooms).bathrooms == bathrooms


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "1"),
        ("id", True),
        ("id", -1),
        ("id", 2**63),
        ("accommodates", 0),
        ("accommodates", -400),
        ("accommodates", 2.5),
        ("accommodates", 101),
        ("room_type", 1),
        ("room_type", "Unknown"),
        ("neighbourhood", "brooklyn"),
        ("beds", "1"),
        ("beds", None),
        ("bedrooms", -1),
        ("bathrooms", "1"),
        ("bathrooms", 1.25),
        ("tv", 0),
        ("elevator", "False"),
        ("internet", None),
        ("latitude", 90.1),
        ("longitude", -181),
        ("longitude", "100º"),
        ("new_value", 0),
    ],
)
def test_a_wrong_field_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(msgspec.ValidationError, match=field):
        decode(**{field: value})


@pytest.mark.parametrize("field", list(EXAMPLE))
def test_every_field_is_required(field: str) -> None:
    body = {name: value for name, value in EXAMPLE.items() if name != field}
    with pytest.raises(msgspec.ValidationError, match=f"missing required field `{field}`"):
        msgspec.convert(body, Listing)


def test_the_bounds_are_those_that_the_listing_takes() -> None:
    limits = bounds()
    assert limits["accommodates"] == (1, 100)
    assert set(limits) == {"id", "accommodates", "beds", "bedrooms", "bathrooms", "latitude", "longitude"}
