"""The log as tables: one Parquet file for the answers of each day, and one for what was told of answers that day."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mle_assets.monitoring.live import UNKNOWN
from mle_assets.places import FolderPlace, Place, Seen
from model_registry.listing import CATEGORIES, FEATURES
from prediction_log.record import Feedback, Prediction

DAY = 86_400.0
ALONE = -1
"""In place of an index: the listing was asked about by itself, not in a batch."""
KEY = ("request_id", "index")
"""What an answer is known by to whoever tells what was true of it."""
Kind = Literal["answers", "feedback"]

PROBABILITIES = tuple(f"probability_{name}" for name in CATEGORIES)
SHADOW_PROBABILITIES = tuple(f"shadow_{name}" for name in PROBABILITIES)
_OF_FEATURE: dict[str, Any] = {
    **dict.fromkeys(FEATURES, pa.int64()),
    **dict.fromkeys(("neighbourhood", "room_type"), pa.string()),
    **dict.fromkeys(("bathrooms", "latitude", "longitude"), pa.float64()),
    **dict.fromkeys(("tv", "elevator", "internet"), pa.bool_()),
}
_COMMON: dict[str, Any] = {"time": pa.float64(), "request_id": pa.string(), "index": pa.int64()}
SCHEMAS: dict[Kind, Any] = {
    "answers": pa.schema(
        {
            **_COMMON,
            "version": pa.string(),
            "category": pa.int64(),
            **dict.fromkeys(PROBABILITIES, pa.float32()),
            "id": pa.int64(),
            **_OF_FEATURE,
            "shadow": pa.string(),
            "shadow_category": pa.int64(),
            **dict.fromkeys(SHADOW_PROBABILITIES, pa.float32()),
            "shadow_missed": pa.string(),
            "file": pa.string(),
        }
    ),
    "feedback": pa.schema(
        {**_COMMON, "price": pa.float64(), "category": pa.int64(), "observed_at": pa.float64(), "file": pa.string()}
    ),
}
_CODES: dict[str | None, int] = {**{str(name): code for code, name in enumerate(CATEGORIES)}, None: UNKNOWN}
_NOTHING = (None,) * len(CATEGORIES)


def rows_of_answers(predictions: Sequence[Prediction], file: str) -> Any:
    """Predictions of a file as rows: categories as their codes, "" and UNKNOWN where there is no shadow."""
    listings, shadows = [one.listing for one in predictions], [one.shadow for one in predictions]
    columns: dict[str, list[Any]] = {
        "time": [one.time for one in predictions],
        "request_id": [one.request_id for one in predictions],
        "index": [ALONE if one.index is None else one.index for one in predictions],
        "version": [one.version for one in predictions],
        "category": [_CODES[one.category] for one in predictions],
        **_by_column(PROBABILITIES, [one.probabilities for one in predictions]),
        "id": [one.id for one in listings],
        **{name: [getattr(one, name) for one in listings] for name in FEATURES},
        "shadow": ["" if one is None else one.version for one in shadows],
        "shadow_category": [UNKNOWN if one is None else _CODES[one.category] for one in shadows],
        **_by_column(SHADOW_PROBABILITIES, [(one and one.probabilities) or _NOTHING for one in shadows]),
        "shadow_missed": [(one and one.missed) or "" for one in shadows],
        "file": [file] * len(predictions),
    }
    return pa.Table.from_pydict(columns, SCHEMAS["answers"])


def rows_of_feedback(told: Sequence[Feedback], file: str) -> Any:
    """What was told in a file as rows: a price or a category's code, UNKNOWN where a price was told."""
    columns: dict[str, list[Any]] = {
        "time": [one.time for one in told],
        "request_id": [one.request_id for one in told],
        "index": [ALONE if one.index is None else one.index for one in told],
        "price": [one.price for one in told],
        "category": [_CODES[one.price_category] for one in told],
        "observed_at": [one.observed_at for one in told],
        "file": [file] * len(told),
    }
    return pa.Table.from_pydict(columns, SCHEMAS["feedback"])


def _by_column(names: Sequence[str], rows: Sequence[Sequence[float | None]]) -> dict[str, list[float | None]]:
    columns: Iterable[Sequence[float | None]] = zip(*rows, strict=True) if rows else [()] * len(names)
    return {name: list(column) for name, column in zip(names, columns, strict=True)}


def days_of(rows: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The day of each row, counted from 1970 in UTC."""
    return np.floor(rows["time"].to_numpy() / DAY).astype(np.int64)


@dataclass(frozen=True)
class DayTables:
    """One market's tables: <place>/answers/2026-01-31.parquet and <place>/feedback/2026-01-31.parquet; UTC."""

    place: Place

    def days(self, kind: Kind) -> list[int]:
        """The days that there is a table of, counted from 1970, in order."""
        names = self.place.at(kind).names()
        return sorted(_day(name) for name in names if name.endswith(_ENDING))

    def of_day(self, kind: Kind, day: int, columns: Sequence[str] | None = None) -> Any:
        """The rows of a day; none where there is no table of it."""
        try:
            return _read(self.place.at(kind).source(_name(day)), columns)
        except FileNotFoundError:
            return _empty(kind, columns)

    def seen(self, kind: Kind, day: int) -> tuple[Any, Seen]:
        """The rows of a day, and what `replace` has to know of where they are from."""
        place = self.place.at(kind)
        if isinstance(place, FolderPlace):
            return self.of_day(kind, day), Seen(None, None)
        seen = place.see(_name(day))
        return (_empty(kind) if seen.content is None else _read(pa.BufferReader(seen.content))), seen

    def replace(self, kind: Kind, day: int, rows: Any, seen: Seen) -> None:
        """Put rows in place of those that were seen; the file of a day without rows is removed.

        Raises OSError where another run has replaced them meanwhile.
        """
        place, name = self.place.at(kind), _name(day)
        if not rows.num_rows and (seen.tag is None):
            # An object stays, empty: no store removes one only where nobody has written it since.
            place.remove(name)
            return
        written = pa.BufferOutputStream()
        pq.write_table(rows, written, compression="zstd")
        place.replace(name, written.getvalue().to_pybytes(), seen)

    def remove(self, kind: Kind, day: int) -> None:
        """Remove the table of a day."""
        self.place.at(kind).remove(_name(day))

    def since(self, kind: Kind, moment: float, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The rows from a moment on (seconds since 1970), in the order of their time."""
        wanted = SCHEMAS[kind].names if columns is None else list(dict.fromkeys(["time", *columns]))
        tables = [pa.schema([SCHEMAS[kind].field(name) for name in wanted]).empty_table()]
        for day in self.days(kind):
            if (day + 1) * DAY > moment:
                rows = self.of_day(kind, day, wanted)
                tables.append(rows if day * DAY >= moment else rows.filter(pc.greater_equal(rows["time"], moment)))
        # Column by column, each given up as it is converted: millions of rows need not be there twice.
        return pa.concat_tables(tables).to_pandas(split_blocks=True, self_destruct=True)

    def rows(self, kind: Kind, known: Mapping[int, int]) -> dict[int, int]:
        """How many rows the table of each day has; `known` are those that need not be looked up, where that is slow."""
        place = self.place.at(kind)
        if isinstance(place, FolderPlace):
            known = {}
        return {day: known[day] if day in known else _count(place.source(_name(day))) for day in self.days(kind)}


_ENDING = ".parquet"


def _name(day: int) -> str:
    return f"{datetime.fromtimestamp(day * DAY, UTC):%Y-%m-%d}{_ENDING}"


def _day(name: str) -> int:
    return (date.fromisoformat(name.removesuffix(_ENDING)) - date(1970, 1, 1)).days


def _read(source: Any, columns: Sequence[str] | None = None) -> Any:
    return pq.read_table(source, columns=None if columns is None else list(columns))


def _count(source: Any) -> int:
    return pq.ParquetFile(source).metadata.num_rows


def _empty(kind: Kind, columns: Sequence[str] | None = None) -> Any:
    schema = SCHEMAS[kind]
    return (schema if columns is None else pa.schema([schema.field(name) for name in columns])).empty_table()
