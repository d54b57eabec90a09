"""A CSV file is read to its last row, or refused by the line that is wrong."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas._libs.parsers import STR_NA_VALUES  # pyright: ignore

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.csv_rows import read_csv
from mle_assets.listings.raw_table import MISSING
from tests.listings.conftest import COLUMNS

HEADER = ",".join(COLUMNS)
ROW = '7,2021-12-04,Brooklyn,Entire loft,Entire home/apt,40.7,-73.9,2,,1 bath,1,1,"[""TV"", ""Wifi""]","$1,234.00"'


def rows_of(content: str | bytes) -> pd.DataFrame:
    data = content.encode() if isinstance(content, str) else content
    return read_csv("listings.csv", io.BytesIO(data)).take()


def refusal(content: str | bytes) -> str:
    with pytest.raises(BadSnapshot) as refused:
        rows_of(content)
    said = str(refused.value)
    assert said.startswith("The snapshot listings.csv ")
    assert said.isprintable()
    return said


def test_every_value_is_the_text_that_the_file_holds() -> None:
    [row] = rows_of(f"{HEADER}\n{ROW}\n").to_dict("records")
    assert row["amenities"] == '["TV", "Wifi"]'
    assert row["price"] == "$1,234.00"
    assert row["latitude"] == "40.7"
    assert pd.isna(row["bathrooms"])


@pytest.mark.parametrize(
    "content",
    [
        f"{HEADER}\n{ROW}\n{ROW}\n",
        f"{HEADER}\n{ROW}\n{ROW}",
        f"\ufeff{HEADER}\n{ROW}\n{ROW}\n",
        f"{HEADER}\r\n{ROW}\r\n{ROW}\r\n",
        f"{HEADER}\r\n{ROW}\r\n{ROW}\r",
        f"\n{HEADER}\n\n{ROW}\n   \n{ROW}\n\n\n",
        f'"{HEADER.replace(",", chr(34) + "," + chr(34))}"\n{ROW}\n{ROW}\n',
    ],
    ids=[
        "plain",
        "no last newline",
        "byte order mark",
        "CRLF",
        "CRLF cut in its middle",
        "blank lines",
        "quoted header",
    ],
)
def test_every_way_to_end_a_line_reads_the_same(content: str) -> None:
    pd.testing.assert_frame_equal(rows_of(content), rows_of(f"{HEADER}\n{ROW}\n{ROW}\n"))


def test_a_quoted_field_may_hold_line_ends_quotes_and_commas() -> None:
    text = 'a "loft",\nwith\r\nlines\rand é'
    quoted = text.replace('"', '""')
    [row] = rows_of(f"{HEADER}\n{ROW.replace('Entire loft', chr(34) + quoted + chr(34))}\n").to_dict("records")
    assert row["property_type"] == text


def test_the_texts_that_mean_missing_are_those_of_pandas() -> None:
    assert set(MISSING) == set(STR_NA_VALUES)


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8) | st.sampled_from(MISSING)


@settings(deadline=None)
@given(
    st.lists(st.lists(CELL, min_size=14, max_size=14), min_size=1, max_size=4),
    # With other line ends the library's writer leaves a carriage return without quotes.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL)]),
)
def test_whatever_is_written_is_read_as_pandas_reads_it(cells: list[list[str]], style: tuple[str, int]) -> None:
    written = io.StringIO(newline="")
    end, quoting = style
    csv.writer(written, lineterminator=end, quoting=quoting).writerows([list(COLUMNS), *cells])  # pyright: ignore
    table = rows_of(written.getvalue())[list(COLUMNS)]
    expected = [[None if cell in MISSING else cell for cell in row] for row in cells]
    assert table.astype(object).replace({np.nan: None}).to_numpy().tolist() == expected


@settings(deadline=None)
@given(st.data())
def test_a_file_that_breaks_off_anywhere_loses_no_row_silently(data: st.DataObject) -> None:
    rows = [ROW.replace("Entire loft", '"Café\n"') for _ in range(3)]
    whole = "\n".join([HEADER, *rows]).encode()
    first = len(HEADER) + 1
    cut = data.draw(st.integers(first + 1, len(whole) - 1))
    # A cut between two rows, with or without the newline between them, leaves a whole file of fewer rows.
    borders = {len("\n".join([HEADER, *rows[:n]]).encode()) + end for n in (1, 2) for end in (0, 1)}
    if cut in borders:
        assert len(rows_of(whole[:cut])) in (1, 2)
    else:
        assert "is not a whole CSV table" in refusal(whole[:cut])


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (f"{ROW},9", "the row in line 3 has 15 fields and the header 14; it begins with «7»"),
        (ROW.replace("Brooklyn,", ""), "the row in line 3 has 13 fields and the header 14; it begins with «7»"),
        (ROW.replace("Brooklyn", '"Brooklyn'), "the row in line 3 has a stray quote"),
        (ROW.replace('""TV""', '"TV"'), "the row in line 3 has a stray quote"),
        (ROW.replace("Brooklyn", "Broo\0klyn"), "line 3 holds a NUL byte"),
        (ROW.replace("Brooklyn", "Broo\rklyn"), "line 3 holds a carriage return"),
        (
            ROW.replace("Brooklyn", '"' + "x" * 200_000 + '"'),
            "a field in the row of line 3 goes on for more than 131,072",
        ),
        ('""', "the row in line 3 has 1 fields"),
    ],
)
def test_a_row_that_is_none_is_refused_by_its_line_with_the_cure(row: str, words: str) -> None:
    said = refusal(f"{HEADER}\n{ROW}\n{row}\n{ROW}\n")
    assert f"is not a whole CSV table ({words}" in said
    assert "download it again" in said.rsplit(": ", 1)[1]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        ("7,2021-12-04,Broo", "it breaks off in line 3, after 3 of the row's 14 fields"),
        ("7,2021-12-04,", "it breaks off in line 3, after 3 of the row's 14 fields"),
        (ROW[:-5], "a quote in the row of line 3 is never closed"),
        ('7,2021-12-04,"Broo\nklyn', "a quote in the row of line 3 is never closed"),
    ],
)
def test_a_file_that_breaks_off_in_a_row_is_refused(end: str, words: str) -> None:
    assert f"is not a whole CSV table ({words}" in refusal(f"{HEADER}\n{ROW}\n{end}")


def test_a_file_that_breaks_off_after_its_last_comma_is_refused_where_a_needed_field_is_lost() -> None:
    cut = f"{HEADER}\n{ROW}\n{ROW.rpartition(',' + chr(34))[0]},"
    assert "is not a whole CSV table (it breaks off in line 3, after a comma)" in refusal(cut)
    assert len(rows_of(cut + "\n")) == 2
    assert len(rows_of(f"{HEADER},license\n{ROW},\n{ROW},")) == 2


def test_a_file_that_breaks_off_in_the_middle_of_a_letter_is_refused() -> None:
    assert "it breaks off in line 2, in the middle of a letter" in refusal(f"{HEADER}\n7,é".encode()[:-1])


def test_a_stray_quote_before_any_field_of_any_row_is_refused(synthetic_snapshot: Path) -> None:
    lines = synthetic_snapshot.read_text().splitlines(keepends=True)
    for number in (1, 700, 1_999):
        for comma in re.finditer(',(?=[^ "])', lines[number]):
            damaged = lines[number][: comma.end()] + '"' + lines[number][comma.end() :]
            assert "quote" in refusal("".join([*lines[:number], damaged, *lines[number + 1 :]])), damaged


def test_a_column_that_is_there_twice_is_refused_with_both_places() -> None:
    said = refusal(f"{HEADER},price\n{ROW},$75\n")
    assert "has 2 columns called price (its columns 14 and 15), and only one can be right" in said


def test_columns_that_are_not_read_may_share_a_name() -> None:
    assert len(rows_of(f"{HEADER},x,x\n{ROW},1,2\n")) == 1


@pytest.mark.parametrize(("sign", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")])
def test_another_separator_is_named(sign: str, name: str) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=sign).writerows([COLUMNS, ["7", "x", *["1,5"] * 12]])
    assert f"has {name} between its columns: save it as a CSV file with commas." in refusal(written.getvalue())


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_another_encoding_is_refused_by_line_and_byte(encoding: str) -> None:
    said = refusal(f"{HEADER}\n{ROW}\n{ROW.replace('loft', 'café')}\n".encode(encoding))
    assert "is not UTF-8 text (line 3 holds the byte 0xE9): save it as UTF-8" in said
    assert "iconv -f WINDOWS-1252 -t UTF-8" in said


def test_a_file_without_any_line_end_is_refused_before_it_fills_the_memory() -> None:
    assert "line 1 goes on for more than 4,000,000 bytes" in refusal("x" * 5_000_000)


def test_a_file_with_more_text_than_is_allowed_is_refused_in_words() -> None:
    with pytest.raises(BadSnapshot, match="holds more than 1,000 bytes of text, the most that is read: split it"):
        read_csv("listings.csv", io.BytesIO(f"{HEADER}\n{f'{ROW}{chr(10)}' * 20}".encode()), most_bytes=1_000)


def test_nothing_but_blank_lines_is_refused() -> None:
    assert "holds nothing but blank lines" in refusal("\n\n")


@pytest.mark.parametrize("row", [0, 1, 600])
def test_one_made_up_row_anywhere_makes_the_table_synthetic(row: int) -> None:
    rows = [f"{ROW},{'synthetic:listings/7' if n == row else 'https://www.airbnb.com/rooms/7'}" for n in range(601)]
    text = "\n".join([f"{HEADER},listing_url", *rows])
    assert read_csv("listings.csv", io.BytesIO(text.encode())).synthetic
    real = text.replace("synthetic:", "https:")
    assert not read_csv("listings.csv", io.BytesIO(real.encode())).synthetic
