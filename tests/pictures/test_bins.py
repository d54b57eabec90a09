"""The numbers of maps and histograms, worked out by hand."""

import numpy as np
import pytest

from mle_assets.pictures.bins import Extent, extent, price_bins, sample, share_by_cell

SQUARE = Extent(west=0.0, east=2.0, south=-1.0, north=1.0)


def test_a_map_shows_nearly_all_listings_with_a_little_room_around() -> None:
    latitudes, longitudes = np.linspace(40, 41, 1001), np.linspace(-74, -73, 1001)
    shown = extent(latitudes, longitudes)
    assert (shown.south, shown.north) == (pytest.approx(39.981, abs=1e-3), pytest.approx(41.019, abs=1e-3))
    assert (shown.west, shown.east) == (pytest.approx(-74.019, abs=1e-3), pytest.approx(-72.981, abs=1e-3))


def test_one_listing_far_away_does_not_shrink_all_others() -> None:
    latitudes = np.append(np.linspace(40, 41, 5000), 0.0)
    assert extent(latitudes, np.zeros(5001)).south == pytest.approx(40, abs=0.05)


def test_listings_at_one_place_have_a_map_around_them() -> None:
    shown = extent(np.array([40.7]), np.array([-74.0]))
    assert (shown.north - shown.south, shown.east - shown.west) == (pytest.approx(0.01), pytest.approx(0.01))


def test_a_degree_of_latitude_is_twice_as_long_as_one_of_longitude_at_sixty_degrees() -> None:
    assert Extent(west=0, east=1, south=59, north=61).aspect == pytest.approx(2.0)
    assert SQUARE.aspect == pytest.approx(1.0)


def test_a_sample_is_the_same_each_time_and_in_order() -> None:
    once = sample(100, 10)
    assert once.tolist() == sample(100, 10).tolist() == sorted(set(once.tolist()))
    assert len(once) == 10
    assert sample(4, 10).tolist() == [0, 1, 2, 3]


def test_price_bins_are_equally_wide_on_a_log_scale_and_hold_all_prices() -> None:
    assert price_bins(np.array([10.0, 1000.0]), bins=2).tolist() == [10.0, pytest.approx(100.0), 1000.0]
    assert price_bins(np.array([13.7, 99.9])).tolist()[-1] == 99.9


def test_a_constant_price_stands_in_the_middle_of_a_tenfold() -> None:
    edges = price_bins(np.array([50.0, 50.0]), bins=2)
    assert edges[1] == pytest.approx(50.0)
    assert edges[2] / edges[0] == pytest.approx(10.0)


def test_a_cell_has_a_share_where_it_has_listings_enough() -> None:
    #                      south-west, twice  north-east
    latitudes = np.array([-0.5, -0.5, 0.5])
    longitudes = np.array([0.5, 0.5, 1.5])
    cells = share_by_cell(latitudes, longitudes, np.array([True, False, True]), shown=SQUARE, across=2, least=2)
    assert cells.shares.shape == (2, 2)
    assert cells.shares[0, 0] == 0.5
    assert np.isnan(cells.shares).sum() == 3
    assert cells.kilometres == pytest.approx(111.2)
