"""Every picture is a small PNG with words, also of data that has little in it."""

import base64
import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from mle_assets.pictures.champion import Reign, comparison_bar, interval, reigns_chart
from mle_assets.pictures.evaluation import (
    confusion_matrix,
    error_map,
    importance_bars,
    ranking_curves,
    reliability_curves,
)
from mle_assets.pictures.leaderboard import Contestant, crowds, leaderboard_chart
from mle_assets.pictures.listings import funnel_bars, listings_map, price_histogram
from mle_assets.pictures.look import Picture, round_ticks
from model_registry.market import NEW_YORK
from tests.making import LISBON
from tests.pictures.drawn import is_fine

LATITUDES, LONGITUDES = np.array([40.7, 40.8, 40.75, 40.7]), np.array([-74.0, -73.9, -73.95, -74.0])
BETTER = {"mean_difference": -0.02, "standard_error": 0.01, "confidence": 0.95, "margin": 0.0}


def test_a_picture_stands_whole_in_its_markdown() -> None:
    words, _, url = Picture(b"png", "A map [of\nLisbon].").markdown().partition("](")
    assert words == "![A map (of Lisbon)."
    assert base64.b64decode(url.removeprefix("data:image/png;base64,").removesuffix(")")) == b"png"


def test_the_paper_is_as_white_as_a_page() -> None:
    picture = confusion_matrix([[4, 0, 0, 0], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 4]])
    with Image.open(io.BytesIO(picture.png)) as image:
        assert image.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_four_listings_have_a_map_and_a_histogram() -> None:
    codes = np.array([0, 1, 2, 3])
    mapped = listings_map(LATITUDES, LONGITUDES, codes, NEW_YORK)
    assert is_fine(mapped)
    assert mapped.alt == "Map of New York's listings, coloured by price category: 1 Low, 1 Mid, 1 High, 1 Lux."
    assert is_fine(price_histogram(np.array([50.0, 100.0, 200.0, 500.0]), codes, NEW_YORK))


def test_the_limits_are_told_in_the_markets_currency() -> None:
    priced = price_histogram(np.array([50.0, 100.0, 200.0, 2_000.0]), np.array([0, 1, 2, 3]), LISBON)
    assert is_fine(priced)
    assert "limits of the categories at 60 EUR, 120 EUR, 1,250.50 EUR" in priced.alt


def test_a_constant_price_and_one_place_can_be_drawn() -> None:
    codes = np.zeros(4, np.int64)
    assert is_fine(price_histogram(np.full(4, 50.0), codes, NEW_YORK))
    assert is_fine(listings_map(np.full(4, 40.7), np.full(4, -74.0), codes, NEW_YORK))
    assert is_fine(error_map(np.full(4, 40.7), np.full(4, -74.0), np.zeros(4, np.bool_)))


def test_a_funnel_shows_the_commonest_reasons_and_counts_the_others() -> None:
    assert is_fine(funnel_bars(10, {}, 10))
    many = funnel_bars(200, {f"reason {number}": number for number in range(1, 13)}, 122)
    assert is_fine(many)
    assert "3 dropped as «2 other reasons»" in many.alt


def test_a_category_without_listings_is_left_out_of_the_curves() -> None:
    curve = [(0.0, 0.0), (0.5, 1.0), (1.0, 1.0)]
    drawn = ranking_curves({"Low": curve}, {"Low": 0.75}, {"Low": curve}, {"Low": 0.5})
    assert is_fine(drawn)
    assert "Lux" not in drawn.alt
    assert is_fine(confusion_matrix(((1, 1, 0, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 0, 0, 0))))


def test_one_bin_can_be_drawn_of_a_calibration() -> None:
    assert is_fine(reliability_curves({"Low": [(0.25, 0.5, 1)]}, {"Low": 0.25}, {"Low": 0.2}))


def test_a_feature_without_importance_can_be_drawn() -> None:
    drawn = importance_bars({"beds": 0.0, "tv": 0.125}, {"beds": 0.0, "tv": 0.01}, {"tv": (0.12, 0.13)}, 500)
    assert is_fine(drawn)
    assert drawn.alt.endswith("on 500 listings: tv 0.125, beds 0.000.")


def test_where_answers_are_wrong_is_told() -> None:
    wrong = np.arange(100) < 25
    assert "25% of all 100" in error_map(np.full(100, 40.7), np.full(100, -74.0), wrong).alt


def contestant(name: str, kilobytes: float, log_loss: float) -> Contestant:
    return Contestant(name, kilobytes, log_loss, 0.01, log_loss - 0.7, 0.005)


def test_candidates_that_stand_close_have_one_label() -> None:
    some = [contestant("a", 500, 0.7), contestant("b", 5_000, 1.0), contestant("c", 6_000, 1.01)]
    assert crowds(some) == [[0], [1, 2]]
    assert crowds([contestant("a", 1, 0.7)]) == [[0]]


def test_a_leaderboard_of_one_or_of_some_can_be_drawn() -> None:
    assert is_fine(leaderboard_chart([contestant("a", 5, 0.7)], "a"))
    some = leaderboard_chart([contestant("a", 500, 0.7), contestant("b", 50, 0.7), contestant("c", 1, 1.2)], "b")
    assert is_fine(some)
    assert some.alt.endswith("Lowest is a with 0.7000 ± 0.0100 and 500 kB; b leads.")


def test_the_interval_ends_where_the_gate_looks() -> None:
    confidence, low, high = interval(BETTER)
    assert confidence == pytest.approx(0.9)
    assert (low, high) == (pytest.approx(-0.03645, abs=1e-5), pytest.approx(-0.00355, abs=1e-5))


@pytest.mark.parametrize(
    "changes", [{}, {"margin": 0.05}, {"mean_difference": 0.3}, {"standard_error": 0.0}, {"confidence": 0.5}]
)
def test_every_comparison_can_be_drawn(changes: dict[str, float]) -> None:
    assert is_fine(comparison_bar({**BETTER, **changes}, "the champion"))


def test_no_difference_at_all_can_be_drawn() -> None:
    assert is_fine(comparison_bar({**BETTER, "mean_difference": 0.0, "standard_error": 0.0}, "the champion"))


def test_one_champion_or_many_can_be_drawn() -> None:
    one = Reign("tree-0", datetime(2025, 1, 3, 4, 5, tzinfo=UTC), synthetic=True, accuracy=0.7, roc_auc=0.8, log_loss=1)
    assert is_fine(reigns_chart([one]))
    assert "the last 8 of 20 champions" in reigns_chart([one] * 20).alt


def test_round_ticks_are_powers_of_ten_or_between_them() -> None:
    assert list(round_ticks(0.5, 20_000).values()) == ["1", "10", "100", "1,000", "10,000"]
    assert list(round_ticks(3, 30).values()) == ["5", "10", "20"]


def test_what_is_drawn_by_several_threads_is_what_one_draws() -> None:
    def draw(_: int) -> bytes:
        return confusion_matrix(((1, 2, 3, 4),) * 4).png

    with ThreadPoolExecutor(4) as pool:
        assert len({draw(0), *pool.map(draw, range(8))}) == 1


def test_loading_what_draws_loads_no_drawing_library() -> None:
    rooms = ", ".join(f"mle_assets.pictures.{room}" for room in ("champion", "evaluation", "leaderboard", "listings"))
    code = f"import sys, {rooms}; print('matplotlib' in sys.modules, 'PIL' in sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "False False\n"
