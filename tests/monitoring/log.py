"""A prediction log as the API writes it, of a few records."""

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from prediction_log.files import file_name
from prediction_log.record import Feedback, LoggedListing, Prediction, Probabilities, Record, ShadowAnswer
from prediction_log.writer import LogWriter

NOON = 1_767_268_800.0
"""2026-01-01, 12:00 UTC."""
DAY = 86_400.0

LISTING = LoggedListing(
    id=39331263,
    neighbourhood="Brooklyn",
    room_type="Entire home/apt",
    accommodates=5,
    bathrooms=1.5,
    bedrooms=2,
    beds=2,
    latitude=40.65837,
    longitude=-73.98402,
    tv=True,
    elevator=False,
    internet=False,
)
OF_CATEGORY: dict[str, Probabilities] = {
    "Low": (0.7, 0.1, 0.1, 0.1),
    "Mid": (0.1, 0.7, 0.1, 0.1),
    "High": (0.1, 0.1, 0.7, 0.1),
    "Lux": (0.1, 0.1, 0.1, 0.7),
}


def answered(
    request_id: str,
    time: float = NOON,
    *,
    category: str = "Mid",
    market: str = "new-york",
    version: str = "tree-1",
    index: int | None = None,
    shadow: ShadowAnswer | None = None,
    **changes: object,
) -> Prediction:
    """An answer about the README's listing, changed."""
    listing = msgspec.structs.replace(LISTING, **changes)
    return Prediction(
        time,
        request_id,
        market,
        version,
        listing,
        category,
        OF_CATEGORY[category],
        index,
        shadow,  # pyright: ignore
    )


def told(request_id: str, time: float = NOON + 60, **what: object) -> Feedback:
    """What was true of it."""
    return Feedback(time, request_id, **(what or {"price": 100.0}))  # pyright: ignore


def write(folder: Path, records: Sequence[Record], prefix: str = "predictions", now: float = NOON) -> None:
    """Have records written by a writer that then ends."""
    writer = LogWriter(folder, prefix, clock=lambda: now)
    writer.start()
    writer.offer(lambda: records, len(records))
    assert writer.close()
    assert writer.state().written == len(records)


def leave_open(folder: Path, records: Sequence[Record], after: bytes = b"", number: int = 1) -> Path:
    """The file of a writer that was killed: lines, and what came after them; the next writer takes it over."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / (file_name("predictions", NOON, "0a1b2c3d", number) + ".open")
    path.write_bytes(msgspec.json.Encoder().encode_lines(records) + after)
    return path


@contextmanager
def being_written(folder: Path, records: Sequence[Record], after: bytes = b"") -> Iterator[Path]:
    """The file of a writer that is still at it, and holds its lock: nobody else takes it over."""
    path = leave_open(folder, records, after)
    with path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield path
