"""Records as the service logs them, and what is found in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from prediction_log.reader import read_records
from prediction_log.record import Feedback, LoggedListing, Prediction, Record
from prediction_log.writer import LogWriter
from tests.waiting import until

LISTING = LoggedListing(39331263, "Brooklyn", "Entire home/apt", 5, 1.5, 2, 2, 40.65837, -73.98402, True, False, False)
NOON = 1_785_585_600.0
"""2026-08-01, 12:00 UTC."""


def prediction(
    request_id: str, index: int | None = None, *, listing_id: int = 39331263, time: float = NOON
) -> Prediction:
    listing = msgspec.structs.replace(LISTING, id=listing_id)
    return Prediction(time, request_id, "new-york", "forest-0123456789ab", listing, "Mid", (0.1, 0.6, 0.2, 0.1), index)


def feedback(request_id: str, index: int | None = None, *, time: float = NOON) -> Feedback:
    return Feedback(time, request_id, index, price=120.0)


def lines(*records: Record) -> bytes:
    return msgspec.json.Encoder().encode_lines(records)


def request_ids(folder: Path, prefix: str = "predictions") -> list[str]:
    """Of all records that can be read, in their order."""
    ids = list[str]()
    for read in read_records(folder, prefix):
        ids += [record.request_id or "" for record in read.records]
    return ids


def ids_and_cut(folder: Path) -> tuple[list[str], int]:
    """The request ids of all answers, none twice, and how many lines are cut."""
    ids, cut = list[str](), 0
    for part in read_records(folder, "predictions"):
        ids += [record.request_id or "" for record in part.records]
        cut += part.cut
    assert len(ids) == len(set(ids))
    return ids, cut


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def writing(folder: Path, prefix: str = "predictions", **settings: Any) -> Iterator[LogWriter]:
    """A writer that is quick to flush and to try again, closed at the end."""
    writer = LogWriter(folder, prefix, **{"flush_seconds": 0.02, "retry_seconds": 0.02, **settings})
    writer.start()
    try:
        yield writer
    finally:
        writer.close()


def written(writer: LogWriter, count: int) -> None:
    """Wait until so many were written since it was made."""
    until(lambda: writer.state().written == count)
