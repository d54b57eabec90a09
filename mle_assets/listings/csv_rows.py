"""The rows of a CSV file, of which none may vanish: whatever is not a whole row is refused by its line."""

import codecs
import csv
from collections.abc import Iterator
from operator import itemgetter
from typing import BinaryIO

import pyarrow as pa

from mle_assets.listings.bad_snapshot import BadSnapshot
from mle_assets.listings.columns import RAW_COLUMNS, columns_to_read
from mle_assets.listings.raw_table import TEXT, RawTable

MOST_BYTES = 8_000_000_000
"""A file may hold that much text, unpacked; more than twenty million listings."""

# Small enough that the rows of a block stay in the processor's cache: 20,000 took half as long again.
_ROWS_AT_ONCE = 500
_LONGEST_LINE = 4_000_000
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_AGAIN = "download it again, or repair that line."


def read_csv(source: str, stream: BinaryIO, most_bytes: int = MOST_BYTES) -> RawTable:
    """The table in a stream of UTF-8 text with commas, quotes (") and a header; blank lines count as nothing.

    Raises BadSnapshot for what is not such a table, from its first to its last line.
    """
    lines = _Lines(source, stream, most_bytes)
    rows = csv.reader(lines, strict=True)
    table = RawTable()
    begin = 1
    try:
        header = next((row for row in rows if not _is_blank(row)), None)
        if header is None:
            raise BadSnapshot(source, "holds nothing but blank lines: check how it was downloaded.")
        _check_separator(source, header)
        read = columns_to_read(source, header)
        pick = itemgetter(*(header.index(name) for name in read))
        block: list[tuple[str, ...]] = []
        begin = rows.line_num + 1
        for row in rows:
            if len(row) == len(header):
                block.append(pick(row))
                if len(block) == _ROWS_AT_ONCE:
                    table.add(_columns(read, block))
                    block.clear()
            elif not _is_blank(row):
                raise BadSnapshot(source, _wrong_width(lines, begin, row, len(header)))
            begin = rows.line_num + 1
        if block:
            table.add(_columns(read, block))
        if lines.end_in_a_comma() and header[-1] in read:
            # Not a field that is empty, as far as anybody can tell: the rest of the file may be what is missing.
            raise BadSnapshot(
                source, _damaged(f"it breaks off in line {lines.number:,}, after a comma", "download it again.")
            )
    except csv.Error as error:
        raise BadSnapshot(source, _no_row(lines, begin, str(error))) from error
    return table


def _columns(names: list[str], block: list[tuple[str, ...]]) -> Iterator[tuple[str, pa.Array]]:
    for name, values in zip(names, zip(*block, strict=True), strict=True):
        yield name, pa.array(values, TEXT)


def _is_blank(row: list[str]) -> bool:
    return not row or (len(row) == 1 and row[0].isspace())


class _Lines:
    """The lines of a stream as text, each refused by its number where it is none."""

    def __init__(self, source: str, stream: BinaryIO, most_bytes: int) -> None:
        self.number = 0
        self.ended = False
        self._line = b""
        self._source = source
        self._stream = stream
        self._most_bytes = most_bytes

    def __iter__(self) -> Iterator[str]:
        size = 0
        while line := self._stream.readline(_LONGEST_LINE):
            self.number += 1
            self._line = line
            size += len(line)
            if b"\0" in line:
                raise BadSnapshot(self._source, _damaged(f"line {self.number:,} holds a NUL byte", _AGAIN))
            if len(line) == _LONGEST_LINE or size > self._most_bytes:
                raise BadSnapshot(self._source, self._too_much(size))
            try:
                text = line.removeprefix(codecs.BOM_UTF8).decode() if self.number == 1 else line.decode()
            except UnicodeDecodeError as error:
                raise BadSnapshot(self._source, self._no_utf8(error)) from error
            yield text
        self.ended = True

    def break_off(self) -> bool:
        """Whether nothing follows the line that was read last, not even the end of that line."""
        return not self._line.endswith((b"\n", b"\r")) and not self._stream.read(1)

    def end_in_a_comma(self) -> bool:
        """Whether the line that was read last ends in a comma in place of a line end."""
        return self._line.endswith(b",")

    def _too_much(self, size: int) -> str:
        if size > self._most_bytes:
            return f"holds more than {self._most_bytes:,} bytes of text, the most that is read: split it."
        return _damaged(f"line {self.number:,} goes on for more than {_LONGEST_LINE:,} bytes", _AGAIN)

    def _no_utf8(self, error: UnicodeDecodeError) -> str:
        if "end of data" in error.reason and self.break_off():
            return _damaged(f"it breaks off in line {self.number:,}, in the middle of a letter", "download it again.")
        byte = self._line[error.start]
        return (
            f"is not UTF-8 text (line {self.number:,} holds the byte 0x{byte:02X}): save it as UTF-8; if it is in "
            "Windows' notation, with iconv -f WINDOWS-1252 -t UTF-8."
        )


def _check_separator(source: str, header: list[str]) -> None:
    for sign, name in _SEPARATORS.items():
        names = {cell.strip(' "') for cell in ",".join(header).split(sign)}
        if len(names & set(RAW_COLUMNS)) > max(2, len(set(header) & set(RAW_COLUMNS))):
            raise BadSnapshot(source, f"has {name} between its columns: save it as a CSV file with commas.")


def _wrong_width(lines: _Lines, begin: int, row: list[str], width: int) -> str:
    if len(row) < width and lines.break_off():
        return _damaged(
            f"it breaks off in line {lines.number:,}, after {len(row)} of the row's {width} fields",
            "download it again.",
        )
    first = row[0][:40]
    return _damaged(
        f"the row in line {begin:,} has {len(row)} fields and the header {width}; it begins with «{first}»", _AGAIN
    )


def _no_row(lines: _Lines, begin: int, error: str) -> str:
    if lines.ended:
        return _damaged(
            f"a quote in the row of line {begin:,} is never closed: the file breaks off, or that quote is stray", _AGAIN
        )
    if "new-line" in error:
        return _damaged(
            f"line {lines.number:,} holds a carriage return that is not followed by a line feed",
            "save it with the line ends of Windows or Unix, or download it again.",
        )
    if "limit" in error:
        found = f"a field in the row of line {begin:,} goes on for more than {csv.field_size_limit():,} letters"
        return _damaged(f"{found}: a quote in it is stray", _AGAIN)
    place = f"line {begin:,}" if begin == lines.number else f"lines {begin:,} to {lines.number:,}"
    return _damaged(f"the row in {place} has a stray quote: text follows where a quoted field ends", _AGAIN)


def _damaged(what: str, cure: str) -> str:
    return f"is not a whole CSV table ({what}): {cure}"
