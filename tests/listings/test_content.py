"""What a file is, is told by its content; what can safely be read is read, the rest is named with its cure."""

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.content import read_table
from tests.listings.conftest import COLUMNS

HEADER = ",".join(COLUMNS)
ROW = '7,2021-12-04,Brooklyn,Entire loft,Entire home/apt,40.7,-73.9,2,,1 bath,1,1,"[""TV"", ""Wifi""]","$1,234.00"'
TABLE = f"{HEADER}\n{f'{ROW}{chr(10)}' * 20}".encode()


def zipped(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        for name, content in files.items():
            writing.writestr(name, content)
    return archive.getvalue()


def tarred(mode: str) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode=mode) as writing:  # pyright: ignore
        member = tarfile.TarInfo("listings.csv")
        member.size = len(TABLE)
        writing.addfile(member, io.BytesIO(TABLE))
    return archive.getvalue()


def refusal(content: bytes) -> str:
    with pytest.raises(BadSnapshot) as refused:
        read_table("listings", io.BytesIO(content))
    said = str(refused.value)
    assert said.isprintable()
    return said.removeprefix("The snapshot listings ")


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        b"\xef\xbb\xbf" + TABLE,
        gzip.compress(TABLE),
        gzip.compress(TABLE[:700]) + gzip.compress(TABLE[700:]),
        gzip.compress(TABLE) + b"\0" * 512,
        bz2.compress(TABLE),
        bz2.compress(TABLE[:700]) + bz2.compress(TABLE[700:]),
        lzma.compress(TABLE),
        lzma.compress(TABLE[:700]) + lzma.compress(TABLE[700:]),
        zipped({"listings.csv": TABLE}),
        zipped({"LISTINGS.CSV": TABLE, "readme.txt": b"CC BY 4.0"}),
        zipped({"listings.csv": TABLE, "__MACOSX/._listings.csv": b"\0"}),
    ],
    ids=[
        "plain",
        "bom",
        "gzip",
        "gzips",
        "padded-gzip",
        "bz2",
        "bz2s",
        "xz",
        "xzs",
        "zip",
        "zip-and-text",
        "zip-of-mac",
    ],
)
def test_every_packing_holds_the_same_rows(content: bytes) -> None:
    assert read_table("listings", io.BytesIO(content)).rows == 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes): check"),
        (json.dumps({"listings": [{"id": 1}]}).encode(), "is JSON, not a table: take the csv.gz"),
        (b' \n[{"id": 1}]', "is JSON, not a table"),
        (b'{"id": 1}\n{"id": 2}\n', "is JSON, not a table"),
        (b'{"type": "FeatureCollection", "features": []}', "is GeoJSON, not a table"),
        (gzip.compress(b'[{"id": 1}]'), "is JSON inside gzip, not a table"),
        (b"<!DOCTYPE html><p>404", "is an HTML or XML page, not a table: check the address"),
        (gzip.compress(b"\n<html>Not found"), "is an HTML or XML page inside gzip, not a table: check the address"),
        (TABLE.decode().encode("utf-16"), "is UTF-16 text: save it as UTF-8, as iconv -f UTF-16 -t UTF-8 does"),
        (TABLE.decode().encode("utf-16-le"), "is UTF-16 text: save it as UTF-8"),
        (TABLE.decode().encode("utf-16-be"), "is UTF-16 text: save it as UTF-8"),
        (gzip.compress(TABLE.decode().encode("utf-16")), "is UTF-16 text inside gzip: save it as UTF-8"),
        (b"7z\xbc\xaf'\x1c\x00\x04", "is a 7-Zip archive: unpack it (7z x) and give the CSV file inside"),
        (b"\x28\xb5\x2f\xfd\x00", "is a Zstandard file: unpack it (unzstd)"),
        (b"Rar!\x1a\x07", "is a RAR archive: unpack it"),
        (tarred("w"), "is a tar archive: unpack it (tar -xf) and give the CSV file inside"),
        (tarred("w:gz"), "is a tar archive inside gzip: unpack it (tar -xf) and give the CSV file inside"),
        (tarred("w:xz"), "is a tar archive inside xz: unpack it"),
        (gzip.compress(gzip.compress(TABLE)), "is a gzip file with a gzip file inside: unpack it once"),
        (gzip.compress(zipped({"listings.csv": TABLE})), "is a gzip file with a zip file inside: unpack it once"),
        (zipped({"listings.csv": gzip.compress(TABLE)}), "is a zip file with a gzip file inside: unpack it once"),
        (gzip.compress(b"PAR1 whatever"), "is a gzip file with a Parquet file inside: unpack it once"),
        (gzip.compress(b""), "is a gzip file of nothing (0 bytes inside)"),
        (bz2.compress(b""), "is a bzip2 file of nothing (0 bytes inside)"),
        (gzip.compress(TABLE) + b"garbage", "is a damaged gzip file (something else follows its end): download it aga"),
        (bz2.compress(TABLE) + b"garbage", "is a damaged bzip2 file"),
        (lzma.compress(TABLE) + b"garbage" * 2, "is a damaged xz file"),
        (bz2.compress(TABLE)[:-9], "is a bzip2 file that breaks off: it was not downloaded to its end"),
        (lzma.compress(TABLE)[:-9], "is a xz file that breaks off"),
        (zipped({"listings.csv": TABLE})[:-9], "is a damaged zip file"),
        (zipped({}), "is an empty zip archive: check how it was made"),
        (zipped({"a.csv": TABLE, "b.csv": TABLE}), "is a zip archive without just one CSV file (inside: a.csv, b.csv)"),
        (zipped({"listings.csv.gz": b""}), "is a zip archive without just one CSV file (inside: listings.csv.gz)"),
        (zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b""}), "is an Excel or office document: save its"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "is an Excel workbook: save its sheet as «CSV UTF-8»"),
        (b"%PDF-1.7\n", "is a PDF document, not a table"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "is a picture, not a table"),
        (b"SQLite format 3\0", "is an SQLite database: write its table as CSV or Parquet"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a pointer of Git LFS, not the file itself: fetch it"),
        (b"\x7fELF\x02\x01\x01\x00", "is of no kind that is known here (it begins with 7f 45 4c 46 02 01 01 00)"),
    ],
    # Not the bytes: an archive holds the time at which it was made, and names are to be the same each time.
    ids=lambda given: given if isinstance(given, str) else "content",
)
def test_what_is_no_table_is_named_with_its_cure(content: bytes, words: str) -> None:
    assert refusal(content).startswith(words)


def test_a_zip_archive_with_a_password_is_refused_by_that_name() -> None:
    locked = bytearray(zipped({"listings.csv": TABLE}))
    for sign, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        locked[locked.index(sign) + place] |= 1
    assert refusal(bytes(locked)).startswith("is a zip archive that asks for a password: unpack it")


def test_a_zip_archive_that_unpacks_to_more_than_the_limit_is_refused_before_it_is_unpacked() -> None:
    bomb = bytearray(zipped({"listings.csv": TABLE}))
    place = bomb.index(b"PK\x01\x02") + 24
    bomb[place : place + 4] = (2_000_000_000).to_bytes(4, "little")
    with pytest.raises(BadSnapshot, match="unpacks to 2,000,000,000 bytes; 1,000,000,000 are the most: split it"):
        read_table("listings", io.BytesIO(bytes(bomb)), most_bytes=1_000_000_000)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress], ids=["gzip", "bz2", "xz"])
def test_a_packed_file_that_unpacks_to_more_than_the_limit_is_refused(pack: Callable[[bytes], bytes]) -> None:
    with pytest.raises(BadSnapshot, match="holds more than 1,000 bytes of text"):
        read_table("listings", io.BytesIO(pack(TABLE)), most_bytes=1_000)


@settings(deadline=None)
@given(
    st.sampled_from([TABLE, gzip.compress(TABLE), bz2.compress(TABLE), lzma.compress(TABLE), zipped({"a.csv": TABLE})]),
    st.data(),
)
def test_damage_anywhere_is_read_whole_or_refused_in_one_line(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read_table("listings", io.BytesIO(bytes(damaged)))
    except BadSnapshot as refused:
        said = str(refused)
    else:
        said = ""
    assert said.isprintable()
