"""The answer to a listing as the demo prints it: category, probabilities, reasons."""

import pytest

from api.schemas import Answer, Explanation, Probabilities
from local.answer import percent, points, show_answer, stated, strongest
from model_registry.listing import EXAMPLE, PriceCategory
from model_registry.market import NEW_YORK

SURE = Probabilities(low=0.09, mid=0.5, high=0.409, lux=0.001)
CONTRIBUTIONS = {
    "neighbourhood": 0.01,
    "room_type": 0.04,
    "accommodates": -0.044,
    "bathrooms": 0.0,
    "latitude": 0.1,
    "longitude": -0.03,
    "tv": -0.02,
}


def test_the_category_its_price_the_probabilities_and_three_reasons_are_printed_in_columns(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = Answer(1, PriceCategory.MID, SURE, Explanation(0.444, CONTRIBUTIONS))
    show_answer(EXAMPLE, answer, NEW_YORK.prices())
    assert capsys.readouterr().out.splitlines() == [
        "   Mid: a night costs more than $90 and up to $180.",
        "      Low    9 %  ██▌",
        "   →  Mid   50 %  ██████████████",
        "      High  41 %  ███████████▍",
        "      Lux   <1 %",
        "   Mid is 44 % probable among listings at large, and 50 % for this one. "
        "What moves it most, in percentage points:",
        "   +7  position: 40.65837, -73.98402",
        "   −4  guests: 5",
        "   +4  room type: Entire home/apt",
    ]


def test_a_model_that_cannot_explain_itself_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    show_answer(EXAMPLE, Answer(1, PriceCategory.MID, SURE, no_explanation="It is too old."), NEW_YORK.prices())
    assert capsys.readouterr().out.splitlines()[-1] == "   It is too old."


def test_latitude_and_longitude_are_one_reason() -> None:
    assert [name for name, _ in strongest(CONTRIBUTIONS)] == ["position", "accommodates", "room_type"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("accommodates", "guests: 5"),
        ("tv", "TV: yes"),
        ("elevator", "elevator: no"),
        ("room_type", "room type: Entire home/apt"),
        ("position", "position: 40.65837, -73.98402"),
    ],
)
def test_a_property_is_called_what_people_call_it(name: str, words: str) -> None:
    assert stated(name, EXAMPLE) == words


@pytest.mark.parametrize(
    ("share", "words"),
    [(0.0, "0 %"), (0.004, "<1 %"), (0.4961, "50 %"), (0.996, ">99 %"), (1.0, "100 %")],
)
def test_what_is_little_is_not_said_to_be_nothing(share: float, words: str) -> None:
    assert percent(share) == words


@pytest.mark.parametrize(("share", "words"), [(0.066, "+7"), (-0.044, "−4"), (0.004, "0"), (-0.004, "0")])
def test_percentage_points_have_a_sign(share: float, words: str) -> None:
    assert points(share) == words
