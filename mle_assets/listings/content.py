"""What a file is, told by its bytes and not by its name; what is packed is unpacked, the rest refused by its kind."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import BinaryIO, cast

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.csv_rows import MOST_BYTES, read_csv
from mle_assets.listings.parquet_rows import read_parquet
from mle_assets.listings.raw_table import RawTable

ENDINGS = (".csv", ".csv.gz", ".csv.bz2", ".csv.xz", ".zip", ".parquet")
"""What the names of such files end in; it is the content that counts where a file is named by a person."""

_HEAD = 4096
_BUFFER = 1 << 20
_GZIP, _BZ2, _XZ, _ZIP, _PARQUET = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"PK\x03\x04", b"PAR1"

# Where the sign stands, the sign, what the file is, and the cure.
_STRANGERS = (
    (0, b"7z\xbc\xaf'\x1c", "a 7-Zip archive", "unpack it (7z x) and give the CSV file inside"),
    (0, b"PK\x05\x06", "an empty zip archive", "check how it was made"),
    (0, b"Rar!", "a RAR archive", "unpack it (unrar x) and give the CSV file inside"),
    (257, b"ustar", "a tar archive", "unpack it (tar -xf) and give the CSV file inside"),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file", "unpack it (unzstd) and give the CSV file inside"),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", "unpack it (unlz4) and give the CSV file inside"),
    (0, b"\x1f\x9d", "a file of the old compress", "unpack it (uncompress) and give the CSV file inside"),
    (0, b"\xd0\xcf\x11\xe0", "an Excel workbook", "save its sheet as «CSV UTF-8» and give that file"),
    (0, b"%PDF", "a PDF document, not a table", "take the csv.gz in its place"),
    (0, b"\x89PNG", "a picture, not a table", "check the address it was downloaded from"),
    (0, b"\xff\xd8\xff", "a picture, not a table", "check the address it was downloaded from"),
    (0, b"SQLite format 3", "an SQLite database", "write its table as CSV or Parquet"),
    (0, b"ARROW1", "an Arrow (Feather) file", "write it as Parquet"),
    (0, b"ORC", "an ORC file", "write it as Parquet"),
    (0, b"Obj\x01", "an Avro file", "write it as Parquet"),
    (0, b"PARE", "an encrypted Parquet file", "write it without encryption"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "fetch it with git lfs pull"),
)
_PACKINGS = {_GZIP: "gzip", _BZ2: "bzip2", _XZ: "xz", _ZIP: "zip", _PARQUET: "Parquet"}


def read_table(source: str, file: BinaryIO, most_bytes: int = MOST_BYTES) -> RawTable:
    """The table in an open file: Parquet, or CSV that is plain, gzip, bzip2, xz or alone in a zip archive.

    Raises BadSnapshot for everything else, and for what is damaged or holds more text than `most_bytes`.
    """
    head = _head(file)
    if not head:
        raise BadSnapshot(source, "is empty (0 bytes): check how it was downloaded.")
    if head.startswith(_PARQUET):
        return read_parquet(source, file)
    for sign, packing, unpack in (
        (_GZIP, "gzip", _gzip),
        (_BZ2, "bzip2", _bzip2),
        (_XZ, "xz", _xz),
        (_ZIP, "zip", _only_csv_in_zip),
    ):
        if head.startswith(sign):
            return _read_packed(source, packing, lambda unpack=unpack: unpack(source, file, most_bytes), most_bytes)
    _refuse_strangers(source, head, "")
    with _damage_in_words(source, "CSV"):
        return read_csv(source, file, most_bytes)


def _read_packed(source: str, packing: str, unpack: Callable[[], BinaryIO], most_bytes: int) -> RawTable:
    with _damage_in_words(source, packing):
        with unpack() as stream:
            head = stream.read(_HEAD)
        if not head:
            raise BadSnapshot(source, f"is a {packing} file of nothing (0 bytes inside): check how it was made.")
        for sign, inner in _PACKINGS.items():
            if head.startswith(sign):
                raise BadSnapshot(
                    source, f"is a {packing} file with a {inner} file inside: unpack it once and give what is inside."
                )
        _refuse_strangers(source, head, f" inside {packing}")
        with unpack() as stream:
            return read_csv(source, stream, most_bytes)


def _head(file: BinaryIO) -> bytes:
    file.seek(0)
    head = file.read(_HEAD)
    file.seek(0)
    return head


def _gzip(_: str, file: BinaryIO, __: int) -> BinaryIO:
    file.seek(0)
    return _buffered(gzip.GzipFile(fileobj=file, mode="rb"))


def _bzip2(_: str, file: BinaryIO, __: int) -> BinaryIO:
    return _buffered(_Streams(file, bz2.BZ2Decompressor))


def _xz(_: str, file: BinaryIO, __: int) -> BinaryIO:
    return _buffered(_Streams(file, lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ)))


def _buffered(stream: object) -> BinaryIO:
    # GzipFile's own readline is Python; this one is C.
    return io.BufferedReader(cast(io.RawIOBase, stream), _BUFFER)


class _Streams(io.RawIOBase):
    """What is in a bzip2 or xz file, stream after stream.

    The library's own files pass over whatever follows the first stream and is none: rows would vanish.
    """

    def __init__(self, file: BinaryIO, new: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]) -> None:
        self._file = file
        self._new = new
        self._unpacker = new()
        file.seek(0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while True:
            packed = b""
            if self._unpacker.eof:
                packed = self._unpacker.unused_data or self._file.read(_BUFFER)
                if not packed:
                    return 0
                self._unpacker = self._new()
            elif self._unpacker.needs_input:
                packed = self._file.read(_BUFFER)
                if not packed:
                    raise EOFError
            found = self._unpacker.decompress(packed, len(buffer))
            if found:
                buffer[: len(found)] = found
                return len(found)


def _only_csv_in_zip(source: str, file: BinaryIO, most_bytes: int) -> BinaryIO:
    try:
        return _open_only_csv(source, zipfile.ZipFile(file), most_bytes)
    except (ValueError, NotImplementedError) as error:
        cure = "unpack it and give the CSV file inside, or download it again"
        raise BadSnapshot(source, f"is a zip archive that cannot be unpacked here ({error}): {cure}.") from error


def _open_only_csv(source: str, archive: zipfile.ZipFile, most_bytes: int) -> BinaryIO:
    members = [member for member in archive.infolist() if not member.is_dir()]
    names = [member.filename for member in members]
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise BadSnapshot(source, "is an Excel or office document: save its sheet as «CSV UTF-8» and give that file.")
    tables = [m for m in members if m.filename.lower().endswith(".csv") and not m.filename.startswith("__MACOSX")]
    if len(tables) != 1:
        inside = ", ".join(names[:5]) + (", …" if len(names) > 5 else "")
        raise BadSnapshot(
            source, f"is a zip archive without just one CSV file (inside: {inside}): unpack it and give the right file."
        )
    [table] = tables
    if table.flag_bits & 1:
        raise BadSnapshot(source, "is a zip archive that asks for a password: unpack it and give the CSV file inside.")
    if table.file_size > most_bytes:
        raise BadSnapshot(source, f"unpacks to {table.file_size:,} bytes; {most_bytes:,} are the most: split it.")
    return cast(BinaryIO, archive.open(table))


@contextmanager
def _damage_in_words(source: str, packing: str) -> Generator[None]:
    try:
        yield
    except EOFError as error:
        raise BadSnapshot(source, f"is a {packing} file that breaks off: it was not downloaded to its end.") from error
    except (zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise BadSnapshot(source, f"is a damaged {packing} file ({error}): download it again.") from error
    except gzip.BadGzipFile as error:
        what = "something else follows its end" if "Not a gzipped" in str(error) else str(error)
        raise BadSnapshot(source, f"is a damaged gzip file ({what}): download it again.") from error
    except OSError as error:
        if error.errno is not None:
            raise BadSnapshot(source, f"cannot be read ({error.strerror}): check the disk it lies on.") from error
        raise BadSnapshot(source, f"is a damaged {packing} file ({error}): download it again.") from error


def _refuse_strangers(source: str, head: bytes, inside: str) -> None:
    for place, sign, what, cure in _STRANGERS:
        if head[place:].startswith(sign):
            raise BadSnapshot(source, f"is {what}{inside}: {cure}.")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")) or _every_other_is_nul(head[:200]):
        raise BadSnapshot(source, f"is UTF-16 text{inside}: save it as UTF-8, as iconv -f UTF-16 -t UTF-8 does.")
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        page = f"is an HTML or XML page{inside}, not a table"
        raise BadSnapshot(source, f"{page}: check the address it was downloaded from.")
    if text.startswith((b"{", b"[")):
        kind = "GeoJSON" if b'"FeatureCollection"' in text else "JSON"
        raise BadSnapshot(source, f"is {kind}{inside}, not a table: take the csv.gz, or write it as CSV or Parquet.")
    if re.search(rb"[\x00-\x08\x0e-\x1f]", head.split(b"\n")[0][:200]):
        begin = head[:8].hex(" ")
        raise BadSnapshot(
            source, f"is of no kind that is known here{inside} (it begins with {begin}): give a CSV or Parquet file."
        )


def _every_other_is_nul(head: bytes) -> bool:
    return any(head[start::2].count(0) > len(head) // 3 for start in (0, 1))
