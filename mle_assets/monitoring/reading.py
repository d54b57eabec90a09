"""The log's files, a portion at a time, as a market's rows by day: what a run has in memory at once is bounded."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Self

import msgspec
import numpy as np
import pyarrow as pa

from mle_assets.monitoring.tables import Kind, days_of, rows_of_answers, rows_of_feedback
from prediction_log.files import LogFile
from prediction_log.logs import Log
from prediction_log.reader import Read
from prediction_log.record import Feedback, Prediction
from storage.waiting import each

MOST_FILES = 2_000
"""Files of a portion: they come from a slow store within seconds, sixteen at once."""
MOST_BYTES = 250_000_000
"""Bytes of a portion, unless it is one file: as rows they may be all one market's."""

ByDay = dict[int, list[Any]]


class Funnel(msgspec.Struct, frozen=True):
    """What became of the lines that a run read: `lines` is the sum of all others.

    Lines of a file that is still written are read by every run until it is done.
    """

    lines: int = 0
    cut: int = 0
    unknown: int = 0
    other_markets: int = 0
    forgotten: int = 0
    doubled: int = 0
    kept: int = 0

    def __add__(self, other: Self) -> Self:
        """The sum, part by part."""
        return type(self)(*(getattr(self, name) + getattr(other, name) for name in self.__struct_fields__))


class Portion(NamedTuple):
    """What some files hold of a market, as rows by day, and the funnel so far: forgotten and doubled come later.

    `gone` are the files of which nothing is left: removed since they were listed.
    """

    funnel: Funnel
    by_day: ByDay
    gone: tuple[LogFile, ...] = ()


def portions(files: Sequence[LogFile]) -> Iterator[list[LogFile]]:
    """Files in their order, as many at a time as may be; one portion of nothing where there are none."""
    portion, size = list[LogFile](), 0
    for file in files:
        if portion and (len(portion) == MOST_FILES or size + file.size > MOST_BYTES):
            yield portion
            portion, size = [], 0
        portion.append(file)
        size += file.size
    yield portion


def read_portion(log: Log, kind: Kind, files: Sequence[LogFile], market: str) -> Portion:
    """Read some files, `log.at_once` at the same time; raises OSError where one cannot be read."""

    def read(file: LogFile) -> Portion:
        return _read(log, kind, file, market)

    funnel, by_day, gone = Funnel(), defaultdict[int, list[Any]](list), list[LogFile]()
    for of_file in each(read, files, log.at_once):
        funnel += of_file.funnel
        for day, rows in of_file.by_day.items():
            by_day[day] += rows
        gone += of_file.gone
    return Portion(funnel, dict(by_day), tuple(gone))


def _read(log: Log, kind: Kind, file: LogFile, market: str) -> Portion:
    funnel, by_day, blocks = Funnel(), defaultdict[int, list[Any]](list), 0
    for block in log.read(file):
        blocks += 1
        rows, misplaced, elsewhere = _rows(kind, block, market)
        funnel += Funnel(block.lines, block.cut, block.unknown + misplaced, elsewhere, kept=rows.num_rows)
        days = days_of(rows)
        for day in np.unique(days).tolist():
            by_day[day].append(rows.filter(pa.array(days == day)))
    # Of one that is done something comes, unless it is not there: an open one may have ended without a line.
    gone = (file,) if file.size and not file.open and not blocks else ()
    return Portion(funnel, dict(by_day), gone)


def _rows(kind: Kind, block: Read, market: str) -> tuple[Any, int, int]:
    """A market's rows in a block, how many records are not of that kind, and how many are other markets'."""
    if kind == "feedback":
        told = [record for record in block.records if isinstance(record, Feedback)]
        return rows_of_feedback(told, block.file.name), len(block.records) - len(told), 0
    predictions = [record for record in block.records if isinstance(record, Prediction)]
    ours = [one for one in predictions if one.market == market]
    misplaced, elsewhere = len(block.records) - len(predictions), len(predictions) - len(ours)
    return rows_of_answers(ours, block.file.name), misplaced, elsewhere
