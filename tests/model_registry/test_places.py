"""The map of the listings that a model was trained on."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from model_registry.listing import FEATURES
from model_registry.market import NEW_YORK
from model_registry.places import HIGHEST_LEVEL, LONGEST_SIDE, NOBODY, Places, places_of

BRONX, QUEENS = 0, 1


def rows(*listings: tuple[int, float, float]) -> NDArray[np.float32]:
    """Feature rows of listings, each its neighbourhood's code, latitude and longitude."""
    table = np.zeros((len(listings), len(FEATURES)), dtype=np.float32)
    for position, name in enumerate(("neighbourhood", "latitude", "longitude")):
        table[:, FEATURES.index(name)] = [listing[position] for listing in listings]
    return table


def drawn(listings: NDArray[np.float32]) -> Places:
    places = places_of(listings, NEW_YORK)
    assert places is not None
    return places


def test_north_is_up_and_west_is_left() -> None:
    bronx, queens = (BRONX, 40.9, -74.0), (QUEENS, 40.6, -73.6)
    places = drawn(rows(*[bronx] * 100, *[queens] * 10, (QUEENS, 40.75, -73.8)))
    assert (places.density[0][0], places.density[-1][-1]) == ("9", "5")
    assert (places.neighbourhoods[0][:2], places.neighbourhoods[-1][-2:]) == ("00", "01")
    assert sum(level != "0" for row in places.density for level in row) == 3
    assert sum(row[i : i + 2] != NOBODY for row in places.neighbourhoods for i in range(0, len(row), 2)) == 3


def test_a_cell_is_of_the_neighbourhood_that_most_of_its_listings_are_in() -> None:
    corner = [(QUEENS, 40.6, -74.0)] * 3 + [(BRONX, 40.6, -74.0)] * 2
    assert drawn(rows(*corner, (BRONX, 40.9, -73.6))).neighbourhoods[-1][:2] == "01"


def test_its_cells_are_about_as_high_as_wide() -> None:
    places = drawn(rows((BRONX, 60.0, 10.0), (QUEENS, 60.5, 11.0)))
    assert (len(places.density), len(places.density[0])) == (
        LONGEST_SIDE,
        round(2 * LONGEST_SIDE * math.cos(math.radians(60.25))),
    )


def test_a_few_that_are_far_off_do_not_shrink_it() -> None:
    random = np.random.default_rng(0)
    city = [(BRONX, 40.6 + 0.3 * a, -74.0 + 0.4 * b) for a, b in random.random((5_000, 2))]
    places = drawn(rows(*city, (QUEENS, -33.0, 151.0), (QUEENS, 40.7, 151.0)))
    assert (round(places.south, 1), round(places.north, 1)) == (40.6, 40.9)
    assert (round(places.west, 1), round(places.east, 1)) == (-74.0, -73.6)


@pytest.mark.parametrize("listings", [[(BRONX, 40.7, -74.0)], [(BRONX, 40.7, -74.0), (BRONX, 40.7, -73.0)]])
def test_none_is_drawn_of_one_place_or_of_a_line(listings: list[tuple[int, float, float]]) -> None:
    assert places_of(rows(*listings), NEW_YORK) is None


def test_none_is_drawn_where_two_digits_do_not_tell_the_neighbourhoods_apart() -> None:
    many = tuple(f"Nr. {number}" for number in range(36**2 + 1))
    spread = rows((0, 40.6, -74.0), (36**2 - 1, 40.9, -73.6))
    assert places_of(spread, msgspec.structs.replace(NEW_YORK, neighbourhoods=many)) is None
    places = places_of(spread, msgspec.structs.replace(NEW_YORK, neighbourhoods=many[:-1]))
    assert places is not None
    assert places.neighbourhoods[0][-2:] == "zz"


def test_rows_that_are_not_one_grid_are_refused() -> None:
    places = drawn(rows((BRONX, 40.6, -74.0), (QUEENS, 40.9, -73.6)))
    for changes in (
        {"density": places.density[1:]},
        {"density": ("0", *places.density[1:])},
        {"neighbourhoods": places.density},
        {"density": (), "neighbourhoods": ()},
        {"north": places.south},
    ):
        content = msgspec.json.encode({**msgspec.to_builtins(places), **changes})
        with pytest.raises(msgspec.ValidationError, match="the map's"):
            msgspec.json.decode(content, type=Places)


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.floats(-90, 90, width=32), st.floats(-180, 180, width=32)),
        min_size=1,
        max_size=60,
    )
)
def test_any_listings_have_a_whole_map_or_none(listings: list[tuple[int, float, float]]) -> None:
    places = places_of(rows(*listings), NEW_YORK)
    if places is None:
        return
    assert msgspec.json.decode(msgspec.json.encode(places), type=Places) == places
    assert max(len(places.density), len(places.density[0])) == LONGEST_SIDE
    for levels, codes in zip(places.density, places.neighbourhoods, strict=True):
        for column, level in enumerate(levels):
            assert 0 <= int(level) <= HIGHEST_LEVEL
            assert (level == "0") == (codes[2 * column : 2 * column + 2] == NOBODY)
