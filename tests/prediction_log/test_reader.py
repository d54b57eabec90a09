"""What is whole is read, what is not is counted, and no content makes the reader fail or read anything twice."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prediction_log import reader
from prediction_log.files import MOST_LINE, LogFile, log_files
from prediction_log.reader import read_file, read_records
from prediction_log.record import Record
from tests.prediction_log.log import feedback, lines, prediction, request_ids

FIRST = "predictions-20260801T120000-0123abcd-1.jsonl"
SECOND = "predictions-20260801T130000-0123abcd-2.jsonl"
WHOLE = lines(prediction("a"))


def totals(folder: Path, prefix: str = "predictions") -> tuple[int, int, int, int]:
    """Lines, records, cut ones and unknown ones of all files."""
    counted = [(read.lines, len(read.records), read.cut, read.unknown) for read in read_records(folder, prefix)]
    columns = [sum(column) for column in zip(*counted, strict=True)] or [0, 0, 0, 0]
    return columns[0], columns[1], columns[2], columns[3]


def test_records_come_in_the_order_of_the_files_and_of_their_lines(tmp_path: Path) -> None:
    (tmp_path / SECOND).write_bytes(lines(prediction("c")))
    (tmp_path / FIRST).write_bytes(lines(prediction("a", 0), prediction("b", 1)))
    (read, then) = read_records(tmp_path, "predictions")
    assert read.records == [prediction("a", 0), prediction("b", 1)]
    assert (read.file.name, read.lines, read.cut, read.unknown) == (FIRST, 2, 0, 0)
    assert then.records == [prediction("c")]


def test_there_is_nothing_in_a_folder_that_there_is_not(tmp_path: Path) -> None:
    assert log_files(tmp_path / "none", "predictions") == []
    assert totals(tmp_path / "none") == (0, 0, 0, 0)


def test_files_that_are_done_come_first_then_the_oldest_first_and_tell_what_they_are(tmp_path: Path) -> None:
    names = [
        "predictions-20260801T110000-0123abcd-1.jsonl.open",
        "predictions-20260801T120000-0123abcd-10.jsonl",
        "predictions-20260801T120000-0123abcd-9.jsonl",
        "predictions-20260731T235959-ffffffff-1.jsonl",
    ]
    for name in names:
        (tmp_path / name).write_bytes(WHOLE)
    found = log_files(tmp_path, "predictions")
    assert [file.path.name for file in found] == [names[3], names[2], names[1], names[0]]
    assert found[3] == LogFile(
        tmp_path / names[0], "predictions", 1_785_582_000.0, "0123abcd", 1, len(WHOLE), open=True
    )
    assert found[3].name == "predictions-20260801T110000-0123abcd-1.jsonl"


def test_only_the_logs_own_files_are_read(tmp_path: Path) -> None:
    for name in (
        "feedback-20260801T120000-0123abcd-1.jsonl",
        "predictions-20260801T120000-0123abcd-1.jsonl.rewriting",
        "predictions-20260801T120000-0123abcd-1.jsonl.gz",
        "predictions-20261399T120000-0123abcd-1.jsonl",
        "predictions.jsonl",
        "forgotten.jsonl",
    ):
        (tmp_path / name).write_bytes(WHOLE)
    (tmp_path / FIRST).mkdir()
    os.mkfifo(tmp_path / SECOND)
    assert totals(tmp_path) == (0, 0, 0, 0)
    assert [file.prefix for file in log_files(tmp_path)] == ["feedback"]


def test_a_file_that_is_renamed_while_the_log_is_read_is_read_once(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(lines(prediction("a")))
    (tmp_path / f"{SECOND}.open").write_bytes(lines(prediction("b")))
    reading = read_records(tmp_path, "predictions")
    assert next(reading).records == [prediction("a")]
    (tmp_path / f"{SECOND}.open").rename(tmp_path / SECOND)
    assert [read.records for read in reading] == [[prediction("b")]]


def test_a_file_that_is_there_under_both_its_names_is_read_once(tmp_path: Path) -> None:
    # As a listing may show it that a rename falls into.
    (tmp_path / FIRST).write_bytes(lines(prediction("a")))
    (tmp_path / f"{FIRST}.open").hardlink_to(tmp_path / FIRST)
    assert [(file.path.name, file.open) for file in log_files(tmp_path, "predictions")] == [(FIRST, False)]
    assert request_ids(tmp_path) == ["a"]


def test_a_file_that_is_removed_while_the_log_is_read_is_left_out(tmp_path: Path) -> None:
    for name in (FIRST, SECOND):
        (tmp_path / name).write_bytes(lines(prediction("a")))
    reading = read_records(tmp_path, "predictions")
    next(reading)
    (tmp_path / SECOND).unlink()
    assert list(reading) == []


def test_only_the_files_that_are_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(lines(prediction("a")))
    (tmp_path / SECOND).write_bytes(lines(prediction("b")))
    (read,) = read_records(tmp_path, "predictions", files=log_files(tmp_path, "predictions")[1:])
    assert read.records == [prediction("b")]


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (WHOLE[:-20] + b"\n", (0, 1, 0)),
        (WHOLE[:-1], (1, 0, 0)),
        (b"\n \n\t\r\n", (0, 0, 0)),
        (b"\0" * 500 + b"\n", (0, 1, 0)),
        (WHOLE.replace(b'"a"', b'"\xff"'), (0, 1, 0)),
        (b"\xff\xfe\n", (0, 1, 0)),
        (b'{"kind":"other-1"}\n', (0, 0, 1)),
        (b'{"kind":"other-1","text":"\xff"}\n', (0, 1, 0)),
        (b'{"kind":"other-1",\n', (0, 1, 0)),
        (b'{"kind":"prediction-1"}\n', (0, 0, 1)),
        (b"null\n[]\n17\n", (0, 0, 3)),
        (b'{"kind":"feedback-1","time":NaN,"request_id":"a"}\n', (0, 1, 0)),
        (b'{"kind":"feedback-1","time":1' + 5_000 * b"0" + b',"request_id":"a"}\n', (0, 0, 1)),
        (b'{"kind":"feedback-1","time":0,"request_id":"a","x":' + 50_000 * b"[" + b"\n", (0, 1, 0)),
        (WHOLE[:-1] + WHOLE, (0, 1, 0)),
        (WHOLE.replace(b",", b",\n", 1), (0, 2, 0)),
        (WHOLE.replace(b",", b",\n", 1) + b"\n" + WHOLE, (1, 2, 0)),
        (WHOLE[:-1] + b"\r\n", (1, 0, 0)),
    ],
    ids=str,
)
def test_whatever_stands_between_whole_lines_costs_none_of_them(
    damage: bytes, expected: tuple[int, int, int], tmp_path: Path
) -> None:
    (tmp_path / FIRST).write_bytes(lines(prediction("b")) + damage)
    (tmp_path / SECOND).write_bytes(damage if damage.endswith(b"\n") else damage + b"\n")
    with (tmp_path / SECOND).open("ab") as file:
        file.write(lines(prediction("c")))
    records, cut, unknown = expected
    assert totals(tmp_path) == (2 + 2 * sum(expected), 2 + 2 * records, 2 * cut, 2 * unknown)
    assert request_ids(tmp_path)[0] == "b"
    assert request_ids(tmp_path)[-1] == "c"


def test_the_line_that_is_being_written_is_no_line_yet(tmp_path: Path) -> None:
    open_file = tmp_path / f"{FIRST}.open"
    open_file.write_bytes(WHOLE + WHOLE[:40])
    assert totals(tmp_path) == (1, 1, 0, 0)
    open_file.write_bytes(WHOLE + WHOLE[:-1])
    assert totals(tmp_path) == (2, 2, 0, 0)
    open_file.write_bytes(WHOLE[:40])
    assert totals(tmp_path) == (0, 0, 0, 0)
    open_file.rename(tmp_path / FIRST)
    assert totals(tmp_path) == (1, 0, 1, 0)


def test_what_is_written_while_a_file_is_read_is_left_for_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK", 2 * len(WHOLE))
    path = tmp_path / f"{FIRST}.open"
    path.write_bytes(3 * WHOLE)
    reading = read_records(tmp_path, "predictions")
    assert len(next(reading).records) == 2
    with path.open("ab") as file:
        file.write(2 * WHOLE)
    assert [len(read.records) for read in reading] == [1]


def test_a_file_that_is_cut_back_while_it_is_read_ends_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "CHUNK", len(WHOLE))
    (tmp_path / f"{FIRST}.open").write_bytes(3 * WHOLE)
    reading = read_records(tmp_path, "predictions")
    next(reading)
    os.truncate(tmp_path / f"{FIRST}.open", len(WHOLE))
    assert list(reading) == []


def test_a_line_of_a_hundred_megabytes_is_one_cut_line(tmp_path: Path) -> None:
    with (tmp_path / FIRST).open("wb") as file:
        file.write(WHOLE)
        for _ in range(100):
            file.write(1_000_000 * b"x")
        file.write(b"\n" + WHOLE)
    assert totals(tmp_path) == (3, 2, 1, 0)


@pytest.mark.parametrize(("length", "expected"), [(MOST_LINE - 1, (2, 2, 0, 0)), (MOST_LINE, (2, 1, 1, 0))])
@pytest.mark.parametrize("chunk", [100_000, 499_999, 3_000_000])
def test_the_longest_line_is_the_same_wherever_it_lies(
    length: int, expected: tuple[int, ...], chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK", chunk)
    long = lines(feedback("x" * (length - len(lines(feedback(""))) + 1)))
    assert len(long) == length + 1
    (tmp_path / FIRST).write_bytes(WHOLE + long)
    assert totals(tmp_path) == expected


records = st.builds(
    prediction,
    st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    st.none() | st.integers(0, 9_999),
    listing_id=st.integers(0, 2**63 - 1),
    time=st.floats(0, 4e9),
) | st.builds(feedback, st.text(st.characters(exclude_categories=["Cs"]), max_size=20), time=st.floats(0, 4e9))
garbage = st.binary(max_size=60).map(lambda junk: junk.replace(b"\n", b" ")) | st.sampled_from(
    [b"", b"{", b"[" * 3_000, b'{"kind":"other"}', b"null", b"\0\0", b'"\xff"', b'{"kind":"prediction-1","time":1e999}']
)


@given(
    written=st.lists(records, max_size=12),
    between=st.lists(st.tuples(st.integers(0, 12), garbage), max_size=4),
    chunk=st.integers(1, 3_000),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_whole_lines_are_read_among_any_garbage_in_chunks_of_any_size(
    written: list[Record],
    between: list[tuple[int, bytes]],
    chunk: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reader, "CHUNK", chunk)
    content = [lines(record) for record in written]
    for place, junk in sorted(between, reverse=True):
        content.insert(min(place, len(written)), junk + b"\n")
    path = tmp_path / FIRST
    path.write_bytes(b"".join(content))
    read = list(read_records(tmp_path, "predictions"))
    assert [record for part in read for record in part.records] == written
    not_blank = sum(bool(junk.strip(b" \t\r")) for _, junk in between)
    assert sum(part.lines for part in read) == len(written) + not_blank
    assert sum(part.cut + part.unknown for part in read) == not_blank


@given(written=st.lists(records, min_size=1, max_size=6), data=st.data(), chunk=st.integers(1, 3_000))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_file_that_is_cut_anywhere_loses_at_most_the_line_it_is_cut_in(
    written: list[Record], data: st.DataObject, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "CHUNK", chunk)
    content = lines(*written)
    cut = data.draw(st.integers(0, len(content)))
    (tmp_path / FIRST).write_bytes(content[:cut])
    read = list(read_file(log_files(tmp_path, "predictions")[0]))
    found = [record for part in read for record in part.records]
    whole = content[:cut].count(b"\n")
    # Only the end of its line may be missing from a record that is whole.
    assert found in (written[:whole], written[: whole + 1])
    assert len(found) + sum(part.cut for part in read) == content[:cut].count(b"\n") + (
        content[:cut][-1:] not in (b"", b"\n")
    )


@given(content=st.binary(max_size=300), open_=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_content_makes_the_reader_fail(content: bytes, open_: bool, tmp_path: Path) -> None:
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / (f"{FIRST}.open" if open_ else FIRST)).write_bytes(content)
    for read in read_records(tmp_path, "predictions"):
        assert read.lines == len(read.records) + read.cut + read.unknown


def test_a_large_file_is_never_held_whole(tmp_path: Path) -> None:
    (tmp_path / FIRST).write_bytes(20_000 * WHOLE)
    largest = max(len(msgspec.json.encode(read.records)) for read in read_records(tmp_path, "predictions"))
    assert largest < 2 * reader.CHUNK
    assert totals(tmp_path) == (20_000, 20_000, 0, 0)
