"""Reading the log: what is whole is taken, what is not is counted, and nothing that a file holds makes it fail."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from prediction_log.files import MOST_LINE, LogFile, log_files, opened
from prediction_log.record import Record

CHUNK = 500_000
"""Bytes that are read at once: some thousand records."""

NOT_WHOLE = (ValueError, RecursionError)
"""What msgspec raises for bytes: its own errors and those of UTF-8 are ValueErrors."""

_records = msgspec.json.Decoder[Record](Record)
_any_json = msgspec.json.Decoder(msgspec.Raw)


class Read(msgspec.Struct, frozen=True):
    """Some of a file's records in order, and of how many lines: `lines` are the records, the cut and the unknown."""

    file: LogFile
    records: list[Record]
    lines: int
    cut: int = 0
    """Lines that are no JSON: cut off, damaged, or longer than any record."""
    unknown: int = 0
    """Lines that are JSON and none of the records that are known here."""


def read_records(folder: Path, prefix: str, *, files: Sequence[LogFile] | None = None) -> Iterator[Read]:
    """The records of all files that begin with `prefix`, or of these `files`: some thousand at a time, file by file.

    A file that is renamed meanwhile is found again and one that is removed is left out; none is read twice. Of a file
    that is still written, so much is read as it held when its turn came. Raises OSError where a file may not be read.
    """
    for file in log_files(folder, prefix) if files is None else files:
        yield from read_file(file)


def read_file(file: LogFile) -> Iterator[Read]:
    """The records of one file, some thousand at a time; nothing where it was removed."""
    stream = opened(file)
    if stream is None:
        return
    with stream:
        yield from read_blocks(file, stream)


def read_blocks(file: LogFile, stream: BinaryIO) -> Iterator[Read]:
    """The records that a stream holds, which are those of a file."""
    for block in blocks(stream):
        # The line that is being written is no line yet, unless it is whole.
        end = block.rfind(b"\n") + 1 if file.open else len(block)
        if end:
            yield _read(file, block[:end])
        if end < len(block) and (tail := _read(file, block[end:])).records:
            yield tail


def blocks(stream: BinaryIO) -> Iterator[bytes]:
    """What a file holds now, cut between lines; the last line may lack its end.

    Of a line that is longer than MOST_LINE, at least so much comes that this can be seen, and no more than twice that.
    """
    left = stream.seek(0, 2)
    stream.seek(0)
    rest = b""
    while left > 0 and (chunk := stream.read(min(CHUNK, left))):
        left -= len(chunk)
        if end := chunk.rfind(b"\n") + 1:
            yield rest + chunk[:end]
            rest = chunk[end:]
        else:
            rest = (rest + chunk)[: MOST_LINE + 1]
    if rest:
        yield rest


def _read(file: LogFile, block: bytes) -> Read:
    count = block.count(b"\n") + (not block.endswith(b"\n"))
    if len(block) < MOST_LINE:
        try:
            records = _records.decode_lines(block)
        except NOT_WHOLE:
            pass
        else:
            # One for each line, as JSON may otherwise go over several.
            if len(records) == count:
                return Read(file, records, count)
    return _read_one_by_one(file, block)


def _read_one_by_one(file: LogFile, block: bytes) -> Read:
    records, lines, cut, unknown = list[Record](), 0, 0, 0
    for line in block.split(b"\n"):
        if not line.strip(b" \t\r"):
            continue
        lines += 1
        try:
            if len(line) >= MOST_LINE:
                cut += 1
            else:
                records.append(_records.decode(line))
        except NOT_WHOLE:
            whole = _is_json(line)
            unknown += whole
            cut += not whole
    return Read(file, records, lines, cut, unknown)


def _is_json(line: bytes) -> bool:
    try:
        line.decode()
        _any_json.decode(line)
    except NOT_WHOLE:
        return False
    return True
