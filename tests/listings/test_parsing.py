"""Each value of the raw text is read by itself, exactly, or not at all."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mle_assets.listings.parsing import (
    amenity_flags,
    is_ambiguous_price,
    is_empty_list,
    is_json_list,
    parse_bathrooms,
    parse_integer,
    parse_number,
    parse_price,
    was_a_float,
)


def text(*values: str | None) -> pd.Series:
    return pd.Series(values, dtype="str")


@settings(deadline=None)
@given(st.lists(st.one_of(st.integers(0, 2**63 - 1), st.none()), max_size=20))
def test_every_integer_of_64_bits_is_read_back_whatever_stands_beside_it(numbers: list[int | None]) -> None:
    read = parse_integer(text(*(None if n is None else str(n) for n in numbers), "unreadable"))
    assert [None if n is pd.NA else n for n in read] == [*numbers, None]


@pytest.mark.parametrize(
    ("written", "number"), [("3", 3), ("3.0", 3), ("03", 3), ("0", 0), ("00", 0), ("9223372036854775807", 2**63 - 1)]
)
def test_digits_are_a_whole_number_with_a_nought_after_the_point_or_without(written: str, number: int) -> None:
    assert parse_integer(text(written)).tolist() == [number]


@pytest.mark.parametrize(
    "written",
    [
        *(None, "", "x", "3.5", "3.", "3.00.0", ".0", "-3", "+3", " 3", "3 ", "3\n", "1,234", "1.234", "1_000", "3e2"),
        *("inf", "nan", "0x10", "True", "9223372036854775808", "9" * 20, "9" * 400, "\u0663", "\uff13", "\u00b2"),
    ],
)
def test_what_is_no_whole_number_of_64_bits_is_missing(written: str | None) -> None:
    assert parse_integer(text(written, "7")).isna().tolist() == [True, False]


@settings(deadline=None)
@given(st.floats(-1e9, 1e9).filter(lambda number: number == 0 or abs(number) > 1e-90))
def test_every_float_is_read_back_as_it_was(number: float) -> None:
    assert parse_number(text(repr(number)))[0] == number


@pytest.mark.parametrize(
    "written", [None, "", "x", "inf", "-inf", "nan", "1e999", "9" * 400, "40,7", "\u0664\u0660", "0x1"]
)
def test_what_is_no_number_is_not_one(written: str | None) -> None:
    assert parse_number(text(written)).isna().all()


@pytest.mark.parametrize(
    ("written", "damaged"),
    [
        *(
            (written, True)
            for written in ("1.2E+17", "1.2e+17", "1,2E+17", "1E+17", "9007199254740992.0", f"{'9' * 25}.0")
        ),
        *(
            (written, False)
            for written in ("9007199254740991.0", "9007199254740993", "3831.0", "3831.5", "3831", "E", "", None)
        ),
    ],
)
def test_an_id_that_lost_digits_as_a_float_is_known_by_its_notation(written: str | None, damaged: bool) -> None:
    assert was_a_float(text(written)).tolist() == [damaged]


@pytest.mark.parametrize(
    ("price", "dollars"),
    [
        ("$75.00", 75.0),
        ("$1,234.00", 1234.0),
        ("$12,345.00", 12345.0),
        ("$1,234,567.00", 1234567.0),
        ("$0.00", 0.0),
        ("75", 75.0),
        ("75.5", 75.5),
        ("$1234.00", 1234.0),
        ("$1,234", 1234.0),
        ("$1,234.5", 1234.5),
        ("107.33333333333333", 107.33333333333333),
        *((price, 75.0) for price in ("US$75.00", "USD 75", "75.00 USD", "75 $", "$ 75", " $75", "$75.00\n")),
        *((price, 75.0) for price in ("\u00a0$75", "$\u200975")),
    ],
)
def test_a_price_is_read_with_its_thousands(price: str, dollars: float) -> None:
    assert parse_price(text(price)).tolist() == [dollars]


@pytest.mark.parametrize(
    "price",
    [
        *(None, "", "free", "$", "-5", "$-5.00", "nan", "inf", "1e3", "0x10", "1_000", "9" * 400),
        *("$75.000", "75.000$", "75.000 $", "75.000 USD", "US$75.000", " $75.000"),
        *("€75.00", "CA$75.00", "75 EUR", "$75.00 a night", "$$75", "$75$x"),
        *(
            "$1,23.00",
            "$1,23",
            "$12,34",
            "$1.234,00",
            "$1.234.000",
            "$75,00",
            "75,5",
            "$0,123",
            "$,123",
            "$75.",
            "$.75",
        ),
        *("$\uff17\uff15.00", "$\u0667\u0665.00", "$\u0967\u0968"),
    ],
)
def test_a_price_that_cannot_be_read_is_missing(price: str | None) -> None:
    assert parse_price(text(price)).isna().all()


@pytest.mark.parametrize("price", ["$75.000", "75.000", "1.234", "$1.234", "$0.075", "$1,234.500"])
def test_a_point_before_three_digits_could_mean_thousands_and_is_not_read(price: str) -> None:
    assert is_ambiguous_price(text(price)).all()
    assert parse_price(text(price)).isna().all()


@pytest.mark.parametrize("price", ["$75.00", "$75", "$1,234.00", "$1.234,00", "$75.0000", "75.12", None])
def test_other_prices_are_not_ambiguous(price: str | None) -> None:
    assert not is_ambiguous_price(text(price)).any()


@pytest.mark.parametrize(
    ("price", "currency", "amount"),
    [
        ("$1,234.00", "EUR", 1234.0),
        ("€1.234,00", "EUR", 1234.0),
        ("1.234,5 €", "EUR", 1234.5),
        ("€75,00", "EUR", 75.0),
        ("75,00", "EUR", 75.0),
        ("€1,234.00", "EUR", 1234.0),
        ("€1,234", "EUR", 1234.0),
        ("EUR 1.234.567", "EUR", 1234567.0),
        ("1,234.00 kr", "SEK", 1234.0),
        ("1\u00a0234,50\u00a0kr", "NOK", 1234.5),
        ("kr. 1.234.567", "DKK", 1234567.0),
        ("CHF 1'234.50", "CHF", 1234.5),
        ("1’234", "CHF", 1234.0),
        ("£75", "GBP", 75.0),
        ("R$1.234,00", "BRL", 1234.0),
        ("¥12,000", "JPY", 12000.0),
    ],
)
def test_a_price_in_another_notation_is_read_where_it_has_one_meaning(price: str, currency: str, amount: float) -> None:
    assert parse_price(text(price), currency).tolist() == [amount]


@pytest.mark.parametrize(
    ("price", "currency"),
    [
        *(
            (price, "EUR")
            for price in ("£75", "75k", "75 EURO", "1.23,00", "1,23.00", "1.234,567", "1 23,00", "€", "€-5")
        ),
        *((price, "USD") for price in ("€75", "1.234,00", "75,00", "1 234", "1'234")),
        ("75,00 €", "GBP"),
    ],
)
def test_a_price_of_no_one_meaning_or_in_another_currency_is_missing(price: str, currency: str) -> None:
    assert parse_price(text(price), currency).isna().all()


@pytest.mark.parametrize("price", ["€75.000", "75.000 €", "1.234"])
def test_thousands_with_a_point_alone_stay_ambiguous_in_every_currency(price: str) -> None:
    assert is_ambiguous_price(text(price), "EUR").all()
    assert parse_price(text(price), "EUR").isna().all()


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 99), st.sampled_from([",.", ".,", " ,", " .", "\u202f,", "'."]))
def test_every_whole_notation_is_read_back(whole: int, cents: int, separators: str) -> None:
    thousands, point = separators
    for template in ("€{}", "{} €", "{}"):
        written = template.format(f"{whole:,}".replace(",", thousands) + f"{point}{cents:02}")
        assert parse_price(text(written), "EUR")[0] == pytest.approx(whole + cents / 100), written


@settings(deadline=None)
@given(st.text(alphabet="0123456789,.' €", max_size=12))
def test_a_price_is_never_a_thousand_times_too_small(price: str) -> None:
    [amount] = parse_price(text(price), "EUR")
    if not np.isnan(amount):
        digits = [part for part in re.split(r"[^0-9]", price) if part]
        # At most the last part, of one or two digits, is not of the whole number.
        decimals = digits.pop() if len(digits) > 1 and len(digits[-1]) != 3 else ""
        assert amount >= int("".join(digits))
        assert amount < int("".join(digits)) + 1
        assert decimals == "" or float(f"0.{decimals}") == pytest.approx(amount % 1, abs=1e-6)


@settings(deadline=None)
@given(st.text(alphabet="0123456789,.$ -eE\u0663\uff13", max_size=12))
@example("75.00$")
@example("75.000 $")
def test_a_price_is_never_read_as_less_than_its_digits_before_a_decimal_point_say(price: str) -> None:
    [dollars] = parse_price(text(price))
    if not np.isnan(dollars):
        whole, _, decimals = price.partition(".")
        assert dollars >= int("".join(filter(str.isdigit, whole)))
        # Of digits alone: a sign or a space behind them makes three no other number.
        assert len(re.findall("[0-9]", decimals)) != 3


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(0, 99))
def test_every_price_airbnb_writes_is_read_back(dollars: int, cents: int) -> None:
    assert parse_price(text(f"${dollars:,}.{cents:02}"))[0] == pytest.approx(dollars + cents / 100)


@pytest.mark.parametrize(
    ("words", "number", "bathrooms"),
    [
        ("1 bath", None, 1.0),
        ("1.5 shared baths", None, 1.5),
        ("0 baths", None, 0.0),
        ("Half-bath", None, 0.5),
        ("Shared half-bath", None, 0.5),
        ("Private half-bath", None, 0.5),
        ("2 baths", "7.0", 2.0),
        (None, "2.5", 2.5),
    ],
)
def test_bathrooms_are_the_leading_number_else_the_numeric_column(
    words: str | None, number: str | None, bathrooms: float
) -> None:
    assert parse_bathrooms(text(words), text(number)).tolist() == [bathrooms]


@pytest.mark.parametrize(
    ("words", "number"),
    [
        *((None, None), ("a tub", None), ("a tub", "1.0"), (None, "two"), (None, "inf")),
        *(
            (words, "1.0")
            for words in ("1,5 baths", "1/2 bath", "1\u00bd baths", "1 1/2 baths", "1-2 baths", "\uff11 bath")
        ),
    ],
)
def test_bathrooms_that_cannot_be_read_are_missing(words: str | None, number: str | None) -> None:
    assert parse_bathrooms(text(words), text(number)).isna().all()


def test_a_flag_is_true_where_some_amenity_contains_its_word() -> None:
    flags = amenity_flags(text('["55\\" HDTV with Netflix", "Elevator in building"]', '["tv", "Wifi"]', "[]", None))
    assert flags["tv"].tolist() == [True, False, False, False]
    assert flags["elevator"].tolist() == [True, False, False, False]
    assert flags["wifi"].tolist() == [False, True, False, False]


def test_a_word_written_with_unicode_escapes_is_found() -> None:
    flags = amenity_flags(text('["\\u0054V"]', '["Caf\\u00e9"]', '["\\u0054V'))
    assert flags["tv"].tolist() == [True, False, False]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["TV", "HDTV", "Tv", "Elevator", "Internet \u2013 fast", "Wifi", 'a "b" c', "Küche"])))
def test_flags_equal_a_search_in_the_parsed_amenities(amenities: list[str]) -> None:
    flags = amenity_flags(text(json.dumps(amenities)))
    for flag, word in {"tv": "TV", "elevator": "Elevator", "internet": "Internet", "wifi": "Wifi"}.items():
        assert flags[flag].tolist() == [any(word in amenity for amenity in amenities)]


@settings(deadline=None)
@given(st.lists(st.text(max_size=8), max_size=5))
def test_every_json_list_of_texts_is_one(amenities: list[str]) -> None:
    assert is_json_list(text(json.dumps(amenities), json.dumps(amenities, ensure_ascii=False, indent=1))).all()


@pytest.mark.parametrize(
    "amenities",
    [
        None,
        "",
        "TV",
        "True",
        "7",
        "[1, 2]",
        '["TV", 1]',
        "[null]",
        "{}",
        '{"TV": true}',
        "{TV,Wifi}",
        '["TV"',
        "['TV']",
        '"TV"',
    ],
)
def test_anything_else_is_no_list_of_texts(amenities: str | None) -> None:
    assert not is_json_list(text(amenities)).any()


def test_only_a_list_of_nothing_is_empty() -> None:
    assert is_empty_list(text("[]", "[ ]", '[""]', "", None)).tolist() == [True, True, False, False, False]
