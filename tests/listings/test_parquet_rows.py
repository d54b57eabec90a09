"""A Parquet file holds the texts that its CSV would, whatever the types of its columns."""

import io
import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.columns import RAW_COLUMNS
from mle_assets.listings.parquet_rows import read_parquet


def parquet(rows: int, **columns: pa.Array) -> bytes:
    """A file of that many rows; the columns that are not given hold nothing."""
    table = pa.table(
        {name: columns.get(name, pa.nulls(rows, pa.string())) for name in {**dict.fromkeys(RAW_COLUMNS), **columns}}
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def column(values: pa.Array, name: str = "id") -> list[Any]:
    texts = read_parquet("x.parquet", io.BytesIO(parquet(len(values), **{name: values}))).take()[name]
    return [None if pd.isna(text) else text for text in texts]


def refusal(content: bytes) -> str:
    with pytest.raises(BadSnapshot) as refused:
        read_parquet("x.parquet", io.BytesIO(content))
    assert str(refused.value).isprintable()
    return str(refused.value).removeprefix("The snapshot x.parquet ")


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.int32()])
def test_integers_are_their_digits_beside_missing_ones_too(kind: pa.DataType) -> None:
    largest = 2**31 - 1 if kind == pa.int32() else 1_234_567_890_123_456_789
    assert column(pa.array([largest, None, largest - 1], kind)) == [str(largest), None, str(largest - 1)]


@settings(deadline=None)
@given(st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5))
def test_every_integer_is_exactly_itself(numbers: list[int | None]) -> None:
    assert column(pa.array(numbers, pa.int64())) == [None if n is None else str(n) for n in numbers]


@settings(deadline=None)
@given(st.lists(st.none() | st.floats(allow_nan=False), min_size=1, max_size=5))
def test_every_float_is_pythons_shortest_notation(numbers: list[float | None]) -> None:
    assert column(pa.array(numbers, pa.float64())) == [None if n is None else repr(n) for n in numbers]


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([3831.0, 1.2e17, None, float("nan")]), ["3831.0", "1.2e+17", None, None]),
        (pa.array([40.68494, 1.5], pa.float32()), ["40.68494", "1.5"]),
        (pa.array(["$1,234.00", "", "NA", None]), ["$1,234.00", None, None, None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
        (pa.array([Decimal("75.00"), None]), ["75.00", None]),
        (pa.array([True, None]), ["true", None]),
        (pa.nulls(2), [None, None]),
        (pa.array([["TV", 'a "b" é'], [], None]), ['["TV", "a \\"b\\" é"]', "[]", None]),
    ],
)
def test_each_type_has_one_notation(values: pa.Array, texts: list[str | None]) -> None:
    assert column(values, "amenities") == texts


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=4))
def test_a_list_is_json(amenities: list[str]) -> None:
    [text] = column(pa.array([amenities], pa.list_(pa.string())), "amenities")
    assert json.loads(text) == amenities


@pytest.mark.parametrize("day", [date(2021, 12, 4), datetime(2021, 12, 4, 7, 30)])  # noqa: DTZ001
def test_the_day_of_scraping_may_be_a_date(day: date) -> None:
    [text] = column(pa.array([day]), "last_scraped")
    assert text.startswith("2021-12-04")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (pa.array([{"a": 1}]), "struct<a: int64>"),
        (pa.array([b"x"]), "binary"),
        (pa.array([date(2021, 12, 4)]), "date32[day]"),
        (pa.array([[["TV"]]]), "list<element: list<element: string>>"),
    ],
)
def test_a_type_without_a_notation_is_refused_with_the_column_and_the_type(values: pa.Array, kind: str) -> None:
    said = refusal(parquet(1, price=values))
    assert said == f"has the column price with the type {kind}, which cannot be read as text: write it as strings."


def test_a_column_that_is_there_twice_is_refused() -> None:
    file = io.BytesIO()
    names = [*RAW_COLUMNS, "price"]
    pq.write_table(pa.Table.from_arrays([pa.array(["1"]) for _ in names], names=names), file)
    assert refusal(file.getvalue()).startswith("has 2 columns called price (its columns 15 and 16)")


def test_a_missing_column_is_named() -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({name: ["1"] for name in RAW_COLUMNS if name != "price"}), file)
    assert refusal(file.getvalue()).startswith("has no column price among its 14")


@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_a_file_that_breaks_off_is_refused(share: float) -> None:
    whole = parquet(200, id=pa.array(range(200)))
    assert "is a damaged Parquet file that breaks off" in refusal(whole[: int(share * len(whole))])


@settings(deadline=None)
@given(st.data())
def test_damage_anywhere_is_read_or_refused_in_words(data: st.DataObject) -> None:
    damaged = bytearray(parquet(3, id=pa.array([1, 2, 3]), price=pa.array(["$75.00", "$1", "é"])))
    place = data.draw(st.integers(4, len(damaged) - 1))
    damaged[place] ^= data.draw(st.integers(1, 255))
    try:
        read_parquet("x.parquet", io.BytesIO(bytes(damaged))).take()
    except BadSnapshot as refused:
        said = str(refused)
    else:
        said = ""
    assert said.isprintable()


def test_one_made_up_row_anywhere_makes_the_table_synthetic() -> None:
    urls = ["https://www.airbnb.com/rooms/7"] * 5
    real = parquet(5, listing_url=pa.array(urls))
    mixed = parquet(5, listing_url=pa.array([*urls[:4], "synthetic:listings/7"]))
    assert not read_parquet("x.parquet", io.BytesIO(real)).synthetic
    assert read_parquet("x.parquet", io.BytesIO(mixed)).synthetic
